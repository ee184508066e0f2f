//! What is listened on.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};

use rustix::net::sockopt::set_socket_reuseport;
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::config::Listen;

/// How many may have connected before they are accepted.
const BACKLOG: u32 = 1024;

/// Drops segments that ask for a connection, SYN without ACK (RFC 9293 section 3.1), and lets all others through: classic
/// BPF over the TCP header (socket(7), SO_ATTACH_FILTER).
#[cfg(target_os = "linux")]
const NO_SYN: [SockFilter; 5] = [
    // The byte of the flags; SYN and ACK of them.
    SockFilter::new(0x30, 0, 0, 13),
    SockFilter::new(0x54, 0, 0, 0x12),
    SockFilter::new(0x15, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// A port or a socket.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A connection of one: it does not block, and is of no runtime yet.
pub(super) enum Accepted {
    Tcp(StdTcpStream, SocketAddr),
    Unix(StdUnixStream),
}

impl Listener {
    /// Binds it, also where one of those that are to go has its port at an address that covers, or is covered by, this one.
    /// Within a tokio runtime.
    pub(super) fn bind(listen: &Listen, goes: &[&Listener]) -> io::Result<Listener> {
        match listen {
            Listen::Tcp(address) => tcp(*address, goes).map(Listener::Tcp).map_err(at(address)),
            Listen::Unix(path) => unix(path).map_err(at(&path.display())),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Listener::Tcp(listener) => {
                let (socket, address) = listener.accept().await?;
                let _ = socket.set_nodelay(true);
                Ok(Accepted::Tcp(socket.into_std()?, address))
            }
            Listener::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0.into_std()?)),
        }
    }

    /// Answers nobody who wants to connect from now on: they ask again in a second (RFC 6298 section 2.1), and come to who
    /// listens there then. Who is in the middle of the handshake may end it. Linux only; Unix sockets have no such thing.
    pub(super) fn ignore_new(&self) {
        #[cfg(target_os = "linux")]
        if let Listener::Tcp(listener) = self
            && let Err(error) = SockRef::from(listener).attach_filter(&NO_SYN)
        {
            tracing::debug!(%error, "those who connect while a listener is closed are cut off");
        }
    }

    /// Those who have connected and were not accepted yet: they would be cut off with the listener.
    pub(super) fn waiting(&self) -> Vec<Accepted> {
        let rest: Box<dyn FnMut() -> io::Result<Accepted>> = match self {
            Listener::Tcp(listener) => {
                // The same socket, which does not block: asked itself it knows of those that tokio was not told of yet.
                let Ok(socket) = listener.as_fd().try_clone_to_owned() else { return Vec::new() };
                let listener = StdTcpListener::from(socket);
                Box::new(move || {
                    let (socket, address) = listener.accept()?;
                    socket.set_nonblocking(true)?;
                    let _ = socket.set_nodelay(true);
                    Ok(Accepted::Tcp(socket, address))
                })
            }
            Listener::Unix(listener, _) => {
                let Ok(socket) = listener.as_fd().try_clone_to_owned() else { return Vec::new() };
                let listener = StdUnixListener::from(socket);
                Box::new(move || {
                    let (socket, _) = listener.accept()?;
                    socket.set_nonblocking(true)?;
                    Ok(Accepted::Unix(socket))
                })
            }
        };
        std::iter::repeat_with(rest).take(BACKLOG as usize).map_while(Result::ok).collect()
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(..) => None,
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Listener::Tcp(_) => None,
            Listener::Unix(_, file) => Some(&file.path),
        }
    }

    /// The address or the path, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map(|address| address.to_string()).unwrap_or_default(),
            Listener::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }
}

/// The file of a Unix socket. Removed when this is dropped, unless it is another's by then.
pub(super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a TCP port. Linux refuses 0.0.0.0:80 while somebody listens on 127.0.0.1:80, and the other way round, unless all
/// of them say that they share the port (socket(7), SO_REUSEPORT): said for this moment only, or other processes might.
fn tcp(address: SocketAddr, goes: &[&Listener]) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    let shares = |old: SocketAddr| old.port() == address.port() && old != address;
    let beside: Vec<&TcpListener> = goes
        .iter()
        .filter_map(|listener| match listener {
            Listener::Tcp(tcp) if listener.address().is_some_and(shares) => Some(tcp),
            _ => None,
        })
        .collect();
    let share = |shared: bool| beside.iter().try_for_each(|socket| set_socket_reuseport(socket, shared));
    if !beside.is_empty() {
        socket.set_reuseport(true)?;
        share(true)?;
    }
    let bound = socket.bind(address).and_then(|()| socket.listen(BACKLOG));
    if !beside.is_empty() {
        let _ = share(false);
        if let Ok(listener) = &bound {
            let _ = set_socket_reuseport(listener, false);
        }
    }
    bound
}

/// Binds a Unix socket. The file of a server that is gone is taken away: nobody listens on it.
fn unix(path: &Path) -> io::Result<Listener> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => match StdUnixStream::connect(path) {
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
        },
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    // bind(2) gives it 0777 less the umask; connecting takes the right to write.
    let meta = fs::symlink_metadata(path)?;
    fs::set_permissions(path, Permissions::from_mode(meta.mode() & 0o666))?;
    Ok(Listener::Unix(listener, SocketFile { path: path.to_owned(), inode: (meta.dev(), meta.ino()) }))
}

fn at(place: &dyn std::fmt::Display) -> impl Fn(io::Error) -> io::Error {
    let place = place.to_string();
    move |error| io::Error::new(error.kind(), format!("{place}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file");
        let listen = Listen::Unix(path.clone());
        let live = Listener::bind(&listen, &[]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o111, 0);
        let refused = Listener::bind(&listen, &[]).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
        drop(live);
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        assert_eq!(Listener::bind(&listen, &[]).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn a_port_moves_to_all_addresses_and_is_nobody_elses_meanwhile() {
        let tcp = |address: &str, port: u16| Listen::Tcp(SocketAddr::new(address.parse().unwrap(), port));
        let old = Listener::bind(&tcp("127.0.0.1", 0), &[]).unwrap();
        let port = old.address().unwrap().port();
        let taken = |address: &str| Listener::bind(&tcp(address, port), &[]).err().map(|error| error.kind());
        assert_eq!(taken("0.0.0.0"), Some(io::ErrorKind::AddrInUse));
        let new = Listener::bind(&tcp("0.0.0.0", port), &[&old]).unwrap();
        assert_eq!(
            (taken("0.0.0.0"), taken("127.0.0.1")),
            (Some(io::ErrorKind::AddrInUse), Some(io::ErrorKind::AddrInUse))
        );
        // The same address is never bound twice.
        assert!(Listener::bind(&tcp("127.0.0.1", port), &[&old]).is_err());
        // The more exact address is asked, and takes nobody any more.
        old.ignore_new();
        let here = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
        let unanswered = StdTcpStream::connect_timeout(&here, std::time::Duration::from_millis(100)).unwrap_err();
        assert_eq!((unanswered.kind(), old.waiting().len()), (io::ErrorKind::TimedOut, 0));
        drop(old);
        let _client = StdTcpStream::connect(here).unwrap();
        assert!(matches!(new.accept().await, Ok(Accepted::Tcp(..))));
        let _waits = StdTcpStream::connect(here).unwrap();
        assert_eq!((new.waiting().len(), new.waiting().len()), (1, 0));
    }
}
