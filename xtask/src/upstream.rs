//! A local copy of what real projects need, under `target/upstream`: each file is asked of the machine's own GOPROXY once,
//! by the go command itself, and served from here ever after.
//!
//! ```text
//! go/pkg/mod/cache/download/   every module, as the go command's cache keeps it, which is what a module proxy serves
//! projects/NAME/               the project as its zips have it, untouched
//! sums/NAME/sumdb/             the checksum database's answers for it
//! NAME.done                    what the copy was made for
//! ```
//!
//! Two things differ from the upstream: `.info` is as the go command writes it, and `list` names what is here.
//!
//! The checksum database's answers are signed trees of different sizes, and which tiles a client needs depends on the order
//! in which it sees them. So each answer here carries the largest tree that was seen (record and tree are separate in a
//! lookup, golang.org/x/mod/sumdb), and a second pass fetches the tiles that this tree needs.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use goferry_lab::go_client::{GoClientError, GoVersion};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{memory, remove};
use crate::oracle::projects::Project;
use crate::say::say;
use crate::workspace::{Workspace, WorkspaceError, output};

/// The oldest go command that knows `GOTOOLCHAIN`.
pub(crate) const OLD: &str = "go1.21.13";
/// The newest, whose behaviour is the reference.
pub(crate) const NEW: &str = "go1.27.3";
/// What stands between a lookup's record and its signed tree.
const TREE: &str = "\n\ngo.sum database tree\n";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// The go command failed: the upstream refuses a module, or cannot be reached.
    #[error(transparent)]
    Go(#[from] WorkspaceError),
    /// A toolchain is missing.
    #[error(transparent)]
    Toolchain(#[from] GoClientError),
    /// The go command said something else than expected.
    #[error("go mod download -json {module}: no Dir in its output")]
    NoDir {
        /// Which module.
        module: &'static str,
    },
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> UpstreamError {
    let path = path.to_owned();
    move |source| UpstreamError::File { path, source }
}

/// The go commands that a project is downloaded with.
pub(crate) fn versions(project: &Project) -> Result<Vec<GoVersion>, GoClientError> {
    let names: &[&str] = if project.old { &[NEW, OLD] } else { &[NEW] };
    names.iter().map(|name| name.parse()).collect()
}

/// The copy.
#[derive(Debug)]
pub(crate) struct Upstream {
    root: PathBuf,
}

impl Upstream {
    /// The copy of this checkout, as far as it has been made.
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self { root: workspace.target.join("upstream") }
    }

    /// The folder with every module.
    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("go/pkg/mod/cache/download")
    }

    /// The folder whose `sumdb` holds the checksum database's answers for a project; where nothing was asked it is missing.
    pub(crate) fn sums(&self, project: &Project) -> PathBuf {
        self.root.join("sums").join(project.name)
    }

    /// Writes the project into `folder`, which must not exist.
    pub(crate) fn write_project(&self, project: &Project, folder: &Path) -> Result<(), UpstreamError> {
        copy(&self.pristine(project), folder)
    }

    /// Sees to it that everything that the project needs is here.
    pub(crate) fn fetch(&self, project: &Project) -> Result<(), UpstreamError> {
        let done = self.root.join(project.name).with_extension("done");
        let made_for = format!("{:?} {} {}\n", project.parts, project.workspace, project.old);
        if fs::read_to_string(&done).is_ok_and(|text| text == made_for) {
            return Ok(());
        }
        say!("    {}: fetching what is missing of it from this machine's GOPROXY", project.name);
        fs::create_dir_all(&self.root).map_err(at(&self.root))?;
        self.assemble(project)?;
        let sums = self.sums(project);
        remove(&sums).map_err(at(&sums))?;
        self.pass(project, None)?;
        if let Some(tree) = self.align(&sums)? {
            self.pass(project, Some(&tree))?;
        }
        fs::write(&done, made_for).map_err(at(&done))
    }

    fn pristine(&self, project: &Project) -> PathBuf {
        self.root.join("projects").join(project.name)
    }

    /// The project's folder from the zips of its parts.
    fn assemble(&self, project: &Project) -> Result<(), UpstreamError> {
        let folder = self.pristine(project);
        remove(&folder).map_err(at(&folder))?;
        let (new, empty) = (NEW.parse()?, TempDir::new().map_err(at(Path::new("a temporary folder")))?);
        for part in project.parts {
            let mut go = self.go(&new, &self.root.join("go"), empty.path())?;
            let said = output(go.args(["mod", "download", "-json", part.module]))?;
            let said: Option<Value> = serde_json::from_str(&said).ok();
            let unpacked = said.as_ref().and_then(|said| said["Dir"].as_str());
            let unpacked = unpacked.ok_or(UpstreamError::NoDir { module: part.module })?;
            copy(Path::new(unpacked), &folder.join(part.folder))?;
        }
        if project.workspace {
            // go work init writes its own version as the go line.
            let oldest = versions(project)?.pop().map_or(new, |oldest| oldest);
            let mut go = self.go(&oldest, &self.root.join("go"), &folder)?;
            go.args(["work", "init"]).args(project.parts.iter().map(|part| format!("./{}", part.folder)));
            output(&mut go)?;
        }
        Ok(())
    }

    /// Downloads the project into empty caches with each go command, and keeps what arrived. `tree` is the checksum database's
    /// tree that it knows beforehand, as a file name and its text.
    fn pass(&self, project: &Project, tree: Option<&(String, String)>) -> Result<(), UpstreamError> {
        for version in versions(project)? {
            let scratch = TempDir::with_prefix_in("goferry-fetch-", memory()).map_err(at(&memory()))?;
            let (gopath, folder) = (scratch.path().join("go"), scratch.path().join("project"));
            self.write_project(project, &folder)?;
            let download = gopath.join("pkg/mod/cache/download");
            if let Some((name, text)) = tree {
                let latest = gopath.join("pkg/sumdb").join(name).join("latest");
                write(&latest, text.as_bytes())?;
                let answers = self.sums(project).join("sumdb");
                copy(&answers, &download.join("sumdb"))?;
            }
            output(self.go(&version, &gopath, &folder)?.args(["mod", "download"]))?;
            let sumdb = download.join("sumdb");
            if sumdb.is_dir() {
                keep(&sumdb, &self.sums(project).join("sumdb"))?;
            }
            remove(&sumdb).map_err(at(&sumdb))?;
            keep(&download, &self.modules())?;
            remove(&gopath).map_err(at(&gopath))?;
        }
        Ok(())
    }

    /// Gives each answer of the checksum database the largest tree that was seen. That tree, or `None` where nothing was asked.
    fn align(&self, sums: &Path) -> Result<Option<(String, String)>, UpstreamError> {
        let lookups: Vec<PathBuf> = files(&sums.join("sumdb"))?.into_iter().filter(|file| is_lookup(file)).collect();
        let mut largest: Option<(u64, String)> = None;
        let mut texts = Vec::new();
        for file in &lookups {
            let text = fs::read_to_string(file).map_err(at(file))?;
            if let Some((size, note)) = tree_of(&text)
                && largest.as_ref().is_none_or(|known| known.0 < size)
            {
                largest = Some((size, note.to_owned()));
            }
            texts.push(text);
        }
        let Some((_, note)) = largest else { return Ok(None) };
        for (file, text) in lookups.iter().zip(texts) {
            if let Some((_, old)) = tree_of(&text) {
                let record = &text[..text.len() - old.len()];
                fs::write(file, format!("{record}{note}")).map_err(at(file))?;
            }
        }
        let folder = sums.join("sumdb");
        let names = fs::read_dir(&folder).map_err(at(&folder))?;
        let name = names.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).next();
        Ok(name.map(|name| (name, note)))
    }

    /// The go command with this machine's settings, its own GOPATH, and this copy before the machine's GOPROXY.
    fn go(&self, version: &GoVersion, gopath: &Path, folder: &Path) -> Result<Command, UpstreamError> {
        let go = version.goroot()?.join("bin/go");
        let mut ask = Command::new(&go);
        let list = output(ask.args(["env", "GOPROXY"]).env("GOTOOLCHAIN", "local").env_remove("GOROOT"))?;
        // The version control systems behind `direct` would be asked for what no proxy has.
        let proxies: Vec<&str> = list.trim().split([',', '|']).filter(|entry| *entry != "direct").collect();
        let list = format!("file://{},{}", self.modules().display(), proxies.join(","));
        let mut command = Command::new(go);
        command.current_dir(folder).env_remove("GOROOT").env_remove("GOWORK").env("GOTOOLCHAIN", "local");
        command.env("GOPATH", gopath).env("GOMODCACHE", gopath.join("pkg/mod")).env("GOFLAGS", "-modcacherw");
        command.env("GOPROXY", list);
        Ok(command)
    }
}

