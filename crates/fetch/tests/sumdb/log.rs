//! The transparency log of the tests.

pub(crate) use goferry_lab::sumdb::Log;

pub(crate) const NAME: &str = "sum.example.com";

/// One without records.
pub(crate) fn empty() -> Log {
    Log::new(NAME)
}

pub(crate) fn sign(text: &str) -> String {
    empty().sign(text)
}
