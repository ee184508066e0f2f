//! Errors that say whose fault it is, whether a retry can help and what to do.

use goferry_module::ProxyUrl;
use goferry_net::{NetError, Party};

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailKind {
    /// 404 or 410: the source says that there is no such thing. With `,` in GOPROXY the next entry is asked.
    NotFound(u16),
    /// Any other status that is not 200.
    Status(u16),
    /// The connection or the stream failed, and retries did not help.
    Network(Option<Box<NetError>>),
    /// The content is not what go.sum or the checksum database says.
    Mismatch,
    /// The content cannot be what it should be: not a zip, not a go.mod, too large.
    Invalid,
    /// Settings forbid it: `GOPROXY=off`, `-mod=readonly`.
    Forbidden,
    /// This machine: disk full, no permission.
    Local(Option<std::io::ErrorKind>),
    /// The go command, which was asked for what only it can fetch, failed.
    GoCommand,
}

/// A failed fetch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FetchError {
    /// What failed.
    pub kind: FailKind,
    /// Who is at fault, as far as the client can tell.
    pub party: Party,
    /// What was asked of whom and what came back, credentials masked; may have several lines.
    pub detail: String,
    /// What to do next, where there is something.
    pub advice: Option<String>,
    /// Who was asked, where someone was.
    pub asked: Option<Box<Asked>>,
    /// The status with which the module proxies said that there is no such thing, where `direct` after them failed before it
    /// knew of any repository. The go command then takes their word (`modfetch/repo.go`, `lookupDirect`).
    pub absent: Option<u16>,
}

/// Who was asked for what failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The URL of the module proxy, or of the checksum database; credentials masked.
    pub base: String,
    /// The name of the checksum database, where what failed is an answer of it.
    pub database: Option<String>,
}

impl FetchError {
    /// An error with a text of its own.
    pub fn new(kind: FailKind, party: Party, detail: impl Into<String>) -> FetchError {
        FetchError { kind, party, detail: detail.into(), advice: None, asked: None, absent: None }
    }

    /// The content is not what it should be, by the fault of whoever sent it.
    pub fn invalid(detail: impl Into<String>) -> FetchError {
        FetchError::new(FailKind::Invalid, Party::Upstream, detail)
    }

    /// This machine could not do it: `what` says which operation on which file.
    pub fn local(what: impl std::fmt::Display, error: &std::io::Error) -> FetchError {
        FetchError::new(FailKind::Local(Some(error.kind())), Party::Client, format!("{what}: {error}"))
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> FetchError {
        self.advice = Some(advice.into());
        self
    }

    /// Adds who was asked, unless that is known.
    #[must_use]
    pub(crate) fn asked_of(mut self, base: &ProxyUrl) -> FetchError {
        self.asked.get_or_insert_with(|| Box::new(Asked { base: base.to_string(), database: None }));
        self
    }

    /// Adds that it is an answer of this checksum database that failed.
    #[must_use]
    pub(crate) fn of_database(mut self, name: &str) -> FetchError {
        if let Some(asked) = &mut self.asked {
            asked.database = Some(name.to_owned());
        }
        self
    }

    /// Whether the source said that there is no such thing (404 or 410).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.not_found().is_some()
    }

    /// The status with which it said so.
    #[must_use]
    pub fn not_found(&self) -> Option<u16> {
        if let FailKind::NotFound(status) = self.kind { Some(status) } else { None }
    }

    /// The status of a not found that counts: the source's own, or that of the proxies before `direct` ([`Self::absent`]).
    #[must_use]
    pub fn absence(&self) -> Option<u16> {
        self.not_found().or(self.absent)
    }
}
