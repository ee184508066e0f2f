//! go.sum and go.work.sum: what they say of a download, and what `go mod download` writes into them.
//!
//! Read from Go 1.27.3 (`MF` = `cmd/go/internal/modfetch/fetch.go`, `ML` = `cmd/go/internal/modload/init.go`) and held
//! against go 1.27.3 and 1.21.13 by `tests/sums_against_go.rs`.
//!
//! # Which files
//! - In a module: the go.sum beside the go.mod; with `-modfile=x.mod`, x.sum (ML:978). A missing file is an empty one.
//! - In a workspace: the go.work with `.sum` appended is read and written, the go.sum files of all used modules are read
//!   only (ML:950-958).
//! - Outside both: none. Every download is asked of the checksum database and nothing is written (MF:649).
//! - A line has three fields, split at white space (so CRLF is read, and written as LF); blank lines go; any other line
//!   stops 1.27.3 (MF:717; 1.21.13 reads on without it); the hash of an empty go.mod is dropped (MF:725).
//!
//! # What is checked (MF:863, `checkModSum`)
//! 1. The hashes of go.sum (or go.work.sum) in the order of the file, MF:915: the same hash verifies; an `h1:` hash that
//!    differs and comes before it is a mismatch; a hash of another algorithm says nothing. So `good, bad` verifies and
//!    `bad, good` does not.
//! 2. If that verified nothing, the go.sum files of the workspace's modules: any `h1:` hash that differs is a mismatch,
//!    even where another file has the right one.
//! 3. What none lists is asked of the checksum database, unless `GOSUMDB=off` or GONOSUMDB (GOPRIVATE) exempts it
//!    (`modfetch/sumdb.go:35`), and is then to be added. `golang.org/toolchain` is asked even when it is listed (1.21.13:
//!    only when not) and whatever those settings say, unless GOPROXY is one `file://` URL.
//!
//! A mismatch stops the go command there and then (`base.Fatalf`): nothing is written.
//!
//! # What is added (MF:1032 `WriteGoSum`, ML:2108 `keepSums`)
//! Of the hashes that were checked in this run and are not listed, those that *keep* names; the rest is forgotten.
//! *keep* is what [`Keep`] holds, after replacement:
//! - the module graph was loaded: the go.mod of every version in it whose go.mod was read, selected or not, and go.mod
//!   and zip of every *selected* version;
//! - it was not: go.mod and zip of every `require` of the main module.
//!
//! | command | graph | when written |
//! |---|---|---|
//! | no arguments, go >= 1.17 | loaded (`modcmd/download.go:157`) | before the zips: no zip hash is ever added (`:235`) |
//! | no arguments, go < 1.17: means `all` | loaded | before the zips, the same |
//! | `m@v1.2.3`, `m@latest`; also `m` and `m@upgrade` where a go.mod of go >= 1.17 requires m | not loaded, unless go.mod has to be corrected first (below) | at the end, if nothing failed |
//! | `all`, patterns, `m` or `m@upgrade` otherwise | loaded (`modload/list.go:138-174`) | at the end, if nothing failed |
//! | in a workspace, no arguments: means `all` | loaded | at the end, if nothing failed, to go.work.sum |
//! | in a workspace, `m@v1.2.3` | not loaded, no requires: nothing is kept | |
//! | with `-json` | as above | at the end, even if some failed (`:314-323`) |
//!
//! So `go mod download m@v` adds nothing for a version that is not the required one, and only m's own two lines.
//!
//! # How it is written (MF:1099 `tidyGoSum`)
//! Where nothing is to be added the file is not opened: not sorted, not cleaned. Else it is read again (what another
//! process added meanwhile stays, what was checked and is gone comes back), sorted by path, version as semantic version
//! and `/go.mod` last, hashes by text, doubles dropped, and all lines are kept, those of other algorithms too (with a
//! warning, MF:951). From go.work.sum every line goes whose module version is in a go.sum of the workspace, whatever hash
//! that has (MF:1135). `cache/lock` is held (MF:1067), and the file's own lock.
//!
//! `-mod=readonly`, `-mod=vendor` (GOFLAGS) and a vendor directory change nothing: `go mod download` has no such flag and
//! always means `mod` (ML:1575). `-modfile` is refused in a workspace.
//!
//! # go.mod
//! Never written in a workspace (ML:2015). Else `go mod download` writes it, before or after the zips as above and always
//! before go.sum, when it is not what the build list makes of it (ML:2028): no `go` line (the toolchain's own version is
//! added, and the indirect requires that a pruned graph needs); a require twice, or lower than the graph selects; a
//! require of an excluded version or of the main module; a `go` line below that of what is required; a `toolchain` line
//! that says nothing; a version that is not canonical or is a branch. Bad style alone is no reason, nor is the same line
//! twice below go 1.17. [`Sums`] writes no go.mod: see `download/go_mod.rs`.
//!
//! A correction without the graph that the arguments ask for keeps the hashes of the new `require` lines only, but where
//! a pruned module was required at two versions.
//!
//! # Where this differs from the go command
//! - A hash that the checksum database did not confirm is never written. The go command marks it as used before it asks
//!   (MF:879), and a later write for other modules, possible with `-json`, then adds it (MF:1107; seen with 1.27.3: the
//!   database unreachable for one module, its hash in go.sum).
//! - Versions that are equal as semantic versions and differ in text (`v1.0.0+a`, `v1.0.0+b`) are sorted by text; the go
//!   command leaves their order to chance.
//! - The file is replaced by rename where `cache/lock` is held and that keeps owner, mode and links, and written in place
//!   otherwise. The go command always writes in place: one that writes at the same moment with *another* GOMODCACHE, and
//!   so another `cache/lock`, could lose its lines to the rename.

