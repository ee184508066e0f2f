//! The one question to the kernel that no safe interface asks.
#![expect(unsafe_code, reason = "TCP_INFO has no safe wrapper among the crates used here")]

use std::os::fd::RawFd;
use std::time::Duration;

/// The smoothed round trip time of a TCP connection (`tcpi_rtt`, in microseconds; `tcp(7)`).
pub(super) fn tcp_rtt(fd: RawFd) -> Option<Duration> {
    // SAFETY: tcp_info is plain old data, for which all zeroes is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
    // SAFETY: the pointers are to a tcp_info and to its length, both alive for the call; the kernel writes at most `length` bytes.
    let result =
        unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut length) };
    (result == 0 && info.tcpi_rtt > 0).then(|| Duration::from_micros(u64::from(info.tcpi_rtt)))
}
