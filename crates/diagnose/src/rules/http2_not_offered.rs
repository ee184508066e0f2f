//! The server chooses HTTP/1.1, and nobody on the way is the cause.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::price::Change;

use super::shared::interception;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::Http2NotOffered, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let paths = case.go_paths().filter(|path| path.tls().is_some() && !path.offers_h2() && path.answers());
    paths
        .filter(|path| interception(case, *path).is_none())
        .filter(|path| !path.direct_twin(case).is_some_and(|twin| twin.offers_h2()))
        .map(|path| {
            let tls = path.tls().expect("filtered above");
            // Where each response ends its connection, that is the cause to remedy first.
            let change = Change::SharedHttp2;
            let closes = path.closes_each_time();
            let effect = if closes { Effect::Notes(Some(change)) } else { Effect::Costs(change) };
            let chosen = tls.alpn.clone().unwrap_or_else(|| "none".to_owned());
            Draft::new(
                Id::Http2NotOffered,
                format!("{} speaks HTTP/1.1 only", path.info.host),
                effect,
            )
            .on(path)
            .proof(Evidence::text("ALPN offered", tls.alpn_offered.join(", ")))
            .proof(Evidence::text("ALPN chosen by the server", chosen))
            .why(
                "Without h2 in ALPN net/http falls back to HTTP/1.1 with keep-alive, and keeps only 2 idle connections \
                 a host (net/http/transport.go, DefaultMaxIdleConnsPerHost): with GOMAXPROCS requests at once the others \
                 are opened anew.",
            )
            .verify(format!("curl -sv --http2 -o /dev/null {}/ 2>&1 | grep ALPN", path.info.entry))
        })
        .collect()
}