mod database;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use goferry_env::ProjectFiles;
use goferry_module::gosum::MAX_GO_SUM;
use goferry_module::{DirHash, ModuleVersion};
use goferry_net::Party;

pub use self::database::{DatabaseUse, Exempt};
use self::table::{Key, Table};
use crate::edit;
use crate::error::{FailKind, FetchError};

/// The toolchain's module, which is always asked of the checksum database.
const TOOLCHAIN: &str = "golang.org/toolchain";

/// What a line of go.sum is the hash of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hashed {
    /// The zip.
    Zip,
    /// The go.mod: the line's version ends in `/go.mod`.
    GoMod,
}

/// The go.sum files in effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SumFiles {
    /// The file that is read and written; `None` outside a module.
    pub main: Option<PathBuf>,
    /// The go.sum files of a workspace's modules, read only.
    pub workspace: Vec<PathBuf>,
}

impl SumFiles {
    /// Those of a project.
    #[must_use]
    pub fn of(project: &ProjectFiles) -> SumFiles {
        let mut files = project.sums.iter().cloned();
        SumFiles { main: files.next(), workspace: files.collect() }
    }
}

/// What go.sum says of a download.
#[derive(Debug)]
pub enum Verdict {
    /// It is listed with this hash.
    Verified,
    /// It is not listed: the checksum database is to be asked, then [`Sums::add`] to be called. For
    /// `golang.org/toolchain` also where GOSUMDB is off; the go command then fails.
    Ask,
    /// It is not listed and not to be asked of the checksum database; [`Sums::add`] is to be called.
    NotChecked {
        /// Which setting says so.
        why: Exempt,
    },
    /// It is listed with another hash.
    Mismatch(FetchError),
}

/// The hashes that may be added: see the table above. Others are verified and forgotten.
#[derive(Clone, Debug, Default)]
pub struct Keep(HashSet<Key>);

impl Keep {
    /// Nothing may be added.
    #[must_use]
    pub fn nothing() -> Keep {
        Keep::default()
    }

    /// A version in the module graph whose go.mod was read.
    pub fn in_graph(&mut self, module: &ModuleVersion) {
        self.0.insert(Key::of(module, Hashed::GoMod));
    }

    /// A selected version; where the graph was not loaded, a required one.
    pub fn selected(&mut self, module: &ModuleVersion) {
        self.in_graph(module);
        self.0.insert(Key::of(module, Hashed::Zip));
    }
}

/// A go.sum that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub file: PathBuf,
    /// The lines that were not there before, in the file's order, without line ends.
    pub added: Vec<String>,
    /// How many differing lines went: doubles, and in go.work.sum what a module's own go.sum has.
    pub dropped: usize,
}

