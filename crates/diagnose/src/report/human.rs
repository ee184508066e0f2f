//! The report for a person: the verdict in the first two lines, then everything that it rests on.
//!
//! Nothing is wider than [`Style::width`] but what is there to be copied (commands, configuration, long words), and nothing
//! depends on colour.

use crate::finding::{Finding, Remedy, Severity};

use super::text::{
    ascii, bytes, capital, clip, count, fold, harmless, harmless_lines, number, plural, seconds, seconds_range,
};
use super::{PathSummary, PredictionSummary, Report};
use crate::report::chain;

/// The least width that is used, however narrow a terminal says it is.
const MIN_WIDTH: usize = 40;
/// The greatest: longer lines are hard to read.
const MAX_WIDTH: usize = 100;
/// Characters of the longest bar of a prediction.
const BAR: f64 = 24.0;

/// How a report is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to use colours (ANSI escapes).
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Whether the output takes anything but ASCII.
    pub unicode: bool,
}

impl Default for Style {
    /// A pipe of unknown taste: 80 columns, no colour, ASCII.
    fn default() -> Self {
        Style { color: false, width: 80, unicode: false }
    }
}

/// Draws the report.
#[must_use]
pub fn human(report: &Report, style: Style) -> String {
    let width = style.width.clamp(MIN_WIDTH, MAX_WIDTH);
    let mut page = Page { out: String::new(), style: Style { width, ..style } };
    page.verdict(report);
    page.project(report);
    for path in &report.paths {
        page.path(path);
    }
    for (n, finding) in report.findings.iter().enumerate() {
        page.finding(n + 1, finding);
    }
    if let Some(prediction) = &report.prediction {
        page.prediction(report, prediction);
    }
    page.environment(report);
    page.out
}

/// Colours, by what they are for.
#[derive(Clone, Copy)]
enum Paint {
    Strong,
    Faint,
    Bad,
    Warn,
    Good,
}

impl Paint {
    fn of(severity: Option<Severity>) -> Paint {
        match severity {
            Some(Severity::Error) => Paint::Bad,
            Some(Severity::Warning) => Paint::Warn,
            Some(Severity::Info) => Paint::Faint,
            None => Paint::Good,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Paint::Strong => "1",
            Paint::Faint => "2",
            Paint::Bad => "1;31",
            Paint::Warn => "1;33",
            Paint::Good => "1;32",
        }
    }
}

struct Page {
    out: String,
    style: Style,
}

impl Page {
    fn verdict(&mut self, report: &Report) {
        let verdict = report.verdict();
        let label = match verdict.severity {
            Some(severity) => format!("{}: ", severity.as_str()),
            None => "ok: ".to_owned(),
        };
        // Both lines hold at any width: where the cost does not fit behind the title it begins the second line, and
        // what still does not fit is cut here and shown whole below.
        let room = self.style.width - count(&label);
        let (what, cost, todo) = (self.text(&verdict.what), self.text(&verdict.cost), self.text(&verdict.todo));
        let (first, second) = if cost.is_empty() {
            (what, todo)
        } else if count(&what) + count(&cost) + 2 <= room {
            (format!("{what}; {cost}"), todo)
        } else {
            (what, format!("{}. {todo}", capital(&cost)))
        };
        let mark = if self.style.unicode { "…" } else { "..." };
        self.out.push_str(&self.paint(Paint::of(verdict.severity), &label));
        self.out.push_str(&self.paint(Paint::Strong, &clip(&first, room, mark)));
        self.out.push('\n');
        self.line(&clip(&second, self.style.width, mark));
    }

    fn project(&mut self, report: &Report) {
        let Some(project) = &report.project else { return };
        let mut facts =
            vec![plural(project.modules, "module", "modules"), plural(project.mod_files, ".mod file", ".mod files")];
        if project.zip_bytes > 0 {
            let about = if project.zips_known < project.modules { "about " } else { "" };
            facts.push(format!("{about}{} of zips", bytes(project.zip_bytes)));
        }
        facts.extend(project.go_line.as_ref().map(|line| format!("go {line}")));
        if !project.pruned {
            facts.push("graph not pruned".to_owned());
        }
        if project.missing_hashes > 0 {
            facts.push(format!("{} missing in go.sum", plural(project.missing_hashes, "hash", "hashes")));
        }
        self.head("Project", Some(&project.name));
        self.paragraph(2, &facts.join(", "));
    }

