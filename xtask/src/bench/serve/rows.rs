//! What is measured of `goferry serve`, and what is to be reached.

use crate::bench::subject::Subject;
use crate::bench::way::{self, Way};

/// One situation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Row {
    /// A go command behind proxies.
    Behind(Behind),
    /// Many clients of one stored file.
    Load(Kind, Protocol),
    /// 1,000 clients of a large zip.
    Memory(Protocol),
    /// Many small requests to the upstream.
    Reuse(Reuse),
}

/// A project, and the way to the upstream; none over loopback.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Behind {
    pub(super) subject: Subject,
    pub(super) way: Option<Way>,
}

/// Through what the go command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Through {
    Alone,
    /// A goferry that has nothing yet.
    Empty,
    /// `goferry warm` first, its time counted.
    Warmed,
    /// The go command of the same, alone.
    AfterWarm,
    /// A goferry that has everything.
    Full,
    GoproxyEmpty,
    GoproxyFull,
    /// nginx with the same files, over loopback.
    Nginx,
}

/// A file that is asked for again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Info,
    Mod,
    Zip1,
    Zip50,
}

/// How it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Plain,
    Tls1,
    Tls2,
}

/// The upstream of many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    /// Over loopback, without a limit.
    Healthy,
    /// Across a link of 50 ms, without a limit: what this machine's noise is.
    Far,
    /// Across the same link, with nginx's limit of 1,000 requests to a connection.
    Limited,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// Times faster than the go command alone, at least.
    Faster(f64),
    /// Times the time through nginx over loopback, at most.
    OfNginx(f64),
}

/// Go commands whose median is one run, where one alone would be noise.
const REPEATS: usize = 5;
/// Upstream bytes, of those that the go command alone fetches, at most.
pub(super) const BYTES: f64 = 1.02;
/// Peak memory with 1,000 clients, in MB, less than this.
pub(super) const MEMORY: f64 = 200.0;
/// Share of requests to the upstream that open no connection.
pub(super) const REUSE: f64 = 0.9999;

impl Row {
    /// The words that choose rows on the command line, and name them.
    pub(super) fn tags(&self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Behind(row) => [words(&["go", row.subject()]), way::tags(row.way.as_ref())].concat(),
            Self::Load(kind, protocol) => words(&["load", kind.tag(), protocol.tag()]),
            Self::Memory(protocol) => words(&["memory", protocol.tag()]),
            Self::Reuse(Reuse::Healthy) => words(&["reuse", "healthy"]),
            Self::Reuse(Reuse::Far) => words(&["reuse", "far"]),
            Self::Reuse(Reuse::Limited) => words(&["reuse", "limited"]),
        }
    }

    /// What its lines in the page begin with.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Behind(row) => format!("| {} | {} |", row.subject(), row.link()),
            Self::Load(kind, protocol) => format!("| {} | {} |", kind.name(), protocol.name()),
            Self::Memory(protocol) => format!("| {} |", protocol.name()),
            Self::Reuse(reuse) => format!("| {} |", reuse.name()),
        }
    }
}

impl Behind {
    fn subject(&self) -> &'static str {
        match self.subject {
            Subject::Flat => "flat",
            Subject::Tree => "tree",
            Subject::Real => "real",
        }
    }

    fn link(&self) -> String {
        way::name(self.way.as_ref())
    }

    /// Go commands of one run: more than one of those that take less than a second, and change nothing.
    pub(super) fn repeats(&self, through: Through) -> usize {
        let short = match through {
            Through::Full | Through::GoproxyFull | Through::Nginx => true,
            Through::Alone => self.way.is_none(),
            Through::Empty | Through::Warmed | Through::AfterWarm | Through::GoproxyEmpty => false,
        };
        if short && self.subject != Subject::Real { REPEATS } else { 1 }
    }

    /// What is to be reached through a proxy.
    pub(super) fn target(&self, through: Through) -> Option<Target> {
        if through == Through::Full {
            return Some(Target::OfNginx(1.1));
        }
        let loss = self.way?.loss;
        match (self.subject, through) {
            (Subject::Tree, Through::Empty) if loss == 0.0 => Some(Target::Faster(8.0)),
            (Subject::Flat, Through::Empty) if loss == 0.0 => Some(Target::Faster(3.5)),
            (Subject::Flat, Through::Warmed) if loss == 0.0 => Some(Target::Faster(8.0)),
            (Subject::Real, Through::Empty) => Some(Target::Faster(if loss == 0.0 { 2.4 } else { 6.0 })),
            _ => None,
        }
    }
}

