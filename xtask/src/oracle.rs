//! `cargo xtask oracle`: the module cache that `goferry download` leaves, file by file, against that of the real go command,
//! for real projects.
//!
//! For each project and go command: both download it from the same server (a local copy, [`crate::upstream`]) with the same
//! environment into empty caches. Then the GOPATHs and the project folders must be the same, names, bytes and modes;
//! [`tree::MAY_DIFFER`] names what may not be. Last, `go mod verify` and `go list -deps` must work on goferry's cache with
//! `GOPROXY=off`, the latter with a go.mod that may not be changed any more.

pub(crate) mod projects;
mod tree;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use goferry_lab::go_client::{GoClientError, GoVersion};

use self::projects::{PROJECTS, Project};
use self::tree::{Compared, Infos};
use crate::client::{Call, ClientError, Done, Home, Tool, memory};
use crate::say::say;
use crate::served::{ServedError, Shelf};
use crate::upstream::{NEW, Upstream, UpstreamError, versions};
use crate::workspace::{Workspace, WorkspaceError, cargo, output};

const DEADLINE: Duration = Duration::from_secs(600);
/// Differences of a project that are printed.
const SHOWN: usize = 12;
/// The binary to compare, in place of the one that is built here.
const BINARY: &str = "GOFERRY_BINARY";

/// Why there is no comparison, or what it found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OracleError {
    /// Wrong arguments.
    #[error("{0}")]
    Usage(String),
    /// Something differs.
    #[error("{0}")]
    Different(String),
    /// The go command itself fails, so there is nothing to compare with.
    #[error("{project}: the real go command ({go}) fails: {why}")]
    Reference {
        /// Which project.
        project: &'static str,
        /// Which go command.
        go: String,
        /// How.
        why: String,
    },
    /// The copy of the modules.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The server.
    #[error(transparent)]
    Served(#[from] ServedError),
    /// A client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A toolchain.
    #[error(transparent)]
    Go(#[from] GoClientError),
    /// Building goferry.
    #[error(transparent)]
    Build(#[from] WorkspaceError),
    /// A file.
    #[error("comparing: {0}")]
    System(#[from] io::Error),
}

/// A go command in goferry's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InPlace {
    /// The one that it is compared with.
    Same,
    /// This one.
    Version(GoVersion),
}

/// What is to be compared.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The small projects only.
    pub(crate) small: bool,
    /// The binary; built here where none is given.
    pub(crate) binary: Option<PathBuf>,
    /// A go command in goferry's place, to see that the comparison finds nothing with itself and something with another.
    pub(crate) with_go: Option<InPlace>,
    /// Where the caches are made; in memory unless said.
    pub(crate) place: Option<PathBuf>,
    /// The projects; all where none is named.
    pub(crate) names: Vec<String>,
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// [`OracleError::Usage`] for an option without its value, a wrong version and an unknown project.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, OracleError> {
        let mut options = Self { binary: env::var_os(BINARY).map(PathBuf::from), ..Self::default() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| OracleError::Usage(format!("{argument} needs a value")));
            match argument.as_str() {
                "--small" => options.small = true,
                "--binary" => options.binary = Some(PathBuf::from(value()?)),
                "--place" => options.place = Some(PathBuf::from(value()?)),
                "--with-go" => {
                    let usage = |error: GoClientError| OracleError::Usage(error.to_string());
                    options.with_go = Some(match value()?.as_str() {
                        "same" => InPlace::Same,
                        version => InPlace::Version(version.parse().map_err(usage)?),
                    });
                }
                name if Project::find(name).is_some() => options.names.push(name.to_owned()),
                other => {
                    let known: Vec<&str> = PROJECTS.iter().map(|project| project.name).collect();
                    let known = known.join(", ");
                    return Err(OracleError::Usage(format!("there is no project {other:?}; there are: {known}")));
                }
            }
        }
        Ok(options)
    }

    fn wants(&self, project: &Project) -> bool {
        if self.names.is_empty() { !self.small || project.small } else { self.names.iter().any(|n| n == project.name) }
    }
}