    fn path(&mut self, path: &PathSummary) {
        let whose = if path.used_by_go { "as the go command goes" } else { "for comparison only" };
        self.head("Path", Some(&format!("{} ({whose})", path.entry)));
        let hops: Vec<_> = path.hops.iter().map(|hop| chain::Drawn::new(hop, |text| self.text(text))).collect();
        for line in chain::draw(&hops, self.style) {
            self.line(&format!("  {line}"));
        }
        let mut facts = Vec::new();
        facts.extend(path.http.clone());
        facts.extend(path.tls.clone());
        facts.extend(path.alpn.as_ref().map(|alpn| format!("ALPN chose {alpn}")));
        facts.extend(path.settings.iter().map(|setting| format!("{}={}", setting.name, setting.value)));
        self.paragraph(2, &facts.join(", "));
        self.paragraph(
            2,
            &format!(
                "probed with {} on {}",
                plural(path.requests as usize, "request", "requests"),
                plural(path.connections as usize, "connection", "connections")
            ),
        );
        for goodput in &path.goodput {
            let flows = plural(goodput.flows as usize, "connection", "connections");
            self.paragraph(
                2,
                &format!("{} Mbit/s over {flows}, measured on {}", number(goodput.mbit_per_s), bytes(goodput.bytes)),
            );
        }
        self.phases(path);
    }

    fn phases(&mut self, path: &PathSummary) {
        if path.phases.is_empty() {
            return;
        }
        self.out.push('\n');
        let names: Vec<String> = path.phases.iter().map(|phase| self.text(&phase.phase)).collect();
        let columns = ["n", "failed", "min", "p50", "p95", "max"];
        let wide = self.style.width.saturating_sub(2 + 8 * columns.len() - 2).max(10);
        let first = names.iter().map(|name| count(name)).max().unwrap_or(0).max("phase, ms".len()).min(wide);
        let row = |name: &str, cells: [String; 6]| {
            let cells: String =
                cells.iter().zip([4, 7, 8, 8, 8, 8]).map(|(cell, width)| format!("{cell:>width$}")).collect();
            format!("  {:<first$}{cells}", clip(name, first, ".."))
        };
        let head = row("phase, ms", columns.map(str::to_owned));
        let head = self.paint(Paint::Faint, &head);
        self.line(&head);
        for (phase, name) in path.phases.iter().zip(&names) {
            let measured = phase.failed < phase.count || phase.max_ms > 0.0;
            let time = |value: f64| if measured { number(value) } else { "-".to_owned() };
            let cells = [
                phase.count.to_string(),
                if phase.failed > 0 { phase.failed.to_string() } else { "-".to_owned() },
                time(phase.min_ms),
                time(phase.p50_ms),
                time(phase.p95_ms),
                time(phase.max_ms),
            ];
            let line = row(name, cells);
            self.line(&line);
        }
    }

    fn finding(&mut self, n: usize, finding: &Finding) {
        self.out.push('\n');
        let paint = Paint::of(Some(finding.severity));
        let cost = match (&finding.cost, finding.severity) {
            (_, Severity::Error) => "the go command fails".to_owned(),
            (Some(cost), _) => format!("costs {}", seconds_range(cost.seconds_min, cost.seconds_max)),
            (None, _) => String::new(),
        };
        let left = format!("{n}. {} {}", finding.severity, finding.id);
        let gap = self.style.width.saturating_sub(count(&left) + count(&cost)).max(2);
        let left = format!(
            "{}{}",
            self.paint(paint, &left),
            if cost.is_empty() { String::new() } else { " ".repeat(gap) + &cost }
        );
        self.line(&left);
        self.paragraph(3, &finding.title);
        if let Some(location) = &finding.location {
            self.paragraph(3, &format!("at {}:{}", location.file, location.line));
        }
        self.label(&format!("Seen ({})", finding.confidence.as_str()));
        for evidence in &finding.evidence {
            self.paragraph(5, &evidence.to_string());
        }
        self.label("Why");
        self.paragraph(5, &finding.why);
        if let Some(cost) = &finding.cost {
            self.label("Cost for this project");
            self.paragraph(5, &format!("{}: {}", seconds_range(cost.seconds_min, cost.seconds_max), cost.basis));
        }
        for (n, remedy) in finding.remedies.iter().enumerate() {
            self.remedy(if finding.remedies.len() > 1 { Some(n + 1) } else { None }, remedy);
        }
        if !finding.verify.is_empty() {
            self.label("To see that it is gone");
            self.verbatim(&finding.verify);
        }
        self.label("More");
        self.verbatim(&format!("goferry explain {}", finding.id));
    }

