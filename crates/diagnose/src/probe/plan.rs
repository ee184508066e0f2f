//! Which files are asked for: those that the go command would ask for in this project.

use goferry_module::{FileKind, ModuleVersion};

use crate::surroundings::Surroundings;

/// A module that every public module proxy has, asked for its list where there is no project.
pub(super) const WELL_KNOWN: &str = "/golang.org/x/text/@v/list";
/// The most modules that a plan remembers.
const MAX_MODULES: usize = 2_000;

/// The files to ask for, as paths below the GOPROXY entry.
pub struct Plan {
    modules: Vec<ModuleVersion>,
    /// By size, the largest known first; those of unknown size come last.
    by_size: Vec<usize>,
    /// GOMAXPROCS: how many requests the go command has open at once.
    pub parallel: u32,
    /// Whether the long probes run.
    pub deep: bool,
}

impl Plan {
    /// The plan for what lies around. Private modules are left out: they are nobody else's business.
    #[must_use]
    pub fn new(around: &Surroundings, deep: bool) -> Plan {
        let fetches = around.project.iter().flat_map(|project| &project.to_fetch);
        let public: Vec<_> = fetches.filter(|fetch| !fetch.private).take(MAX_MODULES).collect();
        let mut by_size: Vec<usize> = (0..public.len()).collect();
        by_size.sort_by_key(|index| std::cmp::Reverse(public[*index].cached_zip.unwrap_or(0)));
        Plan {
            modules: public.into_iter().map(|fetch| fetch.module.clone()).collect(),
            by_size,
            parallel: around.gomaxprocs.value,
            deep,
        }
    }

    /// Small files, one module after another, `from` and on, round and round.
    pub fn small(&self, kind: FileKind, from: usize, count: usize) -> Vec<String> {
        let all = self.modules.len();
        (0..count)
            .map(|i| if all == 0 { WELL_KNOWN.to_owned() } else { self.modules[(from + i) % all].proxy_path(kind) })
            .collect()
    }

    /// Zips, the largest known first, `from` and on; none where there is no project.
    pub fn zips(&self, from: usize, count: usize) -> Vec<String> {
        let indices = self.by_size.iter().cycle().skip(from).take(if self.modules.is_empty() { 0 } else { count });
        indices.map(|index| self.modules[*index].proxy_path(FileKind::Zip)).collect()
    }

    /// How many modules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Whether there is no module to ask for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// The module and kind behind a path that was asked for. Paths may have the entry's own path before them.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<(&ModuleVersion, FileKind)> {
        let kinds = [FileKind::Mod, FileKind::Zip];
        let kind = kinds.into_iter().find(|kind| path.ends_with(&format!(".{}", kind.extension())))?;
        let module = self.modules.iter().find(|module| path.ends_with(&module.proxy_path(kind)))?;
        Some((module, kind))
    }
}
