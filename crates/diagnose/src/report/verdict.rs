//! The verdict of a report in two sentences: what is the matter and what it costs, and what to do. Every rendering
//! begins with it.

use crate::finding::{Finding, Id, Remedy, Severity};

use super::text::{capital, count, millis, plural, seconds, seconds_range};
use super::{PathSummary, Report};

/// What a report comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The gravest severity; `None` where nothing is to be repaired.
    pub severity: Option<Severity>,
    /// What is the matter, or that nothing is.
    pub what: String,
    /// What it costs, in a few words.
    pub cost: String,
    /// What to do, or how long the download takes.
    pub todo: String,
}

impl Report {
    /// The report in two sentences.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.findings.iter().find(|finding| finding.severity > Severity::Info) {
            Some(finding) => self.trouble(finding),
            None => self.peace(),
        }
    }

    /// The path that the modules come by: the first of the go command's that got an answer, or its first.
    #[must_use]
    pub fn main_path(&self) -> Option<&PathSummary> {
        let mut used = self.paths.iter().filter(|path| path.used_by_go);
        used.clone().find(|path| path.http.is_some()).or_else(|| used.next())
    }

    fn trouble(&self, worst: &Finding) -> Verdict {
        let now = self.prediction.as_ref().map(|prediction| prediction.now_s);
        let cost = match (&worst.cost, now, worst.severity) {
            (_, _, Severity::Error) => "`go mod download` fails".to_owned(),
            (Some(cost), Some(now), _) => {
                let range = seconds_range(cost.seconds_min, cost.seconds_max);
                format!("costs {} of {}", range.trim_end_matches(" s"), seconds(now))
            }
            (Some(cost), None, _) => format!("costs {}", seconds_range(cost.seconds_min, cost.seconds_max)),
            (None, ..) => "makes `go mod download` wait".to_owned(),
        };
        let others = self.findings.iter().filter(|finding| finding.severity > Severity::Info).count() - 1;
        let more = if others > 0 { format!(" {others} more below.") } else { String::new() };
        Verdict {
            severity: Some(worst.severity),
            what: worst.title.clone(),
            cost,
            todo: format!(
                "{}{more}",
                worst.remedies.first().map_or_else(|| explain(worst.id), |remedy| instruction(worst.id, remedy))
            ),
        }
    }

    fn peace(&self) -> Verdict {
        let spoken = self.main_path().filter(|path| path.http.is_some());
        let what = match spoken {
            Some(path) if self.http2_is_disabled() => {
                let rtt = protocol(path);
                let rtt = rtt.split_once(", ").map(|(_, rtt)| format!(", {rtt}")).unwrap_or_default();
                format!("Nothing is worth a repair: HTTP/1.1 by GODEBUG=http2client=0{rtt}")
            }
            Some(path) if path.http.as_deref().is_some_and(is_http2) => {
                format!("Nothing keeps connections from being reused here: {}", protocol(path))
            }
            Some(path) => format!("Nothing here is worth a repair: {}", protocol(path)),
            None => "Nothing is wrong with what was looked at; no module proxy was asked".to_owned(),
        };
        let cost = self
            .noted()
            .map(|finding| format!(" {}.", capital(finding.title.trim_end_matches('.'))))
            .unwrap_or_default();
        let todo = match (&self.prediction, &self.project) {
            (Some(prediction), Some(project)) => format!(
                "`go mod download` of {} is predicted to take {}.{cost}",
                plural(project.modules, "module", "modules"),
                seconds(prediction.now_s)
            ),
            (Some(prediction), None) => {
                format!(
                    "No project here; `go mod download` of 50 modules is predicted to take {}.{cost}",
                    seconds(prediction.now_s)
                )
            }
            (None, _) => format!("Nothing to do.{cost}"),
        };
        Verdict { severity: None, what, cost: String::new(), todo }
    }

    /// Whether the go command speaks HTTP/1.1 here whatever the server offers.
    fn http2_is_disabled(&self) -> bool {
        self.findings.iter().any(|finding| {
            finding.id == Id::Http2DisabledByEnv
                && finding.evidence.iter().any(|evidence| evidence.what == crate::rules::GODEBUG_IN_FORCE)
        })
    }

    /// What costs most of the time without being anybody's fault, such as the bandwidth: worth a word where it is a
    /// fifth of it. That requests are made one after another goes without saying, as it is so everywhere.
    fn noted(&self) -> Option<&Finding> {
        let worth = self.prediction.as_ref()?.now_s * NOTED_SHARE;
        let priced = |finding: &&Finding| finding.cost.as_ref().is_some_and(|cost| cost.seconds_max >= worth);
        self.findings.iter().filter(|finding| finding.id != Id::SerialRequests).find(priced)
    }
}

/// See [`Report::noted`].
const NOTED_SHARE: f64 = 0.2;

/// `HTTP/2, RTT 52.1 ms`.
fn protocol(path: &PathSummary) -> String {
    let rtt = path.hops.iter().rfind(|hop| hop.role == "server").and_then(|hop| hop.rtt_ms);
    let parts = path.http.iter().cloned().chain(rtt.map(|rtt| format!("RTT {}", millis(rtt))));
    parts.collect::<Vec<_>>().join(", ")
}

/// Whether the text names HTTP/2.
fn is_http2(http: &str) -> bool {
    matches!(http, "h2" | "HTTP/2" | "HTTP/2.0")
}

/// Most characters of a remedy that is given whole in the verdict, so that its line is not cut.
const SHORT: usize = 64;

/// The remedy in a sentence: all of it where it is one short line, otherwise where it is to be done.
fn instruction(id: Id, remedy: &Remedy) -> String {
    let place = remedy.place.trim_end_matches('.');
    let config = remedy.config.as_deref().map(str::trim).filter(|config| !config.is_empty());
    let line = match (config, remedy.commands.as_slice()) {
        (Some(config), _) => config,
        (None, [command, ..]) => command,
        (None, []) => return format!("{place}. More: {}", explain(id)),
    };
    if line.contains('\n') || count(place) + count(line) > SHORT {
        format!("Remedy below: {place}.")
    } else {
        format!("{}: `{line}`.", remedy.place)
    }
}

fn explain(id: Id) -> String {
    format!("`goferry explain {id}`.")
}
