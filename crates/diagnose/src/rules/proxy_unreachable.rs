//! The forward proxy does not take connections, or does not answer.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::observation::Peer;

use super::shared::failure;
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::ProxyUnreachable, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths().filter(|path| path.is_proxied()) {
        let connects: Vec<_> = path.connects().filter(|(peer, ..)| *peer == Peer::ForwardProxy).collect();
        let connected = connects.iter().any(|(_, _, outcome, _)| outcome.is_ok());
        // A proxy that accepts and then says nothing, or no HTTP, is as good as not there.
        let mute = path.tunnel_failure().filter(|failure| {
            use goferry_net::ErrorKind::{Closed, Other, Protocol, Reset, TimedOut, TooLarge};
            failure.status.is_none()
                && matches!(failure.error.kind, Closed | Other | Protocol | Reset | TimedOut | TooLarge)
        });
        let mute = mute.map(|failure| failure.error);
        let errors: Vec<String> = if connected {
            mute.into_iter().map(ToString::to_string).collect()
        } else {
            connects.iter().filter_map(|(_, _, outcome, _)| outcome.err().map(ToString::to_string)).collect()
        };
        if errors.is_empty() {
            continue;
        }
        let crate::Route::Via(proxy) = &path.info.route else { continue };
        let does = if connected { "accepts connections and does not answer CONNECT" } else { "cannot be reached" };
        drafts.push(
            Draft::new(Id::ProxyUnreachable, format!("the forward proxy {proxy} {does}"), failure(case, path))
                .on(path)
                .proof(Evidence::text("forward proxy", proxy.clone()))
                .proofs(errors.into_iter().take(4).map(|error| Evidence::text("error", error)))
                .proofs(path.direct_twin(case).filter(|twin| twin.answers()).map(|_| {
                    Evidence::text("the module proxy directly, without the forward proxy", "answers")
                }))
                .why(
                    "Where HTTPS_PROXY names a proxy, net/http goes through it and never falls back to a direct connection \
                     (net/http/transport.go, dialConn): the dial waits up to 30 s.",
                )
                .verify(format!("curl -sv -x {proxy} -o /dev/null {}/", path.info.entry)),
        );
    }
    drafts
}
