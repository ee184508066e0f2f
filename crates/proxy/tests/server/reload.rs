//! What a server does when its settings change: addresses that come, stay and go, and how many may connect.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use goferry_proxy::config::{Listen, Tls};
use goferry_proxy::server::Changed;
use tempfile::TempDir;

use crate::drain::{begun, begun_h2, rest_of};
use crate::http2::Client;
use crate::tls;
use crate::world::{MOD, PATIENCE, Reply, Served, ZIP, closes, get, large};

/// A port of its own, on all addresses of the machine.
fn free_port() -> u16 {
    TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

fn tcp(address: &str, port: u16) -> Listen {
    Listen::Tcp(SocketAddr::new(address.parse().unwrap(), port))
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Waits until nobody listens there any more.
fn refuses(address: SocketAddr) {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            _ => assert!(began.elapsed() < PATIENCE, "it still listens"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_address_that_stays_is_never_closed() {
    let served = Served::new(|_| {});
    let stays = served.address();
    let mut open = served.connect();
    open.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut open).status, 200);
    let mut multiplexed = Client::new(served.connect());
    assert_eq!(multiplexed.get(1, MOD), 200);

    // New connections all the while: none is refused, none breaks.
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients = thread::spawn({
        let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
        move || {
            while !over.load(Ordering::Relaxed) {
                let mut socket = connect(stays);
                socket.write_all(get(MOD, "Connection: close\r\n").as_bytes()).unwrap();
                assert_eq!(Reply::read(&mut socket).status, 200);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    for round in 0..20 {
        let port = free_port();
        // Named by its port it is the same.
        let both = vec![Listen::Tcp(stays), tcp("127.0.0.1", port)];
        let changed = served.swap(|config| config.listen = both).unwrap();
        let new = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(changed.opened, [new.to_string()], "{round}");
        let mut socket = connect(new);
        socket.write_all(get(MOD, "").as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut socket).status, 200);
        let alone = vec![Listen::Tcp(stays)];
        let changed = served.swap(|config| config.listen = alone).unwrap();
        assert_eq!(changed, Changed { opened: Vec::new(), closed: vec![new.to_string()] });
        refuses(new);
        assert!(closes(&mut socket) < Duration::from_secs(5));
    }
    over.store(true, Ordering::Relaxed);
    clients.join().unwrap();
    assert!(asked.load(Ordering::Relaxed) > 20);
    open.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut open).status, 200);
    assert_eq!(multiplexed.get(3, MOD), 200);
    assert_eq!(served.server.addresses(), [stays]);
}

#[test]
fn who_is_connected_to_an_address_that_goes_may_end() {
    let port = free_port();
    let mut served = Served::new(|config| config.listen = vec![tcp("127.0.0.1", port)]);
    let goes = served.address();
    let (mut first, mut begun) = begun(&served);
    let mut second = begun_h2(&served);
    let mut idle = served.connect();
    idle.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut idle).status, 200);

    let elsewhere = vec![tcp("127.0.0.2", 0)];
    served.swap(|config| config.listen = elsewhere).unwrap();
    refuses(goes);
    assert!(closes(&mut idle) < Duration::from_secs(5));
    assert_ne!(served.address(), goes);
    served.still_serves();
    // HTTP/2: told so, and given the file.
    let wanted = large();
    let (got, goaway) = rest_of(&mut second);
    assert!(goaway.is_some() && got == wanted, "{goaway:?} {} bytes", got.len());
    second.until_closed();
    // HTTP/1.1: given the file, and closed after it.
    first.read_to_end(&mut begun).unwrap();
    assert!(begun.ends_with(&wanted), "{} bytes", begun.len());
    served.stop();
    assert!(served.ended() < Duration::from_secs(5));
}

#[test]
fn who_does_not_end_in_time_is_cut_off() {
    let served = Served::new(|_| {});
    let mut lazy = served.connect();
    lazy.write_all(get(ZIP, "").as_bytes()).unwrap();
    lazy.read_exact(&mut [0; 100]).unwrap();
    let elsewhere = vec![tcp("127.0.0.2", 0)];
    served
        .swap(|config| {
            config.listen = elsewhere;
            config.drain = Duration::from_secs(1);
        })
        .unwrap();
    thread::sleep(Duration::from_secs(3));
    let mut taken = Vec::new();
    let _ = lazy.read_to_end(&mut taken);
    assert!(taken.len() < 20 << 20, "{} bytes came", taken.len());
    served.still_serves();
}

#[test]
fn where_one_address_is_taken_nothing_changes() {
    let served = Served::new(|_| {});
    let (stays, free) = (served.address(), free_port());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut open = served.connect();
    let wanted = vec![tcp("127.0.0.1", free), Listen::Tcp(taken.local_addr().unwrap())];
    let error = served
        .swap(|config| {
            config.listen = wanted;
            config.path_prefix = "/go".to_owned();
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
    open.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut open).status, 200);
    served.still_serves();
    assert_eq!(served.server.addresses(), [stays]);
    refuses(SocketAddr::from(([127, 0, 0, 1], free)));
    // The same with a certificate that cannot be read.
    let error = served
        .swap(|config| {
            config.tls = Some(Tls::Files { cert: "no-such-cert.pem".into(), key: "no-such-key.pem".into() });
            config.listen = vec![tcp("127.0.0.1", free)];
        })
        .unwrap_err();
    assert!(error.to_string().contains("no-such-cert.pem"), "{error}");
    refuses(SocketAddr::from(([127, 0, 0, 1], free)));
    served.still_serves();
    // Named twice: as at the start.
    let twice = vec![tcp("127.0.0.1", free), tcp("127.0.0.1", free)];
    assert_eq!(served.swap(|config| config.listen = twice).unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_port_moves_from_one_address_to_all_and_back() {
    let port = free_port();
    let served = Served::new(|config| config.listen = vec![tcp("127.0.0.1", port)]);
    for address in ["0.0.0.0", "127.0.0.1"] {
        let changed = served.swap(|config| config.listen = vec![tcp(address, port)]).unwrap();
        assert_eq!(changed.opened, [format!("{address}:{port}")]);
        let mut socket = connect(SocketAddr::from(([127, 0, 0, 1], port)));
        socket.write_all(get(MOD, "").as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut socket).status, 200);
        let elsewhere = TcpStream::connect(SocketAddr::from(([127, 0, 0, 3], port)));
        assert_eq!(elsewhere.is_ok(), address == "0.0.0.0");
        // Its port is its own.
        assert_eq!(TcpListener::bind(("127.0.0.1", port)).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}

#[test]
fn nobody_is_cut_off_while_a_port_moves() {
    let port = free_port();
    let served = Served::new(|config| config.listen = vec![tcp("127.0.0.1", port)]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    let mut asked = 0;
                    while !over.load(Ordering::Relaxed) {
                        let mut socket = connect(SocketAddr::from(([127, 0, 0, 1], port)));
                        socket.write_all(get(MOD, "").as_bytes()).unwrap();
                        assert_eq!(Reply::read(&mut socket).status, 200, "after {asked} connections");
                        asked += 1;
                        thread::sleep(Duration::from_millis(1));
                    }
                    asked
                })
            })
            .collect();
        for address in ["0.0.0.0", "127.0.0.1"].into_iter().cycle().take(6) {
            // Those who asked for a connection that moment ask again in a second.
            thread::sleep(Duration::from_millis(1200));
            served.swap(|config| config.listen = vec![tcp(address, port)]).unwrap();
        }
        thread::sleep(Duration::from_millis(1200));
        over.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 10);
        }
    });
}

