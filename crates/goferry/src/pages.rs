//! The pages of `docs/findings`, built in.

use goferry_diagnose::Id;

macro_rules! pages {
    ($($id:ident = $name:literal,)*) => {
        /// The page of a finding. Every id has one: a new id without a page does not compile.
        pub(crate) const fn page(id: Id) -> &'static str {
            match id {
                $(Id::$id => include_str!(concat!("../../../docs/findings/", $name, ".md")),)*
            }
        }

        #[cfg(test)]
        const NAMES: &[(Id, &str)] = &[$((Id::$id, $name),)*];
    };
}

pages! {
    Http2DisabledByEnv = "http2-disabled-by-env",
    Http2NotOffered = "http2-not-offered",
    Http2StrippedByProxy = "http2-stripped-by-proxy",
    PlainHttp = "plain-http",
    Http1ConnectionClose = "http1-connection-close",
    SettingsMissing = "settings-missing",
    SettingsLate = "settings-late",
    SettingsInvalid = "settings-invalid",
    MaxConcurrentStreamsLow = "max-concurrent-streams-low",
    GoawayChurn = "goaway-churn",
    StreamReset = "stream-reset",
    ConnectionReset = "connection-reset",
    WindowLimited = "window-limited",
    IdleTimeoutShort = "idle-timeout-short",
    TlsIntercepted = "tls-intercepted",
    TlsUntrusted = "tls-untrusted",
    TlsExpired = "tls-expired",
    TlsNameMismatch = "tls-name-mismatch",
    TlsClientCertRequired = "tls-client-cert-required",
    TlsOld = "tls-old",
    TlsRenegotiation = "tls-renegotiation",
    DnsSlow = "dns-slow",
    DnsFailing = "dns-failing",
    Ipv6Broken = "ipv6-broken",
    ProxyUnreachable = "proxy-unreachable",
    ProxyAuthRequired = "proxy-auth-required",
    ProxyRefused = "proxy-refused",
    UpstreamUnreachable = "upstream-unreachable",
    UpstreamStatus = "upstream-status",
    UpstreamSlow = "upstream-slow",
    PacketLoss = "packet-loss",
    BandwidthLimited = "bandwidth-limited",
    SerialRequests = "serial-requests",
    GomaxprocsLow = "gomaxprocs-low",
    GotoolchainDownload = "gotoolchain-download",
    UnprunedGraph = "unpruned-graph",
    GosumIncomplete = "gosum-incomplete",
    SumdbUnreachable = "sumdb-unreachable",
    ChecksumMismatch = "checksum-mismatch",
    GoproxyFallback = "goproxy-fallback",
    GoproxyDirect = "goproxy-direct",
    GoproxyOff = "goproxy-off",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_has_its_own_page() {
        assert_eq!(NAMES.len(), Id::ALL.len());
        for (id, name) in NAMES {
            assert_eq!(id.as_str(), *name);
            assert!(page(*id).starts_with(&format!("# {name}\n")), "{name}");
        }
    }
}
