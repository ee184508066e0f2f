//! What `go mod download` leaves in go.mod.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::node::STRICT;
use crate::go_version::Toolchain;
use crate::gomod::GoMod;
use crate::module_version::ModuleVersion;
use crate::path::ModulePath;
use crate::version::Version;

/// What `go mod download` leaves in go.mod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// The `go` line; `None` where there is none. With `changed`, the go command then adds one with its own version.
    pub go: Option<String>,
    /// The `toolchain` line; `None` where there is none. Up to go 1.24, the go command may add its own name here where
    /// it changes the `go` line.
    pub toolchain: Option<String>,
    /// The `require` lines, by path.
    pub requires: Vec<Requirement>,
    /// Whether this differs from what go.mod says. The go command rewrites the file only then.
    pub changed: bool,
}

/// A `require` line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// The module's path.
    pub path: String,
    /// The version.
    pub version: Version,
    /// Whether the line has the comment `// indirect`.
    pub indirect: bool,
}

impl Requirement {
    /// The module version; `None` for a path that no proxy can serve.
    #[must_use]
    pub fn module_version(&self) -> Option<ModuleVersion> {
        ModuleVersion::new(ModulePath::parse(&self.path).ok()?, self.version.clone()).ok()
    }
}

impl Requirements {
    /// What `go mod download m@v1.2.3`, which reads no graph, leaves in go.mod. `None` where go.mod has to be corrected
    /// with the graph: there is no `go` line; a module is required at two versions; or, below go 1.17, a module is
    /// required twice or the main module requires itself (`loadModFile`, `hasRedundantRoot` and `updateRoots` of
    /// `cmd/go/internal/modload`).
    #[must_use]
    pub fn without_graph(go_mod: &GoMod) -> Option<Requirements> {
        let excludes: HashSet<_> = go_mod.excludes.iter().map(|line| (&line.path, &line.version)).collect();
        let main = go_mod.module.as_ref().map(|module| module.path.as_str());
        let mut roots: BTreeMap<&str, (&Version, bool)> = BTreeMap::new();
        let mut redundant = false;
        for line in go_mod.requires.iter().filter(|line| !excludes.contains(&(&line.path, &line.version))) {
            if Some(line.path.as_str()) == main {
                redundant = true;
                continue;
            }
            match roots.entry(&line.path) {
                Entry::Vacant(entry) => _ = entry.insert((&line.version, line.indirect)),
                Entry::Occupied(entry) if *entry.get().0 != line.version => return None,
                Entry::Occupied(mut entry) => {
                    redundant = true;
                    entry.get_mut().1 &= line.indirect;
                }
            }
        }
        if redundant && !go_mod.is_pruned() || go_mod.go.is_none() && !roots.is_empty() {
            return None;
        }
        let requires = roots.into_iter().map(|(path, (version, indirect))| Requirement {
            path: path.to_owned(),
            version: version.clone(),
            indirect,
        });
        let go = go_mod.go.as_ref().map(|line| line.version.clone());
        let toolchain = go_mod.toolchain.as_ref().map(|line| line.name.clone()).filter(|_| go.is_some());
        Some(Requirements::of(go_mod, go, toolchain, requires.collect()))
    }

    /// Drops a `toolchain` that says nothing, and finds out what changes (`UpdateGoModFromReqs`, `modFileIsDirty`).
    pub(super) fn of(
        go_mod: &GoMod,
        go: Option<String>,
        toolchain: Option<String>,
        requires: Vec<Requirement>,
    ) -> Requirements {
        let says_more = |name: &String| {
            let implied = go.as_ref().is_some_and(|go| *name == format!("go{go}"));
            !implied && Toolchain::parse(name).is_ok_and(|toolchain| *toolchain.version() >= *STRICT)
        };
        let toolchain = toolchain.filter(says_more);
        // Of lines that are the same but for the comment, the last counts.
        let lines = go_mod.requires.iter().map(|line| ((line.path.as_str(), &line.version), line.indirect));
        let before: HashMap<_, _> = lines.collect();
        let is_there = |r: &Requirement| before.get(&(r.path.as_str(), &r.version)) == Some(&r.indirect);
        let changed = go.is_none()
            || go.as_ref() != go_mod.go.as_ref().map(|line| &line.version)
            || toolchain.as_ref() != go_mod.toolchain.as_ref().map(|line| &line.name)
            || requires.len() != before.len()
            || !requires.iter().all(is_there);
        Requirements { go, toolchain, requires, changed }
    }
}