#[test]
fn a_unix_socket_comes_stays_and_goes() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s");
    let unix = Listen::Unix(path.clone());
    let served = Served::new(|_| {});
    let both = vec![tcp("127.0.0.1", 0), unix.clone()];
    let changed = served.swap(|config| config.listen = both).unwrap();
    assert_eq!(changed.opened, [format!("unix:{}", path.display())]);
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut ask = || {
        socket.write_all(get(MOD, "").as_bytes()).unwrap();
        Reply::read(&mut socket).status
    };
    assert_eq!(ask(), 200);
    let alone = vec![unix];
    served.swap(|config| config.listen = alone).unwrap();
    assert_eq!(ask(), 200);
    assert_eq!(served.server.sockets(), std::slice::from_ref(&path));
    assert!(served.server.urls().is_empty());
    served.swap(|config| config.listen = vec![tcp("127.0.0.1", 0)]).unwrap();
    assert!(closes(&mut socket) < Duration::from_secs(5));
    let began = Instant::now();
    while path.exists() {
        assert!(began.elapsed() < PATIENCE, "the file is left");
    }
    served.still_serves();
}

#[test]
fn how_many_may_connect_changes_at_once() {
    let served = Served::new(|config| config.limits.connections = 3);
    let mut open = Vec::new();
    let mut more = || {
        let mut socket = served.connect();
        socket.write_all(get(MOD, "").as_bytes()).unwrap();
        let status = Reply::read(&mut socket).status;
        open.push(socket);
        status
    };
    assert_eq!([more(), more(), more(), more()], [200, 200, 200, 503]);
    served.swap(|config| config.limits.connections = 5).unwrap();
    assert_eq!([more(), more(), more()], [200, 200, 503]);
    served.swap(|config| config.limits.connections = 1).unwrap();
    assert_eq!(more(), 503);
    // Who was there before stays.
    open[0].write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut open[0]).status, 200);
    open.clear();
    served.lets_in_within(PATIENCE);
}

#[test]
fn a_certificate_for_trials_is_good_for_addresses_that_come() {
    let served = Served::new(|config| config.tls = Some(Tls::SelfSigned));
    let file = served.server.authority().unwrap();
    let authority = std::fs::read(&file).unwrap();
    let mut old = Client::new(tls::connect(&served, &authority, &["h2"]).unwrap());
    assert_eq!(old.get(1, MOD), 200);
    assert!(tls::connect_as(&served, &authority, &["h2"], "127.0.0.9").is_err());
    served
        .swap(|config| {
            config.tls = Some(Tls::SelfSigned);
            config.listen = vec![tcp("127.0.0.1", 0), tcp("127.0.0.9", 0)];
        })
        .unwrap();
    // Whoever trusts the authority need not be told anew.
    assert_eq!((served.server.authority(), std::fs::read(&file).unwrap()), (Some(file), authority.clone()));
    let secure = tls::connect_as(&served, &authority, &["h2"], "127.0.0.9").unwrap();
    assert_eq!(Client::new(secure).get(1, MOD), 200);
    assert_eq!(old.get(3, MOD), 200);
    // Without TLS from now on, at the same address.
    served.swap(|_| {}).unwrap();
    served.still_serves();
    assert_eq!(old.get(5, MOD), 200);
}
