//! A module proxy on loopback that serves files from memory, each a moment late, and counts what it gives.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How late.
const DELAY: Duration = Duration::from_millis(4);

struct Shared {
    files: Arc<BTreeMap<String, Vec<u8>>>,
    given: Mutex<Vec<(String, usize)>>,
    ended: AtomicBool,
}

/// Ends with this handle.
pub(crate) struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Origin {
    pub(crate) fn start(files: impl Into<Arc<BTreeMap<String, Vec<u8>>>>) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { files: files.into(), given: Mutex::default(), ended: AtomicBool::new(false) });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), serving) = (stream, Arc::clone(&serving)) else { continue };
                // Whoever has what it wants reads no more.
                std::thread::spawn(move || serve(&serving, &stream));
            }
        });
        Origin { address, shared }
    }

    /// Another one with the same files.
    pub(crate) fn again(&self) -> Origin {
        Origin::start(Arc::clone(&self.shared.files))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The paths given since the last call, with their bytes.
    pub(crate) fn given(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut *self.shared.given.lock().unwrap())
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(shared: &Shared, mut stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line)?;
        }
        std::thread::sleep(DELAY);
        let (status, body) = match shared.files.get(&path) {
            Some(body) => (200, body.as_slice()),
            None => (404, b"no such file\n".as_slice()),
        };
        let length = if status == 200 { body.len() } else { 0 };
        shared.given.lock().unwrap().push((path, length));
        stream.write_all(format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())?;
        stream.write_all(body)?;
    }
}
