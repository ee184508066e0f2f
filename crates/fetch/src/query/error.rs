//! Why a query has no answer.

use goferry_net::Party;

use crate::error::{FailKind, FetchError};

/// A query without an answer. The variants are those that the choice between sources has to tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum QueryError {
    /// A source failed, or said that there is no such thing.
    Fetch(FetchError),
    /// The module is there, but no version of it matches (`NoMatchingVersionError`). No other source is asked then.
    NoMatch,
    /// The query cannot be answered by anyone: why, and what to write instead.
    Query { reason: String, advice: Option<String> },
}

impl QueryError {
    pub(super) fn query(reason: impl Into<String>) -> QueryError {
        QueryError::Query { reason: reason.into(), advice: None }
    }

    pub(super) fn with_advice(self, text: impl Into<String>) -> QueryError {
        match self {
            QueryError::Query { reason, .. } => QueryError::Query { reason, advice: Some(text.into()) },
            other => other,
        }
    }

    /// Whether this is one of the errors that make the go command ask the next source whatever stands between them
    /// (`fs.ErrNotExist`).
    pub(super) fn is_not_exist(&self) -> bool {
        matches!(self, QueryError::Fetch(error) if error.is_not_found() || error.kind == FailKind::Forbidden)
    }

    /// The error as the rest of the program knows it, with the argument that it is about.
    pub(super) fn about(self, path: &str, query: &str, selected: Option<&str>) -> FetchError {
        let argument = format!("{path}@{query}");
        match self {
            QueryError::Fetch(mut error) => {
                error.detail = format!("{argument}: {}", error.detail);
                if query == "none" && error.advice.is_none() {
                    return error
                        .with_advice("`none` removes a requirement in `go get`; there is nothing to download for it");
                }
                error
            }
            QueryError::NoMatch => {
                let current = selected
                    .filter(|_| super::argument::is_relative_to_selected(query))
                    .map_or_else(String::new, |version| format!(" (current version is {version})"));
                FetchError::new(
                    FailKind::Invalid,
                    Party::Client,
                    format!("{argument}: no matching versions for query {query:?}{current}"),
                )
                .with_advice(format!("list the versions that there are with: go list -m -versions {path}"))
            }
            QueryError::Query { reason, advice } => {
                let error = FetchError::new(FailKind::Invalid, Party::Client, format!("{argument}: {reason}"));
                match advice {
                    Some(advice) => error.with_advice(advice),
                    None => error,
                }
            }
        }
    }
}

impl From<FetchError> for QueryError {
    fn from(error: FetchError) -> QueryError {
        QueryError::Fetch(error)
    }
}
