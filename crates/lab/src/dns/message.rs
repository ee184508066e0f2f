//! DNS messages (RFC 1035, section 4; EDNS: RFC 6891): queries read, answers written.

use std::net::IpAddr;

/// Bytes of the fixed header.
const HEADER: usize = 12;

/// Bytes of a UDP answer to a client that does not say what it takes (RFC 1035, 2.3.4).
const PLAIN_UDP: usize = 512;

/// Bytes of a UDP answer, at most, whatever the client says it takes: no fragments on a link with an MTU of 1280.
pub(super) const MAX_UDP: usize = 1232;

/// Bytes of a name on the wire, at most (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;

const CLASS_IN: u16 = 1;
const TYPE_OPT: u16 = 41;

/// The type of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueryType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Another type, by its number.
    Other(u16),
}

/// How an answer says what became of the query (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
}

/// A query with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    id: u16,
    recursion_desired: bool,
    /// The question as it came, to be sent back with the same letters.
    question: Vec<u8>,
    /// The name in lower case, without the final dot. Bytes that are no ASCII letters, digits, `-` or `_` are escaped.
    pub(super) name: String,
    pub(super) kind: QueryType,
    /// Bytes of a UDP answer that the client takes, where it speaks EDNS.
    edns: Option<usize>,
}

/// A message that is no query for this server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Not to be answered: too short for a header, or an answer itself.
    Ignore,
    /// To be answered so.
    Answer([u8; HEADER]),
}

impl QueryType {
    fn from_number(number: u16) -> Self {
        match number {
            1 => Self::A,
            28 => Self::Aaaa,
            other => Self::Other(other),
        }
    }

    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Other(number) => number,
        }
    }
}

impl Query {
    /// Reads a message.
    pub(super) fn decode(message: &[u8]) -> Result<Self, Unreadable> {
        let header = message.first_chunk::<HEADER>().ok_or(Unreadable::Ignore)?;
        if header[2] & 0x80 != 0 {
            return Err(Unreadable::Ignore);
        }
        let failed = |code| Unreadable::Answer(failure_header(header, code));
        if header[2] & 0x78 != 0 {
            return Err(failed(Code::NotImp));
        }
        if number(message, 4) != Some(1) {
            return Err(failed(Code::FormErr));
        }
        let (name, after_name) = question_name(message).ok_or_else(|| failed(Code::FormErr))?;
        let kind = number(message, after_name).ok_or_else(|| failed(Code::FormErr))?;
        let class = number(message, after_name + 2).ok_or_else(|| failed(Code::FormErr))?;
        if class != CLASS_IN {
            return Err(failed(Code::NotImp));
        }
        Ok(Self {
            id: u16::from_be_bytes([header[0], header[1]]),
            recursion_desired: header[2] & 1 != 0,
            question: message[HEADER..after_name + 4].to_vec(),
            name,
            kind: QueryType::from_number(kind),
            edns: edns(message, after_name + 4),
        })
    }

    /// Bytes that an answer over UDP may have.
    pub(super) fn udp_limit(&self) -> usize {
        self.edns.map_or(PLAIN_UDP, |size| size.clamp(PLAIN_UDP, MAX_UDP))
    }

    /// The answer with `addresses`, of which those that do not fit into `limit` bytes are left out, with the TC bit.
    pub(super) fn answer(&self, code: Code, addresses: &[IpAddr], ttl: u32, limit: usize) -> Vec<u8> {
        let opt = if self.edns.is_some() { OPT.len() } else { 0 };
        let limit = limit.min(usize::from(u16::MAX)) - opt;
        let mut records = Vec::new();
        let mut count = 0_u16;
        let mut truncated = false;
        for address in addresses {
            let record = self.record(*address, ttl);
            if HEADER + self.question.len() + records.len() + record.len() > limit {
                truncated = true;
                break;
            }
            records.extend_from_slice(&record);
            count += 1;
        }
        self.message(code, truncated, count, &records)
    }

    /// An empty answer with the TC bit.
    pub(super) fn truncated(&self) -> Vec<u8> {
        self.message(Code::NoError, true, 0, &[])
    }

    fn message(&self, code: Code, truncated: bool, answers: u16, records: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER + self.question.len() + records.len() + OPT.len());
        message.extend_from_slice(&self.id.to_be_bytes());
        // QR and AA; the server says that recursion is available, as stub resolvers expect it.
        message.push(0x84 | u8::from(truncated) << 1 | u8::from(self.recursion_desired));
        message.push(0x80 | code as u8);
        for count in [1, answers, 0, u16::from(self.edns.is_some())] {
            message.extend_from_slice(&count.to_be_bytes());
        }
        message.extend_from_slice(&self.question);
        message.extend_from_slice(records);
        if self.edns.is_some() {
            message.extend_from_slice(&OPT);
        }
        message
    }

    fn record(&self, address: IpAddr, ttl: u32) -> Vec<u8> {
        // The owner is the question's name, by a pointer to it (RFC 1035, 4.1.4).
        let mut record = vec![0xc0, HEADER as u8];
        record.extend_from_slice(&self.kind.number().to_be_bytes());
        record.extend_from_slice(&CLASS_IN.to_be_bytes());
        record.extend_from_slice(&ttl.to_be_bytes());
        match address {
            IpAddr::V4(address) => {
                record.extend_from_slice(&4_u16.to_be_bytes());
                record.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                record.extend_from_slice(&16_u16.to_be_bytes());
                record.extend_from_slice(&address.octets());
            }
        }
        record
    }
}

/// The OPT record of an answer: the root, type 41, what this server takes, no flags, no options (RFC 6891, 6.1.2).
const OPT: [u8; 11] = [0, 0, TYPE_OPT as u8, (MAX_UDP >> 8) as u8, (MAX_UDP & 0xff) as u8, 0, 0, 0, 0, 0, 0];

fn failure_header(header: &[u8; HEADER], code: Code) -> [u8; HEADER] {
    let mut answer = [0; HEADER];
    answer[..2].copy_from_slice(&header[..2]);
    answer[2] = 0x80 | header[2] & 0x79;
    answer[3] = code as u8;
    answer
}

/// Reads the question's name, which is never compressed, and says where it ends.
fn question_name(message: &[u8]) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > 63 || at + length - HEADER >= MAX_NAME {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        for byte in message.get(at..at + length)? {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
                name.push(char::from(byte.to_ascii_lowercase()));
            } else {
                name.push_str(&format!("\\{byte:03}"));
            }
        }
        at += length;
    }
}

/// The size that a client's OPT record states. Only one directly behind the question is looked for, where all stub
/// resolvers put it; what else the sections hold is not read.
fn edns(message: &[u8], at: usize) -> Option<usize> {
    let only_additional = number(message, 6) == Some(0) && number(message, 8) == Some(0);
    let is_opt = *message.get(at)? == 0 && number(message, at + 1)? == TYPE_OPT;
    (only_additional && number(message, 10)? > 0 && is_opt).then(|| number(message, at + 3).map(usize::from)).flatten()
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
