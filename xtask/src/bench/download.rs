//! `cargo xtask bench download`: the real go command, goferry and the limit, side by side, for `docs/evidence/download.md`.
//!
//! Every run is by itself: a new link, a new nginx, an empty cache (or a full one), the same environment for both clients, in
//! alternating order. A run counts only if the cache then holds as many zips and files as the go command leaves.

mod limit;
mod rows;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use goferry_lab::go_client::GoVersion;

use self::rows::Row;
use self::table::Facts;
use super::machine::{self, settle};
use super::options::Common;
use super::subject::{self, Ready, Subject};
use super::{BenchError, DEADLINE, GOMAXPROCS, LONG, median, place_of};
use crate::client::{Call, Home, Tool};
use crate::say::say;
use crate::served::{Shelf, Traffic};
use crate::upstream::NEW;
use crate::workspace::Workspace;

/// Which of the two clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Go,
    Goferry,
}

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct Options {
    common: Common,
    only: Option<Who>,
    disk: Option<PathBuf>,
}

impl Options {
    /// Reads what follows `bench download`.
    ///
    /// # Errors
    /// [`BenchError::Usage`].
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, BenchError> {
        let (mut only, mut disk) = (None, None);
        let rows: Vec<Vec<String>> = rows::all().iter().map(Row::tags).collect();
        let common = Common::parse(arguments, &rows, |option, value| {
            match option {
                "--only" => match value()?.as_str() {
                    "go" => only = Some(Who::Go),
                    "goferry" => only = Some(Who::Goferry),
                    other => return Err(BenchError::Usage(format!("--only is go or goferry, not {other:?}"))),
                },
                "--disk" => disk = Some(PathBuf::from(value()?)),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self { common, only, disk })
    }

    fn wants(&self, row: &Row) -> bool {
        self.common.wants(&row.tags())
    }

    /// Where the page goes; nowhere when it would be a part of it.
    fn page(&self, workspace: &Workspace) -> Option<PathBuf> {
        self.common.page(workspace, self.only.is_none())
    }
}

/// One run of one client.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) traffic: Traffic,
}

/// What was measured of a row.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) row: Row,
    /// Runs that ended well, in their order; with them the words of those that did not.
    pub(crate) samples: BTreeMap<Who, Vec<Result<Sample, String>>>,
    /// Seconds that the link needs, where there is one, and that the disk needs.
    pub(crate) limits: Option<(Option<f64>, f64)>,
}

/// Measures and writes.
///
/// # Errors
/// When something cannot be had that every run needs. A client that fails is a cell of the table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), BenchError> {
    let wanted: Vec<Row> = rows::all().into_iter().filter(|row| options.wants(row)).collect();
    let go: GoVersion = NEW.parse()?;
    let mut tools = BTreeMap::new();
    if options.only != Some(Who::Goferry) {
        tools.insert(Who::Go, Tool::Go(go.clone()));
    }
    if options.only != Some(Who::Go) {
        tools.insert(Who::Goferry, Tool::Goferry(options.common.goferry(workspace)?));
    }
    let disk = options.disk.clone().unwrap_or_else(|| workspace.target.join("bench"));
    fs::create_dir_all(&disk)?;
    let places = [place_of(&options.common.memory, true)?, place_of(&disk, false)?];
    let mut bench = Bench {
        workspace,
        go,
        tools,
        places: [options.common.memory.clone(), disk],
        shelf: Shelf::new()?,
        ready: Vec::new(),
    };
    let page = options.page(workspace);
    let load = machine::load()?;
    if load > 0.5 {
        say!("    warning: this machine is busy (load {load:.1}): what follows is noise");
    }
    let mut done = Vec::new();
    for row in wanted {
        say!("==> {}", row.tags().join(","));
        let measured = bench.row(&row, options)?;
        say!("{}", table::line(&measured));
        done.push(measured);
        // An interrupted run leaves what it has measured.
        if let Some(out) = &page {
            fs::create_dir_all(out)?;
            let file = out.join("download.md");
            let before = options.common.before(&file);
            fs::write(&file, table::page(&bench.facts(&places, options)?, &done, before.as_deref()))?;
        }
    }
    say!("\n{}", table::table(&done));
    if let Some(out) = &page {
        say!("    {}", out.join("download.md").display());
    }
    Ok(())
}

/// What all rows share.
struct Bench<'a> {
    workspace: &'a Workspace,
    go: GoVersion,
    tools: BTreeMap<Who, Tool>,
    /// In memory, and on disk.
    places: [PathBuf; 2],
    shelf: Shelf,
    ready: Vec<(Subject, Ready)>,
}

