//! The checkout: where it is, what is in it, and commands run in it.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Why the checkout cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkspaceError {
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Start {
        /// Which.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which, with its arguments.
        program: String,
        /// The end of what it said.
        said: String,
    },
    /// `cargo metadata` said something else than expected.
    #[error("cargo metadata: {0}")]
    Metadata(String),
    /// A file of the checkout.
    #[error("{path}: {source}")]
    File {
        /// Relative to the root.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// One test binary of the workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestTarget {
    pub(crate) package: String,
    pub(crate) name: String,
}

/// The checkout.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Integration tests, sorted.
    pub(crate) tests: Vec<TestTarget>,
    /// Each package of the workspace with the packages of the workspace that it depends on, dev-dependencies left out.
    pub(crate) depends: Vec<(String, Vec<String>)>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Self, WorkspaceError> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = root.parent().map(Path::to_owned).unwrap_or(root);
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(&root);
        let text = output(&mut command)?;
        let bad = |what: &str| WorkspaceError::Metadata(format!("no {what} in its output"));
        let said: Value = serde_json::from_str(&text).map_err(|error| WorkspaceError::Metadata(error.to_string()))?;
        let target = said["target_directory"].as_str().ok_or_else(|| bad("target_directory"))?.into();
        let packages = said["packages"].as_array().ok_or_else(|| bad("packages"))?;
        let mut tests = Vec::new();
        let mut depends = Vec::new();
        for package in packages {
            let name = package["name"].as_str().ok_or_else(|| bad("package name"))?;
            for target in list(&package["targets"]) {
                if list(&target["kind"]).any(|kind| kind == "test") {
                    let test = target["name"].as_str().ok_or_else(|| bad("target name"))?;
                    tests.push(TestTarget { package: name.to_owned(), name: test.to_owned() });
                }
            }
            let uses = list(&package["dependencies"])
                .filter(|one| one["kind"] != "dev")
                .filter_map(|one| one["name"].as_str())
                .filter(|one| one.starts_with("goferry"));
            depends.push((name.to_owned(), uses.map(str::to_owned).collect()));
        }
        tests.sort();
        depends.sort();
        Ok(Self { root, target, tests, depends })
    }

    /// The files that belong to the project: those that git knows, and new ones that it does not ignore.
    pub(crate) fn files(&self) -> Result<Vec<String>, WorkspaceError> {
        let mut command = Command::new("git");
        command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&self.root);
        let listed = output(&mut command)?;
        let mut files: Vec<String> = listed.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        files.retain(|name| self.root.join(name).is_file());
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The text of a file of the checkout; what is not UTF-8 is replaced.
    pub(crate) fn read(&self, name: &str) -> Result<String, WorkspaceError> {
        let bytes = std::fs::read(self.root.join(name));
        let bytes = bytes.map_err(|source| WorkspaceError::File { path: name.to_owned(), source })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The cargo that runs this program, without what it says of this program's package: build scripts look at it, and
/// would run again, with all that depends on them, each time that cargo is called here after it was called by hand.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(of_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Standard output of a command that must succeed. Its standard input is empty.
pub(crate) fn output(command: &mut Command) -> Result<String, WorkspaceError> {
    let done = command.stdin(Stdio::null()).output();
    let done = done.map_err(|source| WorkspaceError::Start { program: shown(command), source })?;
    if !done.status.success() {
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        let said = lines[lines.len().saturating_sub(15)..].join("\n");
        return Err(WorkspaceError::Failed { program: shown(command), said });
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
