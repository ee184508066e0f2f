//! What happens to those who are being served when the server stops.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::http2::{Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, WINDOW_UPDATE, request};
use crate::world::{MOD, Reply, Served, ZIP, closes, get, large};

/// Over HTTP/1.1: begun, and not read for a while; with what was read.
pub(crate) fn begun(served: &Served) -> (TcpStream, Vec<u8>) {
    let mut socket = served.connect();
    socket.write_all(get(ZIP, "").as_bytes()).unwrap();
    let mut begun = vec![0; 1000];
    socket.read_exact(&mut begun).unwrap();
    (socket, begun)
}

/// Over HTTP/2, the same: on stream 1, of which nothing but the head was read.
pub(crate) fn begun_h2(served: &Served) -> Client {
    let mut client = Client::with_window(served.connect(), 1 << 20);
    client.frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", ZIP));
    client.until(|frame| frame.kind == HEADERS);
    client
}

/// The rest of stream 1, and what the first GOAWAY said, if there was one.
pub(crate) fn rest_of(client: &mut Client) -> (Vec<u8>, Option<(u32, u32)>) {
    let (mut got, mut goaway) = (Vec::new(), None);
    loop {
        let frame = client.next().expect("the connection ended before the file");
        if frame.kind == GOAWAY {
            goaway.get_or_insert((frame.word(0), frame.word(4)));
        }
        if frame.kind == DATA && frame.stream == 1 {
            let count = u32::try_from(frame.payload.len()).unwrap();
            got.extend(frame.payload);
            if frame.flags & END_STREAM != 0 {
                return (got, goaway);
            }
            if count > 0 {
                client.frame(WINDOW_UPDATE, 0, 0, &count.to_be_bytes());
                client.frame(WINDOW_UPDATE, 0, 1, &count.to_be_bytes());
            }
        }
    }
}

#[test]
fn what_is_under_way_is_finished() {
    let mut served = Served::new(|config| config.drain = Duration::from_secs(60));
    let address = served.address();
    // HTTP/1.1: begun, and not read for a while.
    let (mut first, mut begun) = begun(&served);
    // HTTP/2, the same.
    let mut second = begun_h2(&served);
    // One that is idle, and one that has said nothing yet.
    let mut idle = served.connect();
    idle.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut idle).status, 200);
    let mut silent = served.connect();

    served.stop();
    assert!(closes(&mut idle) < Duration::from_secs(5));
    assert!(closes(&mut silent) < Duration::from_secs(5));
    assert!(TcpStream::connect(address).is_err(), "it still accepts");
    let wanted = large();
    let rest = thread::spawn(move || {
        first.read_to_end(&mut begun).unwrap();
        begun
    });
    let (got, goaway) = rest_of(&mut second);
    assert!(got == wanted, "HTTP/2: {} bytes of {}", got.len(), wanted.len());
    assert_eq!(goaway, Some((0x7fff_ffff, 0)), "what is on its way is still answered");
    let rest = rest.join().unwrap();
    assert!(rest.ends_with(&wanted), "HTTP/1.1: {} bytes", rest.len());
    second.until_closed();
    assert!(served.ended() < Duration::from_secs(20));
}

#[test]
fn who_reads_nothing_does_not_hold_it() {
    let mut served = Served::new(|config| config.drain = Duration::from_secs(2));
    let mut lazy = served.connect();
    lazy.write_all(get(ZIP, "").as_bytes()).unwrap();
    lazy.read_exact(&mut [0; 100]).unwrap();
    let mut client = Client::with_window(served.connect(), 0);
    client.frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", ZIP));
    client.until(|frame| frame.kind == HEADERS);
    served.stop();
    let took = served.ended();
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(8), "{took:?}");
    client.until_closed();
}

#[test]
fn with_nobody_there_it_ends_at_once() {
    let mut served = Served::new(|_| {});
    served.still_serves();
    served.stop();
    assert!(served.ended() < Duration::from_secs(2));
}