impl Bench<'_> {
    fn row(&mut self, row: &Row, options: &Options) -> Result<Measured, BenchError> {
        if !self.ready.iter().any(|known| known.0 == row.subject) {
            let ready = Ready::new(row.subject, self.workspace, &self.shelf, &self.go, &self.places[0])?;
            self.ready.push((row.subject, ready));
        }
        let Some((_, ready)) = self.ready.iter().find(|known| known.0 == row.subject) else {
            return Err(BenchError::NoProject("a subject"));
        };
        let place = &self.places[usize::from(!row.tmpfs)];
        let mut samples: BTreeMap<Who, Vec<Result<Sample, String>>> = BTreeMap::new();
        let mut copies = Vec::new();
        for number in 0..options.common.runs {
            let mut order: Vec<Who> = self.tools.keys().copied().collect();
            if number % 2 == 1 {
                order.reverse();
            }
            for who in order {
                let so_far = samples.entry(who).or_default();
                let long = |sample: &Result<Sample, String>| sample.as_ref().is_ok_and(|sample| sample.seconds > LONG);
                if options.common.long_once && who == Who::Go && so_far.iter().any(long) {
                    continue;
                }
                let sample = self.sample(row, ready, who, place, number as u64 + 1)?;
                match &sample {
                    Ok(sample) => say!("    {who:?}: {:.3} s, {}", sample.seconds, sample.traffic),
                    Err(why) => say!("    {who:?}: fails: {why}"),
                }
                so_far.push(sample);
            }
            if !row.cached {
                copies.push(limit::of_disk(&ready.result(), place)?);
            }
        }
        let limits = (!row.cached)
            .then(|| (row.way.map(|way| limit::of_link(&way, ready.bytes)), median(&copies).unwrap_or_default()));
        Ok(Measured { row: *row, samples, limits })
    }

    /// One run; an inner error is a client that failed.
    fn sample(
        &self,
        row: &Row,
        ready: &Ready,
        who: Who,
        place: &Path,
        seed: u64,
    ) -> Result<Result<Sample, String>, BenchError> {
        let home = Home::new_in(place)?;
        let project = home.at("project");
        if row.cached {
            let served = self.shelf.serve(&ready.modules, None, None)?;
            ready.write_project(&project)?;
            let filled = self.call(&home, &project, &served.env(), None).download(&self.tools[&who])?;
            if !filled.succeeded() {
                return Ok(Err(filled.failure()));
            }
        }
        ready.write_project(&project)?;
        let link = row.way.map(|way| way.build(seed)).transpose()?;
        let served = self.shelf.serve(&ready.modules, None, link.as_ref())?;
        settle(place)?;
        let done = self.call(&home, &project, &served.env(), link.as_ref()).download(&self.tools[&who])?;
        if !done.succeeded() {
            return Ok(Err(done.failure()));
        }
        if !ready.is_whole(&home.modcache())? {
            return Ok(Err("ended well, and the cache is not what the go command leaves".to_owned()));
        }
        let traffic = served.traffic()?;
        home.empty()?;
        Ok(Ok(Sample { seconds: done.wall.as_secs_f64(), traffic }))
    }

    fn call<'b>(
        &'b self,
        home: &'b Home,
        project: &'b Path,
        env: &[(&'static str, std::ffi::OsString)],
        link: Option<&'b goferry_lab::link::Link>,
    ) -> Call<'b> {
        let mut env = env.to_vec();
        env.extend([("GOSUMDB", "off".into()), ("GOMAXPROCS", GOMAXPROCS.into())]);
        Call { go: &self.go, dir: project, home, env, deadline: DEADLINE, link }
    }

    fn facts(&self, file_systems: &[String; 2], options: &Options) -> Result<Facts, BenchError> {
        let goferry = self.tools.values().find_map(|tool| match tool {
            Tool::Goferry(binary) => Some(binary.as_path()),
            Tool::Go(_) => None,
        });
        let subjects = self.ready.iter().map(|(subject, ready)| (*subject, ready.zips, ready.files, ready.bytes));
        Ok(Facts {
            machine: machine::describe()?,
            nginx: machine::nginx()?,
            go: self.go.to_string(),
            goferry: goferry.map(machine::goferry).transpose()?,
            built_here: options.common.binary.is_none(),
            file_systems: file_systems.clone(),
            runs: options.common.runs,
            long_once: options.common.long_once.then_some(LONG),
            gomaxprocs: GOMAXPROCS,
            real: subject::REAL,
            subjects: subjects.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, BenchError> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn rows_and_runs_are_chosen() {
        let options = parse("--rows synthetic,50ms,cubic --runs 3 real,loopback --only go").unwrap();
        assert_eq!((options.common.runs, options.only), (3, Some(Who::Go)));
        let wanted: Vec<Row> = rows::all().into_iter().filter(|row| options.wants(row)).collect();
        assert_eq!(wanted.iter().filter(|row| row.subject == Subject::Real).count(), 2);
        assert!(wanted.iter().all(|row| row.way.is_none_or(|way| way.rtt_ms == 50 && way.sender == "cubic")));
        for wrong in ["--runs 0", "--only curl", "nonsense", "--rows", "--fast"] {
            assert!(matches!(parse(wrong), Err(BenchError::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn a_part_of_the_table_does_not_replace_the_page() {
        let workspace = Workspace { root: "/w".into(), target: "/t".into(), tests: Vec::new(), depends: Vec::new() };
        assert_eq!(parse("--quick").unwrap().page(&workspace), Some("/w/docs/evidence".into()));
        assert_eq!(parse("synthetic").unwrap().page(&workspace), None);
        assert_eq!(parse("synthetic --out x").unwrap().page(&workspace), Some("x".into()));
    }
}
