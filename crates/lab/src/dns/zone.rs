//! What the server knows, and how it behaves for which name and type.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::message::QueryType;

/// Time to live of every record, in seconds. Zero: no client is to remember an answer from one test to the next.
pub(super) const TTL: u32 = 0;

/// How a query is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Answered from the records.
    #[default]
    Answer,
    /// Answered from the records, after this time.
    Delay(Duration),
    /// NXDOMAIN, whatever the records say.
    NxDomain,
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refused,
    /// Not answered.
    Drop,
    /// Over UDP an empty answer with the TC bit, which sends the client to TCP; there answered from the records.
    Truncate,
}

/// Records and behaviours. Names are compared without regard to case; a final dot is ignored.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    records: HashMap<String, Addresses>,
    rules: HashMap<(Option<String>, Option<QueryType>), Behaviour>,
}

#[derive(Clone, Debug, Default)]
struct Addresses {
    v4: BTreeSet<Ipv4Addr>,
    v6: BTreeSet<Ipv6Addr>,
}

/// The records of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Records {
    NoSuchName,
    These(Vec<IpAddr>),
}

impl Zone {
    /// A zone that knows no name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an A or AAAA record. A name may have several of each; they are answered in ascending order.
    #[must_use]
    pub fn record(mut self, name: &str, address: IpAddr) -> Self {
        let addresses = self.records.entry(normal(name)).or_default();
        match address {
            IpAddr::V4(address) => addresses.v4.insert(address),
            IpAddr::V6(address) => addresses.v6.insert(address),
        };
        self
    }

    /// Treats all queries for `name` so, but for types that [`Zone::behaviour_for`] names.
    #[must_use]
    pub fn behaviour(mut self, name: &str, behaviour: Behaviour) -> Self {
        self.rules.insert((Some(normal(name)), None), behaviour);
        self
    }

    /// Treats queries for `name` of one type so.
    #[must_use]
    pub fn behaviour_for(mut self, name: &str, kind: QueryType, behaviour: Behaviour) -> Self {
        self.rules.insert((Some(normal(name)), Some(kind)), behaviour);
        self
    }

    /// Treats queries for every name so, but for names that have a behaviour of their own.
    #[must_use]
    pub fn default_behaviour(mut self, behaviour: Behaviour) -> Self {
        self.rules.insert((None, None), behaviour);
        self
    }

    /// Treats queries of one type for every name so, but for names that have a behaviour of their own.
    #[must_use]
    pub fn default_behaviour_for(mut self, kind: QueryType, behaviour: Behaviour) -> Self {
        self.rules.insert((None, Some(kind)), behaviour);
        self
    }

    /// Leaves AAAA queries for `name` without an answer, as broken resolvers do, while A queries are answered.
    #[must_use]
    pub fn aaaa_black_hole(self, name: &str) -> Self {
        self.behaviour_for(name, QueryType::Aaaa, Behaviour::Drop)
    }

    /// The behaviour for a query: the name's for this type, the name's, the default for this type, the default.
    pub(super) fn rule(&self, name: &str, kind: QueryType) -> Behaviour {
        let name = Some(name.to_owned());
        let keys = [(name.clone(), Some(kind)), (name, None), (None, Some(kind)), (None, None)];
        keys.iter().find_map(|key| self.rules.get(key)).copied().unwrap_or_default()
    }

    pub(super) fn records(&self, name: &str, kind: QueryType) -> Records {
        let Some(addresses) = self.records.get(name) else {
            return Records::NoSuchName;
        };
        Records::These(match kind {
            QueryType::A => addresses.v4.iter().copied().map(IpAddr::V4).collect(),
            QueryType::Aaaa => addresses.v6.iter().copied().map(IpAddr::V6).collect(),
            QueryType::Other(_) => Vec::new(),
        })
    }
}

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_rule_wins() {
        let zone = Zone::new()
            .default_behaviour(Behaviour::Refused)
            .default_behaviour_for(QueryType::Aaaa, Behaviour::ServFail)
            .behaviour("Slow.Lab.", Behaviour::NxDomain)
            .aaaa_black_hole("slow.lab");
        assert_eq!(zone.rule("slow.lab", QueryType::Aaaa), Behaviour::Drop);
        assert_eq!(zone.rule("slow.lab", QueryType::A), Behaviour::NxDomain);
        assert_eq!(zone.rule("other.lab", QueryType::Aaaa), Behaviour::ServFail);
        assert_eq!(zone.rule("other.lab", QueryType::A), Behaviour::Refused);
        assert_eq!(Zone::new().rule("other.lab", QueryType::A), Behaviour::Answer);
    }

    #[test]
    fn records_are_by_type() {
        let zone = Zone::new().record("a.lab", Ipv4Addr::LOCALHOST.into());
        assert_eq!(zone.records("a.lab", QueryType::A), Records::These(vec![Ipv4Addr::LOCALHOST.into()]));
        assert_eq!(zone.records("a.lab", QueryType::Aaaa), Records::These(Vec::new()));
        assert_eq!(zone.records("b.lab", QueryType::A), Records::NoSuchName);
    }
}
