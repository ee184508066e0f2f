//! What a diagnosis says: a [`Finding`] with its evidence, cost and remedies.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($variant:ident = $text:literal, $title:literal;)*) => {
        /// The identity of a finding. Part of the public interface: an id is never reused or renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Id {
            $(#[doc = $title] #[serde(rename = $text)] $variant,)*
        }

        impl Id {
            /// Every id, in the order of `docs/findings/README.md`.
            pub const ALL: &'static [Id] = &[$(Id::$variant,)*];

            /// The id as it is printed, for example `goaway-churn`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Id::$variant => $text,)* }
            }

            /// A title of a few words, without figures.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Id::$variant => $title,)* }
            }
        }
    };
}

ids! {
    Http2DisabledByEnv = "http2-disabled-by-env", "HTTP/2 is switched off by GODEBUG";
    Http2NotOffered = "http2-not-offered", "The server does not offer HTTP/2";
    Http2StrippedByProxy = "http2-stripped-by-proxy", "A proxy that intercepts TLS takes HTTP/2 away";
    PlainHttp = "plain-http", "GOPROXY is plain http, so HTTP/1.1 always";
    Http1ConnectionClose = "http1-connection-close", "The server closes the connection after each response";
    SettingsMissing = "settings-missing", "The server accepts the connection and then says nothing";
    SettingsLate = "settings-late", "The server's first HTTP/2 frame comes late";
    SettingsInvalid = "settings-invalid", "The server's first HTTP/2 frames break the protocol";
    MaxConcurrentStreamsLow = "max-concurrent-streams-low", "The server allows few streams on a connection";
    GoawayChurn = "goaway-churn", "The server ends connections with GOAWAY after a number of requests";
    StreamReset = "stream-reset", "The server resets streams";
    ConnectionReset = "connection-reset", "Connections die in the middle of a response";
    WindowLimited = "window-limited", "A flow control window holds the transfer back";
    IdleTimeoutShort = "idle-timeout-short", "Idle connections are closed too soon";
    TlsIntercepted = "tls-intercepted", "TLS is intercepted on the way";
    TlsUntrusted = "tls-untrusted", "The certificate chain is not trusted";
    TlsExpired = "tls-expired", "The certificate is not valid at this time";
    TlsNameMismatch = "tls-name-mismatch", "The certificate is for another name";
    TlsClientCertRequired = "tls-client-cert-required", "The server demands a client certificate";
    TlsOld = "tls-old", "The server speaks an old TLS version";
    TlsRenegotiation = "tls-renegotiation", "The server asks for TLS renegotiation, which Go refuses";
    DnsSlow = "dns-slow", "Name resolution is slow";
    DnsFailing = "dns-failing", "Name resolution fails";
    Ipv6Broken = "ipv6-broken", "IPv6 addresses are announced but do not work";
    ProxyUnreachable = "proxy-unreachable", "The HTTP proxy cannot be reached";
    ProxyAuthRequired = "proxy-auth-required", "The HTTP proxy demands authentication";
    ProxyRefused = "proxy-refused", "The HTTP proxy refuses the tunnel";
    UpstreamUnreachable = "upstream-unreachable", "The module proxy cannot be reached";
    UpstreamStatus = "upstream-status", "The module proxy answers with an error status";
    UpstreamSlow = "upstream-slow", "The module proxy takes long to answer";
    PacketLoss = "packet-loss", "Packet loss holds a single connection back";
    BandwidthLimited = "bandwidth-limited", "The bandwidth is the limit";
    SerialRequests = "serial-requests", "The go command waits for one round trip per module";
    GomaxprocsLow = "gomaxprocs-low", "GOMAXPROCS is low, so few requests run at once";
    GotoolchainDownload = "gotoolchain-download", "A Go toolchain is downloaded first";
    UnprunedGraph = "unpruned-graph", "The go line is below 1.17, so the whole module graph is read";
    GosumIncomplete = "gosum-incomplete", "go.sum lacks hashes, so the checksum database is asked";
    SumdbUnreachable = "sumdb-unreachable", "The checksum database cannot be reached";
    ChecksumMismatch = "checksum-mismatch", "What the module proxy serves does not match go.sum";
    GoproxyFallback = "goproxy-fallback", "Requests fall through GOPROXY entries that do not have the modules";
    GoproxyDirect = "goproxy-direct", "Modules are fetched from version control, without a module proxy";
    GoproxyOff = "goproxy-off", "GOPROXY=off forbids downloads";
}

