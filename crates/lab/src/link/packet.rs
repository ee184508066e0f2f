//! The little that the relay must know of a packet: whether it is IPv6, and whether it carries data.

/// What the relay sees of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// IPv4, or nothing that is known.
    Other,
    /// IPv6 without a payload of TCP: opening, acknowledging and closing a connection, ICMPv6.
    V6Control,
    /// IPv6 with bytes of the application: TCP with a payload, or UDP.
    V6Data,
}

/// Reads the IPv6 header (RFC 8200 section 3) and the TCP data offset (RFC 9293 section 3.1). Extension headers are not
/// followed: the kernel's TCP sends none.
pub(super) fn kind(packet: &[u8]) -> Kind {
    const HEADER: usize = 40;
    const UDP: u8 = 17;
    const TCP: u8 = 6;
    if packet.first().is_none_or(|byte| byte >> 4 != 6) || packet.len() < HEADER {
        return Kind::Other;
    }
    let payload = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    match packet[6] {
        UDP => Kind::V6Data,
        TCP => match packet.get(HEADER + 12) {
            Some(byte) if payload > usize::from(byte >> 4) * 4 => Kind::V6Data,
            _ => Kind::V6Control,
        },
        _ => Kind::V6Control,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(next: u8, tcp_words: u8, data: usize) -> Vec<u8> {
        let payload = usize::from(tcp_words) * 4 + data;
        let mut packet = vec![0; 40 + payload];
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&u16::try_from(payload).unwrap().to_be_bytes());
        packet[6] = next;
        if let Some(byte) = packet.get_mut(52) {
            *byte = tcp_words << 4;
        }
        packet
    }

    #[test]
    fn tells_data_from_control() {
        assert_eq!(kind(&v6(6, 10, 0)), Kind::V6Control);
        assert_eq!(kind(&v6(6, 8, 1)), Kind::V6Data);
        assert_eq!(kind(&v6(17, 5, 0)), Kind::V6Data);
        assert_eq!(kind(&v6(58, 5, 0)), Kind::V6Control);
    }

    #[test]
    fn short_and_other_packets_are_other() {
        assert_eq!(kind(&[]), Kind::Other);
        assert_eq!(kind(&[0x60; 39]), Kind::Other);
        assert_eq!(kind(&[0x45; 60]), Kind::Other);
        assert_eq!(kind(&v6(6, 0, 0)), Kind::V6Control);
    }
}
