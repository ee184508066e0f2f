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

/// A log that has another record in place of this one.
pub(crate) fn fork(log: &Log, at: u64) -> Log {
    let mut forked = empty();
    for id in 0..log.size() {
        forked.add(if id == at { "example.com/evil v1.0.0 h1:evil\n" } else { log.record(id) });
    }
    forked
}
