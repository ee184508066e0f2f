//! What the processes of a server cost, from `/proc`.

use std::fs;

/// `USER_HZ`, in which Linux counts a process's time (proc(5)).
const TICKS: f64 = 100.0;

/// A process, and those of the group that it leads.
pub(super) fn group(leader: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|pid| *pid == leader || stat(*pid).is_some_and(|stat| stat.group == leader)).collect()
}

/// Seconds of processor time that they have used so far.
pub(super) fn cpu_seconds(pids: &[u32]) -> f64 {
    pids.iter().filter_map(|pid| stat(*pid)).map(|stat| stat.ticks as f64 / TICKS).sum()
}

/// The sum of the peaks of their resident memory, in MB. What they share counts for each.
pub(super) fn peak_mb(pids: &[u32]) -> f64 {
    let peak = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()
    };
    pids.iter().filter_map(peak).sum::<f64>() * 1024.0 / 1e6
}

/// Connections that are established over IPv4 at a local port.
pub(super) fn established(port: u16) -> usize {
    count_established(&fs::read_to_string("/proc/net/tcp").unwrap_or_default(), port)
}

/// `sl local_address rem_address st …`, in hexadecimal; 01 is established (net/tcp_states.h).
fn count_established(table: &str, port: u16) -> usize {
    let local = format!(":{port:04X}");
    let counts = |line: &&str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next().is_some_and(|address| address.ends_with(&local)) && fields.nth(1) == Some("01")
    };
    table.lines().filter(counts).count()
}

struct Stat {
    group: u32,
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name, in parentheses, may hold anything.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |number: usize| fields.get(number)?.parse::<u64>().ok();
    Some(Stat { group: fields.get(2)?.parse().ok()?, ticks: ticks(11)? + ticks(12)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read() {
        let line = "77 (a (b) c) S 1 70 70 0 -1 4194560 1 2 3 4 150 25 7 8 20 0 1 0 100 0 0";
        let stat = parse(line).unwrap();
        assert_eq!((stat.group, stat.ticks), (70, 175));
        assert!(parse("nonsense").is_none());
    }

    #[test]
    fn connections_at_a_port_are_counted() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:1F90 00000000:0000 0A 0\n   1: 0100007F:1F90 0100007F:D431 01 0\n\
            2: 0100007F:D431 0100007F:1F90 01 0\n   3: 0100007F:1F90 0100007F:D432 06 0\n";
        assert_eq!((count_established(table, 8080), count_established(table, 81)), (1, 0));
    }

    #[test]
    fn this_process_uses_something() {
        let pids = group(std::process::id());
        assert!(pids.contains(&std::process::id()) && peak_mb(&pids) > 0.1);
    }
}
