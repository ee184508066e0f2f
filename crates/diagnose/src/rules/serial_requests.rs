//! The go command's own way: one round trip for each module's `.info`.

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id};
use crate::price;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::SerialRequests, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let Some(path) = case.main_path().filter(crate::case::PathView::serves) else { return Vec::new() };
    let infos = case.price.project.infos;
    let waited = (case.price.path.rtt + case.price.path.server_think) * infos;
    if case.price.project.parallel_info || infos < 2 || waited.as_secs_f64() < super::judge::SMALL_SECONDS {
        return Vec::new();
    }
    let now = price::predict(case.price);
    let draft = Draft::new(
        Id::SerialRequests,
        format!("the go command asks for {infos} .info files one after another: {:.1} s of waiting", waited.as_secs_f64()),
        Effect::NotesSerial,
    )
    .on(path)
    .confidence(Confidence::Derived)
    .proof(Evidence::number(".info files, one for each module", f64::from(infos), ""))
    .proof(Evidence::millis("a request takes", case.price.path.rtt + case.price.path.server_think))
    .proof(Evidence::number("requests in all", f64::from(now.requests), ""))
    .proof(Evidence::number("GOMAXPROCS, the width of the .mod and .zip queues", f64::from(case.price.client.gomaxprocs), ""))
    .why(
        "go mod download loads the graph GOMAXPROCS .mod files at a time, then asks for the .info of each module one after \
         another (cmd/go/internal/modload/list.go, build.go), then for the zips GOMAXPROCS at a time \
         (cmd/go/internal/modcmd/download.go). No setting changes the serial part.",
    )
    .verify("go mod download -x 2>&1 | grep -c '\\.info'");
    vec![draft]
}
