//! Requests that are odd.

use std::io::Write as _;

use crate::world::{MOD, Reply, Served, get};

#[test]
fn paths_that_lead_elsewhere_lead_nowhere() {
    let served = Served::new(|_| {});
    let long = format!("/{}/@v/list", "a".repeat(5000));
    let deep = format!("/{}@v/list", "a/".repeat(4000));
    for (path, status) in [
        ("/../../../../etc/passwd", 404),
        ("/example.com/small/@v/../../../../etc/passwd", 404),
        ("/example.com/../../etc/@v/passwd.zip", 404),
        ("/example.com/small/@v/../v1.0.0.mod", 404),
        ("/example.com/./small/@v/v1.0.0.mod", 404),
        ("/example.com//small/@v/v1.0.0.mod", 404),
        ("//example.com/small/@v/v1.0.0.mod", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 400),
        ("/example.com%2fsmall/@v/v1.0.0.mod", 400),
        ("/example.com%5csmall/@v/v1.0.0.mod", 400),
        ("/example.com/small/@v/v1.0.0.mod%00.zip", 400),
        ("/example.com/small/@v/v1.0.0.mod%0d%0aX:%20y", 400),
        ("/%c0%ae%c0%ae/@v/list", 400),
        ("/%", 400),
        ("/%2", 400),
        ("/%zz", 400),
        ("/example.com/Small/@v/v1.0.0.mod", 404),
        ("/example.com/!!small/@v/v1.0.0.mod", 404),
        ("/example.com/small/@v/v1.0.0.ziphash", 404),
        ("/example.com/small/@v/v1.0.0.lock", 404),
        ("/example.com/small/@v/v1.0.0.partial", 404),
        ("/.goferry/pins/x", 404),
        ("/.goferry/@v/list", 404),
        ("/cache/lock", 404),
        ("/sumdb/../../etc/passwd", 404),
        ("/sumdb/sum.golang.org/tile/../../latest", 404),
        ("/sumdb/sum.golang.org/tile/8/99/x999/999", 404),
        ("/@v/list", 404),
        (&long, 400),
        (&deep, 400),
    ] {
        let reply = served.ask(get(path, "Connection: close\r\n"));
        let shown = &path[..path.len().min(80)];
        assert_eq!(reply.status, status, "{shown}: {}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.field("content-type"), Some("text/plain; charset=utf-8"), "{shown}");
        assert!(!reply.body.windows(5).any(|text| text == b"root:"), "{shown}");
    }
    served.still_serves();
}

#[test]
fn what_is_no_http_is_refused() {
    let served = Served::new(|_| {});
    for (bytes, status) in [
        (b"GET / HTTP/1.1 \xff\r\n\r\n".to_vec(), 400),
        (b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/9.9\r\nHost: h\r\n\r\n".to_vec(), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: \x00\r\n\r\n".to_vec(), 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_vec(), 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n".to_vec(), 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n".to_vec(), 400),
    ] {
        let reply = served.ask(&bytes);
        assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(&bytes));
        assert!(reply.closed, "{}", String::from_utf8_lossy(&bytes));
    }
    served.still_serves();
}

#[test]
fn heads_that_are_too_large_are_431() {
    let served = Served::new(|_| {});
    let huge = format!("X: {}\r\n", "x".repeat(70_000));
    let many: String = (0..150).map(|number| format!("X-{number}: 1\r\n")).collect();
    let long = format!("/{}", "a".repeat(60_000));
    for request in [get(MOD, &huge), get(MOD, &many), get(&long, "")] {
        let reply = served.ask(&request);
        assert!(matches!(reply.status, 431 | 414), "{}", reply.head);
        assert!(reply.closed);
    }
    // What a browser behind a login sends still fits.
    let cookie = format!("Cookie: {}\r\nConnection: close\r\n", "c".repeat(16_000));
    assert_eq!(served.ask(get(MOD, &cookie)).status, 200);
    served.still_serves();
}

#[test]
fn a_request_names_one_host() {
    let served = Served::new(|_| {});
    for request in [format!("GET {MOD} HTTP/1.1\r\n\r\n"), format!("GET {MOD} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")]
    {
        let reply = served.ask(&request);
        assert_eq!((reply.status, reply.closed), (400, true), "{request}");
    }
    assert_eq!(served.ask(format!("GET {MOD} HTTP/1.0\r\n\r\n")).status, 200);
    let absolute = format!("GET http://elsewhere.example.com{MOD} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(served.ask(absolute).status, 200);
}

#[test]
fn other_methods_are_405() {
    let served = Served::new(|_| {});
    for request in [
        "TRACE / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "CONNECT goproxy.example.com:443 HTTP/1.1\r\nHost: goproxy.example.com:443\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "PUT /example.com/small/@v/v1.0.0.mod HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        "DELETE /example.com/small/@v/v1.0.0.mod HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "POST /example.com/small/@v/v1.0.0.mod HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let reply = served.ask(request);
        assert_eq!((reply.status, reply.field("allow")), (405, Some("get, head")), "{request}");
    }
    served.still_serves();
}

#[test]
fn a_body_that_nobody_needs_does_no_harm() {
    let served = Served::new(|_| {});
    // Answered at once, without 100 Continue: the body is not wanted.
    let reply = served.ask(get(MOD, "Content-Length: 1000000\r\nExpect: 100-continue\r\n"));
    assert_eq!((reply.status, reply.closed), (200, false));
    // One that has come is passed over, and the next request is seen for what it is.
    let mut socket = served.connect();
    let smuggled = "GET /nothing HTTP/1.1\r\n\r\n";
    let fields = format!("Content-Length: {}\r\n", smuggled.len());
    socket.write_all(format!("{}{smuggled}{}", get(MOD, &fields), get(MOD, "")).as_bytes()).unwrap();
    assert_eq!(read_one(&mut socket), 200);
    // 0 where the connection is closed instead.
    assert!(matches!(read_one(&mut socket), 200 | 0));
    // A length beside chunks is no way to smuggle either.
    let reply = served.ask(format!(
        "GET {MOD} HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n"
    ));
    assert!(matches!(reply.status, 200 | 400), "{}", reply.head);
    served.still_serves();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let served = Served::new(|_| {});
    let mut socket = served.connect();
    socket.write_all([get(MOD, ""), get("/nothing", ""), get(MOD, "")].concat().as_bytes()).unwrap();
    let statuses: Vec<u16> = (0..3).map(|_| read_one(&mut socket)).collect();
    assert_eq!(statuses, [200, 404, 200]);
}

/// Reads one answer and nothing of the next: byte by byte.
fn read_one(socket: &mut std::net::TcpStream) -> u16 {
    struct Bytewise<'a>(&'a mut std::net::TcpStream);
    impl std::io::Read for Bytewise<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            std::io::Read::read(self.0, &mut buffer[..1])
        }
    }
    Reply::read(&mut Bytewise(socket)).status
}
