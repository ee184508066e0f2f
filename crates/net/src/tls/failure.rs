//! What a failed handshake, or an alert after it, is called.

use goferry_wire::tls::AlertDescription;
use rustls::PeerIncompatible;

use crate::error::{ErrorKind, NetError, Party, Phase};

/// The error of a handshake with `host`; `asked`: the server had asked for a client certificate.
pub(super) fn of(host: &str, error: &std::io::Error, asked: bool) -> NetError {
    let what = format!("TLS handshake with {host}");
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        let mut error = NetError::io(Phase::Tls, Party::Upstream, &what, error);
        if asked {
            error.detail.push_str(" (after it asked for a client certificate)");
        }
        return error;
    };
    let (kind, party) = match inner {
        rustls::Error::AlertReceived(alert) => (ErrorKind::Alert(alert_name(*alert)), Party::Upstream),
        // The alert that this side sends.
        rustls::Error::PeerIncompatible(incompatible) if is_about_version(incompatible) => {
            (ErrorKind::Alert("protocol_version".to_owned()), Party::Upstream)
        }
        rustls::Error::InvalidMessage(_) | rustls::Error::PeerMisbehaved(_) | rustls::Error::PeerIncompatible(_) => {
            (ErrorKind::Protocol, Party::Upstream)
        }
        _ => (ErrorKind::Other, Party::Upstream),
    };
    NetError::new(Phase::Tls, kind, party, format!("{what}: {inner}"))
}

/// The name of the alert from the peer that `error` stands for, if it is one: with TLS 1.3 a server's
/// verdict on the client's certificate comes after the handshake, with the first read.
pub(crate) fn alert_in(error: &std::io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(alert_name(*alert)),
        _ => None,
    }
}

/// The alert's name in the TLS registry (RFC 8446 section 6).
fn alert_name(alert: rustls::AlertDescription) -> String {
    let number = u8::from(alert);
    AlertDescription(number).name().map_or_else(|| format!("alert {number}"), str::to_owned)
}

/// Whether the two sides have no version of TLS in common.
fn is_about_version(incompatible: &PeerIncompatible) -> bool {
    matches!(
        incompatible,
        PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_its_registered_name() {
        use rustls::AlertDescription as A;
        for (alert, name) in [
            (A::CloseNotify, "close_notify"),
            (A::UnexpectedMessage, "unexpected_message"),
            (A::BadRecordMac, "bad_record_mac"),
            (A::RecordOverflow, "record_overflow"),
            (A::HandshakeFailure, "handshake_failure"),
            (A::BadCertificate, "bad_certificate"),
            (A::UnsupportedCertificate, "unsupported_certificate"),
            (A::CertificateRevoked, "certificate_revoked"),
            (A::CertificateExpired, "certificate_expired"),
            (A::CertificateUnknown, "certificate_unknown"),
            (A::IllegalParameter, "illegal_parameter"),
            (A::UnknownCA, "unknown_ca"),
            (A::AccessDenied, "access_denied"),
            (A::DecodeError, "decode_error"),
            (A::DecryptError, "decrypt_error"),
            (A::ProtocolVersion, "protocol_version"),
            (A::InsufficientSecurity, "insufficient_security"),
            (A::InternalError, "internal_error"),
            (A::InappropriateFallback, "inappropriate_fallback"),
            (A::UserCanceled, "user_canceled"),
            (A::NoRenegotiation, "no_renegotiation"),
            (A::MissingExtension, "missing_extension"),
            (A::UnsupportedExtension, "unsupported_extension"),
            (A::UnrecognisedName, "unrecognized_name"),
            (A::BadCertificateStatusResponse, "bad_certificate_status_response"),
            (A::UnknownPSKIdentity, "unknown_psk_identity"),
            (A::CertificateRequired, "certificate_required"),
            (A::NoApplicationProtocol, "no_application_protocol"),
            (A::EncryptedClientHelloRequired, "ech_required"),
            (A::Unknown(200), "alert 200"),
        ] {
            assert_eq!(alert_name(alert), name);
        }
        // What rustls knows, the table of names knows too.
        let known = (0..=255).map(A::from).filter(|alert| !matches!(alert, A::Unknown(_)));
        assert!(known.map(alert_name).all(|name| !name.starts_with("alert ")));
    }

    #[test]
    fn only_what_is_about_versions_is_a_protocol_version() {
        let kind = |incompatible| {
            let error = std::io::Error::other(rustls::Error::PeerIncompatible(incompatible));
            of("goproxy.example.com", &error, false).kind
        };
        assert_eq!(
            kind(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            ErrorKind::Alert("protocol_version".to_owned())
        );
        assert_eq!(kind(PeerIncompatible::ExtendedMasterSecretExtensionRequired), ErrorKind::Protocol);
    }
}
