//! HTTP/1.1, by hyper.

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, request};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::current::Follower;
use super::heads::{Heads, Phase};
use super::reader::Reader;
use super::{Fault, Link, Stop, answer, takes_body};
use crate::answer::{Answer, Content, Request};
use crate::config::Limits;
use crate::exchange::{Exchange, Refused};

/// Fields that a head may have: the library's own limit.
const FIELDS: usize = 100;
/// Method and path, where the head could not be read.
const UNREAD: &str = "-";

/// Serves a connection, of whose first request something has come, until it ends.
pub(super) async fn serve<I>(link: Arc<Link>, limits: Limits, io: I, mut stop: Stop) -> Result<(), hyper::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let phase = Phase::new();
    let io = Heads::new(io, Arc::clone(&phase), limits.header_time, limits.idle);
    let count = Arc::new(AtomicU64::new(0));
    let (whose, counted) = (Arc::clone(&link), Arc::clone(&count));
    let follower = RefCell::new(Follower::new(Arc::clone(&link.shared.current)));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        phase.busy();
        let busy = Busy(Arc::clone(&phase));
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        let proxy = Arc::clone(follower.borrow_mut().proxy());
        let link = Arc::clone(&link);
        async move {
            let (parts, incoming) = request.into_parts();
            let (body, fault) = match hosted(&parts) {
                Err(fault) => (Bytes::new(), Some(fault)),
                Ok(()) if takes_body(&parts.method, parts.uri.path()) => {
                    match body(&link, &proxy.config().limits, incoming).await {
                        Ok(body) => (body, None),
                        Err(fault) => (Bytes::new(), Some(fault)),
                    }
                }
                Ok(()) => (Bytes::new(), None),
            };
            let request = Request {
                peer: Arc::clone(&link.peer),
                stream: number,
                path: parts.uri.path().to_owned(),
                method: parts.method,
                headers: parts.headers,
                body,
            };
            let (answer, exchange) = answer(&link.shared.common, &proxy, &request, fault).await;
            Ok::<_, Infallible>(respond(answer, exchange, &request.method, &link, busy))
        }
    });
    let connection = Builder::new()
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes as usize)
        .max_buf_size((limits.header_bytes as usize).max(16 << 10))
        .half_close(false)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let mut asked = pin!(stop.asked());
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            done = connection.as_mut() => {
                if let Err(error) = &done {
                    tell_refused(&whose, counted.load(Ordering::Relaxed) + 1, error, limits.header_bytes);
                }
                return done;
            }
            () = asked.as_mut(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Tells of a head that the library has refused: it answers by itself, and nobody has seen a request. And of a first one
/// that did not come.
fn tell_refused(link: &Link, stream: u64, error: &hyper::Error, most: u32) {
    if !error.is_parse() || error.is_parse_version_h2() {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        if stream == 1 && cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut) {
            link.shared.tell(Refused::Timeout);
        }
        return;
    }
    let words = error.to_string();
    let (status, text) = if !error.is_parse_too_large() {
        (StatusCode::BAD_REQUEST, format!("the head of the request is none of HTTP/1.1: {words}"))
    } else if words.starts_with("URI") {
        (StatusCode::URI_TOO_LONG, "the path of the request has more than 65,534 bytes".to_owned())
    } else {
        let text =
            format!("the head of the request has more than {most} bytes (limits.header-bytes) or {FIELDS} fields");
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text)
    };
    let request = Request {
        peer: Arc::clone(&link.peer),
        stream,
        method: Method::from_bytes(UNREAD.as_bytes()).unwrap_or_default(),
        path: UNREAD.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let mut exchange = Exchange::new(Arc::clone(link.shared.current.get().observer()), &request);
    exchange.answered(&Answer::text(status, text));
    exchange.complete();
}

/// Whether it names one host (RFC 9112 section 3.2).
fn hosted(parts: &request::Parts) -> Result<(), Fault> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (parts.version, hosts.next(), hosts.next()) {
        (Version::HTTP_11, None, _) => Err(Fault::Host("a request of HTTP/1.1 has a Host field")),
        (_, Some(_), Some(_)) => Err(Fault::Host("a request has one Host field")),
        _ => Ok(()),
    }
}

async fn body(link: &Link, limits: &Limits, body: Incoming) -> Result<Bytes, Fault> {
    let collected = timeout(limits.stall, async {
        let _turn = link.shared.bodies.acquire().await;
        Limited::new(body, limits.body_bytes).collect().await
    });
    match collected.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Fault::TooLarge),
        Ok(Err(_)) | Err(_) => Err(Fault::Incomplete),
    }
}

fn respond(
    answer: Answer,
    exchange: Exchange,
    method: &Method,
    link: &Link,
    busy: Busy,
) -> hyper::Response<AnswerBody> {
    let length = answer.content.length();
    let content = if method == Method::HEAD { Content::Empty } else { answer.content };
    let reader = Reader::new(content, exchange, &link.shared.load);
    let mut response = hyper::Response::new(AnswerBody { reader, _busy: busy });
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Some(length) = length.filter(|_| answer.status != StatusCode::NOT_MODIFIED) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// A request is being answered; when this is dropped, the connection is idle again.
struct Busy(Arc<Phase>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle();
    }
}

/// A body as hyper takes it.
struct AnswerBody {
    reader: Reader,
    _busy: Busy,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let reader = &mut self.get_mut().reader;
        let piece = reader.piece();
        reader.poll_next(context, piece).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.reader.left() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.reader.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
