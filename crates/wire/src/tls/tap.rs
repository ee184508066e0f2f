//! Looking at the records of a connection somebody else speaks.

use std::collections::BTreeMap;

use super::alert::Alert;
use super::hello::{ClientHello, ServerHello};
use super::reader::HelloError;
use super::record::{ContentType, HandshakeType, ProtocolVersion, RecordError, RecordHeader};

/// Octets of a hello that are kept; a longer one is not read.
const KEEP: usize = 32 * 1024;

/// Reads one direction of a TLS connection, from its first byte on, without any key.
///
/// It reports every record, every handshake message before encryption begins, the hellos, and alerts that are not
/// encrypted. It keeps at most one hello.
///
/// In TLS 1.2 the content type of a record can be seen throughout. The first handshake record after
/// ChangeCipherSpec is Finished, a single record; a later one starts a **renegotiation**, from a server with
/// HelloRequest (RFC 5246, section 7.4.1.1). The go command answers that with the alert no_renegotiation and fails.
/// In TLS 1.3 there is no renegotiation, and encrypted records all look like application data.
#[derive(Debug, Default)]
pub struct RecordTap {
    state: State,
    messages: Messages,
    /// Encryption has begun, and so many handshake records have passed since. Known for TLS 1.2 and before only.
    encrypted: Option<u64>,
    version: Option<ProtocolVersion>,
    renegotiations: u64,
    records: BTreeMap<ContentType, u64>,
    bytes: u64,
}

/// Where in the stream of records the tap is.
#[derive(Debug)]
enum State {
    Header { have: usize, bytes: [u8; RecordHeader::LEN] },
    Payload { header: RecordHeader, left: u16, alert: [u8; 2] },
    Lost,
}

const BEFORE_HEADER: State = State::Header { have: 0, bytes: [0; RecordHeader::LEN] };

impl Default for State {
    fn default() -> Self {
        BEFORE_HEADER
    }
}

/// What a tap saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TapEvent {
    /// A record has passed.
    Record {
        /// Its header.
        header: RecordHeader,
        /// The alert in it, if it is one that is not encrypted.
        alert: Option<Alert>,
        /// Whether it belongs to a renegotiation.
        renegotiation: bool,
    },
    /// A handshake message begins that is not encrypted.
    Handshake {
        /// Its type.
        kind: HandshakeType,
        /// Octets of its body.
        length: u32,
    },
    /// A ClientHello has passed.
    ClientHello(Box<ClientHello>),
    /// A ServerHello or HelloRetryRequest has passed.
    ServerHello(Box<ServerHello>),
    /// A hello has passed that is none.
    BadHello(HelloError),
    /// This is no TLS, or not any more. Nothing follows.
    NotTls(RecordError),
}

