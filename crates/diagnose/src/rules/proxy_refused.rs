//! The forward proxy refuses the tunnel by its own rules.

use goferry_net::ErrorKind;

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared;
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::ProxyRefused, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths().filter(|path| path.is_proxied()) {
        // 407 has a finding of its own; 502, 503 and 504 speak of the origin: upstream-unreachable.
        let Some(failure) = path.tunnel_failure().filter(|failure| match failure.status {
            Some(status) => ![407, 502, 503, 504].contains(&status),
            None => failure.error.kind == ErrorKind::Refused,
        }) else {
            continue;
        };
        let answer = failure.status.map_or_else(|| "SOCKS5".to_owned(), |status| status.to_string());
        let crate::Route::Via(proxy) = &path.info.route else { continue };
        let mut draft = Draft::new(
            Id::ProxyRefused,
            format!("the forward proxy {proxy} refuses a tunnel to {} ({answer})", path.info.host),
            shared::failure(case, path),
        )
        .on(path)
        .proof(Evidence::text("tunnel asked for", format!("{}:{}", path.info.host, path.info.port)))
        .proof(Evidence::text("its answer", failure.error.to_string()))
        .proofs(path.direct_twin(case).map(|twin| {
            Evidence::text("directly", if twin.answers() { "the module proxy answers" } else { "the module proxy cannot be reached" })
        }))
        .why(
            "Any status but 200 to CONNECT is an error for net/http (net/http/transport.go, dialConn); the go command shows \
             the proxy's reason phrase and fails.",
        )
        .verify(format!("curl -sv -x {proxy} -o /dev/null {}/ 2>&1 | grep '^< HTTP'", path.info.entry));
        draft.status = failure.status;
        drafts.push(draft);
    }
    drafts
}
