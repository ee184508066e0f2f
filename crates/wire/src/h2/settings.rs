//! The payload of SETTINGS (RFC 9113, section 6.5).

use std::fmt;

use super::{DEFAULT_MAX_FRAME_SIZE, ErrorCode, MAX_MAX_FRAME_SIZE, MAX_WINDOW};

/// Which setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SettingId {
    /// 0x1: octets of the HPACK dynamic table the sender can decode with. 4096 unless said.
    HeaderTableSize,
    /// 0x2: whether the server may push; 0 or 1. 1 unless said.
    EnablePush,
    /// 0x3: streams the peer may have open at once. No limit unless said.
    MaxConcurrentStreams,
    /// 0x4: octets of flow-control window a new stream starts with. 65,535 unless said.
    InitialWindowSize,
    /// 0x5: octets of the largest payload the sender wants to receive. 16,384 unless said.
    MaxFrameSize,
    /// 0x6: octets of header list (names + values + 32 each) the sender accepts. No limit unless said.
    MaxHeaderListSize,
    /// 0x8: RFC 8441, extended CONNECT.
    EnableConnectProtocol,
    /// 0x9: RFC 9218, the priorities of RFC 7540 are not used.
    NoRfc7540Priorities,
    /// Any other; to be ignored.
    Unknown(u16),
}

/// Each known setting with its value on the wire and its name.
const IDS: [(SettingId, u16, &str); 8] = [
    (SettingId::HeaderTableSize, 0x1, "HEADER_TABLE_SIZE"),
    (SettingId::EnablePush, 0x2, "ENABLE_PUSH"),
    (SettingId::MaxConcurrentStreams, 0x3, "MAX_CONCURRENT_STREAMS"),
    (SettingId::InitialWindowSize, 0x4, "INITIAL_WINDOW_SIZE"),
    (SettingId::MaxFrameSize, 0x5, "MAX_FRAME_SIZE"),
    (SettingId::MaxHeaderListSize, 0x6, "MAX_HEADER_LIST_SIZE"),
    (SettingId::EnableConnectProtocol, 0x8, "ENABLE_CONNECT_PROTOCOL"),
    (SettingId::NoRfc7540Priorities, 0x9, "NO_RFC7540_PRIORITIES"),
];

impl SettingId {
    /// The value on the wire.
    pub fn value(self) -> u16 {
        match self {
            Self::Unknown(value) => value,
            known => IDS.iter().find(|(id, ..)| *id == known).map_or(0, |(_, value, _)| *value),
        }
    }

    /// The setting that a name stands for (`MAX_FRAME_SIZE`), as the go command and the RFC write it.
    pub fn from_name(name: &str) -> Option<Self> {
        IDS.iter().find(|(.., known)| *known == name).map(|(id, ..)| *id)
    }
}

impl From<u16> for SettingId {
    fn from(value: u16) -> Self {
        IDS.iter().find(|(_, known, _)| *known == value).map_or(Self::Unknown(value), |(id, ..)| *id)
    }
}

impl fmt::Display for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match IDS.iter().find(|(id, ..)| id == self) {
            Some((.., name)) => f.pad(name),
            None => write!(f, "UNKNOWN_SETTING_{}", self.value()),
        }
    }
}

/// Settings in the order in which they were sent. The same one may come more than once: the last counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Settings(Vec<(SettingId, u32)>);

impl Settings {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// SETTINGS_HEADER_TABLE_SIZE in octets, if sent.
    pub fn header_table_size(&self) -> Option<u32> {
        self.get(SettingId::HeaderTableSize)
    }

    /// SETTINGS_ENABLE_PUSH, if sent; 0 or 1 when valid.
    pub fn enable_push(&self) -> Option<u32> {
        self.get(SettingId::EnablePush)
    }

    /// SETTINGS_MAX_CONCURRENT_STREAMS, if sent.
    pub fn max_concurrent_streams(&self) -> Option<u32> {
        self.get(SettingId::MaxConcurrentStreams)
    }

    /// SETTINGS_INITIAL_WINDOW_SIZE in octets, if sent.
    pub fn initial_window_size(&self) -> Option<u32> {
        self.get(SettingId::InitialWindowSize)
    }

    /// SETTINGS_MAX_FRAME_SIZE in octets, if sent.
    pub fn max_frame_size(&self) -> Option<u32> {
        self.get(SettingId::MaxFrameSize)
    }

    /// SETTINGS_MAX_HEADER_LIST_SIZE in octets, if sent.
    pub fn max_header_list_size(&self) -> Option<u32> {
        self.get(SettingId::MaxHeaderListSize)
    }

    /// The value that counts for `id`: the last one sent (RFC 9113, section 6.5.3).
    pub fn get(&self, id: SettingId) -> Option<u32> {
        self.0.iter().rev().find(|(known, _)| *known == id).map(|(_, value)| *value)
    }

    /// Adds one at the end.
    pub fn push(&mut self, id: SettingId, value: u32) {
        self.0.push((id, value));
    }

    /// The same with one more at the end, to write them in a row.
    #[must_use]
    pub fn with(mut self, id: SettingId, value: u32) -> Self {
        self.push(id, value);
        self
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = (SettingId, u32)> + '_ {
        self.0.iter().copied()
    }

