//! One POST, over a connection of its own, whose answer is read line by line as it comes.

use std::time::Duration;

use bytes::Bytes;
use goferry_env::Inputs;
use goferry_env::http_proxy::{ProxyDecision, ProxySettings};
use goferry_module::{ProxyUrl, Scheme};
use goferry_net::connect::{Bounds, basic};
use goferry_net::tls::Roots;
use goferry_net::{Connector, Origin};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::failure::Failure;

/// How long the proxy may be silent; it says something every second.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest line that is read: a summary with all its failures.
const LINE: usize = 16 << 20;

/// Sends `body` to `/-/warm` and gives each line of the answer to `told`.
///
/// Credentials of the URL are sent over http:// too: who names them there means a proxy of this machine.
pub(super) async fn lines(
    url: &ProxyUrl,
    inputs: &Inputs,
    body: Vec<u8>,
    token: Option<&str>,
    mut told: impl FnMut(&[u8]),
) -> Result<(), Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::failed(format!("{url}/-/warm: {what}"));
    let connector = connector(url, inputs)?;
    let connected = connector.connect(true).await.map_err(|error| failed(&error))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(connected.stream));
    let (mut sender, connection) = handshake.await.map_err(|error| failed(&error))?;
    tokio::spawn(connection);
    let mut request = Request::post(url.request_target("/-/warm"))
        .header(HOST, connector.origin().authority())
        .header(CONTENT_TYPE, "application/json");
    let authorization = match (url.credentials(), token.filter(|token| !token.is_empty())) {
        (Some((user, password)), _) => Some(basic(user, password.unwrap_or_default())),
        (None, Some(token)) => Some(format!("Bearer {token}")),
        (None, None) => None,
    };
    if let Some(text) = authorization {
        let value = HeaderValue::try_from(text);
        let mut value = value.map_err(|_| Failure::usage("the token has characters that no token has"))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| failed(&error))?;
    let silent = |_| failed(&format_args!("nothing came for {} s", SILENCE.as_secs()));
    let answer = timeout(SILENCE, sender.send_request(request)).await.map_err(silent)?;
    let answer = answer.map_err(|error| failed(&error))?;
    let status = answer.status();
    let mut body = answer.into_body();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(frame) = timeout(SILENCE, body.frame()).await.map_err(silent)? {
        let Ok(data) = frame.map_err(|error| failed(&error))?.into_data() else { continue };
        rest.extend_from_slice(&data);
        if rest.len() > LINE {
            return Err(failed(&format_args!("a line of more than {LINE} bytes")));
        }
        if status.is_success() {
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                told(&rest[..end]);
                rest.drain(..=end);
            }
        }
    }
    if status.is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&rest[..rest.len().min(4 << 10)]).trim().to_owned();
    let failure = failed(&format_args!("{status}{}{text}", if text.is_empty() { "" } else { ": " }));
    Err(match status.as_u16() {
        401 | 403 => failure.hint("put user and password into the URL, or a token into GOFERRY_TOKEN"),
        404 | 405 => failure.hint("is it a goferry?"),
        _ => failure,
    })
}

fn connector(url: &ProxyUrl, inputs: &Inputs) -> Result<Connector, Failure> {
    let https = url.scheme() == Scheme::Https;
    let origin = Origin { https, host: url.host().to_owned(), port: url.port_or_default() };
    let whole = goferry_env::url::Url::parse(&format!("{origin}/"));
    let whole = whole.map_err(|error| Failure::usage(format!("{url}: {error}")))?;
    if !matches!(ProxySettings::from_inputs(inputs).decide(&whole), ProxyDecision::Direct { .. }) {
        let text = format!("{url} is behind the forward proxy of this environment, which is not used for a POST");
        return Err(Failure::failed(text).hint(format!("add it to NO_PROXY: {}", url.host())));
    }
    let roots = if https { goferry_env::roots::load(inputs, 27).der } else { Vec::new() };
    Ok(Connector::new(origin, None, Roots::new(roots), Bounds::default()))
}
