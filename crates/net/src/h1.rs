//! HTTP/1.1, one request after another on a connection, with everything seen written down.

use std::time::Duration;

use goferry_wire::http1::{BodyDecoder, BodyKind, HeadLimits, HeadReader, ResponseHead};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::exchange::{Exchange, Outcome, Request};
use crate::h2::USER_AGENT;
use crate::io::BoxStream;

/// A client connection.
pub struct H1 {
    io: BoxStream,
    authority: String,
    /// Scheme and authority before the path, where the peer is a forward proxy for `http://`.
    absolute: Option<String>,
    epoch: Instant,
    /// Octets came that answer no request: what follows cannot be told apart.
    surplus: bool,
    usable: bool,
    /// `Proxy-Authorization`, where the peer is a forward proxy that has credentials configured.
    proxy_authorization: Option<String>,
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For the whole exchange.
    pub total: Duration,
    /// For each wait for another byte.
    pub stall: Duration,
    /// When to stop a body that still comes: the exchange then ends as [`Outcome::Stopped`].
    pub enough: Option<Duration>,
}

/// How long to wait for what a server that takes no more octets said before.
const LAST_WORDS: Duration = Duration::from_millis(200);

enum Read {
    Some,
    Ended,
}

impl H1 {
    /// Speaks HTTP/1.1 on `io` to `authority`.
    #[must_use]
    pub fn new(io: BoxStream, authority: &str) -> H1 {
        H1 {
            io,
            authority: authority.to_owned(),
            absolute: None,
            epoch: Instant::now(),
            surplus: false,
            usable: true,
            proxy_authorization: None,
        }
    }

    /// Speaks to a forward proxy: requests in absolute form (RFC 9112 section 3.2.2).
    #[must_use]
    pub fn through_proxy(mut self, proxy_authorization: Option<String>) -> H1 {
        self.absolute = Some(format!("http://{}", self.authority));
        self.proxy_authorization = proxy_authorization;
        self
    }