impl RecordTap {
    /// A tap for one direction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at bytes that pass, and calls `on` for each thing they complete, in order.
    pub fn push(&mut self, mut bytes: &[u8], mut on: impl FnMut(TapEvent)) {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let used = self.step(bytes, &mut on);
            bytes = &bytes[used..];
        }
    }

    /// [`RecordTap::push`], with the events in a list.
    pub fn events(&mut self, bytes: &[u8]) -> Vec<TapEvent> {
        let mut events = Vec::new();
        self.push(bytes, |event| events.push(event));
        events
    }

    /// Octets that passed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records of one type that have passed entirely.
    pub fn records_of(&self, content_type: ContentType) -> u64 {
        self.records.get(&content_type).copied().unwrap_or(0)
    }

    /// The version, once a ServerHello has said it: known to the tap of the server's direction.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.version
    }

    /// Handshake records after the handshake, in TLS 1.2 and before: not 0 means that this side wanted to renegotiate.
    pub fn renegotiations(&self) -> u64 {
        self.renegotiations
    }

    /// Whether the stream may end here without cutting a record off.
    pub fn is_between_records(&self) -> bool {
        matches!(self.state, State::Header { have: 0, .. })
    }

    /// Uses up some of `bytes`, which is not empty, and says how much.
    fn step(&mut self, bytes: &[u8], on: &mut impl FnMut(TapEvent)) -> usize {
        match &mut self.state {
            State::Header { have, bytes: header } => {
                let take = bytes.len().min(RecordHeader::LEN - *have);
                header[*have..*have + take].copy_from_slice(&bytes[..take]);
                *have += take;
                if *have == RecordHeader::LEN {
                    match RecordHeader::decode(header) {
                        Ok(header) => self.begin(header, on),
                        Err(error) => {
                            self.state = State::Lost;
                            on(TapEvent::NotTls(error));
                        }
                    }
                }
                take
            }
            State::Payload { header, left, alert } => {
                let take = bytes.len().min(usize::from(*left));
                let piece = &bytes[..take];
                match header.content_type {
                    ContentType::Alert => {
                        let passed = usize::from(header.length - *left);
                        alert.iter_mut().skip(passed).zip(piece).for_each(|(kept, octet)| *kept = *octet);
                    }
                    ContentType::Handshake if self.encrypted.is_none() => {
                        let version = &mut self.version;
                        self.messages.push(piece, |event| {
                            if let TapEvent::ServerHello(hello) = &event {
                                *version = Some(hello.version());
                            }
                            on(event);
                        });
                    }
                    _ => {}
                }
                *left -= take as u16;
                if *left == 0 {
                    let (header, alert) = (*header, *alert);
                    self.end(header, alert, on);
                }
                take
            }
            State::Lost => bytes.len(),
        }
    }

    fn begin(&mut self, header: RecordHeader, on: &mut impl FnMut(TapEvent)) {
        if header.length == 0 {
            self.end(header, [0; 2], on);
        } else {
            self.state = State::Payload { header, left: header.length, alert: [0; 2] };
        }
    }

    fn end(&mut self, header: RecordHeader, alert: [u8; 2], on: &mut impl FnMut(TapEvent)) {
        self.state = BEFORE_HEADER;
        *self.records.entry(header.content_type).or_default() += 1;
        let mut renegotiation = false;
        match header.content_type {
            // In TLS 1.3 this record means nothing (RFC 8446, appendix D.4).
            ContentType::ChangeCipherSpec if self.version != Some(ProtocolVersion::TLS_1_3) => {
                self.encrypted.get_or_insert(0);
            }
            ContentType::Handshake => {
                if let Some(records) = &mut self.encrypted {
                    renegotiation = *records > 0;
                    *records += 1;
                    self.renegotiations += u64::from(renegotiation);
                }
            }
            _ => {}
        }
        // An encrypted alert is longer.
        let plain = header.content_type == ContentType::Alert && header.length == 2;
        let alert = plain.then(|| Alert::decode(alert));
        on(TapEvent::Record { header, alert, renegotiation });
    }
}

/// Puts handshake messages together, of which a record can hold several or a part.
#[derive(Debug, Default)]
struct Messages {
    header: [u8; 4],
    have: usize,
    left: usize,
    body: Vec<u8>,
}

impl Messages {
    fn push(&mut self, mut bytes: &[u8], mut on: impl FnMut(TapEvent)) {
        while let Some((octet, rest)) = bytes.split_first() {
            if self.have < self.header.len() {
                self.header[self.have] = *octet;
                self.have += 1;
                bytes = rest;
                if self.have == self.header.len() {
                    let (kind, length) = self.parsed();
                    self.left = length as usize;
                    on(TapEvent::Handshake { kind, length });
                }
            } else {
                let take = self.left.min(bytes.len());
                if self.is_kept() {
                    self.body.extend_from_slice(&bytes[..take]);
                }
                self.left -= take;
                bytes = &bytes[take..];
            }
            if self.have == self.header.len() && self.left == 0 {
                self.end(&mut on);
            }
        }
    }

    fn parsed(&self) -> (HandshakeType, u32) {
        let [kind, l0, l1, l2] = self.header;
        (HandshakeType(kind), u32::from_be_bytes([0, l0, l1, l2]))
    }

    fn is_kept(&self) -> bool {
        let (kind, length) = self.parsed();
        matches!(kind, HandshakeType::CLIENT_HELLO | HandshakeType::SERVER_HELLO) && length as usize <= KEEP
    }

    fn end(&mut self, on: &mut impl FnMut(TapEvent)) {
        if self.is_kept() {
            let event = if self.parsed().0 == HandshakeType::CLIENT_HELLO {
                ClientHello::decode(&self.body).map(|hello| TapEvent::ClientHello(Box::new(hello)))
            } else {
                ServerHello::decode(&self.body).map(|hello| TapEvent::ServerHello(Box::new(hello)))
            };
            on(event.unwrap_or_else(TapEvent::BadHello));
        }
        self.have = 0;
        self.body = Vec::new();
    }
}
