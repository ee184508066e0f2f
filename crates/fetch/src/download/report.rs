//! What a download tells while it runs, and what it leaves.

use std::path::PathBuf;
use std::time::Duration;

use goferry_module::{DirHash, ModuleVersion};
use goferry_net::pool::Summary;

use crate::error::FetchError;
use crate::sums::Written;
use crate::transfer::Progress;

/// Told what happens, from many threads.
pub trait Reporter: Progress {
    /// So many modules are to be downloaded, as far as is known.
    fn planned(&self, modules: usize);
    /// One is done, whatever became of it.
    fn done(&self, module: &ModuleReport);
    /// Something the user should know at once.
    fn note(&self, text: &str);
}

/// Tells nobody.
#[derive(Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn bytes(&self, _count: u64) {}
    fn expected(&self, _count: u64) {}
}

impl Reporter for Silent {
    fn planned(&self, _modules: usize) {}
    fn done(&self, _module: &ModuleReport) {}
    fn note(&self, _text: &str) {}
}

/// What became of one module.
#[derive(Clone, Debug)]
pub struct ModuleReport {
    /// The module; after replacement.
    pub module: ModuleVersion,
    /// The query that led to it.
    pub query: Option<String>,
    /// Why it failed.
    pub error: Option<FetchError>,
    /// `V.info` in the cache.
    pub info: Option<PathBuf>,
    /// `V.mod` in the cache.
    pub go_mod: Option<PathBuf>,
    /// `V.zip` in the cache.
    pub zip: Option<PathBuf>,
    /// The unpacked folder.
    pub dir: Option<PathBuf>,
    /// The hash of the zip.
    pub sum: Option<DirHash>,
    /// The hash of the go.mod.
    pub go_mod_sum: Option<DirHash>,
    /// Whether all of it was in the cache already.
    pub cached: bool,
    /// Bytes of its zip that arrived now.
    pub bytes: u64,
}

impl ModuleReport {
    pub(crate) fn new(module: &ModuleVersion) -> ModuleReport {
        ModuleReport {
            module: module.clone(),
            query: None,
            error: None,
            info: None,
            go_mod: None,
            zip: None,
            dir: None,
            sum: None,
            go_mod_sum: None,
            cached: false,
            bytes: 0,
        }
    }
}

/// Something that failed and is no module: an argument, a go.mod of the graph.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The argument or module as the user would name it.
    pub what: String,
    /// Why.
    pub error: FetchError,
}

/// What an argument led to.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A module.
    Module {
        /// The module; after replacement.
        module: ModuleVersion,
        /// The query that it answers; `None` where its version or none was named.
        query: Option<String>,
        /// Whether the source was asked for just this version, branch or commit: then its `.info` says where that came
        /// from.
        stated: bool,
    },
    /// The failure with this index in [`Report::failed`].
    Failed(usize),
}

/// What a download left.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each module, sorted.
    pub modules: Vec<ModuleReport>,
    /// What failed besides.
    pub failed: Vec<Failed>,
    /// What each argument led to, in their order; empty without arguments.
    pub answers: Vec<Answer>,
    /// go.mod files that were read for the graph.
    pub go_mods: usize,
    /// Bytes of zips that arrived.
    pub bytes: u64,
    /// The wall time.
    pub took: Duration,
    /// Each origin's pool, the busiest first.
    pub pools: Vec<Summary>,
    /// Requests that failed on the way and came through in the end.
    pub healed: u64,
    /// The go.sum or go.work.sum that was written.
    pub written: Option<Written>,
    /// The go.mod that was written.
    pub go_mod_written: Option<PathBuf>,
    /// Modules whose zip go.sum does not list: `go build` will want them there.
    pub not_in_sum: Vec<ModuleVersion>,
    /// For the user, each once.
    pub notes: Vec<String>,
    /// The zips that would be downloaded; with `dry_run` only.
    pub would: Vec<ModuleVersion>,
}

impl Report {
    /// Whether everything is there.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.failed.is_empty() && self.modules.iter().all(|module| module.error.is_none())
    }
}