/// Compares and prints the table.
///
/// # Errors
/// [`OracleError::Different`] when anything differs, otherwise why nothing could be compared.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), OracleError> {
    let tool = match (&options.with_go, &options.binary) {
        (Some(InPlace::Same), _) => None,
        (Some(InPlace::Version(version)), _) => Some(Tool::Go(version.clone())),
        (None, Some(binary)) => Some(Tool::Goferry(fs::canonicalize(binary)?)),
        (None, None) => Some(Tool::Goferry(build(workspace, !options.small)?)),
    };
    let oracle = Oracle {
        upstream: Upstream::of(workspace),
        shelf: Shelf::new()?,
        place: options.place.clone().unwrap_or_else(memory),
        tool,
    };
    let (mut rows, mut wrong) = (Vec::new(), 0);
    for project in PROJECTS.iter().filter(|project| options.wants(project)) {
        oracle.upstream.fetch(project)?;
        for go in versions(project)? {
            let row = oracle.compare(project, &go)?;
            say!("    {}", row.line());
            for line in row.problems() {
                say!("        {line}");
                wrong += 1;
            }
            rows.push(row.line());
        }
    }
    say!("\n| project | shape | go | modules | files compared | differences | go mod verify | go list -deps |");
    say!("|---|---|---|---|---|---|---|---|");
    for row in rows {
        say!("{row}");
    }
    say!("\nNot compared:");
    for (what, why) in tree::MAY_DIFFER {
        say!("- {what}: {why}");
    }
    match wrong {
        0 => Ok(()),
        _ => Err(OracleError::Different("the cache is not the one that the go command leaves".to_owned())),
    }
}

/// Builds the command, for release or as tests do.
pub(crate) fn build(workspace: &Workspace, release: bool) -> Result<PathBuf, WorkspaceError> {
    let mut command = cargo();
    command.args(["build", "--package", "goferry", "--locked"]).args(release.then_some("--release"));
    say!("    cargo build --package goferry{}", if release { " --release" } else { "" });
    output(command.current_dir(&workspace.root))?;
    Ok(workspace.target.join(if release { "release" } else { "debug" }).join("goferry"))
}

/// What was found of a project.
struct Row {
    project: &'static Project,
    go: String,
    modules: usize,
    /// How the download failed, if it did.
    failed: Option<String>,
    compared: Compared,
    verify: Result<(), String>,
    list: Result<(), String>,
}

impl Row {
    fn line(&self) -> String {
        let Self { project, go, modules, compared, .. } = self;
        let word = |result: &Result<(), String>| if result.is_ok() { "works" } else { "**fails**" };
        let differences = match (&self.failed, compared.differences.len()) {
            (Some(_), _) => "**fails**".to_owned(),
            (None, 0) => "0".to_owned(),
            (None, count) => format!("**{count}**"),
        };
        let (verify, list) = (word(&self.verify), word(&self.list));
        let Project { name, shape, .. } = project;
        format!("| {name} | {shape} | {go} | {modules} | {} | {differences} | {verify} | {list} |", compared.files)
    }

    fn problems(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.failed.iter().map(|why| format!("download: {why}")));
        let differences = &self.compared.differences;
        lines.extend(differences.iter().take(SHOWN).cloned());
        if differences.len() > SHOWN {
            lines.push(format!("and {} more", differences.len() - SHOWN));
        }
        for (what, result) in [("go mod verify", &self.verify), ("go list -deps", &self.list)] {
            lines.extend(result.as_ref().err().map(|why| format!("{what}: {why}")));
        }
        lines
    }
}

/// A project's folder and GOPATH, and what a client did with them.
struct Side {
    home: Home,
    project: PathBuf,
    done: Done,
}

/// What all comparisons share.
struct Oracle {
    upstream: Upstream,
    shelf: Shelf,
    place: PathBuf,
    /// `None`: the go command that it is compared with.
    tool: Option<Tool>,
}

