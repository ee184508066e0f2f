//! One rule for each finding, one file for each rule. A rule is pure: the same [`Case`], the same findings.

mod draft;
mod judge;
mod shared;

pub use draft::{Draft, Effect};
pub use judge::{Judgement, judge};

pub(crate) use window_limited::even_bursts;

use crate::case::Case;
use crate::finding::Id;

/// What the evidence calls a GODEBUG that counts for this process; the verdict reads it.
pub(crate) const GODEBUG_IN_FORCE: &str = "GODEBUG in the environment";

/// Whether somebody on the path answers TLS in the origin's place.
#[must_use]
pub fn is_intercepted(case: &Case<'_>, path: crate::case::PathView<'_>) -> bool {
    shared::interception(case, path).is_some()
}

/// A rule: its finding, and what it says of a case.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The finding.
    pub id: Id,
    /// Judges a case. Most cases give nothing; several paths may give several.
    pub judge: fn(&Case<'_>) -> Vec<Draft>,
}

macro_rules! rules {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every rule. One for each [`Id`], in its order.
        pub const ALL: &[Rule] = &[$($module::RULE),*];
    };
}

rules! {
    http2_disabled_by_env, http2_not_offered, http2_stripped_by_proxy, plain_http, http1_connection_close,
    settings_missing, settings_late, settings_invalid, max_concurrent_streams_low, goaway_churn, stream_reset,
    connection_reset, window_limited, idle_timeout_short, tls_intercepted, tls_untrusted, tls_expired,
    tls_name_mismatch, tls_client_cert_required, tls_old, tls_renegotiation, dns_slow, dns_failing, ipv6_broken,
    proxy_unreachable, proxy_auth_required, proxy_refused, upstream_unreachable, upstream_status, upstream_slow,
    packet_loss, bandwidth_limited, serial_requests, gomaxprocs_low, gotoolchain_download, unpruned_graph,
    gosum_incomplete, sumdb_unreachable, checksum_mismatch, goproxy_fallback, goproxy_direct, goproxy_off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_its_rule() {
        let ids: Vec<Id> = ALL.iter().map(|rule| rule.id).collect();
        assert_eq!(ids, Id::ALL);
    }
}
