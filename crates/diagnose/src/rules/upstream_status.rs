//! The module proxy answers, but not with the file.

use std::collections::BTreeMap;

use crate::case::{Case, is_redirect};
use crate::finding::{Evidence, Id};

use super::shared::{client_certificate_demanded, failure};
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::UpstreamStatus, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths().filter(|path| !client_certificate_demanded(*path)) {
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        let answered =
            path.sent().filter(|exchange| !is_redirect(exchange, path.info)).filter_map(|exchange| exchange.status);
        answered.for_each(|status| *statuses.entry(status).or_default() += 1);
        statuses.remove(&200);
        // 407 comes from the forward proxy.
        statuses.remove(&407);
        let falls_through = |status: u16| status == 404 || status == 410;
        let later = case.go_paths().any(|other| other.info.position > path.info.position && other.serves())
            || case.environment.ends_with_direct();
        // What another entry of GOPROXY has is no failure of this one: goproxy-fallback prices it.
        statuses.retain(|status, _| !(falls_through(*status) && later));
        let Some((&status, _)) = statuses.iter().max_by_key(|(_, count)| **count) else { continue };
        let bad: usize = statuses.values().sum();
        let all = path.sent().count();
        let first = path.sent().find(|exchange| exchange.status == Some(status)).expect("counted above");
        let listed: Vec<String> = statuses.iter().map(|(status, count)| format!("{status} ×{count}")).collect();
        let mut draft = Draft::new(
            Id::UpstreamStatus,
            format!("{} answers {status} to {bad} of {all} requests", path.info.host),
            failure(case, path),
        )
        .on(path)
        .proof(Evidence::text("statuses", listed.join(", ")))
        .proof(Evidence::text("first one on", first.path.clone()))
        .proofs(
            ["www-authenticate", "retry-after", "location"]
                .into_iter()
                .filter_map(|name| first.header(name).map(|value| Evidence::text(name, value))),
        )
        .why(why(status))
        .verify(format!("curl -s -o /dev/null -w '%{{http_code}}\\n' {}{}", path.info.entry, first.path));
        draft.status = Some(status);
        drafts.push(draft);
    }
    drafts
}

fn why(status: u16) -> &'static str {
    match status {
        404 | 410 => {
            "404 and 410 send the go command to the next entry of GOPROXY; there is none that has the module \
             (cmd/go/internal/modfetch/proxy.go). From Go 1.24 on each is asked for twice over https."
        }
        401 | 403 => {
            "The go command stops at a status other than 404 and 410 unless the separator is `|` \
             (cmd/go/internal/modfetch/proxy.go, TryProxies). Credentials come from GOAUTH, netrc by default, and over https only."
        }
        429 | 500..=599 => {
            "The go command does not try again and does not heed Retry-After (cmd/go/internal/web/http.go): one such answer \
             fails the command."
        }
        300..=399 => {
            "The go command follows at most 10 redirects and never from https to http (cmd/go/internal/web/http.go)."
        }
        _ => "The go command takes any status but 200 for a failure (cmd/go/internal/web/http.go).",
    }
}
