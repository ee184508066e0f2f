//! An HTTP/1.1 server of one file, whose answers a test may bend.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::server::{Asked, Server, Text};

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) range: Option<String>,
    pub(crate) if_range: Option<String>,
    /// Bytes of body that were sent.
    pub(crate) sent: usize,
}

pub(crate) type Log = Arc<Mutex<Vec<Seen>>>;

/// How one answer is given.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) status: u16,
    /// Header lines, each with CRLF.
    pub(crate) lines: String,
    pub(crate) body: Vec<u8>,
    /// What Content-Length says; `None`: chunked.
    pub(crate) announced: Option<usize>,
    /// The connection is cut after so many bytes of body.
    pub(crate) cut: Option<usize>,
    /// Nothing more comes after so many.
    pub(crate) stall: Option<usize>,
    /// Bytes a second.
    pub(crate) rate: Option<usize>,
}

impl Plan {
    pub(crate) fn new(status: u16, body: &[u8]) -> Plan {
        let announced = Some(body.len());
        Plan { status, lines: String::new(), body: body.to_vec(), announced, cut: None, stall: None, rate: None }
    }

    pub(crate) fn with(mut self, line: &str) -> Plan {
        self.lines.push_str(line);
        self.lines.push_str("\r\n");
        self
    }

    /// What a server gives of `file` that knows ranges and If-Range.
    pub(crate) fn of(file: &[u8], etag: &str, asked: &Asked) -> Plan {
        let valid = asked.field("if-range").is_none_or(|value| value == etag);
        match asked.field("range").filter(|_| valid) {
            None => Plan::new(200, file).with(&format!("ETag: {etag}")),
            Some(range) => Plan::part(file, range).with(&format!("ETag: {etag}")),
        }
    }

    pub(crate) fn part(file: &[u8], range: &str) -> Plan {
        let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let from: usize = from.parse().unwrap();
        let to = to.parse().map_or(file.len(), |to: usize| to + 1).min(file.len());
        if from >= to {
            return Plan::new(416, b"");
        }
        Plan::new(206, &file[from..to]).with(&format!("Content-Range: bytes {from}-{}/{}", to - 1, file.len()))
    }

    pub(crate) fn cut(self, after: usize) -> Plan {
        Plan { cut: Some(after), ..self }
    }
}

/// Answers the n-th request, from 0 on, by `plan`.
pub(crate) async fn site(plan: impl Fn(usize, &Asked) -> Plan + Send + Sync + 'static) -> (Server, Log) {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let plan = Arc::new(plan);
    let server = Server::plain(move |_, io| {
        let (plan, seen) = (Arc::clone(&plan), Arc::clone(&seen));
        async move { answer(Text::new(io), plan.as_ref(), &seen).await }
    })
    .await;
    (server, log)
}

async fn answer(
    mut text: Text<tokio::net::TcpStream>,
    plan: &(dyn Fn(usize, &Asked) -> Plan + Send + Sync),
    log: &Log,
) {
    while let Some(asked) = text.request().await {
        let field = |name| asked.field(name).map(str::to_owned);
        let index = {
            let mut log = log.lock().unwrap();
            log.push(Seen { range: field("range"), if_range: field("if-range"), sent: 0 });
            log.len() - 1
        };
        let plan = plan(index, &asked);
        let length = plan.announced.map(|length| format!("Content-Length: {length}\r\n"));
        let length = length.unwrap_or_else(|| "Transfer-Encoding: chunked\r\n".to_owned());
        text.send(format!("HTTP/1.1 {} X\r\n{length}{}\r\n", plan.status, plan.lines).as_bytes()).await;
        let until = plan.cut.or(plan.stall).unwrap_or(plan.body.len()).min(plan.body.len());
        for chunk in plan.body[..until].chunks(16 << 10) {
            let whole = match plan.announced {
                Some(_) => chunk.to_vec(),
                None => [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat(),
            };
            if text.io.write_all(&whole).await.is_err() {
                return;
            }
            log.lock().unwrap()[index].sent += chunk.len();
            if let Some(rate) = plan.rate {
                tokio::time::sleep(Duration::from_secs_f64(chunk.len() as f64 / rate as f64)).await;
            }
        }
        if plan.stall.is_some() {
            text.request().await;
            return;
        }
        if plan.cut.is_some() || plan.announced.is_some_and(|announced| announced > plan.body.len()) {
            let _ = text.io.shutdown().await;
            return;
        }
        if plan.announced.is_none() {
            text.send(b"0\r\n\r\n").await;
        }
    }
}

pub(crate) fn ranges(log: &Log) -> Vec<Option<String>> {
    log.lock().unwrap().iter().map(|seen| seen.range.clone()).collect()
}

pub(crate) fn sent(log: &Log) -> usize {
    log.lock().unwrap().iter().map(|seen| seen.sent).sum()
}
