//! What a leaf certificate is to look like.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, date_time_ymd};

use super::{CertError, subject};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The name in a certificate made by [`LeafSpec::wrong_name`]; no test may use it as a host.
const WRONG_NAME: &str = "another-host.invalid";

/// Who signs a leaf, and what the server sends along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signer {
    /// The root; the server sends the leaf alone, which is complete.
    #[default]
    Root,
    /// The intermediate; the server sends the leaf and the intermediate, which is complete.
    Intermediate,
    /// The intermediate, which the server forgets to send: a client that knows only the root cannot build the chain.
    IntermediateMissing,
    /// The leaf itself: no client trusts it.
    Itself,
}

/// What a leaf may be used for (its extended key usage).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// A TLS server.
    #[default]
    Server,
    /// A TLS client. A server that shows such a certificate is refused.
    Client,
    /// Both.
    Both,
}

/// Describes one leaf certificate. Start from a preset and change its public fields where a case needs more.
#[derive(Clone, Debug)]
pub struct LeafSpec {
    /// Common name of the subject. Clients do not match host names against it.
    pub common_name: String,
    /// DNS names of the subject alternative name extension.
    pub names: Vec<String>,
    /// Addresses of the subject alternative name extension.
    pub addresses: Vec<IpAddr>,
    /// Begin of its validity.
    pub not_before: SystemTime,
    /// End of its validity.
    pub not_after: SystemTime,
    /// What it may be used for.
    pub usage: Usage,
    /// Who signs it and what is sent along.
    pub signer: Signer,
}

impl LeafSpec {
    /// A right server certificate for `hosts` (DNS names or IP addresses), valid from yesterday for 90 days.
    #[must_use]
    pub fn good(hosts: &[&str]) -> Self {
        let now = SystemTime::now();
        let mut names = Vec::new();
        let mut addresses = Vec::new();
        for host in hosts {
            match host.parse::<IpAddr>() {
                Ok(address) => addresses.push(address),
                Err(_) => names.push((*host).to_owned()),
            }
        }
        Self {
            common_name: hosts.first().copied().unwrap_or("unnamed").to_owned(),
            names,
            addresses,
            not_before: now - DAY,
            not_after: now + 90 * DAY,
            usage: Usage::Server,
            signer: Signer::Root,
        }
    }

    /// Signed by its own key.
    #[must_use]
    pub fn self_signed(hosts: &[&str]) -> Self {
        Self { signer: Signer::Itself, ..Self::good(hosts) }
    }

    /// Ended 30 days ago.
    #[must_use]
    pub fn expired(hosts: &[&str]) -> Self {
        let now = SystemTime::now();
        Self { not_before: now - 120 * DAY, not_after: now - 30 * DAY, ..Self::good(hosts) }
    }

    /// Begins in 30 days.
    #[must_use]
    pub fn not_yet_valid(hosts: &[&str]) -> Self {
        let now = SystemTime::now();
        Self { not_before: now + 30 * DAY, not_after: now + 120 * DAY, ..Self::good(hosts) }
    }

    /// Right in all but its name, which is `another-host.invalid`.
    #[must_use]
    pub fn wrong_name() -> Self {
        Self::good(&[WRONG_NAME])
    }

    /// Signed by the intermediate, which is sent.
    #[must_use]
    pub fn with_intermediate(hosts: &[&str]) -> Self {
        Self { signer: Signer::Intermediate, ..Self::good(hosts) }
    }

    /// Signed by the intermediate, which is not sent.
    #[must_use]
    pub fn missing_intermediate(hosts: &[&str]) -> Self {
        Self { signer: Signer::IntermediateMissing, ..Self::good(hosts) }
    }

    /// A right client certificate with the subject `common_name`.
    #[must_use]
    pub fn client(common_name: &str) -> Self {
        Self { common_name: common_name.to_owned(), usage: Usage::Client, ..Self::good(&[]) }
    }

    pub(super) fn params(&self) -> Result<CertificateParams, CertError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&self.common_name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match self.usage {
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = self.signer != Signer::Itself;
        for name in &self.names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        params.subject_alt_names.extend(self.addresses.iter().copied().map(SanType::IpAddress));
        set_validity(&mut params, self.not_before, self.not_after)?;
        Ok(params)
    }
}

pub(super) fn set_validity(
    params: &mut CertificateParams,
    not_before: SystemTime,
    not_after: SystemTime,
) -> Result<(), CertError> {
    let epoch = date_time_ymd(1970, 1, 1);
    let since_epoch = |time: SystemTime| {
        let seconds = time.duration_since(UNIX_EPOCH).map_err(|_| CertError::Time)?.as_secs();
        i64::try_from(seconds).ok().filter(|seconds| *seconds < MAX_UNIX_TIME).ok_or(CertError::Time)?;
        Ok::<_, CertError>(Duration::from_secs(seconds))
    };
    params.not_before = epoch + since_epoch(not_before)?;
    params.not_after = epoch + since_epoch(not_after)?;
    Ok(())
}

/// 9999-12-31, the last day that X.509 can state (RFC 5280, 4.1.2.5).
const MAX_UNIX_TIME: i64 = 253_402_214_400;