    fn remedy(&mut self, n: Option<usize>, remedy: &Remedy) {
        self.label(&n.map_or_else(|| "Remedy".to_owned(), |n| format!("Remedy {n}")));
        self.paragraph(5, &remedy.place);
        if !remedy.valid_for.is_empty() {
            self.paragraph(5, &format!("({})", remedy.valid_for));
        }
        if let Some(config) = remedy.config.as_deref().filter(|config| !config.is_empty()) {
            self.verbatim(config);
            if !remedy.commands.is_empty() {
                self.paragraph(5, "then");
            }
        }
        for command in &remedy.commands {
            self.verbatim(command);
        }
    }

    fn prediction(&mut self, report: &Report, prediction: &PredictionSummary) {
        let of = match &report.project {
            Some(project) => plural(project.modules, "module", "modules"),
            None => "50 modules (a nominal project)".to_owned(),
        };
        self.head("Prediction", Some(&format!("`go mod download` of {of} into an empty module cache")));
        let mut rows = vec![("now".to_owned(), prediction.now_s)];
        rows.extend(prediction.with.iter().map(|with| (format!("without {}", with.id), with.seconds)));
        if prediction.with.len() > 1 {
            rows.push(("without any of them".to_owned(), prediction.all_s));
        }
        rows.push(("one connection, all at once".to_owned(), prediction.multiplexed_s));
        let first = rows.iter().map(|(name, _)| count(name)).max().unwrap_or(0);
        let most = rows.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        let block = if self.style.unicode { "█" } else { "#" };
        for (name, value) in rows {
            let filled = (value / most * BAR).round().clamp(0.0, BAR) as usize;
            let line = format!("  {name:<first$}  {:>8}  {}", seconds(value), block.repeat(filled));
            self.line(line.trim_end());
        }
    }

    fn environment(&mut self, report: &Report) {
        let set: Vec<_> = report.environment.iter().filter(|variable| variable.origin != "default").collect();
        if set.is_empty() {
            return;
        }
        self.head("Environment", None);
        for variable in set {
            self.paragraph(2, &format!("{}={} ({})", variable.name, variable.value, variable.origin));
        }
    }

    fn head(&mut self, name: &str, rest: Option<&str>) {
        self.out.push('\n');
        let name = self.paint(Paint::Strong, name);
        let mut lines = fold(&self.text(rest.unwrap_or_default()), self.style.width - 13).into_iter();
        match lines.next() {
            Some(first) => self.line(&format!("{name}: {first}")),
            None => self.line(&name),
        }
        for line in lines {
            self.line(&format!("    {line}"));
        }
    }

    fn label(&mut self, name: &str) {
        let name = self.paint(Paint::Faint, name);
        self.line(&format!("   {name}"));
    }

    /// Foreign or own text, folded and indented; continuation lines a little more.
    fn paragraph(&mut self, indent: usize, text: &str) {
        let text = self.text(text);
        for (n, line) in fold(&text, self.style.width - indent - 2).iter().enumerate() {
            let more = if n == 0 { 0 } else { 2 };
            self.line(&format!("{}{line}", " ".repeat(indent + more)));
        }
    }

    /// Text to be copied: indented, never folded.
    fn verbatim(&mut self, text: &str) {
        let text = harmless_lines(text);
        let text = if self.style.unicode { text } else { ascii(&text) };
        for line in text.lines() {
            self.line(format!("       {line}").trim_end());
        }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn text(&self, text: &str) -> String {
        let text = harmless(text);
        if self.style.unicode { text } else { ascii(&text) }
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        if self.style.color { format!("\x1b[{}m{text}\x1b[0m", paint.code()) } else { text.to_owned() }
    }
}
