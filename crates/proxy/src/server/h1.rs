//! HTTP/1.1, by hyper.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::reader::Reader;
use super::{Stop, finish};
use crate::answer::{Answer, Content, Peer, Request};
use crate::exchange::Exchange;
use crate::proxy::Proxy;

/// What is read of a file at once, and what may wait to be sent.
const PIECE: usize = 128 << 10;

/// Serves a connection until it ends.
pub(super) async fn serve<I>(proxy: Arc<Proxy>, io: I, peer: Arc<Peer>, mut stop: Stop) -> Result<(), hyper::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = proxy.config().limits;
    let count = Arc::new(AtomicU64::new(0));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (proxy, peer, number) = (Arc::clone(&proxy), Arc::clone(&peer), count.fetch_add(1, Ordering::Relaxed) + 1);
        async move {
            let (parts, body) = request.into_parts();
            let limit = proxy.config().limits.body_bytes;
            let body = if parts.method == Method::POST {
                match Limited::new(body, limit).collect().await {
                    Ok(body) => Some(body.to_bytes()),
                    Err(_) => None,
                }
            } else {
                Some(Bytes::new())
            };
            let too_large = body.is_none();
            let request = Request {
                peer,
                stream: number,
                path: parts.uri.path().to_owned(),
                method: parts.method,
                headers: parts.headers,
                body: body.unwrap_or_default(),
            };
            let (answer, exchange) =
                if too_large { super::too_large(&proxy, &request) } else { finish(&proxy, &request).await };
            Ok::<_, Infallible>(respond(answer, exchange, &request.method))
        }
    });
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size((limits.header_bytes as usize).max(16 << 10))
        .half_close(false)
        .serve_connection(TokioIo::new(io), service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            done = connection.as_mut() => return done,
            () = stop.asked() => connection.as_mut().graceful_shutdown(),
        }
    }
}

fn respond(answer: Answer, exchange: Exchange, method: &Method) -> hyper::Response<AnswerBody> {
    let length = answer.content.length();
    let content = if method == Method::HEAD { Content::Empty } else { answer.content };
    let mut response = hyper::Response::new(AnswerBody(Reader::new(content, exchange)));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Some(length) = length.filter(|_| answer.status != http::StatusCode::NOT_MODIFIED) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// A body as hyper takes it.
struct AnswerBody(Reader);

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.get_mut().0.poll_next(context, PIECE).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.left() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
