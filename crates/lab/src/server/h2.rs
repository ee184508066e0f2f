//! HTTP/2 as the origin speaks it, frame by frame: the loop between socket and [`Session`].

mod answer;
mod session;
mod streams;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use goferry_wire::h2::PREFACE;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use self::session::{Session, Stop};
use super::behaviour::CutHow;
use super::io::Line;
use super::plan::Planner;
use super::{linger, wait_for_close};

/// Time the client has for its connection preface.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves a connection to its end.
pub(super) async fn serve<S>(mut stream: S, line: Arc<Line>, planner: Arc<Planner>, connection: u64) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut preface = [0; PREFACE.len()];
    tokio::time::timeout(PREFACE_TIMEOUT, stream.read_exact(&mut preface)).await.map_err(io::Error::from)??;
    if &preface != PREFACE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no HTTP/2 preface"));
    }
    let mut session = Session::new(planner, Arc::clone(&line), connection, Instant::now());
    let stop = drive(&mut stream, &mut session).await?;
    drop(session);
    match stop {
        Stop::Closed => Ok(()),
        Stop::Drained => linger(stream).await,
        Stop::Cut(CutHow::Rst) => {
            line.reset_on_close();
            Ok(())
        }
        Stop::Cut(CutHow::Fin) => {
            line.fin();
            wait_for_close(&mut stream).await;
            Ok(())
        }
    }
}

/// Moves bytes until the session has ended.
async fn drive<S>(stream: &mut S, session: &mut Session) -> io::Result<Stop>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut input = vec![0; 64 * 1024];
    let mut output: Vec<u8> = Vec::new();
    let mut written = 0;
    let mut unflushed = false;
    loop {
        if written == output.len() {
            output.clear();
            written = 0;
            session.produce(Instant::now(), &mut output);
        }
        let idle = output.is_empty() && !unflushed;
        if idle && let Some(stop) = session.stop() {
            return Ok(stop);
        }
        let wake = session.wake_at().filter(|_| idle);
        tokio::select! {
            read = reader.read(&mut input) => match read {
                Ok(0) => return Ok(Stop::Closed),
                Ok(count) => session.receive(&input[..count])?,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Stop::Closed),
                Err(error) => return Err(error),
            },
            pushed = push(&mut writer, &output[written..]), if !idle => {
                let count = pushed?;
                written += count;
                unflushed = count > 0;
            }
            () = tokio::time::sleep_until(wake.unwrap_or_else(far_future)), if wake.is_some() => {}
        }
    }
}

/// Writes some of `bytes`, or flushes where there are none; the number of bytes written.
async fn push<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    writer.write(bytes).await
}

fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
