//! The server wants a client certificate, which the go command cannot send.

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::{client_certificate_demanded, failure};
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::TlsClientCertRequired, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths().filter(|path| client_certificate_demanded(*path)) {
        let refusal = path
            .tls_failure()
            .map(ToString::to_string)
            .or_else(|| path.sent().find_map(|exchange| exchange.status.map(|status| format!("status {status}"))))
            .or_else(|| path.sent().map(|exchange| format!("{:?}", exchange.outcome)).next())
            .unwrap_or_else(|| "no response".to_owned());
        drafts.push(
            Draft::new(
                Id::TlsClientCertRequired,
                format!("{} demands a client certificate, which the go command has no way to send", path.info.host),
                failure(case, path),
            )
            .on(path)
            .proof(Evidence::text("CertificateRequest in the handshake", "yes"))
            .proof(Evidence::text("without a certificate", refusal))
            .why(
                "The go command's transport is http.DefaultTransport with no client certificate and no setting for one \
                 (cmd/go/internal/web/http.go). It tries again and again, and the message is sometimes only \"broken pipe\".",
            )
            .verify(format!("openssl s_client -connect {}:{} </dev/null | grep -A2 'Acceptable client'", path.info.host, path.info.port)),
        );
    }
    drafts
}
