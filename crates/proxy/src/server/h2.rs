//! HTTP/2, on the `h2` library itself: it tells the stream's number, and nothing is read from disk before the client's
//! window has room for it.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::reader::Reader;
use super::{Stop, finish};
use crate::answer::{Answer, Content, Peer, Request};
use crate::exchange::Exchange;
use crate::proxy::Proxy;

/// What is read of a file at once: no more than this waits to be sent on a stream.
const PIECE: usize = 64 << 10;
/// What a client may send of a body before it must wait.
const WINDOW: u32 = 1 << 20;

/// Serves a connection until it ends.
pub(super) async fn serve<I>(proxy: Arc<Proxy>, io: I, peer: Arc<Peer>, mut stop: Stop) -> Result<(), h2::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = proxy.config().limits;
    let handshake = Builder::new()
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_reset_streams(limits.resets.min(64))
        .max_pending_accept_reset_streams(limits.resets.min(64))
        .max_send_buffer_size(2 * PIECE)
        .handshake(io);
    let mut connection = match timeout(limits.header_time, handshake).await {
        Ok(connection) => connection?,
        Err(_) => return Ok(()),
    };
    let mut running = JoinSet::new();
    let mut stopping = false;
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let (proxy, peer) = (Arc::clone(&proxy), Arc::clone(&peer));
                    running.spawn(one(proxy, peer, request, respond));
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            Some(_) = running.join_next() => {}
            () = stop.asked(), if !stopping => {
                stopping = true;
                connection.graceful_shutdown();
            }
        }
    }
}

async fn one(proxy: Arc<Proxy>, peer: Arc<Peer>, request: http::Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let stream = u64::from(respond.stream_id().as_u32());
    let (parts, body) = request.into_parts();
    let limit = proxy.config().limits.body_bytes;
    let body = if parts.method == Method::POST { collect(body, limit).await } else { Ok(Bytes::new()) };
    let path = parts.uri.path().to_owned();
    let (method, headers) = (parts.method, parts.headers);
    let mut request = Request { peer, stream, method, path, headers, body: Bytes::new() };
    let (answer, exchange) = match body {
        Ok(body) => {
            request.body = body;
            // A client that goes away is not answered; what is being fetched for it stays.
            tokio::select! {
                answer = finish(&proxy, &request) => answer,
                _ = poll_fn(|context| respond.poll_reset(context)) => return,
            }
        }
        Err(true) => super::too_large(&proxy, &request),
        Err(false) => return,
    };
    let stall = proxy.config().limits.stall;
    let _ = send(answer, exchange, &request.method, respond, stall).await;
}

/// The body; `Err(true)` where it is too large, `Err(false)` where it broke off.
async fn collect(mut body: RecvStream, limit: usize) -> Result<Bytes, bool> {
    let mut all = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|_| false)?;
        if all.len() + data.len() > limit {
            return Err(true);
        }
        all.extend_from_slice(&data);
        let _ = body.flow_control().release_capacity(data.len());
    }
    Ok(all.freeze())
}

async fn send(
    answer: Answer,
    mut exchange: Exchange,
    method: &Method,
    mut respond: SendResponse<Bytes>,
    stall: std::time::Duration,
) -> Result<(), h2::Error> {
    let length = answer.content.length();
    let content = if *method == Method::HEAD { Content::Empty } else { answer.content };
    let mut response = Response::new(());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Some(length) = length.filter(|_| answer.status != http::StatusCode::NOT_MODIFIED) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let ended = content.length() == Some(0);
    let mut stream = respond.send_response(response, ended)?;
    if ended {
        exchange.complete();
        return Ok(());
    }
    // What is in memory is shared, and may wait there until the window has room for it.
    if let Content::Bytes(bytes) = content {
        exchange.sent(bytes.len());
        exchange.complete();
        return stream.send_data(bytes, true);
    }
    let mut reader = Reader::new(content, exchange);
    loop {
        stream.reserve_capacity(PIECE);
        let room = match timeout(stall, room(&mut stream)).await {
            Ok(Some(room)) => room?,
            // The client reset it, or its connection is over.
            Ok(None) => return Ok(()),
            Err(_) => {
                stream.send_reset(Reason::CANCEL);
                return Ok(());
            }
        };
        let piece = poll_fn(|context| reader.poll_next(context, room.min(PIECE))).await;
        match piece {
            Some(Ok(piece)) => {
                let last = reader.left() == Some(0);
                stream.send_data(piece, last)?;
                if last {
                    return Ok(());
                }
            }
            Some(Err(error)) => {
                tracing::error!(%error, "reading what is being sent");
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            None => return stream.send_data(Bytes::new(), true),
        }
    }
}

/// How much the client has room for; waits until it has any. `None` where the stream is over.
async fn room(stream: &mut SendStream<Bytes>) -> Option<Result<usize, h2::Error>> {
    if stream.capacity() > 0 {
        return Some(Ok(stream.capacity()));
    }
    loop {
        match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(Ok(0)) => {}
            other => return other,
        }
    }
}
