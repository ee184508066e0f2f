//! Alerts (RFC 8446, section 6; RFC 5246, section 7.2).

use std::fmt;

/// An alert as it was sent, unencrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alert {
    /// Severity, which TLS 1.3 ignores.
    pub level: AlertLevel,
    /// Why.
    pub description: AlertDescription,
}

impl Alert {
    /// Reads the payload of an alert record.
    pub fn decode([level, description]: [u8; 2]) -> Self {
        Self { level: AlertLevel(level), description: AlertDescription(description) }
    }

    /// Writes the payload of an alert record.
    pub fn encode(self) -> [u8; 2] {
        [self.level.0, self.description.0]
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} alert {}", self.level, self.description)
    }
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlertLevel(pub u8);

impl AlertLevel {
    /// The connection may go on.
    pub const WARNING: Self = Self(1);
    /// The connection ends.
    pub const FATAL: Self = Self(2);
}

impl fmt::Display for AlertLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WARNING => f.pad("warning"),
            Self::FATAL => f.pad("fatal"),
            Self(other) => write!(f, "level {other}"),
        }
    }
}

/// Why an alert was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertDescription(pub u8);

impl AlertDescription {
    /// An orderly end.
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// No parameters both sides accept.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// The certificate's issuer is not trusted.
    pub const UNKNOWN_CA: Self = Self(48);
    /// No version both sides speak.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// A renegotiation is refused; what the go command answers to every HelloRequest.
    pub const NO_RENEGOTIATION: Self = Self(100);
    /// The name in the client's SNI is not known here.
    pub const UNRECOGNIZED_NAME: Self = Self(112);
    /// A client certificate is demanded and none was given.
    pub const CERTIFICATE_REQUIRED: Self = Self(116);
    /// No protocol of the client's ALPN list is spoken here (RFC 7301).
    pub const NO_APPLICATION_PROTOCOL: Self = Self(120);

    /// The name in the registry, if it is a known one.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            121 => "ech_required",
            _ => return None,
        })
    }
}

impl fmt::Display for AlertDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "({})", self.0),
        }
    }
}
