//! Cases made by hand: a [`Scene`] is the machine and the project, a [`Seen`] is a path with everything seen on it.
//!
//! A test takes a healthy path, breaks one thing and reads what is said of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use goferry_diagnose::diagnose::conclude;
use goferry_diagnose::{Fact, Finding, Id, Observation, PathInfo, Report, Severity, Surroundings};
use goferry_env::Inputs;

pub(crate) use super::seen::Seen;

/// Modules of the usual project.
pub(crate) const MODULES: usize = 50;
/// A hash as go.sum writes it.
pub(crate) const HASH: &str = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A machine and a project. By itself: 16 processors, one GOPROXY entry, 50 modules, a complete go.sum.
#[derive(Clone)]
pub(crate) struct Scene {
    env: BTreeMap<String, String>,
    /// CPUs that the scheduler allows.
    pub(crate) cpus: u32,
    /// The go line; `None`: there is no project.
    pub(crate) go_line: Option<&'static str>,
    /// Requires of go.mod.
    pub(crate) modules: usize,
    /// Whether go.sum has their hashes.
    pub(crate) go_sum: bool,
    /// `.mod` hashes in go.sum of modules that are not required.
    pub(crate) deeper: usize,
    /// Size of each zip in the module cache, where they are there.
    pub(crate) cached: Option<usize>,
    files: Vec<(&'static str, &'static str)>,
    paths: Vec<Seen>,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let env = [
            ("GOPROXY", "https://goproxy.example.com"),
            ("GOTOOLCHAIN", "local"),
            ("GOSUMDB", "sum.golang.org"),
            ("GOENV", "off"),
        ];
        Scene {
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            cpus: 16,
            go_line: Some("1.25.0"),
            modules: MODULES,
            go_sum: true,
            deeper: 0,
            cached: None,
            files: Vec::new(),
            paths: Vec::new(),
        }
    }

    /// The usual machine and project with this path.
    pub(crate) fn on(path: Seen) -> Scene {
        Scene::new().and(path)
    }

    /// With one more path.
    pub(crate) fn and(mut self, path: Seen) -> Scene {
        self.paths.push(path);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Scene {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a file of the project.
    pub(crate) fn file(mut self, name: &'static str, text: &'static str) -> Scene {
        self.files.push((name, text));
        self
    }

    /// With something of the scene changed.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Scene)) -> Scene {
        change(&mut self);
        self
    }

    /// With something of the first path changed.
    pub(crate) fn but(mut self, change: impl FnOnce(&mut Seen)) -> Scene {
        change(&mut self.paths[0]);
        self
    }

    /// With something of this path changed.
    pub(crate) fn but_on(mut self, path: usize, change: impl FnOnce(&mut Seen)) -> Scene {
        change(&mut self.paths[path]);
        self
    }

    /// The machine and the project, in files of a temporary directory.
    pub(crate) fn ground(&self) -> Ground {
        let dir = tempfile::tempdir().unwrap();
        let (root, project, cache) = (dir.path().join("root"), dir.path().join("project"), dir.path().join("cache"));
        let mask = (1u128 << self.cpus) - 1;
        write(&root.join("proc/self/status"), &format!("Name:\tgo\nCpus_allowed:\t{mask:x}\n"));
        std::fs::create_dir_all(&project).unwrap();
        let name = |n: usize| format!("example.com/m{n:04}");
        if let Some(go_line) = self.go_line {
            let requires: String = (0..self.modules).map(|n| format!("\t{} v1.0.0\n", name(n))).collect();
            write(
                &project.join("go.mod"),
                &format!("module example.com/app\n\ngo {go_line}\n\nrequire (\n{requires})\n"),
            );
            if self.go_sum {
                let required = (0..self.modules).map(|n| format!("{} v1.0.0 {HASH}\n", name(n)));
                let read = (0..self.modules + self.deeper).map(|n| format!("{} v1.0.0/go.mod {HASH}\n", name(n)));
                write(&project.join("go.sum"), &required.chain(read).collect::<String>());
            }
        }
        for n in 0..self.cached.map_or(0, |_| self.modules) {
            let zip = cache.join(format!("cache/download/{}/@v/v1.0.0.zip", name(n)));
            write(&zip, &"z".repeat(self.cached.unwrap_or_default()));
        }
        self.files.iter().for_each(|(name, text)| write(&project.join(name), text));
        let mut inputs = Inputs::empty(&project, &root).with_env("GOMODCACHE", &cache.display().to_string());
        inputs.os = goferry_env::Os::Linux;
        for (name, value) in &self.env {
            inputs = inputs.with_env(name, value);
        }
        let around = Surroundings::look(&inputs, None).unwrap();
        assert_eq!(around.project_problem, None);
        Ground { around, _dir: dir }
    }

    /// What is said of it.
    pub(crate) fn report(&self) -> Report {
        self.ground().report(&self.paths)
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.report().findings
    }

    /// Every finding with its severity, but for `serial-requests`, which is a remark on go itself.
    pub(crate) fn said(&self) -> Vec<(Id, Severity)> {
        let findings = self.findings();
        let pairs = findings.iter().map(|finding| (finding.id, finding.severity));
        pairs.filter(|(id, _)| *id != Id::SerialRequests).collect()
    }

    /// The one finding with this id.
    pub(crate) fn finding(&self, id: Id) -> Finding {
        let findings = self.findings();
        let mut wanted = findings.iter().filter(|finding| finding.id == id);
        let found = wanted.next().unwrap_or_else(|| panic!("no {id} in {findings:#?}")).clone();
        assert!(wanted.next().is_none(), "{id} twice");
        found
    }

    pub(crate) fn says(&self, id: Id) -> bool {
        self.findings().iter().any(|finding| finding.id == id)
    }
}

