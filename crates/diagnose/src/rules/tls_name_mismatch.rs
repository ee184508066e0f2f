//! The certificate is for other names.

use goferry_net::tls::CertProblem;

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::{certificate_problem, failure};
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::TlsNameMismatch, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let paths = case.go_paths().filter(|path| certificate_problem(*path, &[CertProblem::WrongName]));
    paths
        .map(|path| {
            let tls = path.tls().expect("has a problem");
            let names = tls.chain.first().map(|leaf| leaf.names.join(", ")).unwrap_or_default();
            let names = if names.is_empty() { "none (Go ignores the common name)".to_owned() } else { names };
            Draft::new(Id::TlsNameMismatch, format!("the certificate is not for {}", path.info.host), failure(case, path))
                .on(path)
                .proof(Evidence::text("name asked for", path.info.host.clone()))
                .proof(Evidence::text("names in the certificate", names))
                .why(
                    "Go compares the host with the certificate's subject alternative names only (crypto/x509/verify.go, \
                     VerifyHostname); the common name has not counted since Go 1.15.",
                )
                .verify(format!(
                    "openssl s_client -connect {}:{} -servername {0} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
                    path.info.host, path.info.port
                ))
        })
        .collect()
}
