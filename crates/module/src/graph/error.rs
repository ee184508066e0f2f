//! What keeps a module graph from being loaded.

use super::loader::Need;

/// Why there is no module graph. The words are the go command's where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Neither a main module nor a workspace with one.
    #[error("no modules were found: a go.mod, or a go.work with a `use` line, is needed")]
    NoMainModule,
    /// Several main modules without a go.work.
    #[error("{0} main modules without a go.work: only a workspace has several")]
    SeveralMainModules(usize),
    /// A main module without a usable `module` line.
    #[error("error reading {dir}/go.mod: {reason}")]
    MainModule {
        /// Its directory.
        dir: String,
        /// What is wrong.
        reason: String,
    },
    /// Two modules of a workspace have the same path.
    #[error("module {0} appears multiple times in workspace")]
    RepeatedModule(String),
    /// Two `use` lines name the same directory.
    #[error("go.work:{line}: path {path} appears multiple times in workspace")]
    RepeatedUse {
        /// The directory.
        path: String,
        /// The second line, from 1.
        line: usize,
    },
    /// A module of a workspace has a newer `go` line than the go.work.
    #[error(
        "module {dir} listed in go.work file requires go >= {module}, but go.work has go {work}; to fix it: go work use"
    )]
    WorkspaceTooOld {
        /// The module's directory.
        dir: String,
        /// The module's `go` line.
        module: String,
        /// The workspace's `go` line, or the version that stands for a missing one.
        work: String,
    },
    /// The go.work replaces all versions of one of its own modules.
    #[error(
        "workspace module {0} is replaced at all versions in the go.work file. To fix, remove the replacement from the \
         go.work file or specify the version at which to replace the module."
    )]
    ReplacedWorkspaceModule(String),
    /// Two `replace` lines disagree.
    #[error("conflicting replacements for {module}:\n\t{first}\n\t{second}")]
    ConflictingReplacements {
        /// The replaced module, with its version where the lines have one.
        module: String,
        /// What one line says.
        first: String,
        /// What the other says.
        second: String,
    },
    /// A module of the graph cannot be read.
    #[error("{}{module}: {reason}", chain(.required_by))]
    Module {
        /// The modules that lead to it, the first being a requirement of a main module.
        required_by: Vec<String>,
        /// The module and version, or the directory.
        module: String,
        /// What is wrong.
        reason: String,
    },
    /// The graph is larger than the limits allow. A graph of this size is an attack or a mistake.
    #[error("module graph too large: more than {limit} {what}")]
    TooLarge {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// [`provide`](super::GraphLoader::provide) was called for what was not asked, or twice.
    #[error("{0} was not asked for, or has been given already")]
    NotNeeded(Need),
    /// [`finish`](super::GraphLoader::finish) was called before all go.mod files were given.
    #[error("the module graph is not complete: {0} go.mod files are missing")]
    Incomplete(usize),
}

fn chain(required_by: &[String]) -> String {
    required_by.iter().map(|module| format!("{module} requires\n\t")).collect()
}
