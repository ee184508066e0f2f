//! How long the upstream's answers were waited for: counted by the pools, in classes of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use goferry_net::pool::{AnswerCounts, BOUNDS};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};

const NAME: &str = "goferry_upstream_first_byte_seconds";
const HELP: &str = "From sending a request to an upstream until the head of its answer came.";

/// The histogram of waiting times by origin.
#[derive(Clone)]
pub(super) struct Waits {
    desc: Desc,
    counts: Arc<Mutex<BTreeMap<String, Sum>>>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    waits: [u64; BOUNDS.len() + 1],
    seconds: f64,
}

impl Waits {
    pub(super) fn new() -> Result<Waits, prometheus::Error> {
        let desc = Desc::new(NAME.to_owned(), HELP.to_owned(), vec!["origin".to_owned()], Default::default())?;
        Ok(Waits { desc, counts: Arc::default() })
    }

    /// Adds what came since `before`.
    pub(super) fn add(&self, origin: &str, before: &AnswerCounts, now: &AnswerCounts) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = counts.entry(origin.to_owned()).or_default();
        for (index, count) in sum.waits.iter_mut().enumerate() {
            *count += now.waits[index].saturating_sub(before.waits[index]);
        }
        sum.seconds += now.waited.saturating_sub(before.waited).as_secs_f64();
    }
}

impl Collector for Waits {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if counts.is_empty() {
            return Vec::new();
        }
        let metrics = counts.into_iter().map(|(origin, sum)| {
            let mut histogram = Histogram::default();
            let mut upto = 0;
            let mut buckets = Vec::with_capacity(BOUNDS.len());
            for (bound, count) in BOUNDS.iter().zip(sum.waits) {
                upto += count;
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(upto);
                buckets.push(bucket);
            }
            histogram.set_bucket(buckets);
            histogram.set_sample_count(sum.waits.iter().sum());
            histogram.set_sample_sum(sum.seconds);
            let mut label = LabelPair::default();
            label.set_name("origin".to_owned());
            label.set_value(origin);
            let mut metric = Metric::default();
            metric.set_label(vec![label]);
            metric.set_histogram(histogram);
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(NAME.to_owned());
        family.set_help(HELP.to_owned());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(metrics.collect());
        vec![family]
    }
}
