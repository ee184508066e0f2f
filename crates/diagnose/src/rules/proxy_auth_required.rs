//! The forward proxy answers 407.

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::failure;
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::ProxyAuthRequired, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths().filter(|path| path.is_proxied()) {
        let tunnelled =
            path.tunnel_failure().filter(|failure| failure.error.kind == goferry_net::ErrorKind::Status(407));
        let tunnelled = tunnelled.map(|failure| (failure.headers, failure.error.to_string()));
        let plain = path.sent().find(|exchange| exchange.status == Some(407));
        let plain = plain.map(|exchange| (exchange.headers.as_slice(), "status 407".to_owned()));
        let Some((headers, answer)) = tunnelled.or(plain) else { continue };
        let schemes: Vec<&str> =
            headers.iter().filter(|(name, _)| name == "proxy-authenticate").map(|(_, value)| value.as_str()).collect();
        let crate::Route::Via(proxy) = &path.info.route else { continue };
        let mut draft = Draft::new(
            Id::ProxyAuthRequired,
            format!("the forward proxy {proxy} demands authentication"),
            failure(case, path),
        )
        .on(path)
        .proof(Evidence::text("forward proxy", proxy.clone()))
        .proof(Evidence::text("its answer", answer))
        .proofs((!schemes.is_empty()).then(|| Evidence::text("Proxy-Authenticate", schemes.join("; "))))
        .why(
            "net/http sends Proxy-Authorization only from user and password in the proxy's URL, and only as Basic \
             (net/http/transport.go, connectMethod.proxyAuth). NTLM, Negotiate and Digest are not spoken.",
        )
        .verify(format!("curl -sv -x {proxy} -o /dev/null {}/ 2>&1 | grep '^< HTTP'", path.info.entry));
        draft.status = Some(407);
        drafts.push(draft);
    }
    drafts
}
