//! A small HTTP/1.1 server on loopback whose answers are a function of the requests, and a client that asks one thing at a
//! time. For tests of what is asked and answered; the [`server`](crate::server) is for what goes wrong underneath.
//!
//! Nothing here is a proxy or checks what it is sent: a head of a request is bounded, and a connection that sends anything
//! but requests is closed.

mod ask;
mod response;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

pub use self::ask::{Answer, ask};
pub use self::response::Response;

/// Bytes of a request's head that are read before the connection is closed.
const MAX_HEAD: u64 = 64 << 10;
/// Bytes of a body that are sent at once.
const PIECE: usize = 16 << 10;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its target. The go command escapes an exclamation mark, which it need not: here it is one again.
    pub path: String,
    fields: Vec<(String, String)>,
}

impl Request {
    /// The value of the first header field of this name, in whatever case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The next one on a connection; `None` at its end.
    fn read(reader: &mut impl io::BufRead) -> io::Result<Option<Request>> {
        let mut lines = reader.take(MAX_HEAD).lines();
        let Some(line) = lines.next().transpose()? else { return Ok(None) };
        let mut words = line.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
        let mut request = Request { method: method.to_owned(), path: path.replace("%21", "!"), fields: Vec::new() };
        for line in lines {
            let line = line?;
            if line.is_empty() {
                return Ok(Some(request));
            }
            if let Some((name, value)) = line.split_once(':') {
                request.fields.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        // The connection or the bound ended inside the head.
        Ok(None)
    }
}

/// A server that runs until this is dropped: from then on no request is answered.
#[derive(Debug)]
pub struct PlainServer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: Mutex<Vec<Request>>,
    /// Before each answer, in microseconds.
    delay: AtomicU64,
    /// After each piece of a body, in microseconds.
    pace: AtomicU64,
    /// Bytes of bodies.
    sent: AtomicU64,
    ended: AtomicBool,
}

impl PlainServer {
    /// Starts one on a free port of 127.0.0.1; each connection has a thread of its own.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> io::Result<PlainServer> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = PlainServer { address: listener.local_addr()?, state: Arc::default() };
        let (state, answer) = (Arc::clone(&server.state), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if state.ended.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), state, answer) = (stream, Arc::clone(&state), Arc::clone(&answer)) else { continue };
                // A client that goes away is no failure.
                thread::spawn(move || state.serve(&stream, answer.as_ref()));
            }
        });
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that came since the last call, in that order; one that waits for its answer is among them.
    pub fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut *self.state.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, each answer comes so much later.
    pub fn delay(&self, pause: Duration) {
        self.state.delay.store(micros(pause), Ordering::Relaxed);
    }

    /// From now on, also in bodies under way, there is a pause after each 16 KiB of a body.
    pub fn pace(&self, pause: Duration) {
        self.state.pace.store(micros(pause), Ordering::Relaxed);
    }

    /// The bytes of all bodies sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }
}

impl Drop for PlainServer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn serve(&self, mut stream: &TcpStream, answer: &dyn Fn(&Request) -> Response) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader)? {
            if self.ended.load(Ordering::SeqCst) {
                return Ok(());
            }
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            pause(&self.delay);
            let response = answer(&request);
            stream.write_all(response.head().as_bytes())?;
            if request.method != "HEAD" {
                for piece in response.body().chunks(PIECE) {
                    stream.write_all(piece)?;
                    self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    pause(&self.pace);
                }
            }
            if request.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn pause(micros: &AtomicU64) {
    let micros = micros.load(Ordering::Relaxed);
    if micros > 0 {
        thread::sleep(Duration::from_micros(micros));
    }
}

fn micros(pause: Duration) -> u64 {
    u64::try_from(pause.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> PlainServer {
        PlainServer::start(|request| match request.path.as_str() {
            "/large" => Response::ok(vec![b'x'; 3 * PIECE]),
            "/!m" => Response::ok(request.field("x-word").unwrap_or_default()),
            _ => Response::refused(404, "not here\n"),
        })
        .unwrap()
    }

    #[test]
    fn answers_are_the_functions() {
        let server = echo();
        let authority = server.address().to_string();
        let answer = ask(&authority, "GET", "/%21m", "X-Word: hello\r\n").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
        let answer = ask(&authority, "GET", "/other", "").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, "not here\n"));
        assert!(answer.head.contains("content-type: text/plain"), "{}", answer.head);
        let asked: Vec<String> = server.asked().into_iter().map(|request| request.path).collect();
        assert_eq!(asked, ["/!m", "/other"]);
        assert_eq!(server.asked(), []);
    }

    #[test]
    fn a_head_has_no_body_and_a_connection_stays() {
        let server = echo();
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let requests = "HEAD /large HTTP/1.1\r\n\r\nGET /!m HTTP/1.1\r\nx-word: y\r\nconnection: close\r\n\r\n";
        stream.write_all(requests.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
        assert!(text.ends_with("\r\n\r\ny"), "{text}");
        assert_eq!(server.sent(), 1);
    }

    #[test]
    fn answers_can_be_late_and_slow() {
        let server = echo();
        server.delay(Duration::from_millis(30));
        server.pace(Duration::from_millis(20));
        let began = std::time::Instant::now();
        assert_eq!(ask(&server.address().to_string(), "GET", "/large", "").unwrap().body.len(), 3 * PIECE);
        assert!(began.elapsed() >= Duration::from_millis(70), "{:?}", began.elapsed());
        assert_eq!(server.sent(), 3 * PIECE as u64);
    }

    #[test]
    fn what_is_no_request_ends_the_connection_and_so_does_the_servers_end() {
        let server = echo();
        let closes = |sent: &[u8]| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let _ = stream.write_all(sent);
            stream.read(&mut [0]).unwrap_or(0) == 0
        };
        assert!(closes(b"nonsense\r\n\r\n"));
        assert!(closes(&[b'a'; 2 * MAX_HEAD as usize]));
        let mut open = TcpStream::connect(server.address()).unwrap();
        open.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        drop(server);
        let _ = open.write_all(b"GET /!m HTTP/1.1\r\n\r\n");
        assert_eq!(open.read(&mut [0]).unwrap_or(0), 0);
    }
}
