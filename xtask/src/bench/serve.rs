//! `cargo xtask bench serve`: a module proxy between the go command and its upstream, and under load, for
//! `docs/evidence/serve.md`.
//!
//! Three kinds of rows: the go command behind goferry, behind goproxy and alone; goferry beside nginx, with many clients of
//! what both have; and how many connections many requests to the upstream take.

mod behind;
mod candidates;
mod crowd;
mod h2load;
mod load;
mod nginx;
mod page;
mod process;
mod reuse;
mod rows;

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use goferry_lab::go_client::GoVersion;
use tempfile::TempDir;

use self::load::Files;
use self::page::Facts;
use self::rows::Row;
use super::options::Common;
use super::subject::{Ready, Subject};
use super::{BenchError, machine, place_of};
use crate::say::say;
use crate::served::Shelf;
use crate::upstream::NEW;
use crate::workspace::Workspace;

/// The page.
const FILE: &str = "serve.md";

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct Options {
    common: Common,
    goproxy: Option<PathBuf>,
    disk: Option<PathBuf>,
}

impl Options {
    /// Reads what follows `bench serve`.
    ///
    /// # Errors
    /// [`BenchError::Usage`].
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, BenchError> {
        let (mut goproxy, mut disk) = (None, None);
        let rows: Vec<Vec<String>> = rows::all().iter().map(Row::tags).collect();
        let common = Common::parse(arguments, &rows, |option, value| {
            match option {
                "--goproxy" => goproxy = Some(PathBuf::from(value()?)),
                "--disk" => disk = Some(PathBuf::from(value()?)),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self { common, goproxy, disk })
    }
}

/// What all rows share.
struct Bench<'a> {
    workspace: &'a Workspace,
    options: &'a Options,
    go: GoVersion,
    goferry: PathBuf,
    /// `None` where it cannot be built.
    goproxy: Option<PathBuf>,
    /// Where stores lie.
    disk: PathBuf,
    shelf: Shelf,
    /// Those of all runs.
    stores: RefCell<Vec<TempDir>>,
}

/// Measures and writes.
///
/// # Errors
/// When something cannot be had that every run needs. A row that fails is a line of the page.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), BenchError> {
    let wanted: Vec<Row> = rows::all().into_iter().filter(|row| options.common.wants(&row.tags())).collect();
    let go: GoVersion = NEW.parse()?;
    let disk = options.disk.clone().unwrap_or_else(|| workspace.target.join("bench"));
    fs::create_dir_all(&disk)?;
    let places = [place_of(&options.common.memory, true)?, place_of(&disk, false)?];
    let goferry = options.common.goferry(workspace)?;
    let others = wanted.iter().any(|row| matches!(row, Row::Behind(_)));
    let goproxy = match &options.goproxy {
        Some(binary) => Some(fs::canonicalize(binary)?),
        None if others => candidates::goproxy(&go, &disk.join("peers"))?,
        None => None,
    };
    let bench =
        Bench { workspace, options, go, goferry, goproxy, disk, shelf: Shelf::new()?, stores: RefCell::default() };
    let facts = bench.facts(places)?;
    let load = machine::load()?;
    if load > 0.5 {
        say!("    warning: this machine is busy (load {load:.1}): what follows is noise");
    }
    let out = options.common.page(workspace, true);
    let (mut ready, mut files) = (None, None);
    let mut done = Vec::new();
    for row in wanted {
        say!("==> {}", row.tags().join(","));
        let lines = bench.row(&row, &mut ready, &mut files).unwrap_or_else(|error| {
            say!("    fails: {error}");
            page::failed(&row, &error.to_string())
        });
        say!("{lines}");
        done.push((row, lines));
        // An interrupted run leaves what it has measured.
        if let Some(out) = &out {
            fs::create_dir_all(out)?;
            let file = out.join(FILE);
            let before = options.common.before(&file);
            fs::write(&file, page::page(&facts, &done, before.as_deref()))?;
        }
    }
    say!("\n{}", page::tables(&done, None));
    if let Some(out) = &out {
        say!("    {}", out.join(FILE).display());
    }
    Ok(())
}

impl Bench<'_> {
    /// The lines of a row. What it needs is made once: `ready` is one project, because rows are sorted by project.
    fn row(
        &self,
        row: &Row,
        ready: &mut Option<(Subject, Ready)>,
        files: &mut Option<Files>,
    ) -> Result<String, BenchError> {
        match row {
            Row::Behind(behind) => {
                if ready.as_ref().is_none_or(|ready| ready.0 != behind.subject) {
                    *ready = None;
                    let new =
                        Ready::new(behind.subject, self.workspace, &self.shelf, &self.go, &self.options.common.memory)?;
                    *ready = Some((behind.subject, new));
                }
                let Some((_, ready)) = ready else { return Ok(String::new()) };
                Ok(page::behind(behind, &self.behind(behind, ready)?, ready.bytes))
            }
            Row::Load(kind, protocol) => {
                let files = self.files_of(files)?;
                Ok(page::load(*kind, *protocol, &self.load(files, *kind, *protocol)?))
            }
            Row::Memory(protocol) => {
                let files = self.files_of(files)?;
                Ok(page::memory(*protocol, &self.memory(files, *protocol)?))
            }
            Row::Reuse(reuse) => Ok(page::reuse(*reuse, &self.reuse(*reuse)?)),
        }
    }

    fn files_of<'f>(&self, files: &'f mut Option<Files>) -> Result<&'f Files, BenchError> {
        let made = match files.take() {
            Some(files) => files,
            None => self.files()?,
        };
        Ok(files.insert(made))
    }

    fn facts(&self, file_systems: [String; 2]) -> Result<Facts, BenchError> {
        let common = &self.options.common;
        Ok(Facts {
            machine: machine::describe()?,
            nginx: machine::nginx()?,
            h2load: h2load::version()?,
            go: self.go.to_string(),
            goferry: machine::goferry(&self.goferry)?,
            sha256: machine::sha256(&self.goferry)?,
            goproxy: self.goproxy.as_ref().map(|binary| candidates::goproxy_version(&self.go, binary)).transpose()?,
            built_here: common.binary.is_none(),
            file_systems,
            quick: common.quick,
            long_once: common.long_once,
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
        let options = parse("--quick --goproxy x go,tree,50ms --rows load,zip1").unwrap();
        assert_eq!((options.common.runs, options.goproxy), (1, Some("x".into())));
        let wanted: Vec<_> = rows::all().into_iter().filter(|row| options.common.wants(&row.tags())).collect();
        assert_eq!(wanted.len(), 5);
        for wrong in ["--runs 0", "--only go", "nonsense", "--rows", "load,50ms"] {
            assert!(matches!(parse(wrong), Err(BenchError::Usage(_))), "{wrong}");
        }
    }
}