impl Through {
    /// What the page calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alone => "nothing (alone)",
            Self::Empty => "goferry, empty",
            Self::Warmed => "goferry, empty: `goferry warm` and go",
            Self::AfterWarm => "the same, go only",
            Self::Full => "goferry, full",
            Self::GoproxyEmpty => "goproxy, empty",
            Self::GoproxyFull => "goproxy, full",
            Self::Nginx => "nginx on loopback",
        }
    }
}

impl Kind {
    fn tag(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip1 => "zip1",
            Self::Zip50 => "zip50",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Info => "`.info`",
            Self::Mod => "`.mod`",
            Self::Zip1 => "1 MB zip",
            Self::Zip50 => "50 MB zip",
        }
    }

    /// Whether requests count, and not bytes.
    pub(super) fn is_small(self) -> bool {
        matches!(self, Self::Info | Self::Mod)
    }

    /// Of nginx's requests or bytes, at least.
    pub(super) fn target(self) -> f64 {
        if self.is_small() { 1.0 } else { 0.9 }
    }
}

impl Protocol {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Tls1, Self::Tls2];

    fn tag(self) -> &'static str {
        match self {
            Self::Plain => "h1",
            Self::Tls1 => "tls-h1",
            Self::Tls2 => "tls-h2",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "HTTP/1.1",
            Self::Tls1 => "HTTP/1.1, TLS",
            Self::Tls2 => "HTTP/2, TLS",
        }
    }
}

impl Reuse {
    fn name(self) -> &'static str {
        match self {
            Self::Healthy => "loopback, no limit",
            Self::Far => "50 ms, no limit",
            Self::Limited => "50 ms, `keepalive_requests 1000`",
        }
    }
}

/// All rows.
pub(super) fn all() -> Vec<Row> {
    let far = |loss| Some(Way { rtt_ms: 50, rate_bits: 200_000_000, loss, sender: "cubic" });
    let mut rows = Vec::new();
    for subject in [Subject::Flat, Subject::Tree, Subject::Real] {
        rows.extend([None, far(0.0), far(0.001)].map(|way| Row::Behind(Behind { subject, way })));
    }
    for kind in [Kind::Info, Kind::Mod, Kind::Zip1, Kind::Zip50] {
        rows.extend(Protocol::ALL.map(|protocol| Row::Load(kind, protocol)));
    }
    rows.extend([Protocol::Plain, Protocol::Tls2].map(Row::Memory));
    rows.extend([Reuse::Healthy, Reuse::Far, Reuse::Limited].map(Row::Reuse));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_the_same_words_or_lines() {
        let mut tags: Vec<_> = all().iter().map(Row::tags).collect();
        let mut keys: Vec<_> = all().iter().map(Row::key).collect();
        let count = tags.len();
        for names in [&mut tags.iter_mut().map(|tags| tags.join(",")).collect(), &mut keys] {
            let names: &mut Vec<String> = names;
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }

    #[test]
    fn only_what_is_short_is_repeated() {
        for row in all() {
            let Row::Behind(row) = row else { continue };
            assert_eq!((row.repeats(Through::Empty), row.repeats(Through::GoproxyEmpty)), (1, 1));
            let short = if row.subject == Subject::Real { 1 } else { 5 };
            // What is compared is measured alike.
            for through in [Through::Full, Through::Nginx, Through::GoproxyFull] {
                assert_eq!(row.repeats(through), short);
            }
            assert_eq!(row.repeats(Through::Alone), if row.way.is_none() { short } else { 1 });
        }
    }

    #[test]
    fn every_target_has_its_row() {
        let mut times = Vec::new();
        for row in all() {
            let Row::Behind(row) = row else { continue };
            for through in [Through::Alone, Through::Empty, Through::Warmed, Through::GoproxyEmpty, Through::Nginx] {
                times.extend(match row.target(through) {
                    Some(Target::Faster(times)) => Some(times),
                    _ => None,
                });
            }
            assert_eq!(row.target(Through::Full), Some(Target::OfNginx(1.1)));
        }
        assert_eq!(times, [3.5, 8.0, 8.0, 2.4, 6.0]);
    }
}
