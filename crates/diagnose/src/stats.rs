//! Small statistics of repeated measurements.

use std::time::Duration;

use serde::Serialize;

/// Least, middle and greatest of some durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many there are.
    pub count: usize,
    /// The least.
    pub min: Duration,
    /// The median.
    pub p50: Duration,
    /// The 95th percentile, by nearest rank.
    pub p95: Duration,
    /// The greatest.
    pub max: Duration,
}

/// Summarises durations; `None` where there are none.
#[must_use]
pub fn summary(durations: impl IntoIterator<Item = Duration>) -> Option<Summary> {
    let mut sorted: Vec<Duration> = durations.into_iter().collect();
    sorted.sort_unstable();
    let rank = |share: f64| sorted[((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1];
    let (&min, &max) = (sorted.first()?, sorted.last()?);
    Some(Summary { count: sorted.len(), min, p50: rank(0.5), p95: rank(0.95), max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let millis = |values: &[u64]| values.iter().map(|&ms| Duration::from_millis(ms)).collect::<Vec<_>>();
        assert_eq!(summary(millis(&[])), None);
        let one = summary(millis(&[7])).unwrap();
        assert_eq!((one.min, one.p50, one.p95, one.max), (one.min, one.min, one.min, one.min));
        let many = summary(millis(&[5, 1, 4, 2, 3])).unwrap();
        assert_eq!(many.p50, Duration::from_millis(3));
        assert_eq!(many.p95, Duration::from_millis(5));
    }
}