    /// How many, repeated ones included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none, which is a valid SETTINGS frame.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a payload, or gives `None` if its length is not a multiple of six octets. Values are not judged here:
    /// see [`Settings::validate`].
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (entries, rest) = payload.as_chunks::<6>();
        rest.is_empty().then(|| {
            Self(
                entries
                    .iter()
                    .map(|&[i0, i1, v0, v1, v2, v3]| {
                        (u16::from_be_bytes([i0, i1]).into(), u32::from_be_bytes([v0, v1, v2, v3]))
                    })
                    .collect(),
            )
        })
    }

    /// Appends the payload to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for (id, value) in self.iter() {
            out.extend_from_slice(&id.value().to_be_bytes());
            out.extend_from_slice(&value.to_be_bytes());
        }
    }

    /// Judges every value sent, the repeated ones too, by RFC 9113, section 6.5.2 (and RFC 8441 and RFC 9218 for
    /// theirs). Gives the first that is not allowed.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        self.iter().try_for_each(|(id, value)| {
            let (code, allowed) = match id {
                SettingId::EnablePush | SettingId::EnableConnectProtocol | SettingId::NoRfc7540Priorities
                    if value > 1 =>
                {
                    (ErrorCode::ProtocolError, "0 or 1")
                }
                SettingId::InitialWindowSize if value > MAX_WINDOW => {
                    (ErrorCode::FlowControlError, "at most 2147483647 (2^31-1)")
                }
                SettingId::MaxFrameSize if !(DEFAULT_MAX_FRAME_SIZE..=MAX_MAX_FRAME_SIZE).contains(&value) => {
                    (ErrorCode::ProtocolError, "from 16384 (2^14) to 16777215 (2^24-1)")
                }
                _ => return Ok(()),
            };
            Err(InvalidSetting { id, value, code, allowed })
        })
    }

    /// [`Settings::validate`], and that a server does not send SETTINGS_ENABLE_PUSH 1, which a client has to treat as
    /// a connection error (RFC 9113, section 6.5.2).
    pub fn validate_from_server(&self) -> Result<(), InvalidSetting> {
        self.validate()?;
        match self.iter().find(|&(id, value)| id == SettingId::EnablePush && value == 1) {
            None => Ok(()),
            Some((id, value)) => {
                Err(InvalidSetting { id, value, code: ErrorCode::ProtocolError, allowed: "0 when a server sends it" })
            }
        }
    }
}

impl FromIterator<(SettingId, u32)> for Settings {
    fn from_iter<I: IntoIterator<Item = (SettingId, u32)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl fmt::Display for Settings {
    /// As the go command prints them: `ENABLE_PUSH=0, MAX_FRAME_SIZE=1048576`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, value)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{id}={value}")?;
        }
        Ok(())
    }
}

/// A setting with a value that RFC 9113, section 6.5.2 does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SETTINGS_{id} is {value}, allowed is {allowed} (RFC 9113, section 6.5.2: connection error {code})")]
pub struct InvalidSetting {
    /// The setting.
    pub id: SettingId,
    /// Its value.
    pub value: u32,
    /// What an endpoint has to close the connection with.
    pub code: ErrorCode,
    /// What would have been right, in words.
    pub allowed: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_registry() {
        for (id, value, name) in IDS {
            assert_eq!(id.value(), value);
            assert_eq!(SettingId::from(value), id);
            assert_eq!(SettingId::from_name(name), Some(id));
        }
        assert_eq!(SettingId::from(7), SettingId::Unknown(7));
        assert_eq!(SettingId::Unknown(7).to_string(), "UNKNOWN_SETTING_7");
    }

    #[test]
    fn the_last_of_repeated_settings_counts() {
        let settings =
            Settings::new().with(SettingId::MaxConcurrentStreams, 1).with(SettingId::MaxConcurrentStreams, 250);
        assert_eq!(settings.max_concurrent_streams(), Some(250));
        assert_eq!(settings.max_frame_size(), None);
        assert_eq!(settings.to_string(), "MAX_CONCURRENT_STREAMS=1, MAX_CONCURRENT_STREAMS=250");
    }

    #[test]
    fn values_are_judged_by_section_6_5_2() {
        let judge = |id, value| Settings::new().with(id, value).validate().map_err(|e| e.code);
        assert_eq!(judge(SettingId::EnablePush, 1), Ok(()));
        assert_eq!(judge(SettingId::EnablePush, 2), Err(ErrorCode::ProtocolError));
        assert_eq!(judge(SettingId::InitialWindowSize, MAX_WINDOW), Ok(()));
        assert_eq!(judge(SettingId::InitialWindowSize, MAX_WINDOW + 1), Err(ErrorCode::FlowControlError));
        assert_eq!(judge(SettingId::MaxFrameSize, 16_383), Err(ErrorCode::ProtocolError));
        assert_eq!(judge(SettingId::MaxFrameSize, 16_384), Ok(()));
        assert_eq!(judge(SettingId::MaxFrameSize, 16_777_215), Ok(()));
        assert_eq!(judge(SettingId::MaxFrameSize, 16_777_216), Err(ErrorCode::ProtocolError));
        assert_eq!(judge(SettingId::Unknown(0x4d), u32::MAX), Ok(()));
        let push = Settings::new().with(SettingId::EnablePush, 1);
        assert_eq!(push.validate_from_server().map_err(|e| e.code), Err(ErrorCode::ProtocolError));
        // An invalid value stays an error even if a valid one follows it.
        let twice = Settings::new().with(SettingId::MaxFrameSize, 0).with(SettingId::MaxFrameSize, 20_000);
        assert!(twice.validate().is_err());
    }
}
