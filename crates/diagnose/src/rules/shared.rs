//! Questions that several rules ask.

use goferry_net::exchange::Outcome;
use goferry_net::tls::{CertProblem, Root};

use crate::case::{Case, PathView};
use crate::finding::{Confidence, Evidence};
use crate::observation::Fact;

use super::Effect;

/// What shows that somebody on the way answers TLS in the origin's place.
pub(super) struct Interception {
    pub(super) confidence: Confidence,
    pub(super) evidence: Vec<Evidence>,
}

/// Whether TLS on `path` is intercepted. An internal CA alone does not make an interception: a
/// private registry has one too. It takes a second sight: the direct path shows another issuer, the
/// checksum database's public host shows the same local one, or the issuer names itself.
pub(super) fn interception(case: &Case<'_>, path: PathView<'_>) -> Option<Interception> {
    let tls = path.tls()?;
    if tls.verified == Ok(Root::Public) {
        return None;
    }
    let issuer = tls.chain.last().map(|cert| cert.issuer.clone())?;
    let mut evidence = vec![Evidence::text("certificate issuer on this path", &issuer)];
    if let Some(direct) = path.direct_twin(case).and_then(|twin| twin.tls()) {
        let straight = direct.chain.last().map(|cert| cert.issuer.clone()).unwrap_or_default();
        if straight == issuer || direct.chain.first() == tls.chain.first() {
            return None;
        }
        evidence.push(Evidence::text("certificate issuer on the direct path", straight));
        return Some(Interception { confidence: Confidence::Measured, evidence });
    }
    let witness = path.facts().find_map(|fact| match fact {
        Fact::SumDb { through_entry: false, issuer: Some(other), name, .. } if *other == issuer => Some(name),
        _ => None,
    });
    if let Some(name) = witness {
        evidence.push(Evidence::text(format!("the same issuer signs for the public host {name}"), "yes"));
        return Some(Interception { confidence: Confidence::Measured, evidence });
    }
    let named = crate::remedy::Server::from_issuer(&issuer);
    if named.is_interceptor() {
        evidence.push(Evidence::text("the issuer is the CA of", named.to_string()));
        return Some(Interception { confidence: Confidence::Derived, evidence });
    }
    None
}

/// Whether the certificate is bad in this way.
pub(super) fn certificate_problem(path: PathView<'_>, wanted: &[CertProblem]) -> bool {
    path.tls().is_some_and(|tls| tls.verified.err().is_some_and(|problem| wanted.contains(&problem)))
}

/// What a failure on `path` does: the go command fails, unless GOPROXY says to go on after any
/// error (`|`) and a later entry serves.
///
/// Where every module of the project is private, the go command asks no entry at all: a note.
pub(super) fn failure(case: &Case<'_>, path: PathView<'_>) -> Effect {
    let has_modules = case.project.is_some_and(|project| !project.to_fetch.is_empty());
    if has_modules && case.environment.public_modules().next().is_none() {
        return Effect::Notes(None);
    }
    let goes_on = case.environment.falls_back_on_any_error(path.info.position);
    let later = case.go_paths().any(|other| other.info.position > path.info.position && other.serves());
    if goes_on && later { Effect::Costs(crate::price::Change::NoFallback(1)) } else { Effect::Fails }
}

/// Whether the server demanded a client certificate and gave nothing without.
pub(super) fn client_certificate_demanded(path: PathView<'_>) -> bool {
    path.client_cert_requested() && !path.serves()
}

/// How many requests ended in a way that `matches`, of how many that were sent.
pub(super) fn count(path: PathView<'_>, matches: impl Fn(&Outcome) -> bool) -> (usize, usize) {
    path.sent().fold((0, 0), |(hits, all), exchange| (hits + usize::from(matches(&exchange.outcome)), all + 1))
}

/// A round trip as text for a title, for example `52 ms`.
pub(super) fn ms(duration: std::time::Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// Seconds as text, for example `2.5 s`.
pub(super) fn secs(duration: std::time::Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// A rate as text, for example `9.4 Mbit/s`.
pub(super) fn rate(bits_per_second: f64) -> String {
    if bits_per_second >= 1e8 {
        format!("{:.0} Mbit/s", bits_per_second / 1e6)
    } else {
        format!("{:.1} Mbit/s", bits_per_second / 1e6)
    }
}
