//! What the kernel knows of a TCP connection (`TCP_INFO`, tcp(7); Linux only).
//!
//! A downloading side is the receiver: its own `total_retrans` stays 0 whatever the path loses.
//! What it sees of loss is `rcv_ooopack`: segments that arrived out of order.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use serde::Serialize;

/// A reading of `TCP_INFO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TcpInfo {
    /// Smoothed round trip time of what this side sent, in microseconds.
    pub rtt_us: u32,
    /// The least round trip time seen, in microseconds; 0 when unknown.
    pub min_rtt_us: u32,
    /// The receiver's own estimate of the round trip, in microseconds; 0 when unknown.
    pub rcv_rtt_us: u32,
    /// Maximum segment size of the peer's segments, in bytes.
    pub rcv_mss: u32,
    /// Segments received with data.
    pub data_segs_in: u32,
    /// Segments sent with data, those sent again included.
    pub data_segs_out: u32,
    /// Segments that arrived out of order (Linux 5.4 and newer).
    pub rcv_ooopack: u32,
    /// Segments that this side sent again.
    pub total_retrans: u32,
    /// Bytes received in order.
    pub bytes_received: u64,
}

impl TcpInfo {
    /// The best estimate of the network's round trip.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        let least = if self.min_rtt_us == 0 || self.min_rtt_us == u32::MAX { self.rtt_us } else { self.min_rtt_us };
        Duration::from_micros(u64::from(least))
    }
}

/// A second handle on a socket, from which `TCP_INFO` can be read while another part owns the stream.
#[derive(Debug)]
pub struct TcpWatch(OwnedFd);

impl TcpWatch {
    /// Watches the socket behind `stream`. `None` where the handle cannot be copied.
    pub fn new(stream: &impl AsFd) -> Option<TcpWatch> {
        stream.as_fd().try_clone_to_owned().ok().map(TcpWatch)
    }

    /// Reads `TCP_INFO` now. `None` where the system does not offer it.
    #[must_use]
    pub fn read(&self) -> Option<TcpInfo> {
        read(self.0.as_fd())
    }
}

#[cfg(target_os = "linux")]
fn read(socket: BorrowedFd<'_>) -> Option<TcpInfo> {
    use std::os::fd::AsRawFd;

    // struct tcp_info of include/uapi/linux/tcp.h, up to tcpi_rcv_ooopack; the kernel only ever appends.
    const SIZE: usize = 232;
    let mut raw = [0u8; SIZE];
    let mut length = libc::socklen_t::try_from(SIZE).ok()?;
    #[expect(
        unsafe_code,
        reason = "getsockopt has no safe form for TCP_INFO; the kernel writes at most `length` bytes"
    )]
    // SAFETY: `raw` is valid for `length` bytes and the descriptor is borrowed for the call.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            raw.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if status != 0 {
        return None;
    }
    let have = length as usize;
    let u32_at = |at: usize| {
        if at + 4 <= have { u32::from_ne_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]) } else { 0 }
    };
    let u64_at = |at: usize| {
        let bytes = raw.get(at..at + 8).filter(|_| at + 8 <= have);
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
    };
    Some(TcpInfo {
        rcv_mss: u32_at(20),
        rtt_us: u32_at(68),
        rcv_rtt_us: u32_at(92),
        total_retrans: u32_at(100),
        bytes_received: u64_at(128),
        min_rtt_us: u32_at(148),
        data_segs_in: u32_at(152),
        data_segs_out: u32_at(156),
        rcv_ooopack: u32_at(224),
    })
}

#[cfg(not(target_os = "linux"))]
fn read(_socket: BorrowedFd<'_>) -> Option<TcpInfo> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn bytes_received_are_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(&[7; 10_000]).unwrap();
        client.read_exact(&mut [0; 10_000]).unwrap();
        let info = TcpWatch::new(&client).unwrap().read().unwrap();
        assert_eq!(info.bytes_received, 10_000);
        assert!(info.data_segs_in >= 1);
        let sent = TcpWatch::new(&server).unwrap().read().unwrap();
        assert!(sent.data_segs_out >= 1);
        assert_eq!(info.total_retrans, 0);
        assert!(info.rtt() < Duration::from_secs(1));
    }
}