impl Oracle {
    fn compare(&self, project: &'static Project, go: &GoVersion) -> Result<Row, OracleError> {
        let real = Tool::Go(go.clone());
        let reference = self.side(project, go, &real)?;
        let fails = |why: String| OracleError::Reference { project: project.name, go: go.to_string(), why };
        if !reference.done.succeeded() {
            return Err(fails(reference.done.failure()));
        }
        let ours = self.side(project, go, self.tool.as_ref().unwrap_or(&real))?;
        let infos = if go.to_string() == NEW { Infos::Bytes } else { Infos::Values };
        let compared = tree::compare(&reference.home.gopath(), &ours.home.gopath(), infos)?.and(tree::compare(
            &reference.project,
            &ours.project,
            infos,
        )?);
        let failed = (!ours.done.succeeded()).then(|| ours.done.failure());
        let list = offline(&ours, go, &list_arguments(project))?;
        if list.is_err() {
            let why = |why| fails(format!("go list -deps: {why}"));
            offline(&reference, go, &list_arguments(project))?.map_err(why)?;
        }
        Ok(Row {
            project,
            go: go.to_string(),
            modules: zips(&reference.home.modcache().join("cache/download"))?,
            failed,
            compared,
            verify: offline(&ours, go, &["mod".to_owned(), "verify".to_owned()])?,
            list,
        })
    }

    /// Downloads the project with one client into folders of its own.
    fn side(&self, project: &Project, go: &GoVersion, tool: &Tool) -> Result<Side, OracleError> {
        let home = Home::new_in(&self.place)?;
        let folder = home.at("project");
        self.upstream.write_project(project, &folder)?;
        let served = self.shelf.serve(&self.upstream.modules(), Some(&self.upstream.sums(project)), None)?;
        let call = Call { go, dir: &folder, home: &home, env: served.env(), deadline: DEADLINE, link: None };
        let done = call.download(tool)?;
        Ok(Side { project: folder, home, done })
    }
}

/// The packages of every module of the project, with all that they import.
fn list_arguments(project: &Project) -> Vec<String> {
    let mut arguments = vec!["list".to_owned(), "-deps".to_owned()];
    if project.workspace {
        arguments.extend(project.parts.iter().map(|part| match part.folder {
            "" => "./...".to_owned(),
            folder => format!("./{folder}/..."),
        }));
    } else {
        arguments.push("./...".to_owned());
    }
    arguments
}

/// Runs the go command on what a client left, without any proxy.
fn offline(side: &Side, go: &GoVersion, arguments: &[String]) -> Result<Result<(), String>, ClientError> {
    let env = vec![("GOPROXY", "off".into()), ("GOFLAGS", "-mod=readonly".into())];
    let call = Call { go, dir: &side.project, home: &side.home, env, deadline: DEADLINE, link: None };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = call.go(&arguments)?;
    Ok(if done.succeeded() { Ok(()) } else { Err(done.failure()) })
}

/// Zips below a folder.
fn zips(folder: &Path) -> io::Result<usize> {
    let mut count = 0;
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            count +=
                if path.is_dir() { zips(&path)? } else { usize::from(path.extension().is_some_and(|e| e == "zip")) };
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, OracleError> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_choose_projects_and_client() {
        let options = parse("--with-go go1.21.13 cobra etcd").unwrap();
        assert_eq!(options.with_go, Some(InPlace::Version("go1.21.13".parse().unwrap())));
        assert_eq!(parse("--with-go same").unwrap().with_go, Some(InPlace::Same));
        let wanted = PROJECTS.iter().filter(|project| options.wants(project)).map(|project| project.name);
        assert_eq!(wanted.collect::<Vec<_>>(), ["cobra", "etcd"]);
        let small = parse("--small").unwrap();
        assert!(PROJECTS.iter().all(|project| small.wants(project) == project.small));
        for wrong in ["nothing", "--binary", "--with-go x"] {
            assert!(matches!(parse(wrong), Err(OracleError::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn a_workspace_lists_each_of_its_modules() {
        let list = |name| list_arguments(Project::find(name).unwrap()).join(" ");
        assert_eq!(list("cobra"), "list -deps ./...");
        assert_eq!(list("opentelemetry"), "list -deps ./... ./metric/... ./sdk/... ./trace/...");
    }
}
