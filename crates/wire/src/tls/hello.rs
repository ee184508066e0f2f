//! The first message of each side (RFC 8446, sections 4.1.2 and 4.1.3), which is never encrypted.

use super::reader::{HelloError, Reader};
use super::record::ProtocolVersion;

/// The random value by which a ServerHello is a HelloRetryRequest (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Numbers of extensions (the registry of RFC 8447).
mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const SUPPORTED_GROUPS: u16 = 10;
    pub(super) const ALPN: u16 = 16;
    pub(super) const SESSION_TICKET: u16 = 35;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const EARLY_DATA: u16 = 42;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(super) const KEY_SHARE: u16 = 51;
    pub(super) const RENEGOTIATION_INFO: u16 = 0xff01;
}

/// What a client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The version field; TLS 1.3 is only in [`ClientHello::supported_versions`].
    pub legacy_version: ProtocolVersion,
    /// 32 random octets.
    pub random: [u8; 32],
    /// Session to resume (TLS 1.2), or anything (TLS 1.3).
    pub session_id: Vec<u8>,
    /// Cipher suites, the best first.
    pub cipher_suites: Vec<u16>,
    /// Host name in SNI (RFC 6066), with U+FFFD for what is not UTF-8.
    pub server_name: Option<String>,
    /// Protocols in ALPN (RFC 7301), the best first; empty if the extension is not there.
    pub alpn: Vec<Vec<u8>>,
    /// Versions in the extension; empty if it is not there.
    pub supported_versions: Vec<ProtocolVersion>,
    /// Key exchange groups, the best first.
    pub supported_groups: Vec<u16>,
    /// Groups for which a key share was sent.
    pub key_shares: Vec<u16>,
    /// Octets of the TLS 1.2 session ticket (RFC 5077): 0 if tickets are supported and none is there to resume.
    pub session_ticket: Option<usize>,
    /// Whether a TLS 1.3 session is to be resumed.
    pub pre_shared_key: bool,
    /// Whether early data (0-RTT) follows.
    pub early_data: bool,
    /// Numbers of all extensions in order.
    pub extensions: Vec<u16>,
}

impl ClientHello {
    /// Reads the body of the message: what follows the four octets of type and length.
    ///
    /// # Errors
    ///
    /// Where the body, or one of the extensions named here, does not have the form that the RFC gives it.
    pub fn decode(body: &[u8]) -> Result<Self, HelloError> {
        let mut reader = Reader::new(body);
        let mut hello = Self {
            legacy_version: ProtocolVersion(reader.u16("version")?),
            random: reader.array("random")?,
            session_id: session_id(&mut reader)?,
            cipher_suites: reader.vector16("cipher suites")?.u16s("cipher suites")?,
            server_name: None,
            alpn: Vec::new(),
            supported_versions: Vec::new(),
            supported_groups: Vec::new(),
            key_shares: Vec::new(),
            session_ticket: None,
            pre_shared_key: false,
            early_data: false,
            extensions: Vec::new(),
        };
        reader.vector8("compression methods")?;
        for_each_extension(&mut reader, |kind, data| {
            hello.extensions.push(kind);
            hello.extension(kind, data)
        })?;
        Ok(hello)
    }

    /// Whether ALPN offers this protocol, such as `h2`.
    pub fn offers(&self, protocol: &str) -> bool {
        self.alpn.iter().any(|offered| offered == protocol.as_bytes())
    }

    /// The newest version offered. Values that only keep servers tolerant (RFC 8701) do not count.
    pub fn newest_version(&self) -> ProtocolVersion {
        let real = self.supported_versions.iter().filter(|version| !version.is_grease());
        real.max().copied().unwrap_or(self.legacy_version)
    }

    fn extension(&mut self, kind: u16, mut data: Reader<'_>) -> Result<(), HelloError> {
        match kind {
            extension::SERVER_NAME => {
                let mut names = data.vector16("server_name list")?;
                data.end("server_name")?;
                while !names.is_empty() {
                    let is_host = names.u8("server_name type")? == 0;
                    let name = names.vector16("server_name")?.rest();
                    if is_host && self.server_name.is_none() {
                        self.server_name = Some(String::from_utf8_lossy(name).into_owned());
                    }
                }
            }
            extension::ALPN => self.alpn = protocols(data)?,
            extension::SUPPORTED_VERSIONS => {
                let versions = data.vector8("supported_versions")?.u16s("supported_versions")?;
                data.end("supported_versions")?;
                self.supported_versions = versions.into_iter().map(ProtocolVersion).collect();
            }
            extension::SUPPORTED_GROUPS => {
                self.supported_groups = data.vector16("supported_groups")?.u16s("supported_groups")?;
                data.end("supported_groups")?;
            }
            extension::KEY_SHARE => {
                let mut shares = data.vector16("key_share list")?;
                data.end("key_share")?;
                while !shares.is_empty() {
                    self.key_shares.push(shares.u16("key_share group")?);
                    shares.vector16("key_share")?;
                }
            }
            extension::SESSION_TICKET => self.session_ticket = Some(data.len()),
            extension::PRE_SHARED_KEY => self.pre_shared_key = true,
            extension::EARLY_DATA => self.early_data = true,
            _ => {}
        }
        Ok(())
    }
}

