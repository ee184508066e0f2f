//! The proxy that refuses, asks for credentials, hangs or cuts.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use goferry_lab::forward::{ForwardConfig, ForwardMode};

use crate::origin::{BODY, Origin};
use crate::{curl, proxy};

#[test]
fn credentials_are_asked_for() {
    let origin = Origin::plain();
    let config = ForwardConfig::new(ForwardMode::Connect).host("plain.lab", origin.address);
    let proxy = proxy(config.credentials("gopher", "pass:word"));
    let url = "http://plain.lab/headers";

    let without = curl(&["--proxy", &proxy.url(), url]);
    assert_eq!((without.exit, without.status), (0, 407), "{without:?}");
    let wrong = curl(&["--proxy", &proxy.url(), "--proxy-user", "gopher:other", url]);
    assert_eq!((wrong.exit, wrong.status), (0, 407), "{wrong:?}");
    let tunnel = curl(&["--proxy", &proxy.url(), "https://plain.lab/"]);
    assert_eq!((tunnel.exit, tunnel.connect), (56, 407), "{tunnel:?}");
    let right = curl(&["--proxy", &proxy.url(), "--proxy-user", "gopher:pass:word", url]);
    assert_eq!((right.exit, right.status), (0, 200), "{right:?}");
    assert!(!right.body.to_ascii_lowercase().contains("proxy-authorization"), "{right:?}");
    // --proxy-anyauth asks without credentials first and follows the challenge, on the same connection.
    let before = proxy.counts();
    let asked = curl(&["--proxy", &proxy.url(), "--proxy-anyauth", "--proxy-user", "gopher:pass:word", url]);
    assert_eq!((asked.exit, asked.status), (0, 200), "{asked:?}");
    let after = proxy.counts();
    assert_eq!(after.connections - before.connections, 1);
    assert_eq!(after.statuses, [(200, 2), (407, 4)].into());
}

#[test]
fn any_status_can_refuse() {
    for status in [403, 429, 503, 599] {
        let proxy = proxy(ForwardConfig::new(ForwardMode::Refuse(status)));
        let tunnel = curl(&["--proxy", &proxy.url(), "https://origin.lab/"]);
        assert_eq!((tunnel.exit, tunnel.connect), (56, status), "{tunnel:?}");
        let plain = curl(&["--proxy", &proxy.url(), "http://origin.lab/"]);
        assert_eq!((plain.exit, plain.status), (0, status), "{plain:?}");
        assert_eq!(proxy.counts().statuses, [(status, 2)].into());
    }
}

#[test]
fn silence() {
    let proxy = proxy(ForwardConfig::new(ForwardMode::Silent));
    let done = curl(&["--proxy", &proxy.url(), "--max-time", "0.5", "https://origin.lab/"]);
    assert_eq!((done.exit, done.connect), (28, 0), "{done:?}");
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.connects, counts.statuses.len()), (1, 0, 0));
}

#[test]
fn slowness() {
    let origin = Origin::plain();
    let config = ForwardConfig::new(ForwardMode::Connect).host("plain.lab", origin.address);
    let proxy = proxy(config.delay(Duration::from_millis(400)));
    let begin = Instant::now();
    let done = curl(&["--proxy", &proxy.url(), "http://plain.lab/"]);
    assert_eq!((done.exit, done.body.as_str()), (0, BODY), "{done:?}");
    assert!(begin.elapsed() >= Duration::from_millis(400), "{:?}", begin.elapsed());
}

#[test]
fn headers_without_an_end() {
    let every = Duration::from_millis(20);
    let proxy = proxy(ForwardConfig::new(ForwardMode::EndlessHeaders { every }));
    let done = curl(&["--proxy", &proxy.url(), "--max-time", "0.5", "https://origin.lab/"]);
    assert_eq!(done.exit, 28, "{done:?}");

    let mut client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client.write_all(b"CONNECT origin.lab:443 HTTP/1.1\r\n\r\n").unwrap();
    let mut received = vec![0; 400];
    client.read_exact(&mut received).unwrap();
    let text = String::from_utf8(received).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\nX-Filler-0: ") && !text.contains("\r\n\r\n"), "{text}");
}

#[test]
fn fast_headers_without_an_end_meet_the_clients_limit() {
    let proxy = proxy(ForwardConfig::new(ForwardMode::EndlessHeaders { every: Duration::ZERO }));
    let done = curl(&["--proxy", &proxy.url(), "https://origin.lab/"]);
    // CURLE_RECV_ERROR or CURLE_OUT_OF_MEMORY by version: its headers are limited to 300 kB.
    assert!(done.exit != 0 && done.exit != 28, "{done:?}");
}

/// What a client reads from a tunnel to `/big`, and how the connection ends.
fn read_big(config: ForwardConfig) -> (usize, Option<ErrorKind>) {
    let origin = Origin::plain();
    let proxy = proxy(config.host("plain.lab", origin.address));
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client.write_all(b"CONNECT plain.lab:80 HTTP/1.1\r\n\r\n").unwrap();
    let mut established = [0; 39];
    client.read_exact(&mut established).unwrap();
    client.write_all(b"GET /big HTTP/1.1\r\nHost: plain.lab\r\n\r\n").unwrap();
    let mut received = 0;
    let mut buffer = [0; 4096];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return (received, None),
            Ok(read) => received += read,
            Err(error) => return (received, Some(error.kind())),
        }
    }
}

#[test]
fn tunnels_are_cut() {
    let connect = || ForwardConfig::new(ForwardMode::Connect);
    assert_eq!(read_big(connect().cut_after(100_000)), (100_000, None));
    let (received, end) = read_big(connect().reset_after(100_000));
    assert!(received <= 100_000, "{received}");
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
}

#[test]
fn plain_answers_are_cut() {
    let origin = Origin::plain();
    let config = ForwardConfig::new(ForwardMode::Connect).host("plain.lab", origin.address);
    let proxy = proxy(config.cut_after(5000));
    let done = curl(&["--proxy", &proxy.url(), "http://plain.lab/big"]);
    // CURLE_PARTIAL_FILE.
    assert_eq!((done.exit, done.status), (18, 200), "{}", done.exit);
    assert_eq!(proxy.counts().bytes_down, 5000);
}