    /// Whether another request can be sent.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Sends `request` and reads the response.
    pub async fn fetch(&mut self, request: &Request, bounds: Bounds) -> Exchange {
        let mut exchange = Exchange::new(request, 0, self.epoch.elapsed());
        if !self.usable {
            return exchange;
        }
        let started = Instant::now();
        exchange.outcome =
            match tokio::time::timeout(bounds.total, self.run(request, bounds, started, &mut exchange)).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => Outcome::Lost(error),
                Err(_) => Outcome::Stalled { ping_answered: None },
            };
        exchange.took = started.elapsed();
        // As Go: octets after the response are unsolicited, and end the connection (net/http/transport.go, `readLoop`).
        self.usable = exchange.outcome == Outcome::Complete && !exchange.closes && !self.surplus;
        exchange
    }

    /// Waits without sending anything. Returns after how long the server closed, if it did.
    pub async fn idle(&mut self, how_long: Duration) -> Option<Duration> {
        let started = Instant::now();
        let mut byte = [0u8; 1];
        match tokio::time::timeout(how_long, self.io.read(&mut byte)).await {
            Err(_) => None,
            Ok(_) => {
                self.usable = false;
                Some(started.elapsed())
            }
        }
    }

    async fn run(
        &mut self,
        request: &Request,
        bounds: Bounds,
        started: Instant,
        exchange: &mut Exchange,
    ) -> Result<Outcome, NetError> {
        if let Err(failed) = self.write(request).await {
            // What the server said before it closed says more: an early answer, or a TLS alert.
            let bounds = Bounds { stall: LAST_WORDS, ..bounds };
            return match self.receive(request, bounds, started, exchange).await {
                Ok(Outcome::Stalled { .. }) => Err(failed),
                Err(error) if matches!(error.kind, ErrorKind::Closed | ErrorKind::Reset) => Err(failed),
                other => {
                    exchange.closes = true;
                    other
                }
            };
        }
        self.receive(request, bounds, started, exchange).await
    }

    async fn receive(
        &mut self,
        request: &Request,
        bounds: Bounds,
        started: Instant,
        exchange: &mut Exchange,
    ) -> Result<Outcome, NetError> {
        let mut reader = HeadReader::<ResponseHead>::new(HeadLimits::default());
        let mut body = None;
        let mut input = Vec::new();
        loop {
            while !input.is_empty() || body.is_some() {
                let Some(decoder) = &mut body else {
                    let parsed = reader.push(&input).map_err(|error| protocol(format!("response head: {error}")))?;
                    let Some((head, used)) = parsed else {
                        input.clear();
                        break;
                    };
                    input.drain(..used);
                    if head.is_interim() {
                        continue;
                    }
                    body = Some(begin(&head, exchange, started)?);
                    if request.stop_after == Some(0) {
                        return Ok(Outcome::Stopped);
                    }
                    continue;
                };
                let at = started.elapsed();
                let done = decoder
                    .push(&input, |data| exchange.push_body(data, request.keep, at))
                    .map_err(|error| protocol(format!("response body: {error}")))?;
                if let Some(used) = done {
                    self.surplus = used < input.len();
                    return Ok(Outcome::Complete);
                }
                input.clear();
                break;
            }
            let enough = bounds.enough.is_some_and(|enough| started.elapsed() > enough) && exchange.body_bytes > 0
                || request.stop_after.is_some_and(|limit| exchange.body_bytes >= limit);
            if enough && body.is_some() {
                return Ok(Outcome::Stopped);
            }
            match self.read(&mut input, bounds.stall).await? {
                None => {
                    return Ok(Outcome::Stalled { ping_answered: None });
                }
                Some(Read::Some) => {}
                Some(Read::Ended) => {
                    let Some(decoder) = &mut body else {
                        let text = "the server closed the connection before a response";
                        return Err(NetError::new(Phase::Http1, ErrorKind::Closed, Party::Upstream, text));
                    };
                    exchange.closes = true;
                    return Ok(if decoder.finish().is_ok() { Outcome::Complete } else { Outcome::Truncated });
                }
            }
        }
    }

    async fn write(&mut self, request: &Request) -> Result<(), NetError> {
        let target = self.absolute.as_deref().unwrap_or_default();
        let mut text = format!(
            "GET {target}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {USER_AGENT}\r\nAccept-Encoding: gzip\r\n",
            request.path, self.authority
        );
        if let Some(authorization) = &request.authorization {
            text.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        if let Some(authorization) = &self.proxy_authorization {
            text.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        text.push_str("\r\n");
        let written = async {
            self.io.write_all(text.as_bytes()).await?;
            self.io.flush().await
        };
        written.await.map_err(|error| NetError::io(Phase::Http1, Party::Upstream, "sending the request", &error))
    }

    async fn read(&mut self, input: &mut Vec<u8>, stall: Duration) -> Result<Option<Read>, NetError> {
        let mut buffer = [0u8; 32 * 1024];
        match tokio::time::timeout(stall, self.io.read(&mut buffer)).await {
            Err(_) => Ok(None),
            Ok(Ok(0)) => Ok(Some(Read::Ended)),
            Ok(Ok(count)) => {
                input.extend_from_slice(&buffer[..count]);
                Ok(Some(Read::Some))
            }
            // A TLS peer that leaves without close_notify ends the stream all the same.
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(Some(Read::Ended)),
            Ok(Err(error)) => Err(NetError::io(Phase::Http1, Party::Upstream, "reading the response", &error)),
        }
    }
}

fn begin(head: &ResponseHead, exchange: &mut Exchange, started: Instant) -> Result<BodyDecoder, NetError> {
    exchange.ttfb = Some(started.elapsed());
    exchange.status = Some(head.status);
    head.fields.iter().for_each(|(name, value)| exchange.push_header(name.as_bytes(), value));
    let kind = BodyKind::of_response("GET", head).map_err(|error| protocol(format!("response head: {error}")))?;
    exchange.closes = !head.keeps_alive(kind);
    Ok(BodyDecoder::new(kind, HeadLimits::default()))
}

fn protocol(text: String) -> NetError {
    NetError::new(Phase::Http1, ErrorKind::Protocol, Party::Upstream, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered_with(chunks: Vec<&'static [u8]>) -> (Exchange, H1) {
        let (client, mut server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            let mut request = [0u8; 1024];
            let _ = server.read(&mut request).await;
            for chunk in chunks {
                let _ = server.write_all(chunk).await;
                tokio::task::yield_now().await;
            }
        });
        let mut h1 = H1::new(Box::new(client), "goproxy.example.com");
        let bounds = Bounds { total: Duration::from_secs(5), stall: Duration::from_secs(1), enough: None };
        (h1.fetch(&Request { keep: 100, ..Request::get("/x") }, bounds).await, h1)
    }

    #[tokio::test]
    async fn a_response_in_pieces() {
        let (exchange, h1) =
            answered_with(vec![b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\nServer: x\r\n\r\nhe", b"llo"]).await;
        assert_eq!((exchange.status, exchange.body.as_slice()), (Some(200), &b"hello"[..]));
        assert_eq!(exchange.outcome, Outcome::Complete);
        assert_eq!(exchange.header("server"), Some("x"));
        assert!(h1.is_usable());
    }

    #[tokio::test]
    async fn connection_close_is_noticed() {
        let (exchange, h1) =
            answered_with(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]).await;
        assert_eq!(exchange.outcome, Outcome::Complete);
        assert!(exchange.closes && !h1.is_usable());
    }

    #[tokio::test]
    async fn a_cut_body_is_truncated() {
        let (exchange, _) = answered_with(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"]).await;
        assert_eq!(exchange.outcome, Outcome::Truncated);
        assert_eq!(exchange.body_bytes, 5);
    }

    #[tokio::test]
    async fn what_is_not_http_is_refused() {
        let (exchange, _) = answered_with(vec![b"SSH-2.0-OpenSSH_9.2\r\n"]).await;
        assert!(matches!(exchange.outcome, Outcome::Lost(NetError { kind: ErrorKind::Protocol, .. })));
    }
}
