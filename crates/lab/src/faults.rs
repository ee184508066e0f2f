//! Everything that can go wrong, one file a fault: what it is, what real go does with it, and what a diagnosis must find.
//!
//! A fault names the ids of `docs/findings` that it causes. A diagnosis of it reports exactly these at warning or above;
//! what is `info` here may be reported with it. Families (`rst-before-body-…`, `status-…`) share a file.

use std::time::Duration;

pub use self::survival::{Failing, Survival};

use crate::go_client::{GoRun, GoVersion, Outcome};
use crate::scenario::Scenario;

/// A go command that has not ended by then is said to hang.
pub const HANG: Duration = Duration::from_secs(8);

/// One thing that goes wrong, or a control where nothing does.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its name, as in `goferry lab run <id>`.
    pub id: &'static str,
    /// What is the case, in a few words.
    pub summary: &'static str,
    /// What a diagnosis must report; empty for a control.
    pub findings: &'static [Expected],
    /// What the go command does.
    pub go: Go,
    /// Describes the situation.
    pub build: fn() -> Scenario,
}

/// A finding that a fault must cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Id of the finding.
    pub id: &'static str,
    /// Its severity: `error`, `warning` or `info`.
    pub severity: &'static str,
}

impl Expected {
    const fn error(id: &'static str) -> Self {
        Self { id, severity: "error" }
    }

    const fn warning(id: &'static str) -> Self {
        Self { id, severity: "warning" }
    }

    const fn info(id: &'static str) -> Self {
        Self { id, severity: "info" }
    }
}

/// What `go mod download` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoDoes {
    /// It ends with status 0.
    Succeeds,
    /// It ends with another status, and its standard error has one of these texts.
    Fails(&'static [&'static str]),
    /// It does not end within [`HANG`].
    Hangs,
}

impl GoDoes {
    /// Whether this run is what was said.
    #[must_use]
    pub fn agrees(&self, run: &GoRun) -> bool {
        match (self, run.outcome) {
            (Self::Succeeds, Outcome::Succeeded) | (Self::Hangs, Outcome::Hung { .. }) => true,
            (Self::Fails(texts), Outcome::Failed { .. }) => texts.iter().any(|text| run.stderr.contains(text)),
            _ => false,
        }
    }

    /// A deadline that tells it: [`HANG`] where go hangs, a minute where it ends.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        if *self == Self::Hangs { HANG } else { Duration::from_secs(60) }
    }
}

/// What the go command does, by version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Go {
    before_1_27: GoDoes,
    since_1_27: GoDoes,
}

impl Go {
    /// The same in every version.
    const fn always(does: GoDoes) -> Self {
        Self { before_1_27: does, since_1_27: does }
    }

    /// Different from Go 1.27 on.
    const fn changed(before_1_27: GoDoes, since_1_27: GoDoes) -> Self {
        Self { before_1_27, since_1_27 }
    }

    /// What this version does.
    #[must_use]
    pub fn does(&self, version: &GoVersion) -> GoDoes {
        let minor = version.as_str().strip_prefix("go1.").and_then(|rest| rest.split('.').next());
        let minor = minor.and_then(|minor| minor.parse::<u32>().ok());
        if minor.is_some_and(|minor| minor < 27) { self.before_1_27 } else { self.since_1_27 }
    }
}

/// All faults, sorted by id.
#[must_use]
pub fn all() -> Vec<Fault> {
    let mut faults = single();
    faults.extend_from_slice(rst_before_body::FAMILY);
    faults.extend_from_slice(status::FAMILY);
    faults.sort_by_key(|fault| fault.id);
    faults
}

/// The fault with this id.
#[must_use]
pub fn find(id: &str) -> Option<Fault> {
    all().into_iter().find(|fault| fault.id == id)
}

/// What the files of the faults use.
mod prelude {
    pub(super) use std::time::Duration;

    pub(super) use goferry_wire::h2::{ErrorCode, SettingId, Settings};

    pub(super) use super::GoDoes::{Fails, Hangs, Succeeds};
    pub(super) use super::{Expected, Fault, Go};
    pub(super) use crate::link::Ipv6Mode;
    pub(super) use crate::scenario::{Forward, LinkSpec, Names, Scenario, UniverseSpec, Upstream};
    pub(super) use crate::server::Behaviour;
    pub(super) use crate::server::behaviour::{
        Answers, BodyFault, CertificateChoice, Concurrency, CutHow, Goaway, Http1, Http2, LastStream, OpensslMode,
        Reset, SettingsTiming, Silence, TlsOptions, TlsVersions, Transport, Which,
    };
    pub(super) use crate::universe::{FileKind, ProjectSpec, Shape, ZipSize};
}

mod rst_before_body;
mod status;
mod survival;

macro_rules! faults {
    ($($module:ident)*) => {
        $(mod $module;)*

        /// The faults that have a file of their own.
        fn single() -> Vec<Fault> {
            vec![$($module::FAULT),*]
        }
    };
}

faults! {
    alpn_none
    black_hole
    cert_expired
    cert_self_signed
    cert_wrong_name
    client_cert
    connect_proxy
    connection_close
    cut_inside_zip
    dns_failing
    dns_slow
    fallback_chain
    goaway_close_early
    goaway_every_10
    goaway_lying
    goaway_zero
    gomaxprocs_1
    goproxy_direct
    goproxy_off
    gosum_incomplete
    headers_endless
    healthy_h2
    healthy_private_ca
    hpack_corrupt
    http1_only
    http2client_off
    idle_close
    intercept_h2
    intercept_no_alpn
    ipv6_dead
    ipv6_swallow
    long_way
    loss_1pct_cubic
    one_stream
    plain_http
    proxy_403
    proxy_407
    proxy_dead
    rst_inside_body
    settings_invalid_value
    settings_late
    settings_missing
    settings_not_first
    silent_after_headers
    slow_origin
    sumdb_blocked
    thin_link
    tls11_only
    tls12_only
    tls12_renegotiation
    toolchain_download
    truncated_zip
    unpruned_graph
    upstream_dead
    window_small
    window_stalled
    wrong_hash
    wrong_mod_hash
}

#[cfg(test)]
mod tests;
