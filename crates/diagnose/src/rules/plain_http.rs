//! `http://` in GOPROXY: HTTP/1.1 always.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::price::Change;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::PlainHttp, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let paths = case.go_paths().filter(|path| path.info.scheme == "http" && path.answers());
    paths
        .map(|path| {
            Draft::new(
                Id::PlainHttp,
                format!("{} is plain http: HTTP/1.1, unencrypted", path.info.entry),
                Effect::Costs(Change::SharedHttp2),
            )
            .on(path)
            .proof(Evidence::text("GOPROXY entry", path.info.entry.clone()))
            .why(
                "net/http speaks HTTP/2 only over TLS with ALPN (net/http/transport.go); over http:// it is HTTP/1.1 with 2 \
                 idle connections a host.",
            )
            .verify("go env GOPROXY")
        })
        .collect()
}
