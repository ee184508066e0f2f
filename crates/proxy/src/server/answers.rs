//! From a request, whichever version of HTTP carries it, to its answer.

use std::pin::pin;
use std::sync::Arc;

use http::header::{ALLOW, CONNECTION};
use http::{HeaderValue, Method, StatusCode};
use tokio::runtime::Handle;

use super::lanes::begun_on;
use crate::answer::{Answer, Request};
use crate::exchange::Exchange;
use crate::proxy::Proxy;

/// What is wrong with a request before it is looked at.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    /// Its body is too large.
    TooLarge,
    /// Its body did not come.
    Incomplete,
    /// It names no host, or several.
    Host(&'static str),
}

/// Whether the body of such a request is needed.
pub(super) fn takes_body(method: &Method, path: &str) -> bool {
    *method == Method::POST && path.ends_with("/-/warm")
}

/// The answer to a request, and what is told of the two. What it waits for is begun on `common`.
pub(super) async fn answer(
    common: &Handle,
    proxy: &Proxy,
    request: &Request,
    fault: Option<Fault>,
) -> (Answer, Exchange) {
    let mut exchange = Exchange::new(Arc::clone(proxy.observer()), request);
    let answer = match refusal(proxy, request, fault) {
        Some(refusal) => refusal,
        None => begun_on(common, pin!(proxy.answer(request))).await,
    };
    exchange.answered(&answer);
    (answer, exchange)
}

/// The answer to what no proxy needs to see.
fn refusal(proxy: &Proxy, request: &Request, fault: Option<Fault>) -> Option<Answer> {
    let close = |answer: Answer| match request.peer.protocol {
        "HTTP/1.1" => answer.with(CONNECTION, HeaderValue::from_static("close")),
        _ => answer,
    };
    match fault {
        Some(Fault::TooLarge) => {
            let text = format!("the body has more than {} bytes", proxy.config().limits.body_bytes);
            return Some(close(Answer::error(StatusCode::PAYLOAD_TOO_LARGE, text)));
        }
        Some(Fault::Incomplete) => {
            return Some(close(Answer::error(StatusCode::REQUEST_TIMEOUT, "the body did not come to its end")));
        }
        Some(Fault::Host(text)) => return Some(close(Answer::text(StatusCode::BAD_REQUEST, text))),
        None => {}
    }
    // For the server itself, or to be a tunnel.
    if request.path == "*" || matches!(request.method, Method::CONNECT | Method::TRACE) {
        let text = format!("{} is not allowed here, but GET, HEAD", request.method);
        let answer = Answer::text(StatusCode::METHOD_NOT_ALLOWED, text);
        return Some(close(answer.with(ALLOW, HeaderValue::from_static("GET, HEAD"))));
    }
    None
}
