//! `goferry serve --status URL`: what a proxy that runs does.

use std::sync::Arc;
use std::time::Duration;

use goferry_env::Inputs;
use goferry_env::http_proxy::ProxySettings;
use goferry_fetch::client::Anonymous;
use goferry_fetch::{Client, ClientConfig, FailKind, FetchError, Web as _};
use goferry_module::ProxyUrl;
use goferry_net::connect::basic;
use goferry_net::tls::Roots;
use goferry_proxy::observe::connections::{Connections, FORMAT};
use http::HeaderValue;
use http::header::AUTHORIZATION;

use crate::exit_code;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

/// Where a bearer token is read from: a command line is seen by others.
const TOKEN: &str = "GOFERRY_TOKEN";
/// The longest document that is read.
const MOST: usize = 16 << 20;
/// How long an answer may take.
const BOUND: Duration = Duration::from_secs(10);

/// Prints what the proxy at `url` does, and whether it is ready.
pub(super) fn run(url: &str, printer: &Printer) -> Outcome {
    let inputs = Inputs::from_process(".");
    let given = ProxyUrl::parse(url).map_err(|error| Failure::usage(format!("--status: {error}")))?;
    let (base, authorization) = split(&given, inputs.var(TOKEN))?;
    let roots = {
        let inputs = inputs.clone();
        // The newest Go's rule: no go command is asked.
        move || Roots::new(goferry_env::roots::load(&inputs, 27).der)
    };
    let config = ClientConfig { retries: 0, timeout: BOUND, connections: 1, ..ClientConfig::default() };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the system gives no event queue: {error}")))?;
    runtime.block_on(async {
        let mut client = Client::trusting(ProxySettings::from_inputs(&inputs), roots, Arc::new(Anonymous), config);
        if let Some(value) = authorization {
            client = client.sending(AUTHORIZATION, value);
        }
        let ready = client.get(&base, "/readyz", MOST).await;
        let ready = match ready {
            Ok(_) => None,
            Err(error) if error.kind == FailKind::Status(503) => Some(error),
            Err(error) => return Err(failed(&error)),
        };
        let document = client.get(&base, "/-/connections", MOST).await.map_err(|error| failed(&error))?;
        let no = |what: String| Failure::failed(format!("{base}/-/connections: {what}")).hint("is it a goferry?");
        let document: Connections = serde_json::from_slice(&document).map_err(|error| no(error.to_string()))?;
        if document.format != FORMAT {
            return Err(no(format!("its format is {:?}, not {FORMAT}", document.format)));
        }
        let word = if ready.is_some() { "NOT READY" } else { "ready" };
        printer.result(&format!("{base} is {word}\n{}", document.text()))?;
        let Some(error) = ready else { return Ok(exit_code::OK) };
        printer.note(&error.to_string());
        Ok(exit_code::FOUND)
    })
}

fn failed(error: &FetchError) -> Failure {
    let failure = Failure::failed(error.to_string());
    match error.kind {
        FailKind::Status(401 | 403) => failure
            .hint(format!("the proxy asks who you are: put user and password into the URL, or a token into {TOKEN}")),
        _ => failure,
    }
}

/// The URL without credentials, and the header field with them.
fn split(url: &ProxyUrl, token: Option<&str>) -> Result<(ProxyUrl, Option<HeaderValue>), Failure> {
    let authorization = match (url.credentials(), token.filter(|token| !token.is_empty())) {
        (Some((user, password)), _) => Some(basic(user, password.unwrap_or_default())),
        (None, Some(token)) => Some(format!("Bearer {token}")),
        (None, None) => None,
    };
    let Some(authorization) = authorization else { return Ok((url.clone(), None)) };
    let mut value = HeaderValue::try_from(authorization).map_err(|_| {
        Failure::usage(format!("--status: {TOKEN} cannot be sent: it has characters that no token has"))
    })?;
    value.set_sensitive(true);
    let mut plain = url.expose().to_owned();
    if let (Some(scheme), Some(at)) = (plain.find("://"), plain.find('@')) {
        plain.replace_range(scheme + 3..=at, "");
    }
    let plain = ProxyUrl::parse(&plain).map_err(|error| Failure::usage(format!("--status: {error}")))?;
    Ok((plain, Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_url() {
        let url = |text: &str| ProxyUrl::parse(text).unwrap();
        let (base, value) = split(&url("http://ci:secret@127.0.0.1:8080/go"), Some("token")).unwrap();
        assert_eq!(base.expose(), "http://127.0.0.1:8080/go");
        assert_eq!(value.unwrap(), "Basic Y2k6c2VjcmV0");
        let (base, value) = split(&url("http://127.0.0.1:8080"), Some("token")).unwrap();
        assert_eq!((base.expose(), value.unwrap().to_str().unwrap()), ("http://127.0.0.1:8080", "Bearer token"));
        assert!(split(&url("http://127.0.0.1:8080"), Some("")).unwrap().1.is_none());
        assert!(split(&url("http://127.0.0.1:8080"), Some("a\nb")).is_err());
    }
}
