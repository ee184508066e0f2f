//! What can go wrong while a link is made or used.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// Why a [`Link`](super::Link) could not be made or used. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The process is not root.
    #[error(
        "an emulated link needs root: network namespaces and TUN interfaces are made with CAP_SYS_ADMIN and CAP_NET_ADMIN; run the command with sudo"
    )]
    NotRoot,
    /// The process is root, and still may not make namespaces.
    #[error(
        "this root may not make a {what} namespace (no CAP_SYS_ADMIN, as in a container without --privileged): {source}"
    )]
    Forbidden {
        /// Which namespace.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The `ip` command is missing.
    #[error("the `ip` command is not installed; install it with: apt-get install -y iproute2")]
    NoIproute2,
    /// `/dev/net/tun` is missing or refuses.
    #[error(
        "no TUN interface could be made through /dev/net/tun: {source}; try: modprobe tun, or in a container: --device /dev/net/tun --cap-add NET_ADMIN"
    )]
    Tun {
        /// The kernel's answer.
        source: io::Error,
    },
    /// A number of the builder or of a control is out of its range.
    #[error("{what} of the link is {value}: it must be {range}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
    /// The kernel does not have this congestion control.
    #[error("congestion control {name:?} is not in this kernel, which has: {available}; try: modprobe tcp_{name}")]
    Congestion {
        /// What was asked for.
        name: String,
        /// `net.ipv4.tcp_available_congestion_control`.
        available: String,
    },
    /// `ip` refused a line.
    #[error("`ip -batch` failed on the {side} side of the link: {message}")]
    Ip {
        /// `client` or `server`.
        side: &'static str,
        /// What `ip` wrote to its standard error.
        message: String,
    },
    /// A file for the client's private view of `/etc` could not be put over the real one.
    #[error("{path} cannot be replaced for the client side: {source}; the file must exist on this machine", path = path.display())]
    Override {
        /// The file under `/etc`.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A command could not be started on a side of the link.
    #[error("{program} could not be started on the emulated link: {source}", program = program.display())]
    Command {
        /// The command's name.
        program: OsString,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Some other system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl LinkError {
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
