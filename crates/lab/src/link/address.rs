//! The addresses of a link. They are the same for every link: each has network namespaces of its own, so they cannot meet.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The client's IPv4 address.
pub const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 66, 1, 1);
/// The client's IPv6 address.
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x66, 1, 0, 0, 0, 0, 1);

/// The server side's IPv4 address of a host, 1 to 254. All of 10.66.2.0/24 belongs to the server side.
pub const fn server_v4(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 66, 2, host)
}

/// The server side's IPv6 address of a host, 1 to [`SERVER_V6_HOSTS`].
pub const fn server_v6(host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x66, 2, 0, 0, 0, 0, host as u16)
}

/// How many IPv6 addresses the server side has. IPv6 has no binding to a whole prefix, so each is configured.
pub const SERVER_V6_HOSTS: u8 = 32;

/// An address beyond the link where nobody answers: packets to it cross the link and are swallowed. For timeouts of `connect`.
pub const SILENT_V4: Ipv4Addr = Ipv4Addr::new(10, 66, 3, 1);
/// The same for IPv6.
pub const SILENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x66, 3, 0, 0, 0, 0, 1);

/// The name of the TUN interface on each side.
pub(super) const INTERFACE: &str = "goferry0";

/// The lines for `ip -batch` on the client side.
pub(super) fn client_setup(congestion: &str, v6: bool) -> String {
    let mut lines = common_setup(v6);
    lines += &format!("addr add {CLIENT_V4}/32 dev {INTERFACE}\n");
    for net in ["10.66.2.0/24", "10.66.3.0/24"] {
        lines += &format!("route add {net} dev {INTERFACE} src {CLIENT_V4} congctl {congestion}\n");
    }
    if v6 {
        lines += &format!("addr add {CLIENT_V6}/128 dev {INTERFACE} nodad\n");
        for net in ["fd00:66:2::/64", "fd00:66:3::/64"] {
            lines += &format!("route add {net} dev {INTERFACE} src {CLIENT_V6} congctl {congestion}\n");
        }
    }
    lines
}

/// The lines for `ip -batch` on the server side.
pub(super) fn server_setup(congestion: &str, v6: bool) -> String {
    let mut lines = common_setup(v6);
    lines += &format!("addr add {}/32 dev {INTERFACE}\n", server_v4(1));
    // A local route makes the whole prefix the machine's own: any of its addresses can be bound and answers.
    lines += "route add local 10.66.2.0/24 dev lo\n";
    lines += &format!("route add 10.66.1.0/24 dev {INTERFACE} src {} congctl {congestion}\n", server_v4(1));
    if v6 {
        for host in 1..=SERVER_V6_HOSTS {
            lines += &format!("addr add {}/128 dev {INTERFACE} nodad\n", server_v6(host));
        }
        lines += &format!("route add fd00:66:1::/64 dev {INTERFACE} src {} congctl {congestion}\n", server_v6(1));
    }
    lines
}

/// MTU 1500 and a transmit queue long enough that only the relay ever drops.
fn common_setup(v6: bool) -> String {
    let quiet = if v6 { " addrgenmode none" } else { "" };
    format!("link set lo up\nlink set {INTERFACE} mtu 1500 txqueuelen 10000{quiet}\nlink set {INTERFACE} up\n")
}