/// The go.sum files in effect and what this run learned. May be shared among threads.
pub struct Sums {
    files: SumFiles,
    database: DatabaseUse,
    state: Mutex<State>,
}

struct State {
    /// The written file and what was added in this run.
    main: Table,
    /// The others, in the order of [`SumFiles::workspace`].
    workspace: Vec<Table>,
    /// What was checked in this run, and whether the main file lacks it.
    seen: HashMap<(Key, String), Seen>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Listed,
    Added,
}

enum Found {
    Yes,
    No,
    /// In the file of this index of the workspace, or in the main file, with another hash.
    Other(Option<usize>, String),
}

impl Sums {
    /// Reads the files. One that is missing is empty.
    ///
    /// # Errors
    /// Where a file cannot be read, is malformed or too large.
    pub fn load(files: SumFiles, database: DatabaseUse) -> Result<Sums, FetchError> {
        let main = files.main.as_deref().map(Table::read).transpose()?.unwrap_or_default();
        let workspace = files.workspace.iter().map(|file| Table::read(file)).collect::<Result<_, _>>()?;
        Ok(Sums { files, database, state: Mutex::new(State { main, workspace, seen: HashMap::new() }) })
    }

    /// Whether a file lists a hash of known algorithm (`modfetch.HaveSum`): what was added in this run and is not written
    /// does not count.
    #[must_use]
    pub fn lists(&self, module: &ModuleVersion, what: Hashed) -> bool {
        let key = Key::of(module, what);
        let state = self.state();
        let written = |hash: &String| state.seen.get(&(key.clone(), hash.clone())) != Some(&Seen::Added);
        let known = |table: &Table| table.hashes(&key).iter().any(|hash| hash.starts_with("h1:") && written(hash));
        known(&state.main) || state.workspace.iter().any(known)
    }

    /// Checks the hash of what came from `source`: a URL without credentials, or another name for it, for the message.
    #[must_use]
    pub fn check(&self, module: &ModuleVersion, what: Hashed, hash: &DirHash, source: &str) -> Verdict {
        let (key, hash) = (Key::of(module, what), hash.to_string());
        let mut state = self.state();
        match state.find(&key, &hash) {
            Found::Other(place, listed) => {
                drop(state);
                return Verdict::Mismatch(self.mismatch(&key, &hash, source, place, &listed));
            }
            Found::Yes if module.path().as_str() != TOOLCHAIN => {
                state.seen.entry((key, hash)).or_insert(Seen::Listed);
                return Verdict::Verified;
            }
            Found::Yes | Found::No => {}
        }
        match self.database.exempt(module.path()) {
            Some(why) => Verdict::NotChecked { why },
            None => Verdict::Ask,
        }
    }

    /// Takes note of a hash that the checksum database confirmed, or that needs no confirmation. Gives a warning where
    /// go.sum has hashes of unknown algorithms for it, so that it could not be verified.
    ///
    /// # Errors
    /// Where another hash of the same download was added since [`Sums::check`].
    pub fn add(
        &self,
        module: &ModuleVersion,
        what: Hashed,
        hash: &DirHash,
        source: &str,
    ) -> Result<Option<String>, FetchError> {
        let (key, hash) = (Key::of(module, what), hash.to_string());
        let mut state = self.state();
        let found = state.find(&key, &hash);
        if self.files.main.is_none() {
            return Ok(None);
        }
        match found {
            Found::Yes => {
                state.seen.entry((key, hash)).or_insert(Seen::Listed);
                Ok(None)
            }
            Found::Other(place, listed) => {
                drop(state);
                Err(self.mismatch(&key, &hash, source, place, &listed))
            }
            Found::No => {
                let unknown = state.main.hashes(&key).join(", ");
                let warning = (!unknown.is_empty()).then(|| {
                    format!(
                        "verifying {key}: unknown hashes in {}: {unknown}; adding {hash}\nThe file lists this download, but \
                         with an algorithm that is not known here: it was not compared with an earlier download.",
                        self.main_name(),
                    )
                });
                state.main.add(key.clone(), hash.clone());
                state.seen.insert((key, hash), Seen::Added);
                Ok(warning)
            }
        }
    }

