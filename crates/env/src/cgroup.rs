//! The CPU limit of this process's cgroup, found as Go's `internal/runtime/cgroup` finds it.

use std::path::PathBuf;

use crate::inputs::Inputs;
use crate::read;

/// A quota in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CpuLimit {
    /// The file that sets it.
    pub(crate) file: PathBuf,
    /// CPU seconds per second.
    pub(crate) cpus: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    V1,
    V2,
}

/// The limit of the leaf cgroup, `None` when there is none or Go would not find it.
pub(crate) fn cpu_limit(inputs: &Inputs) -> Option<CpuLimit> {
    let proc_file = |name| read::bytes(&inputs.system(name), 4 << 20).ok();
    let groups = String::from_utf8_lossy(&proc_file("/proc/self/cgroup")?).into_owned();
    let mounts = String::from_utf8_lossy(&proc_file("/proc/self/mountinfo")?).into_owned();
    let (group, version) = cpu_cgroup(&groups)?;
    let dir = inputs.system(&cpu_mount(&mounts, &group, version)?);
    let number = |name: &str| -> Option<i64> {
        let text = read::text(&dir.join(name), 63).ok()?;
        text.split_once('\n')?.0.parse().ok()
    };
    let (file, quota, period) = match version {
        Version::V1 => {
            let quota = number("cpu.cfs_quota_us").filter(|q| *q >= 0)?;
            (dir.join("cpu.cfs_quota_us"), quota, number("cpu.cfs_period_us")?)
        }
        Version::V2 => {
            let text = read::text(&dir.join("cpu.max"), 63).ok()?;
            let (quota, period) = text.split_once('\n')?.0.split_once(' ')?;
            // "max" is no number: no limit.
            (dir.join("cpu.max"), quota.parse().ok()?, period.parse().ok()?)
        }
    };
    if period <= 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "the kernel limits quotas to 2^44 microseconds")]
    let cpus = quota as f64 / period as f64;
    Some(CpuLimit { file, cpus })
}

/// `parseCPUCgroup`: a v1 hierarchy with the cpu controller, else the v2 hierarchy.
fn cpu_cgroup(text: &str) -> Option<(String, Version)> {
    let mut v2 = None;
    for line in text.lines() {
        let (hierarchy, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        if !path.starts_with('/') {
            return None;
        }
        if hierarchy == "0" {
            v2 = Some((path.to_owned(), Version::V2));
        } else if controllers.split(',').any(|c| c == "cpu") {
            return Some((path.to_owned(), Version::V1));
        }
    }
    v2
}

/// `parseCPUMount`: where the group's directory is mounted.
fn cpu_mount(text: &str, group: &str, version: Version) -> Option<String> {
    for line in text.lines() {
        let (head, tail) = line.split_once(" - ")?;
        let mut head = head.split(' ').skip(3);
        let (root, mount) = (unescape(head.next()?)?, unescape(head.next()?)?);
        let mut tail = tail.splitn(3, ' ');
        let kind = tail.next()?;
        let fits = match version {
            Version::V1 => kind == "cgroup" && tail.nth(1)?.split(',').any(|o| o == "cpu"),
            Version::V2 => kind == "cgroup2",
        };
        if !fits || !has_path_prefix(group, &root) {
            continue;
        }
        let relative = if root.len() == 1 { if group.len() > 1 { group } else { "" } } else { &group[root.len()..] };
        if has_path_prefix(relative, "/..") {
            continue;
        }
        return Some(mount + relative);
    }
    None
}

fn has_path_prefix(path: &str, prefix: &str) -> bool {
    prefix.len() == 1 || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Undoes the octal escapes of `/proc/self/mountinfo`.
fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, after)) = rest.split_first() {
        if b == b'\\' {
            let digits = std::str::from_utf8(after.get(..3)?).ok()?;
            out.push(u8::from_str_radix(digits, 8).ok()?);
            rest = &after[3..];
        } else {
            out.push(b);
            rest = after;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v1_cpu_hierarchy_wins_over_v2() {
        assert_eq!(cpu_cgroup("9:memory:/m\n0::/two\n3:cpuacct,cpu:/one\n"), Some(("/one".into(), Version::V1)));
        assert_eq!(cpu_cgroup("4:cpuset:/x\n0::/two\n"), Some(("/two".into(), Version::V2)));
        assert_eq!(cpu_cgroup("4:cpuset:/x\n"), None);
        assert_eq!(cpu_cgroup("0::relative\n"), None);
    }

    #[test]
    fn the_mount_that_holds_the_group_is_chosen() {
        let v2 = "1 2 0:1 / / rw - ext4 /dev/x rw\n31 23 0:28 / /sys/fs/cg\\040roup rw shared:3 - cgroup2 c rw\n";
        assert_eq!(cpu_mount(v2, "/a/b", Version::V2).as_deref(), Some("/sys/fs/cg roup/a/b"));
        assert_eq!(cpu_mount(v2, "/", Version::V2).as_deref(), Some("/sys/fs/cg roup"));
        assert_eq!(cpu_mount(v2, "/../x", Version::V2), None);
        let v1 = "5 4 0:2 /docker/abc /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
        assert_eq!(cpu_mount(v1, "/docker/abc", Version::V1).as_deref(), Some("/cg/cpu"));
        assert_eq!(cpu_mount(v1, "/docker/abcd", Version::V1), None);
        assert_eq!(cpu_mount(v1, "/docker/abc/in", Version::V1).as_deref(), Some("/cg/cpu/in"));
    }
}
