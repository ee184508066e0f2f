//! The name cannot be resolved.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::resolution;

use super::shared::{failure, ms};
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::DnsFailing, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let peer = resolution::peer_that_matters(path);
        let Some((host, _)) = resolution::asked(path, peer) else { continue };
        if resolution::any_address(path, peer) {
            continue;
        }
        let failures =
            path.resolutions().filter(|(whose, ..)| *whose == peer).filter_map(|(_, family, answer, took)| {
                let error = answer.err()?;
                Some(Evidence::text(format!("{} after {}", family.as_str(), ms(took)), error.to_string()))
            });
        drafts.push(
            Draft::new(Id::DnsFailing, format!("{host} cannot be resolved"), failure(case, path))
                .on(path)
                .proofs(failures.take(6))
                .why(
                    "Go asks the name servers of /etc/resolv.conf (net/dnsconfig_unix.go), or the C library where it has to \
                     (net/conf.go). Without an address nothing can be dialled: \"lookup …: no such host\" or \"i/o timeout\".",
                )
                .verify(format!("getent ahosts {host}")),
        );
    }
    drafts
}
