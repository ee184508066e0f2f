//! A Unix socket.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use goferry_proxy::config::Listen;
use tempfile::TempDir;

use crate::http2::Client;
use crate::world::{MOD, PATIENCE, Reply, Served, get};

#[test]
fn requests_through_a_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("goferry.sock");
    // One that nobody listens on any more.
    drop(UnixListener::bind(&path).unwrap());
    let mut served = Served::new(|config| config.listen = vec![Listen::Unix(path.clone())]);
    assert_eq!(served.server.sockets(), std::slice::from_ref(&path));
    assert!(served.server.urls().is_empty());
    let meta = fs::metadata(&path).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o711, 0o600, "{:o}", meta.permissions().mode());

    let mut socket = UnixStream::connect(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..2 {
        socket.write_all(get(MOD, "").as_bytes()).unwrap();
        let reply = Reply::read(&mut socket);
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"module example.com/small\n\ngo 1.21\n"[..]));
    }
    let socket = UnixStream::connect(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(Client::new(socket).get(1, MOD), 200);

    served.stop();
    assert!(served.ended() < Duration::from_secs(5));
    assert!(!path.exists(), "the file is left");
}
