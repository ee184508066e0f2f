//! Requests that are refused before a module is looked for: the log says why, and they are counted.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use goferry_lab::scenario::Scenario;

use crate::world::{World, is_valid};

#[test]
fn why_a_path_or_a_method_is_refused_is_logged() {
    let world = World::start(&Scenario::default(), &[]);
    let long = format!("/{}/@v/list", "a".repeat(5000));
    let asked = [
        ("/%zz/@v/list", 400, "% is followed by two hexadecimal digits"),
        ("/example.com%2fm/@v/v1.0.0.mod", 400, "an encoded slash"),
        ("/%ff/@v/list", 400, "not UTF-8"),
        ("/a%0d%0ab/@v/list", 400, "a control character"),
        (&long, 400, "a path of 5009 bytes; at most 4096 are read"),
        ("/example.com/../../etc/@v/passwd.zip", 404, ".."),
        ("/sumdb/../lookup/example.com/m@v1.0.0", 404, "not supported, latest"),
        ("/nothing", 404, "is no path of a module proxy"),
        ("/-/warm", 405, "GET is not allowed here, but POST"),
    ];
    let mut told = Vec::new();
    for (path, wanted, _) in asked {
        let (status, body) = world.get(path);
        assert_eq!(status, wanted, "{path}");
        told.push(body);
    }
    let lines = world.logged(asked.len());
    for (line, ((path, status, why), body)) in lines.iter().zip(asked.iter().zip(told)) {
        is_valid("access-log-1.json", line);
        assert_eq!(
            (line["status"].as_u64(), line["error"].as_str()),
            (Some(u64::from(*status)), Some(body.trim_end())),
            "{path}"
        );
        assert!(body.contains(why), "{path}: {body}");
    }
    // What is answered is no error.
    assert_eq!(world.get("/healthz").0, 200);
    assert!(world.logged(asked.len() + 1).last().unwrap()["error"].is_null());
}

#[test]
fn heads_that_cannot_be_read_are_logged_and_counted() {
    let world = World::start(&Scenario::default(), &[]);
    let fine = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    let huge = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let many: String = (0..150).map(|number| format!("X-{number}: 1\r\n")).collect();
    let large = "the head of the request has more than 32768 bytes (limits.header-bytes) or 100 fields";
    let asked = [
        ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 400, 1, "none of HTTP/1.1: invalid "),
        ("GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n".to_owned(), 400, 1, "invalid HTTP header"),
        (format!("{fine}{fine}GET / HTTP/9.9\r\nHost: h\r\n\r\n"), 400, 3, "invalid HTTP version"),
        (huge, 431, 1, large),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"), 431, 1, large),
    ];
    let mut lines = 0;
    for (number, (request, status, stream, why)) in asked.into_iter().enumerate() {
        let mut socket = TcpStream::connect(world.process.authority()).unwrap();
        // A server that has seen enough may close before it has read all.
        let _ = socket.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        lines += stream;
        let logged = world.logged(usize::try_from(lines).unwrap());
        let line = logged.last().unwrap();
        is_valid("access-log-1.json", line);
        let shown = &request[..request.len().min(200)];
        assert_eq!((line["status"].as_u64(), line["stream"].as_u64()), (Some(status), Some(stream)), "{shown}: {line}");
        assert_eq!(line["connection"].as_u64(), Some(number as u64 + 1), "{line}");
        assert_eq!(
            (line["protocol"].as_str(), line["client"].as_str()),
            (Some("HTTP/1.1"), Some("127.0.0.1")),
            "{line}"
        );
        assert_eq!((line["method"].as_str(), line["path"].as_str()), (Some("-"), Some("-")), "{line}");
        assert!(line["error"].as_str().is_some_and(|error| error.contains(why)), "{shown}: {line}");
    }
    let metrics = world.metrics();
    let of = |status| metrics.sum("goferry_requests_total", &[("route", "unknown"), ("status", status)]);
    assert_eq!((of("400"), of("431")), (3.0, 2.0), "{}", metrics.0);
    assert_eq!(metrics.sum("goferry_requests_in_flight", &[]), 1.0, "this one");
}
