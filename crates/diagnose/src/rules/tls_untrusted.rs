//! No chain from the certificate to a root that Go trusts.

use goferry_net::tls::CertProblem;

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::{certificate_problem, failure};
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::TlsUntrusted, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let paths =
        case.go_paths().filter(|path| certificate_problem(*path, &[CertProblem::UnknownIssuer, CertProblem::Invalid]));
    paths
        .map(|path| {
            let tls = path.tls().expect("has a problem");
            let roots = &case.environment.roots;
            // No root at all, by the user's own setting: then it is not the server's certificate that lacks something.
            let own = roots.problems.iter().find(|problem| roots.der.is_empty() && problem.named_by_user);
            let title = match own {
                Some(problem) => format!("Go trusts nobody here: {} gives no certificate", problem.path.display()),
                None => format!("the certificate of {} is signed by nobody that Go trusts here", path.info.host),
            };
            Draft::new(
                Id::TlsUntrusted,
                title,
                failure(case, path),
            )
            .on(path)
            .proofs(tls.chain.first().map(|leaf| Evidence::text("certificate", leaf.subject.clone())))
            .proofs(tls.chain.last().map(|last| Evidence::text("issuer", last.issuer.clone())))
            .proof(Evidence::number("certificates sent", tls.chain.len() as f64, ""))
            .proof(Evidence::text("verdict", tls.verdict.clone()))
            .proof(Evidence::number("roots that Go would load", roots.der.len() as f64, ""))
            .proofs(roots.problems.iter().take(3).map(|problem| {
                Evidence::text(format!("problem in {}", problem.path.display()), problem.what.clone())
            }))
            .why(
                "Go verifies against the files named by SSL_CERT_FILE and SSL_CERT_DIR or, without them, the system's bundle \
                 (crypto/x509/root_unix.go). GOINSECURE does not touch the TLS of a GOPROXY: the command fails with \
                 \"x509: certificate signed by unknown authority\".",
            )
            .verify(format!("curl -sv -o /dev/null {}/ 2>&1 | grep -i 'SSL certificate'", path.info.entry))
        })
        .collect()
}