fn is_lookup(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "lookup")
}

/// The signed tree at the end of a lookup, and its size.
fn tree_of(lookup: &str) -> Option<(u64, &str)> {
    let note = &lookup[lookup.find(TREE)? + 2..];
    Some((note.lines().nth(1)?.parse().ok()?, note))
}

/// Every file below a folder; none where there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, UpstreamError> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

/// Copies the files that are not there, and joins lists of versions; locks and half-written files stay behind.
fn keep(from: &Path, to: &Path) -> Result<(), UpstreamError> {
    for file in files(from)? {
        let target = to.join(file.strip_prefix(from).unwrap_or(&file));
        let extension = file.extension().and_then(OsStr::to_str).unwrap_or_default();
        if matches!(extension, "lock" | "tmp" | "partial") || file.file_name() == Some(OsStr::new("lock")) {
            continue;
        }
        let new = fs::read(&file).map_err(at(&file))?;
        if file.ends_with("@v/list") {
            let known = fs::read_to_string(&target).unwrap_or_default();
            let both = format!("{known}{}", String::from_utf8_lossy(&new));
            let mut lines: Vec<&str> = both.lines().collect();
            lines.sort_unstable();
            lines.dedup();
            write(&target, lines.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes())?;
        } else if !target.exists() {
            write(&target, &new)?;
        }
    }
    Ok(())
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), UpstreamError> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    fs::write(file, bytes).map_err(at(file))
}

