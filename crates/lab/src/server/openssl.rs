//! `openssl s_server` as the origin, for what rustls refuses to do: renegotiation and TLS 1.1.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::behaviour::{CertificateChoice, OpensslMode};
use super::counters::Counters;
use super::{Identity, OriginError};

/// A line that `s_server` prints when a handshake is done.
const HANDSHAKE_DONE: &str = "-----END SSL SESSION PARAMETERS-----";
/// Pause between the end of the handshake and the HelloRequest: the client's first request is on its way then.
const PAUSE: Duration = Duration::from_millis(20);

/// A running `openssl s_server`; killed, by its own process id, when dropped.
#[derive(Debug)]
pub(super) struct SServer {
    child: Child,
    reader: Option<JoinHandle<()>>,
    _files: tempfile::TempDir,
}

impl SServer {
    /// Starts it on `address`.
    pub(super) fn start(
        mode: OpensslMode,
        identity: Identity<'_>,
        address: SocketAddr,
        counters: Arc<Counters>,
    ) -> Result<Self, OriginError> {
        let files = tempfile::tempdir().map_err(OriginError::system("make a directory for openssl's certificate"))?;
        let pem = identity.leaf(CertificateChoice::Good)?.write_pem(files.path())?;
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", &address.to_string()]);
        command.arg("-cert").arg(&pem.cert).arg("-key").arg(&pem.key);
        match mode {
            OpensslMode::RenegotiateTls12 => command.args(["-tls1_2", "-alpn", "h2,http/1.1"]),
            OpensslMode::OnlyTls11 => command.args(["-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-www"]),
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(OriginError::system("run openssl s_server (install openssl)"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut server = Self { child, reader: None, _files: files };
        let (ready_sender, ready) = std::sync::mpsc::channel();
        let reader = std::thread::Builder::new()
            .name("lab-openssl".to_owned())
            .spawn(move || {
                let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
                    return;
                };
                let mut output = BufReader::new(stdout);
                let mut line = Vec::new();
                while matches!(output.read_until(b'\n', &mut line), Ok(count) if count > 0) {
                    let text = String::from_utf8_lossy(&line);
                    if text.starts_with("ACCEPT") {
                        let _started = ready_sender.send(());
                    }
                    if text.contains(HANDSHAKE_DONE) {
                        counters.connections.fetch_add(1, Ordering::Relaxed);
                        counters.handshakes.fetch_add(1, Ordering::Relaxed);
                        if mode == OpensslMode::RenegotiateTls12 {
                            std::thread::sleep(PAUSE);
                            // `r` at the start of a line renegotiates, as s_server(1) says under CONNECTED COMMANDS.
                            let _gone = stdin.write_all(b"r\n").and_then(|()| stdin.flush());
                        }
                    }
                    line.clear();
                }
            })
            .map_err(OriginError::system("start a thread"))?;
        server.reader = Some(reader);
        ready.recv_timeout(Duration::from_secs(10)).map_err(|_timeout| OriginError::System {
            what: "openssl s_server did not say that it accepts connections",
            source: std::io::ErrorKind::TimedOut.into(),
        })?;
        Ok(server)
    }
}

impl Drop for SServer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _panicked = reader.join();
        }
    }
}
