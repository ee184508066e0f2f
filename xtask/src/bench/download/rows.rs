//! The situations that are measured, and what is to be reached in some of them.

use crate::bench::subject::Subject;
use crate::bench::way::{self, Way};

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    /// `None` over loopback.
    pub(crate) way: Option<Way>,
    /// The module cache lies in memory, not on disk.
    pub(crate) tmpfs: bool,
    /// Everything is in the module cache already.
    pub(crate) cached: bool,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Target {
    /// Times faster than go, at least.
    pub(crate) faster: Option<f64>,
    /// Times the limit, at most.
    pub(crate) limit: Option<f64>,
    /// Seconds, at most.
    pub(crate) seconds: Option<f64>,
}

impl Row {
    /// The words that choose rows on the command line, and name them.
    pub(crate) fn tags(&self) -> Vec<String> {
        let mut tags = vec![name(self.subject).to_owned()];
        tags.extend(way::tags(self.way.as_ref()));
        tags.push(if self.tmpfs { "tmpfs" } else { "disk" }.to_owned());
        tags.push(if self.cached { "cached" } else { "cold" }.to_owned());
        tags
    }

    /// What issue and documentation promise for it.
    pub(crate) fn target(&self) -> Target {
        let Self { subject, way, tmpfs, cached } = *self;
        let of = |faster, limit| Target { faster: Some(faster), limit, seconds: None };
        if cached {
            let seconds = (subject == Subject::Flat).then_some(0.05);
            return Target { seconds, ..Target::default() };
        }
        let Some(way) = way else {
            return if tmpfs { of(2.0, None) } else { Target::default() };
        };
        if way.rtt_ms != 50 || !tmpfs || way.sender != "cubic" {
            return Target::default();
        }
        match subject {
            Subject::Flat if way.loss == 0.0 => of(20.0, Some(1.25)),
            Subject::Flat if way.loss == 0.01 => of(15.0, None),
            Subject::Real if way.loss == 0.0 => of(3.3, Some(1.25)),
            Subject::Real if way.loss == 0.001 => of(8.0, None),
            _ => Target::default(),
        }
    }
}

/// What a subject is called here.
pub(super) fn name(subject: Subject) -> &'static str {
    if subject == Subject::Real { "real" } else { "synthetic" }
}

/// All rows.
pub(crate) fn all() -> Vec<Row> {
    let way = |rtt_ms, mbit: u64, loss, sender| Some(Way { rtt_ms, rate_bits: mbit * 1_000_000, loss, sender });
    let (near, far) = (way(1, 1000, 0.0, "cubic"), way(50, 200, 0.0, "cubic"));
    let ways = [
        None,
        near,
        far,
        way(50, 200, 0.001, "cubic"),
        way(50, 200, 0.001, "bbr"),
        way(50, 200, 0.01, "cubic"),
        way(50, 200, 0.01, "bbr"),
        way(150, 50, 0.0, "cubic"),
    ];
    let mut rows = Vec::new();
    for subject in [Subject::Flat, Subject::Real] {
        rows.extend(ways.map(|way| Row { subject, way, tmpfs: true, cached: false }));
        rows.extend([None, near, far].map(|way| Row { subject, way, tmpfs: false, cached: false }));
        rows.extend([true, false].map(|tmpfs| Row { subject, way: far, tmpfs, cached: true }));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::options::has;

    fn chosen(words: &str) -> Vec<String> {
        let words: Vec<String> = words.split(',').map(str::to_owned).collect();
        all().iter().filter(|row| has(&row.tags(), &words)).map(|row| row.tags().join(",")).collect()
    }

    #[test]
    fn words_choose_rows() {
        assert_eq!(chosen("synthetic,50ms,1%,bbr"), ["synthetic,50ms,1%,bbr,tmpfs,cold"]);
        assert_eq!(chosen("real,loopback"), ["real,loopback,tmpfs,cold", "real,loopback,disk,cold"]);
        assert_eq!(chosen("synthetic,0.1%,cubic"), ["synthetic,50ms,0.1%,cubic,tmpfs,cold"]);
        assert_eq!(chosen("cached").len(), 4);
        assert_eq!(chosen("nonsense"), Vec::<String>::new());
    }

    #[test]
    fn every_target_has_its_row() {
        let count = |wanted: fn(Target) -> bool| all().iter().filter(|row| wanted(row.target())).count();
        // 20, 15, 3.3 and 8 times, and twice over loopback for each subject.
        assert_eq!(count(|target| target.faster.is_some()), 6);
        assert_eq!(count(|target| target.limit.is_some()), 2);
        assert_eq!(count(|target| target.seconds.is_some()), 2);
    }
}
