//! What every benchmark is told on the command line.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::BenchError;
use crate::client::memory;
use crate::oracle::build;
use crate::workspace::Workspace;

/// Runs of each client that are not asked for otherwise.
const RUNS: usize = 5;
/// The binary to measure, in place of the release build.
const BINARY: &str = "GOFERRY_BINARY";

/// The options that every benchmark has.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) runs: usize,
    /// One run, and short ones where the length can be chosen.
    pub(crate) quick: bool,
    pub(crate) long_once: bool,
    /// Rows of the page that are not measured now stay.
    pub(crate) update: bool,
    /// Each a list of words that a row must have; all rows where there is none.
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) binary: Option<PathBuf>,
    pub(crate) memory: PathBuf,
    pub(crate) out: Option<PathBuf>,
}

impl Common {
    /// Reads the arguments. `rows` are the words of all rows that there are; `own` is asked about each option first, with a
    /// function that gives its value, and says whether it is one of its own.
    ///
    /// # Errors
    /// [`BenchError::Usage`].
    pub(crate) fn parse(
        arguments: &[String],
        rows: &[Vec<String>],
        mut own: impl FnMut(&str, &mut dyn FnMut() -> Result<String, BenchError>) -> Result<bool, BenchError>,
    ) -> Result<Self, BenchError> {
        let mut options = Self {
            runs: RUNS,
            quick: false,
            long_once: false,
            update: false,
            rows: Vec::new(),
            binary: env::var_os(BINARY).map(PathBuf::from),
            memory: memory(),
            out: None,
        };
        let usage = |text: String| Err(BenchError::Usage(text));
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().cloned().ok_or_else(|| BenchError::Usage(format!("{argument} needs a value")));
            if own(argument, &mut value)? {
                continue;
            }
            let mut row = None;
            match argument.as_str() {
                "--quick" => (options.quick, options.runs) = (true, 1),
                "--runs" => match value()?.parse() {
                    Ok(runs) if runs > 0 => options.runs = runs,
                    _ => return usage("--runs needs a number of 1 or more".to_owned()),
                },
                "--long-once" => options.long_once = true,
                "--update" => options.update = true,
                "--binary" => options.binary = Some(PathBuf::from(value()?)),
                "--tmpfs" => options.memory = PathBuf::from(value()?),
                "--out" => options.out = Some(PathBuf::from(value()?)),
                "--rows" => row = Some(value()?),
                other if other.starts_with('-') => return usage(format!("unknown: {other}")),
                _ => row = Some(argument.clone()),
            }
            if let Some(words) = row {
                let words: Vec<String> = words.split(',').map(str::to_owned).collect();
                if !rows.iter().any(|tags| has(tags, &words)) {
                    let known: Vec<String> = rows.iter().map(|tags| format!("    {}", tags.join(","))).collect();
                    return usage(format!("no row is {:?}; there are:\n{}", words.join(","), known.join("\n")));
                }
                options.rows.push(words);
            }
        }
        Ok(options)
    }

    /// Whether a row of these words is to be measured.
    pub(crate) fn wants(&self, tags: &[String]) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|words| has(tags, words))
    }

    /// Where the page goes; nowhere when it would be a part of it. `whole` says whether every column is measured.
    pub(crate) fn page(&self, workspace: &Workspace, whole: bool) -> Option<PathBuf> {
        let whole = whole && (self.rows.is_empty() || self.update);
        self.out.clone().or_else(|| whole.then(|| workspace.root.join("docs/evidence")))
    }

    /// What the page had before, of which rows are kept.
    pub(crate) fn before(&self, page: &Path) -> Option<String> {
        self.update.then(|| fs::read_to_string(page).ok()).flatten()
    }

    /// The goferry to measure.
    ///
    /// # Errors
    /// When it cannot be built, or is not there.
    pub(crate) fn goferry(&self, workspace: &Workspace) -> Result<PathBuf, BenchError> {
        Ok(match &self.binary {
            Some(binary) => fs::canonicalize(binary)?,
            None => build(workspace, true)?,
        })
    }
}

/// Whether all of these words are among a row's tags.
pub(crate) fn has(tags: &[String], words: &[String]) -> bool {
    words.iter().all(|word| tags.contains(word))
}
