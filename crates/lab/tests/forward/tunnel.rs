//! The innocent proxy: tunnels, and `http://` URLs in absolute form.

use std::net::TcpListener;

use goferry_lab::certs::Authority;
use goferry_lab::forward::{ForwardConfig, ForwardMode};

use crate::origin::{BODY, NAME, Origin};
use crate::{curl, proxy, text};

#[test]
fn h2_passes_an_http1_connect_proxy() {
    let authority = Authority::new("lab root").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    authority.write_pem(&ca).unwrap();
    let origin = Origin::tls(&authority, &["h2", "http/1.1"]);
    let proxy = proxy(ForwardConfig::new(ForwardMode::Connect).host(NAME, origin.address));
    let url = format!("https://{NAME}/a");

    let done = curl(&["--proxy", &proxy.url(), "--cacert", text(&ca), &url, &url]);
    // curl prints after each of its two transfers: the last one used the same connection.
    assert_eq!((done.exit, done.status, done.connections, done.version.as_str()), (0, 200, 0, "2"), "{done:?}");
    assert!(done.body.starts_with(BODY) && done.body.ends_with(BODY), "{done:?}");
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.connects, counts.plain_requests), (1, 1, 0));
    assert_eq!(counts.statuses, [(200, 1)].into());
    assert_eq!(counts.targets, [(format!("{NAME}:443"), 1)].into());
    assert!(counts.bytes_up > 300 && counts.bytes_down > 500, "{counts:?}");
    assert!(counts.intercepted.is_empty(), "{counts:?}");
}

#[test]
fn plain_requests_keep_both_connections() {
    let origin = Origin::plain();
    let proxy = proxy(ForwardConfig::new(ForwardMode::Connect).host("plain.lab:8080", origin.address));
    let url = |path: &str| format!("http://plain.lab:8080{path}");

    let done = curl(&["--proxy", &proxy.url(), &url("/big"), &url("/chunked"), &url("/headers")]);
    assert_eq!((done.exit, done.status, done.connections), (0, 200, 0), "{}", done.exit);
    assert!(done.body.contains(BODY));
    assert!(done.body.starts_with(&"x".repeat(1_000_000)));
    let head = &done.body[done.body.find("GET /headers HTTP/1.1\r\n").expect("the origin form")..];
    assert!(head.contains("Host: plain.lab:8080\r\n"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("proxy-connection"), "{head}");
    assert_eq!(origin.connections(), 1);
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.connects, counts.plain_requests), (1, 0, 3));
    assert_eq!(counts.statuses, [(200, 3)].into());
    assert!(counts.bytes_down > 1_000_000);
}

#[test]
fn bodies_of_requests_are_forwarded() {
    let origin = Origin::plain();
    let proxy = proxy(ForwardConfig::new(ForwardMode::Connect).host("plain.lab", origin.address));
    let done = curl(&["--proxy", &proxy.url(), "--data", "abc", "http://plain.lab/headers"]);
    assert_eq!((done.exit, done.status), (0, 200), "{done:?}");
    assert!(done.body.starts_with("POST /headers HTTP/1.1\r\n") && done.body.contains("Content-Length: 3"), "{done:?}");
    let sent_on = done.body.len() as u64 + 3;
    assert_eq!(proxy.counts().bytes_up, sent_on, "{:?}", proxy.counts());
}

#[test]
fn an_origin_that_is_not_there_gives_502() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.3:0").unwrap();
        listener.local_addr().unwrap()
    };
    let proxy = proxy(ForwardConfig::new(ForwardMode::Connect).host("gone.lab", nobody));
    let tunnel = curl(&["--proxy", &proxy.url(), "https://gone.lab/"]);
    assert_eq!((tunnel.exit, tunnel.connect), (56, 502), "{tunnel:?}");
    let plain = curl(&["--proxy", &proxy.url(), "http://gone.lab/"]);
    assert_eq!((plain.exit, plain.status), (0, 502), "{plain:?}");
    let counts = proxy.counts();
    assert_eq!((counts.statuses[&502], counts.failed), (2, 2));
    assert!(counts.failures[0].contains("gone.lab:443"), "{counts:?}");
}

#[test]
fn requests_that_are_not_for_a_proxy_give_400() {
    let proxy = proxy(ForwardConfig::new(ForwardMode::Connect));
    let done = curl(&[&format!("{}/a", proxy.url())]);
    assert_eq!((done.exit, done.status), (0, 400), "{done:?}");
}

#[test]
fn dropping_the_proxy_closes_its_port_and_its_tunnels() {
    use std::io::{Read, Write};

    let origin = Origin::plain();
    // An address of its own, so that no other test takes the port when it is free.
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let config = ForwardConfig::new(ForwardMode::Connect).host(NAME, origin.address);
    let proxy = goferry_lab::forward::ForwardProxy::start(listener, config).unwrap();
    let address = proxy.address();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    client.write_all(format!("CONNECT {NAME}:80 HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
    let mut answer = [0; 39];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 Connection established\r\n\r\n");
    drop(proxy);
    let end = client.read(&mut answer).map_err(|error| error.kind());
    assert!(matches!(end, Ok(0) | Err(std::io::ErrorKind::ConnectionReset)), "{end:?}");
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is closed");
}

/// Needs root, as every link does. The proxy connects and resolves where it was started.
#[test]
fn a_proxy_started_in_a_namespace_lives_there() {
    use goferry_lab::forward::ForwardProxy;
    use goferry_lab::link::Link;
    use std::process::Command;

    let link = Link::builder().rtt(std::time::Duration::from_millis(20)).build().expect("a link");
    let outside = Origin::plain();
    let start = || {
        let listener = TcpListener::bind((link.server_addr(), 0))?;
        let config = ForwardConfig::new(ForwardMode::Connect).host("outside.lab", outside.address);
        ForwardProxy::start(listener, config)
    };
    let proxy = link.in_server(start).expect("a namespace").expect("a proxy");
    let mut command = Command::new("curl");
    command.args(["-q", "--silent", "--max-time", "5", "--output", "/dev/null", "--write-out", "%{http_code}"]);
    let output = link.client_output(command.args(["--proxy", &proxy.url(), "http://outside.lab/"])).expect("curl");
    // The origin's loopback is another one than the proxy's.
    assert_eq!(output.stdout, b"502");
    assert_eq!((proxy.counts().plain_requests, outside.connections()), (1, 0));
}
