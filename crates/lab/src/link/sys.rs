//! The two system calls that neither the standard library nor `nix` wraps: `TUNSETIFF` and `setpriority(2)` for one thread.
#![expect(
    unsafe_code,
    reason = "ioctl(TUNSETIFF) and setpriority have no safe wrapper; both are called here and nowhere else"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// Length of an interface name in `struct ifreq`, with its final zero (`IFNAMSIZ`, linux/if.h).
const NAME_SIZE: usize = 16;

/// `struct ifreq` as `TUNSETIFF` reads it: the name, then the flags, in a union of 24 bytes.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME_SIZE],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Creates the TUN interface `name` in the network namespace of the calling thread.
///
/// The interface carries bare IP packets (`IFF_TUN | IFF_NO_PI`): one `read` or `write` is one packet, and both never
/// wait. It is not persistent: the kernel removes it with the file.
pub(super) fn open_tun(name: &str) -> io::Result<File> {
    let mut request = InterfaceRequest {
        name: [0; NAME_SIZE],
        flags: (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short,
        rest: [0; 22],
    };
    if name.len() >= NAME_SIZE {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an interface name has at most 15 bytes"));
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")?;
    // SAFETY: the descriptor is open for as long as `file` lives, and `request` is a whole `struct ifreq` (40 bytes) that
    // the kernel reads, and writes back, during the call only.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

/// Sets the niceness of the calling thread. On Linux the value belongs to the thread, not to the process (setpriority(2), "C
/// library/kernel differences").
pub(super) fn set_thread_niceness(nice: i32) -> io::Result<()> {
    // SAFETY: the call takes three integers and touches no memory of this process.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS as _, 0, nice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_the_size_of_struct_ifreq() {
        assert_eq!(size_of::<InterfaceRequest>(), size_of::<libc::ifreq>());
    }

    #[test]
    fn a_long_name_is_refused_before_anything_is_opened() {
        let error = open_tun("an-interface-name-too-long").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
