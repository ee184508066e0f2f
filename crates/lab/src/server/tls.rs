//! The origin's certificate and TLS configuration.

use rustls::ServerConfig;

use super::behaviour::{CertificateChoice, TlsOptions};
use crate::certs::{Authority, CertError, ClientAuth, Leaf, LeafSpec};

/// Who signs the origin's certificate, and for which names and addresses.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Signs the certificate; with a client certificate demanded, it must have signed that as well.
    pub authority: &'a Authority,
    /// DNS names and addresses that the origin is reached by.
    pub hosts: &'a [&'a str],
}

impl Identity<'_> {
    /// The certificate of this choice.
    pub(super) fn leaf(&self, choice: CertificateChoice) -> Result<Leaf, CertError> {
        self.authority.leaf(&match choice {
            CertificateChoice::Good => LeafSpec::good(self.hosts),
            CertificateChoice::Intermediate => LeafSpec::with_intermediate(self.hosts),
            CertificateChoice::SelfSigned => LeafSpec::self_signed(self.hosts),
            CertificateChoice::Expired => LeafSpec::expired(self.hosts),
            CertificateChoice::WrongName => LeafSpec::wrong_name(),
        })
    }

    /// The rustls configuration for `options`.
    pub(super) fn server_config(&self, options: &TlsOptions) -> Result<ServerConfig, CertError> {
        let client = if options.client_certificate { ClientAuth::Required(self.authority) } else { ClientAuth::None };
        self.leaf(options.certificate)?.server_config(&options.alpn, options.versions, client)
    }
}