/// What a server chose. In TLS 1.3 most of its answer, ALPN too, is in the encrypted extensions that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello {
    /// The version field; TLS 1.3 is only in the extension: see [`ServerHello::version`].
    pub legacy_version: ProtocolVersion,
    /// 32 octets, random unless this is a HelloRetryRequest.
    pub random: [u8; 32],
    /// Session (TLS 1.2: the client's own if it is resumed), or the client's echoed (TLS 1.3).
    pub session_id: Vec<u8>,
    /// The cipher suite.
    pub cipher_suite: u16,
    /// Version in the extension, if there is one.
    pub selected_version: Option<ProtocolVersion>,
    /// Protocol in ALPN, which a TLS 1.3 server does not say here.
    pub alpn: Option<Vec<u8>>,
    /// The key exchange group (TLS 1.3).
    pub key_share: Option<u16>,
    /// Whether the server will send a session ticket (TLS 1.2).
    pub session_ticket: bool,
    /// Whether renegotiation, if it happens, is bound to this handshake (RFC 5746).
    pub secure_renegotiation: bool,
    /// Whether a TLS 1.3 session is resumed.
    pub pre_shared_key: bool,
    /// Numbers of all extensions in order.
    pub extensions: Vec<u16>,
}

impl ServerHello {
    /// Reads the body of the message: what follows the four octets of type and length.
    ///
    /// # Errors
    ///
    /// Where the body, or one of the extensions named here, does not have the form that the RFC gives it.
    pub fn decode(body: &[u8]) -> Result<Self, HelloError> {
        let mut reader = Reader::new(body);
        let mut hello = Self {
            legacy_version: ProtocolVersion(reader.u16("version")?),
            random: reader.array("random")?,
            session_id: session_id(&mut reader)?,
            cipher_suite: reader.u16("cipher suite")?,
            selected_version: None,
            alpn: None,
            key_share: None,
            session_ticket: false,
            secure_renegotiation: false,
            pre_shared_key: false,
            extensions: Vec::new(),
        };
        reader.u8("compression method")?;
        for_each_extension(&mut reader, |kind, data| {
            hello.extensions.push(kind);
            hello.extension(kind, data)
        })?;
        Ok(hello)
    }

    /// The version of the connection.
    pub fn version(&self) -> ProtocolVersion {
        self.selected_version.unwrap_or(self.legacy_version)
    }

    /// Whether the server asks for another ClientHello, with a key share for another group: one more round trip.
    pub fn is_hello_retry_request(&self) -> bool {
        self.random == RETRY
    }

    fn extension(&mut self, kind: u16, mut data: Reader<'_>) -> Result<(), HelloError> {
        match kind {
            extension::SUPPORTED_VERSIONS => {
                self.selected_version = Some(ProtocolVersion(data.u16("supported_versions")?));
                data.end("supported_versions")?;
            }
            extension::ALPN => {
                let place = data;
                let [protocol] = <[Vec<u8>; 1]>::try_from(protocols(data)?)
                    .map_err(|_| place.error("ALPN", "a server has to choose exactly one protocol"))?;
                self.alpn = Some(protocol);
            }
            // In a HelloRetryRequest only the group; in a ServerHello the key as well.
            extension::KEY_SHARE => self.key_share = Some(data.u16("key_share group")?),
            extension::SESSION_TICKET => self.session_ticket = true,
            extension::RENEGOTIATION_INFO => self.secure_renegotiation = true,
            extension::PRE_SHARED_KEY => self.pre_shared_key = true,
            _ => {}
        }
        Ok(())
    }
}

fn session_id(reader: &mut Reader<'_>) -> Result<Vec<u8>, HelloError> {
    let id = reader.vector8("session id")?;
    match id.len() {
        0..=32 => Ok(id.rest().to_vec()),
        _ => Err(id.error("session id", "more than 32 octets")),
    }
}

fn protocols(mut data: Reader<'_>) -> Result<Vec<Vec<u8>>, HelloError> {
    let mut list = data.vector16("ALPN list")?;
    data.end("ALPN")?;
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let protocol = list.vector8("ALPN protocol")?;
        if protocol.is_empty() {
            return Err(protocol.error("ALPN protocol", "empty"));
        }
        protocols.push(protocol.rest().to_vec());
    }
    Ok(protocols)
}

/// Calls `on` for each extension, if there are any, and makes sure that nothing comes after them.
fn for_each_extension<'a>(
    reader: &mut Reader<'a>,
    mut on: impl FnMut(u16, Reader<'a>) -> Result<(), HelloError>,
) -> Result<(), HelloError> {
    if reader.is_empty() {
        return Ok(());
    }
    let mut extensions = reader.vector16("extensions")?;
    reader.end("extensions")?;
    while !extensions.is_empty() {
        let kind = extensions.u16("extension type")?;
        on(kind, extensions.vector16("extension")?)?;
    }
    Ok(())
}
