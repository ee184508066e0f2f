//! A module proxy on loopback that serves a folder over HTTP/1.1, slowly or wrongly where told to.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How requests are answered that are not served from the folder: a part of the path, and what happens.
#[derive(Clone, Debug)]
pub(crate) enum Instead {
    Status(u16),
    /// The bytes of another file.
    Body(Vec<u8>),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) if_range: Option<String>,
}

struct Shared {
    root: PathBuf,
    instead: Mutex<Vec<(String, Instead)>>,
    asked: Mutex<Vec<Asked>>,
    /// Pause after each 16 kB of a body, in microseconds.
    pace: AtomicU64,
    /// Pause before each answer, in microseconds.
    delay: AtomicU64,
    /// Bytes of bodies that were sent.
    sent: AtomicU64,
    ended: AtomicBool,
}

/// Ends with its last handle.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn start(root: &Path) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            instead: Mutex::default(),
            asked: Mutex::default(),
            pace: AtomicU64::new(0),
            delay: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), serving) = (stream, Arc::clone(&serving)) else { continue };
                std::thread::spawn(move || {
                    // Whoever was killed reads no more.
                    let _ = serve(&serving, &stream);
                });
            }
        });
        Server { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers paths that contain `part` otherwise.
    pub(crate) fn instead(&self, part: &str, what: Instead) {
        self.shared.instead.lock().unwrap().push((part.to_owned(), what));
    }

    /// Serves everything from the folder again.
    pub(crate) fn heal(&self) {
        self.shared.instead.lock().unwrap().clear();
    }

    pub(crate) fn pace(&self, pause: Duration) {
        self.shared.pace.store(u64::try_from(pause.as_micros()).unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn delay(&self, pause: Duration) {
        self.shared.delay.store(u64::try_from(pause.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// The requests since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap())
    }

    /// Waits until so many bytes of bodies were sent.
    #[track_caller]
    pub(crate) fn wait_for(&self, bytes: u64) {
        let began = Instant::now();
        while self.shared.sent.load(Ordering::Relaxed) < bytes {
            assert!(began.elapsed() < Duration::from_secs(30), "nothing is asked for");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(shared: &Shared, stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        // The go command escapes more than it has to.
        let path = line.split(' ').nth(1).unwrap_or_default().replace("%21", "!");
        let mut asked = Asked { path, range: None, if_range: None };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "range" => asked.range = Some(value.to_owned()),
                "if-range" => asked.if_range = Some(value.to_owned()),
                _ => {}
            }
        }
        shared.asked.lock().unwrap().push(asked.clone());
        std::thread::sleep(Duration::from_micros(shared.delay.load(Ordering::Relaxed)));
        answer(shared, stream, &asked)?;
    }
}

fn answer(shared: &Shared, mut stream: &TcpStream, asked: &Asked) -> std::io::Result<()> {
    let instead = shared.instead.lock().unwrap().iter().find(|(part, _)| asked.path.contains(part)).cloned();
    let body = match instead {
        Some((_, Instead::Status(status))) => return refuse(stream, status),
        Some((_, Instead::Body(body))) => body,
        None => match fs::read(shared.root.join(asked.path.trim_start_matches('/'))) {
            Ok(body) => body,
            Err(_) => return refuse(stream, 404),
        },
    };
    let etag = format!("\"{}-{}\"", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    let range = asked.range.as_deref().filter(|_| asked.if_range.as_ref().is_none_or(|known| *known == etag));
    let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (status, from, to) = match range {
        Some((from, to)) => (206, from.parse().unwrap(), to.parse().unwrap_or(body.len() - 1) + 1),
        None => (200, 0, body.len()),
    };
    let content_range = if status == 206 {
        format!("Content-Range: bytes {from}-{}/{}\r\n", to - 1, body.len())
    } else {
        String::new()
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nETag: {etag}\r\nAccept-Ranges: bytes\r\n{content_range}\r\n",
        to - from
    );
    stream.write_all(head.as_bytes())?;
    for piece in body[from..to].chunks(16 << 10) {
        stream.write_all(piece)?;
        shared.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        let pause = shared.pace.load(Ordering::Relaxed);
        if pause > 0 {
            std::thread::sleep(Duration::from_micros(pause));
        }
    }
    Ok(())
}

fn refuse(mut stream: &TcpStream, status: u16) -> std::io::Result<()> {
    let text = "the server's own words\n";
    let head =
        format!("HTTP/1.1 {status} x\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    stream.write_all(head.as_bytes())
}
