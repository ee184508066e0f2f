//! One side of a link: a network namespace without a name, the TUN interface in it, and, where asked for, a mount namespace with files
//! of its own under `/etc`.
//!
//! The namespaces are made on a short-lived thread and held by open descriptors only, so nothing has to be cleaned up: with the last
//! descriptor, socket and process in them the kernel removes them.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, panic, thread};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::address::INTERFACE;
use super::error::LinkError;
use super::sys;

/// A file of this machine and the one to be seen in its place.
pub(super) struct Override {
    pub(super) target: PathBuf,
    pub(super) source: PathBuf,
}

/// A side's namespaces.
#[derive(Debug)]
pub(super) struct Namespace {
    side: &'static str,
    net: File,
    mount: Option<File>,
}

impl Namespace {
    /// Makes the namespaces, configures the network with the lines `setup` for `ip -batch`, and returns the TUN interface.
    pub(super) fn create(side: &'static str, setup: &str, overrides: &[Override]) -> Result<(Self, File), LinkError> {
        on_a_thread(side, || {
            unshare(CloneFlags::CLONE_NEWNET).map_err(forbidden("network"))?;
            let tun = sys::open_tun(INTERFACE).map_err(|source| LinkError::Tun { source })?;
            configure(side, setup)?;
            let net = File::open("/proc/thread-self/ns/net")
                .map_err(LinkError::system("opening /proc/thread-self/ns/net"))?;
            let mount = if overrides.is_empty() { None } else { Some(private_files(overrides)?) };
            Ok((Self { side, net, mount }, tun))
        })
    }

    /// Runs `work` on a new thread inside the namespaces and waits for it. A panic of `work` goes on in the caller.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LinkError> {
        on_a_thread(self.side, || {
            self.enter()?;
            Ok(work())
        })
    }

    /// Moves the calling thread, for good, into the namespaces.
    fn enter(&self) -> Result<(), LinkError> {
        if let Some(files) = &self.mount {
            // A thread that shares its working directory with others may not change its mount namespace (setns(2)), and one
            // that does change it finds itself at the root.
            let directory = env::current_dir().map_err(LinkError::system("reading the working directory"))?;
            unshare(CloneFlags::CLONE_FS).map_err(forbidden("mount"))?;
            setns(files, CloneFlags::CLONE_NEWNS).map_err(forbidden("mount"))?;
            env::set_current_dir(directory).map_err(LinkError::system("going back to the working directory"))?;
        }
        setns(&self.net, CloneFlags::CLONE_NEWNET).map_err(forbidden("network"))
    }
}

/// Runs `work` on a thread of its own, because what it does to its thread cannot be undone.
fn on_a_thread<T: Send>(side: &str, work: impl FnOnce() -> Result<T, LinkError> + Send) -> Result<T, LinkError> {
    thread::scope(|scope| {
        let handle = thread::Builder::new()
            .name(format!("link-{side}"))
            .spawn_scoped(scope, work)
            .map_err(LinkError::system("starting a thread for a side of the link"))?;
        handle.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

/// Gives the calling thread a mount namespace in which other files lie over some of `/etc`, and returns its descriptor.
fn private_files(overrides: &[Override]) -> Result<File, LinkError> {
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).map_err(forbidden("mount"))?;
    // Nothing that is mounted here may spread to the machine.
    mount(None::<&Path>, "/", None::<&Path>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&Path>)
        .map_err(|errno| LinkError::System { what: "making / private", source: errno.into() })?;
    for Override { target, source } in overrides {
        mount(Some(source.as_path()), target.as_path(), None::<&Path>, MsFlags::MS_BIND, None::<&Path>)
            .map_err(|errno| LinkError::Override { path: target.clone(), source: errno.into() })?;
    }
    File::open("/proc/thread-self/ns/mnt").map_err(LinkError::system("opening /proc/thread-self/ns/mnt"))
}

/// Feeds `lines` to `ip -batch` in the namespace of the calling thread.
fn configure(side: &'static str, lines: &str) -> Result<(), LinkError> {
    let ip_missing = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => LinkError::NoIproute2,
        _ => LinkError::System { what: "running ip", source: error },
    };
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ip_missing)?;
    // Short enough for the pipe. Where `ip` ends early, its message below says why.
    let written = ip.stdin.take().map(|mut stdin| stdin.write_all(lines.as_bytes()));
    let output = ip.wait_with_output().map_err(LinkError::system("waiting for ip"))?;
    if output.status.success() && matches!(written, Some(Ok(()))) {
        return Ok(());
    }
    let mut message: String = String::from_utf8_lossy(&output.stderr).chars().take(2000).collect();
    if let Some(line) = failed_line(&message).and_then(|number| lines.lines().nth(number.checked_sub(1)?)) {
        message = format!("{} (the line was: {line})", message.trim());
    }
    Err(LinkError::Ip { side, message: message.trim().to_owned() })
}

/// The number in `Command failed -:7`, which ends what `ip -batch -` says.
fn failed_line(message: &str) -> Option<usize> {
    message.rsplit_once("Command failed -:")?.1.trim().parse().ok()
}

/// The congestion controls of this kernel, as it lists them.
pub(super) fn available_congestion() -> String {
    fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn forbidden(what: &'static str) -> impl FnOnce(nix::Error) -> LinkError {
    move |errno| match errno {
        nix::Error::EPERM => LinkError::Forbidden { what, source: errno.into() },
        _ => LinkError::System { what: "making or entering a namespace", source: errno.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failed_line_is_found() {
        assert_eq!(failed_line("Error: Nexthop has invalid gateway.\nCommand failed -:7\n"), Some(7));
        assert_eq!(failed_line("Command failed -:x"), None);
        assert_eq!(failed_line(""), None);
    }
}
