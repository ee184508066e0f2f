//! How answers come, in figures: their statuses, and how long their heads were waited for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the classes of waiting times, in seconds.
pub const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Counts answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    classes: [AtomicU64; 5],
    waits: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// Answers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// By the first digit of the status: 1xx to 5xx.
    pub classes: [u64; 5],
    /// By how long the head was waited for after the request was sent: one for each of [`BOUNDS`], which is the longest
    /// wait that counts there, and one for what took longer.
    pub waits: [u64; BOUNDS.len() + 1],
    /// All waits together.
    pub waited: Duration,
}

impl AnswerCounts {
    /// Answers with a status below 500.
    #[must_use]
    pub fn good(&self) -> u64 {
        self.classes[..4].iter().sum()
    }
}

impl Answers {
    pub(super) fn note(&self, status: u16, wait: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        let seconds = wait.as_secs_f64();
        let index = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.waits[index].fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> AnswerCounts {
        AnswerCounts {
            classes: self.classes.each_ref().map(|count| count.load(Ordering::Relaxed)),
            waits: self.waits.each_ref().map(|count| count.load(Ordering::Relaxed)),
            waited: Duration::from_micros(self.microseconds.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_counts_once_in_its_classes() {
        let answers = Answers::default();
        for (status, millis) in [(200, 1), (404, 2), (503, 400), (999, 60_000)] {
            answers.note(status, Duration::from_millis(millis));
        }
        let counts = answers.read();
        assert_eq!(counts.classes, [0, 1, 0, 1, 2]);
        assert_eq!(counts.good(), 2);
        assert_eq!(counts.waits, [1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(counts.waited, Duration::from_millis(60_403));
    }
}
