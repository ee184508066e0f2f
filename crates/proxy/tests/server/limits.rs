//! Clients that take their time, or too much room.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use crate::http2::{Client, END_HEADERS, GOAWAY, HEADERS, RST_STREAM, WINDOW_UPDATE, request};
use crate::world::{MOD, Reply, Served, ZIP, closes, get};

const SECOND: Duration = Duration::from_secs(1);
/// Timers are late on a busy machine.
const LATE: Duration = Duration::from_secs(8);

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let served = Served::new(|config| config.limits.header_time = SECOND);
    let mut clients = Vec::new();
    for begun in ["", "G", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX: "] {
        let mut socket = served.connect();
        socket.write_all(begun.as_bytes()).unwrap();
        clients.push((begun, socket));
    }
    let began = Instant::now();
    for (begun, mut socket) in clients {
        closes(&mut socket);
        let took = began.elapsed();
        assert!(took > SECOND / 2 && took < LATE, "{begun:?}: {took:?}");
    }
    assert_eq!(served.ask(get("/metrics", "")).refused("timeout"), 4);
    // One byte now and then does not help.
    let mut drip = served.connect();
    drip.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let began = Instant::now();
    while drip.write_all(b"X").is_ok() {
        assert!(began.elapsed() < LATE, "a head may take for ever");
        thread::sleep(Duration::from_millis(100));
    }
    // Nor on the second request of a connection.
    let mut second = served.connect();
    second.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut second).status, 200);
    second.write_all(b"GET ").unwrap();
    assert!(closes(&mut second) < LATE);
    served.still_serves();
}

#[test]
fn a_head_of_http2_that_does_not_come_is_not_waited_for() {
    let served = Served::new(|config| config.limits.header_time = SECOND);
    let mut client = Client::new(served.connect());
    client.frame(HEADERS, 0, 1, &request("GET", MOD));
    assert!(closes(client.io()) < LATE);
    served.still_serves();
}

#[test]
fn who_asks_for_nothing_is_told_goodbye() {
    let served = Served::new(|config| config.limits.idle = SECOND);
    let mut idle = served.connect();
    idle.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut idle).status, 200);
    let took = closes(&mut idle);
    assert!(took > SECOND / 2 && took < LATE, "{took:?}");

    let mut client = Client::new(served.connect());
    client.frame(HEADERS, END_HEADERS | 1, 1, &request("GET", MOD));
    let frames = client.until_closed();
    let goaways: Vec<u32> = frames.iter().filter(|frame| frame.kind == GOAWAY).map(|frame| frame.word(4)).collect();
    // Two steps (RFC 9113 section 6.8): no stream is lost that was on its way.
    assert_eq!(goaways, [0, 0], "{frames:?}");
    served.still_serves();
}

#[test]
fn who_takes_nothing_of_an_answer_is_given_up() {
    let served = Served::new(|config| config.limits.stall = SECOND);
    let mut lazy = served.connect();
    lazy.write_all(get(ZIP, "").as_bytes()).unwrap();
    // What the system keeps can still be read; the rest never comes.
    thread::sleep(4 * SECOND);
    let mut taken = Vec::new();
    let _ = lazy.read_to_end(&mut taken);
    assert!(taken.len() < 20 << 20, "{} bytes came", taken.len());

    // The same with windows that are open.
    let mut client = Client::with_window(served.connect(), 1 << 30);
    client.frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
    client.frame(HEADERS, END_HEADERS | 1, 1, &request("GET", ZIP));
    thread::sleep(4 * SECOND);
    let mut taken = Vec::new();
    let _ = client.io().read_to_end(&mut taken);
    assert!(taken.len() < 20 << 20, "{} bytes came", taken.len());

    // And with a window that stays shut: only the stream ends.
    let mut client = Client::with_window(served.connect(), 0);
    client.frame(HEADERS, END_HEADERS | 1, 1, &request("GET", ZIP));
    let reset = client.until(|frame| frame.kind == RST_STREAM);
    assert_eq!((reset.stream, reset.word(0)), (1, 8), "CANCEL");
    client.ping();
    served.still_serves();
}

#[test]
fn one_connection_too_many_is_told_so() {
    let served = Served::new(|config| config.limits.connections = 2);
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut socket = served.connect();
        socket.write_all(get(MOD, "").as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut socket).status, 200);
        open.push(socket);
    }
    let refused = served.ask(get(MOD, ""));
    assert_eq!((refused.status, refused.field("retry-after"), refused.closed), (503, Some("5"), true));
    let mut client = Client::new(served.connect());
    let goaway = client.until(|frame| frame.kind == GOAWAY);
    assert_eq!((goaway.word(0), goaway.word(4)), (0, 0), "nothing was looked at, and nothing is wrong");
    closes(client.io());
    open[1].write_all(get("/metrics", "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut open[1]).refused("too_many"), 2);
    // Those that were there first are served, and the next where one of them goes.
    open[0].write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut open[0]).status, 200);
    open.pop();
    served.lets_in_within(LATE);
}

#[test]
fn another_proxy_answers_on_connections_that_are_open() {
    let served = Served::new(|_| {});
    let mut socket = served.connect();
    let mut client = Client::new(served.connect());
    socket.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut socket).status, 200);
    assert_eq!(client.get(1, MOD), 200);
    served.swap(|config| config.path_prefix = "/go".to_owned()).unwrap();
    socket.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut socket).status, 404);
    assert_eq!(client.get(3, MOD), 404);
    assert_eq!(client.get(5, &format!("/go{MOD}")), 200);
    assert!(served.server.urls()[0].ends_with("/go"));
}