    /// Adds to go.sum (or go.work.sum) what was added in this run and may be kept. `Ok(None)` where there is nothing to
    /// add or no file: then no file is opened.
    ///
    /// `lock` is `cache/lock` of the module cache (`$GOMODCACHE/cache/lock`), held while writing as the go command holds
    /// it. Blocks while another process holds a lock, for up to a minute.
    ///
    /// # Errors
    /// Where the file cannot be locked, read or written: it is then as it was.
    pub fn write(&self, keep: &Keep, lock: &Path) -> Result<Option<Written>, FetchError> {
        let Some(file) = &self.files.main else {
            return Ok(None);
        };
        let mut state = self.state();
        if !state.seen.iter().any(|((key, _), seen)| *seen == Seen::Added && keep.0.contains(key)) {
            return Ok(None);
        }
        let side = edit::side_lock(lock)?;
        let mut edit = edit::Edit::open(file, MAX_GO_SUM)?;
        let before = Table::parse_strict(file, edit.content())?;
        let mut table = before.clone();
        for ((key, hash), seen) in &state.seen {
            let kept = *seen == Seen::Listed || keep.0.contains(key);
            if !kept || state.workspace.iter().any(|other| other.has(key)) {
                continue;
            }
            match table.find(key, hash) {
                Some(Ok(())) => {}
                Some(Err(listed)) => return Err(self.mismatch(key, hash, "this run", None, &listed)),
                None => table.add(key.clone(), hash.clone()),
            }
        }
        table.retain(|key| !state.workspace.iter().any(|other| other.has(key)));
        let lines = table.lines();
        let old: HashSet<String> = before.lines().into_iter().collect();
        let added: Vec<String> = lines.iter().filter(|line| !old.contains(*line)).cloned().collect();
        let written = Written { file: file.clone(), dropped: old.len() + added.len() - lines.len(), added };
        let text: String = lines.into_iter().flat_map(|line| [line, "\n".to_owned()]).collect();
        edit.replace(text.as_bytes(), side.is_some())?;
        state.seen.clear();
        state.main = table;
        Ok(Some(written))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the main file in messages.
    fn main_name(&self) -> &'static str {
        let work = |file: &PathBuf| file.as_os_str().as_encoded_bytes().ends_with(b"go.work.sum");
        if self.files.main.as_ref().is_some_and(work) { "go.work.sum" } else { "go.sum" }
    }

    fn mismatch(&self, key: &Key, hash: &str, source: &str, place: Option<usize>, listed: &str) -> FetchError {
        let file = match place {
            Some(index) => self.files.workspace.get(index),
            None => self.files.main.as_ref(),
        };
        let name = match place {
            Some(_) => file.map_or_else(String::new, |f| f.display().to_string()),
            None => self.main_name().to_owned(),
        };
        let at = match file.map(|file| (file, table::line_of(file, key, listed))) {
            Some((file, Some(line))) => format!("{}:{line}", file.display()),
            _ => "added in this run".to_owned(),
        };
        let detail = format!(
            "verifying {key}: checksum mismatch\n\tdownloaded: {hash}\n\t{name}:     {listed}\n\n\
             SECURITY ERROR\nThis download does NOT match the one that was recorded earlier.\n\
             The downloaded hash is of what came from {source}.\nThe recorded hash is from {at}.\n\
             Either the content was replaced where it comes from, or someone changed it on the way, or the record is wrong."
        );
        FetchError::new(FailKind::Mismatch, Party::Upstream, detail).with_advice(format!(
            "find out which of the two is right before anything else ('go help module-auth'): ask another source for {key}; \
             only if the record is wrong, delete that line"
        ))
    }
}

impl State {
    /// `haveModSumLocked`.
    fn find(&self, key: &Key, hash: &str) -> Found {
        match self.main.find(key, hash) {
            Some(Ok(())) => return Found::Yes,
            Some(Err(listed)) => return Found::Other(None, listed),
            None => {}
        }
        let mut found = Found::No;
        for (index, table) in self.workspace.iter().enumerate() {
            for listed in table.hashes(key) {
                if listed == hash {
                    found = Found::Yes;
                } else if listed.starts_with("h1:") {
                    return Found::Other(Some(index), listed.clone());
                }
            }
        }
        found
    }
}

impl fmt::Debug for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sums").field("files", &self.files).field("database", &self.database).finish_non_exhaustive()
    }
}