/// Copies a folder into one that may exist; all that it writes can be written to.
fn copy(from: &Path, to: &Path) -> Result<(), UpstreamError> {
    for file in files(from)? {
        let target = to.join(file.strip_prefix(from).unwrap_or(&file));
        write(&target, &fs::read(&file).map_err(at(&file))?)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).map_err(at(&target))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKUP: &str = "7\nm v1.0.0 h1:a=\nm v1.0.0/go.mod h1:b=\n\ngo.sum database tree\n41\nhash\n\n— name sig\n";

    #[test]
    fn the_tree_of_a_lookup_is_found() {
        let (size, note) = tree_of(LOOKUP).unwrap();
        assert_eq!((size, note.lines().next()), (41, Some("go.sum database tree")));
        assert!(tree_of("7\nm v1.0.0 h1:a=\n").is_none());
    }

    #[test]
    fn answers_get_the_largest_tree() {
        let folder = TempDir::new().unwrap();
        let upstream = Upstream { root: folder.path().to_owned() };
        let file = |name: &str| folder.path().join("sumdb/sum.example.com/lookup").join(name);
        write(&file("m@v1.0.0"), LOOKUP.as_bytes()).unwrap();
        write(&file("n@v1.0.0"), LOOKUP.replace("\n41\n", "\n50\n").replace("7\nm", "9\nn").as_bytes()).unwrap();
        let (name, note) = upstream.align(folder.path()).unwrap().unwrap();
        assert_eq!(name, "sum.example.com");
        assert!(note.contains("\n50\n"));
        let text = fs::read_to_string(file("m@v1.0.0")).unwrap();
        assert!(text.starts_with("7\nm v1.0.0 h1:a=") && text.ends_with(&note), "{text}");
    }

    #[test]
    fn lists_are_joined_and_locks_left() {
        let folder = TempDir::new().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for (file, text) in [("m/@v/list", "v1.0.0\nv1.1.0\n"), ("m/@v/v1.1.0.lock", ""), ("m/@v/v1.1.0.mod", "new")] {
            write(&from.join(file), text.as_bytes()).unwrap();
        }
        write(&to.join("m/@v/list"), b"v1.1.0\nv1.2.0\n").unwrap();
        write(&to.join("m/@v/v1.1.0.mod"), b"old").unwrap();
        keep(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("m/@v/list")).unwrap(), "v1.0.0\nv1.1.0\nv1.2.0\n");
        assert_eq!(fs::read_to_string(to.join("m/@v/v1.1.0.mod")).unwrap(), "old");
        assert!(!to.join("m/@v/v1.1.0.lock").exists());
    }
}