/// A scene's files, looked at once.
pub(crate) struct Ground {
    around: Surroundings,
    _dir: tempfile::TempDir,
}

impl Ground {
    /// What is said where this was seen. What holds for every report is asserted.
    pub(crate) fn report(&self, paths: &[Seen]) -> Report {
        let infos: Vec<PathInfo> = paths.iter().map(|path| path.info.clone()).collect();
        let facts =
            paths.iter().enumerate().flat_map(|(id, path)| path.facts().into_iter().map(move |fact| (id, fact)));
        let observations: Vec<Observation> =
            facts.map(|(path, fact): (usize, Fact)| Observation { path, fact }).collect();
        let report = conclude(&self.around, &infos, &observations, true);
        assert_whole(&report);
        report
    }
}

/// What every report must hold.
fn assert_whole(report: &Report) {
    let cost = |finding: &Finding| finding.cost.as_ref().map_or(0.0, |cost| cost.seconds_min + cost.seconds_max);
    for finding in &report.findings {
        let id = finding.id;
        assert!(!finding.title.is_empty() && !finding.title.contains('\n'), "{id}: {:?}", finding.title);
        assert!(!finding.evidence.is_empty(), "{id} without evidence");
        assert!(finding.evidence.iter().all(|line| !line.what.is_empty()), "{id}: {:?}", finding.evidence);
        assert!(!finding.why.is_empty() && !finding.verify.is_empty(), "{id} without why or verify");
        assert!(!finding.remedies.is_empty(), "{id} without a remedy");
        for remedy in &finding.remedies {
            assert!(!remedy.place.is_empty() && !remedy.valid_for.is_empty(), "{id}: {remedy:?}");
        }
        assert_eq!(finding.docs, format!("docs/findings/{id}.md"));
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&finding.docs).is_file(), "{}", finding.docs);
        if let Some(cost) = &finding.cost {
            assert!(cost.seconds_min >= 0.0 && cost.seconds_min <= cost.seconds_max, "{id}: {cost:?}");
            // The report's own figure is rounded. Where the command fails there is none.
            let now = report.prediction.as_ref().map_or(f64::INFINITY, |prediction| prediction.now_s);
            assert!(cost.seconds_max <= now + 0.01, "{id}: {cost:?}");
        }
    }
    for pair in report.findings.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        assert!(first.severity >= second.severity, "{} before {}", first.id, second.id);
        if first.severity == second.severity {
            assert!(cost(first) >= cost(second) - 2e-3, "{} before {}", first.id, second.id);
        }
    }
}

fn write(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
