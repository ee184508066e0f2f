//! The certificate is past its end, or before its start.

use goferry_net::tls::CertProblem;

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::{certificate_problem, failure};
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::TlsExpired, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let paths =
        case.go_paths().filter(|path| certificate_problem(*path, &[CertProblem::Expired, CertProblem::NotYetValid]));
    paths
        .map(|path| {
            let tls = path.tls().expect("has a problem");
            let early = tls.verified == Err(CertProblem::NotYetValid);
            let what = if early { "is not valid yet" } else { "has expired" };
            Draft::new(Id::TlsExpired, format!("the certificate of {} {what}", path.info.host), failure(case, path))
                .on(path)
                .proofs(tls.chain.iter().take(4).map(|cert| {
                    Evidence::text(
                        format!("validity of {}", cert.subject),
                        format!("{} to {}", date(cert.not_before), date(cert.not_after)),
                    )
                }))
                .proof(Evidence::text("verdict", tls.verdict.clone()))
                .why(
                    "Go checks the validity of every certificate of the chain against this machine's clock \
                     (crypto/x509/verify.go, isValid); there is no way around it for a GOPROXY.",
                )
                .verify(format!(
                    "openssl s_client -connect {}:{} </dev/null 2>/dev/null | openssl x509 -noout -dates",
                    path.info.host, path.info.port
                ))
        })
        .collect()
}

fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