impl Id {
    /// The id with this text, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Id> {
        Id::ALL.iter().copied().find(|id| id.as_str() == text)
    }

    /// The documentation page, relative to the repository's root.
    #[must_use]
    pub fn page(self) -> String {
        format!("docs/findings/{}.md", self.as_str())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How bad a finding is. Ordered: `Info < Warning < Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to repair, or too cheap to matter for this project.
    Info,
    /// The go command loses time that a remedy gives back.
    Warning,
    /// The go command fails or hangs.
    Error,
}

impl Severity {
    /// `info`, `warning` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How sure a finding is. Ordered: `Possible < Derived < Measured`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Fits what was seen; something else may as well.
    Possible,
    /// Follows from what was seen by a rule proven against the real go command.
    Derived,
    /// Was itself seen.
    Measured,
}

impl Confidence {
    /// `possible`, `derived` or `measured`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Confidence::Possible => "possible",
            Confidence::Derived => "derived",
            Confidence::Measured => "measured",
        }
    }
}

/// A measured value: a number or a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number, in the unit beside it.
    Number(f64),
    /// A text, for example a certificate's issuer.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(n) if n.fract() == 0.0 && n.abs() < 1e15 => write!(f, "{n:.0}"),
            Value::Number(n) if n.abs() >= 100.0 => write!(f, "{n:.0}"),
            Value::Number(n) if n.abs() >= 1.0 => write!(f, "{n:.1}"),
            Value::Number(n) => write!(f, "{n:.3}"),
            Value::Text(text) => f.write_str(text),
        }
    }
}

/// One line of proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was measured, for example "request round trip, p50".
    pub what: String,
    /// The value.
    pub value: Value,
    /// The value's unit, for example `ms`; empty for a text or a plain count.
    pub unit: String,
}

impl Evidence {
    /// A number with its unit.
    pub fn number(what: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        Evidence { what: what.into(), value: Value::Number(value), unit: unit.into() }
    }

    /// A duration, in milliseconds.
    pub fn millis(what: impl Into<String>, value: std::time::Duration) -> Self {
        Evidence::number(what, (value.as_secs_f64() * 1e5).round() / 100.0, "ms")
    }

    /// A text.
    pub fn text(what: impl Into<String>, value: impl Into<String>) -> Self {
        Evidence { what: what.into(), value: Value::Text(value.into()), unit: String::new() }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.value)?;
        if self.unit.is_empty() { Ok(()) } else { write!(f, " {}", self.unit) }
    }
}

/// What a finding costs `go mod download` of this project, from an empty module cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The least that the remedy gives back, in seconds.
    pub seconds_min: f64,
    /// The most that the remedy gives back, in seconds.
    pub seconds_max: f64,
    /// What was compared with what.
    pub basis: String,
}

/// A way to make a finding go away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// Where it is done, for example "nginx, the server block of the module proxy".
    #[serde(rename = "where")]
    pub place: String,
    /// Commands to run there, in order; may be empty.
    pub commands: Vec<String>,
    /// Configuration to write there, ready to paste.
    pub config: Option<String>,
    /// The versions that it is valid for, for example "nginx 1.25.1 and newer".
    pub valid_for: String,
}

/// One thing that is wrong, or worth knowing, and all that a user needs to act on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which finding.
    pub id: Id,
    /// One line with the figures of this case.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// The proof: never empty.
    pub evidence: Vec<Evidence>,
    /// Why it costs time in Go.
    pub why: String,
    /// What it costs this project, where that can be said.
    pub cost: Option<Cost>,
    /// What to do, best first.
    pub remedies: Vec<Remedy>,
    /// The command that shows that the remedy worked.
    pub verify: String,
    /// The page of `docs/findings/`.
    pub docs: String,
    /// The file and line that cause it, where a file does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<Location>,
}

/// A line of a file of the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file's path.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_parse_back() {
        for (i, id) in Id::ALL.iter().enumerate() {
            assert_eq!(Id::parse(id.as_str()), Some(*id));
            assert!(Id::ALL[i + 1..].iter().all(|other| other.as_str() != id.as_str()));
            assert_eq!(serde_json::to_value(id).unwrap(), id.as_str());
        }
        assert_eq!(Id::parse("no-such-finding"), None);
    }

    #[test]
    fn numbers_are_printed_with_the_digits_that_matter() {
        assert_eq!(Evidence::number("requests", 1000.0, "").to_string(), "requests: 1000");
        assert_eq!(Evidence::number("rtt", 50.234, "ms").to_string(), "rtt: 50.2 ms");
        assert_eq!(Evidence::number("rtt", 0.0712, "ms").to_string(), "rtt: 0.071 ms");
    }
}
