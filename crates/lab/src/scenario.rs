//! A whole situation as data, and the means to make it real: the modules, what the origin does, what lies between it
//! and the client, the client's environment and its project.
//!
//! [`Scenario::default`] is healthy: eight modules of 20 kB on an HTTP/2 origin behind a link of 20 ms round trip time,
//! certificates of a private authority that the client trusts, a project with a complete go.sum. A fault changes as
//! little of it as it can. [`start`] makes it real.

mod drive;
mod network;
mod running;

use std::time::Duration;

pub use self::drive::{DriveError, Driven, drive};
pub use self::running::{Running, ScenarioError, start, start_local, start_on_link};

use crate::link::Ipv6Mode;
use crate::server::Behaviour;
use crate::universe::{ProjectSpec, Shape, Universe, ZipSize};

/// The name that the origin is reached by across the link.
pub const ORIGIN_HOST: &str = "goproxy.example.com";
/// The name of the second entry of a GOPROXY list, which knows no module.
pub const EMPTY_HOST: &str = "empty.example.com";

/// A situation.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The modules.
    pub universe: UniverseSpec,
    /// What the origin does.
    pub behaviour: Behaviour,
    /// Whether anything listens where the origin should.
    pub upstream: Upstream,
    /// The proxy that the client is told to use.
    pub forward: Forward,
    /// How the origin's name becomes an address.
    pub names: Names,
    /// With a mode, the origin has an IPv6 address as well, and the link treats IPv6 so.
    pub ipv6: Option<Ipv6Mode>,
    /// Host names that lead to an address where nobody answers.
    pub swallowed_hosts: &'static [&'static str],
    /// The way between client and servers.
    pub link: LinkSpec,
    /// GOPROXY, with `{origin}` and `{empty}` for the two URLs.
    pub goproxy: &'static str,
    /// More variables of the client: they win over those that the scenario sets by itself.
    pub env: &'static [(&'static str, &'static str)],
    /// The client's project.
    pub project: ProjectSpec,
    /// Whether only a deep diagnosis (`doctor --deep`) can see it.
    pub deep: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            universe: UniverseSpec::default(),
            behaviour: Behaviour::default(),
            upstream: Upstream::Listening,
            forward: Forward::None,
            names: Names::Hosts,
            ipv6: None,
            swallowed_hosts: &[],
            link: LinkSpec::default(),
            goproxy: "{origin}",
            env: &[],
            project: ProjectSpec::default(),
            deep: false,
        }
    }
}

impl Scenario {
    /// A healthy situation but for what the origin does.
    #[must_use]
    pub fn of(behaviour: Behaviour) -> Self {
        Self { behaviour, ..Self::default() }
    }
}

/// What a [`Universe`] is made of; see [`Universe::builder`].
#[derive(Debug, Clone)]
pub struct UniverseSpec {
    /// How many modules.
    pub modules: usize,
    /// How large their zips are.
    pub zip_size: ZipSize,
    /// How they require each other.
    pub shape: Shape,
    /// The `go` line of their go.mod files.
    pub go_line: &'static str,
}

impl Default for UniverseSpec {
    fn default() -> Self {
        Self { modules: 8, zip_size: ZipSize::Fixed(20_000), shape: Shape::Flat, go_line: "1.21" }
    }
}

impl UniverseSpec {
    /// Makes it.
    #[must_use]
    pub fn build(&self) -> Universe {
        let builder = Universe::builder().modules(self.modules).zip_size(self.zip_size);
        builder.shape(self.shape).go_line(self.go_line).build()
    }
}

/// What listens at the origin's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Upstream {
    /// The origin.
    #[default]
    Listening,
    /// Nothing: connections are refused.
    Closed,
}

/// The proxy in HTTPS_PROXY and HTTP_PROXY.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Forward {
    /// None.
    #[default]
    None,
    /// A CONNECT proxy that speaks HTTP/1.1 only and tunnels.
    Connect,
    /// One that asks for credentials which the client does not have (407).
    AsksCredentials,
    /// One that answers every request with this status.
    Refuses(u16),
    /// Nothing listens there.
    Dead,
    /// One that ends TLS with an authority of its own, which the client trusts, and chooses from these protocols; with
    /// none it does not answer ALPN.
    Intercepts(&'static [&'static str]),
}

/// How the client finds the origin's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// By its hosts file: at once.
    #[default]
    Hosts,
    /// By a DNS server that answers after this time.
    SlowDns(Duration),
    /// By a DNS server that answers SERVFAIL.
    FailingDns,
}

/// The emulated link; see [`crate::link`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkSpec {
    /// Round trip time.
    pub rtt: Duration,
    /// Bits a second in each direction; no limit without.
    pub rate_bits: Option<u64>,
    /// Probability that a packet to the client is lost.
    pub loss: f64,
    /// TCP congestion control of both sides.
    pub congestion: &'static str,
}

impl Default for LinkSpec {
    fn default() -> Self {
        Self { rtt: Duration::from_millis(20), rate_bits: None, loss: 0.0, congestion: "cubic" }
    }
}
