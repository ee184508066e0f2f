//! Addresses and names of a scenario on its link.

use std::net::{IpAddr, Ipv6Addr};
use std::process::{Command, Stdio};

use super::running::ScenarioError;
use super::{EMPTY_HOST, Names, ORIGIN_HOST, Scenario};
use crate::dns::{self, Zone};
use crate::link::{Link, LinkBuilder, SILENT_V4, server_v4};
use crate::universe::PREFIX;

/// Last bytes of the server-side addresses.
pub(super) const ORIGIN: u8 = 10;
pub(super) const EMPTY: u8 = 11;
pub(super) const DNS: u8 = 53;
/// Global IPv6 addresses (of the range for documentation, RFC 3849) beside the link's unique local ones: clients prefer
/// IPv4 to those (RFC 6724 section 2.1), and a broken IPv6 would never be tried.
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x66, 1, 0, 0, 0, 1);
pub(super) const ORIGIN_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x66, 2, 0, 0, 0, ORIGIN as u16);

/// The link, with the names that the client finds in its hosts file.
pub(super) fn link_builder(scenario: &Scenario) -> LinkBuilder {
    let spec = scenario.link;
    let mut builder = Link::builder().rtt(spec.rtt).loss(spec.loss).congestion(spec.congestion);
    if let Some(rate) = spec.rate_bits {
        builder = builder.rate_bits(rate);
    }
    if let Some(mode) = scenario.ipv6 {
        builder = builder.ipv6(mode);
    }
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    let mut name = |address: IpAddr, name: &str| hosts.push_str(&format!("{address} {name}\n"));
    if scenario.names == Names::Hosts {
        name(server_v4(ORIGIN).into(), ORIGIN_HOST);
        if scenario.ipv6.is_some() {
            name(ORIGIN_V6.into(), ORIGIN_HOST);
        }
    }
    name(server_v4(ORIGIN).into(), PREFIX);
    name(server_v4(EMPTY).into(), EMPTY_HOST);
    for host in scenario.swallowed_hosts {
        name(SILENT_V4.into(), host);
    }
    builder.client_hosts(&hosts).client_resolv_conf(&format!("nameserver {}\n", server_v4(DNS)))
}

/// Gives both sides of the link a global IPv6 address.
pub(super) fn add_global_ipv6(link: &Link) -> Result<(), ScenarioError> {
    let (client, origin) = (CLIENT_V6.to_string(), ORIGIN_V6.to_string());
    let ip = |arguments: &[&str]| {
        let mut command = Command::new("ip");
        command.arg("-6").args(arguments).args(["dev", "goferry0"]);
        command
    };
    let outputs = [
        link.client_output(ip(&["addr", "add", &client, "nodad"]).stdin(Stdio::null()))?,
        link.server_output(ip(&["addr", "add", &origin, "nodad"]).stdin(Stdio::null()))?,
        link.client_output(ip(&["route", "add", &origin, "src", &client]).stdin(Stdio::null()))?,
        link.server_output(ip(&["route", "add", &client, "src", &origin]).stdin(Stdio::null()))?,
    ];
    match outputs.iter().find(|output| !output.status.success()) {
        Some(failed) => Err(ScenarioError::NoIpv6(String::from_utf8_lossy(&failed.stderr).trim().to_owned())),
        None => Ok(()),
    }
}

pub(super) fn zone(names: Names, origin: IpAddr) -> Zone {
    let zone = Zone::new().record(ORIGIN_HOST, origin);
    match names {
        Names::Hosts => zone,
        Names::SlowDns(delay) => zone.behaviour(ORIGIN_HOST, dns::Behaviour::Delay(delay)),
        Names::FailingDns => zone.behaviour(ORIGIN_HOST, dns::Behaviour::ServFail),
    }
}
