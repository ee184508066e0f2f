//! What an answer that is not 200 means.

use std::time::Duration;

use goferry_net::Party;
use goferry_net::pool::Response;

use super::Trouble;
use crate::error::{FailKind, FetchError};

/// The longest text of an answer that is shown.
const MAX_TEXT: usize = 4 << 10;
/// The longest Retry-After that is believed.
const MAX_AFTER: Duration = Duration::from_secs(120);

/// Reads what the server has to say and makes an error of it.
pub(super) async fn status_error(url: &str, response: Response) -> Trouble {
    let status = response.status;
    let after = response.header("retry-after").and_then(retry_after);
    let plain = response.header("content-type").is_none_or(|kind| kind.starts_with("text/plain"));
    let text = response.body.collect(MAX_TEXT).await.unwrap_or_default();
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or_default();
    let mut detail = format!("GET {url}: {status} {reason}");
    if plain && let Some(text) = readable(&text) {
        detail.push_str(&format!("\n\tserver response: {text}"));
    }
    match status {
        404 | 410 => Trouble::Final(FetchError::new(FailKind::NotFound(status), Party::Upstream, detail)),
        429 | 500 | 502 | 503 | 504 => {
            let error = FetchError::new(FailKind::Status(status), Party::Upstream, detail);
            Trouble::Busy { error, after, status }
        }
        401 | 403 | 407 => {
            let advice = match status {
                407 => "the forward proxy demands credentials: put them into HTTPS_PROXY (http://user:password@host)",
                401 => "the proxy demands credentials: see GOAUTH (go help goauth), by default a line in .netrc",
                _ => "the proxy refuses this module or these credentials; who runs it knows why",
            };
            let error = FetchError::new(FailKind::Status(status), Party::Upstream, detail).with_advice(advice);
            Trouble::Final(error)
        }
        _ => Trouble::Final(FetchError::new(FailKind::Status(status), Party::Upstream, detail)),
    }
}

/// Retry-After in seconds (RFC 9110 section 10.2.3); a date counts as none.
fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse::<u64>().ok().map(|seconds| Duration::from_secs(seconds).min(MAX_AFTER))
}

/// The server's text where a terminal may show it: at most eight lines (cmd/go/internal/web/api.go).
fn readable(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let fine = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if text.is_empty() || !text.chars().all(fine) {
        return None;
    }
    let lines: Vec<&str> = text.lines().take(8).collect();
    let text = lines.join("\n\t");
    Some(text.chars().take(1024).collect())
}
