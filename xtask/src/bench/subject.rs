//! What is downloaded: the files that the server has, the project, and what a download of it leaves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use goferry_lab::go_client::GoVersion;
use goferry_lab::servers::write_goproxy;
use goferry_lab::universe::{ProjectSpec, Shape, Universe, ZipSize};
use tempfile::TempDir;

use super::{BenchError, stand_ins};
use crate::client::{Call, Home, Tool};
use crate::oracle::projects::Project;
use crate::served::Shelf;
use crate::upstream::Upstream;
use crate::workspace::Workspace;

/// The real project; one of [`crate::oracle::projects`].
pub(crate) const REAL: &str = "prometheus";
const MODULES: usize = 200;
const ZIP_BYTES: usize = 50_000;
const DEADLINE: Duration = Duration::from_secs(300);

/// What is downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// 200 modules of 50 kB, none of which requires another.
    Flat,
    /// The same, where module i requires 2i+1 and 2i+2.
    Tree,
    /// A real project.
    Real,
}

/// A project that is ready to be downloaded.
pub(crate) struct Ready {
    /// What the server has.
    pub(crate) modules: PathBuf,
    /// What `modules` lacks that an upstream has ([`stand_ins`]).
    pub(crate) rest: TempDir,
    /// go.mod and go.sum.
    project: TempDir,
    /// What the real go command left, in memory.
    reference: Home,
    /// Zips that it fetched.
    pub(crate) zips: usize,
    /// Files that it left, lock files not counted.
    pub(crate) files: usize,
    /// Bytes that it fetched: bodies of `.mod`, `.info` and `.zip`.
    pub(crate) bytes: u64,
    _server_files: Option<TempDir>,
}

impl Ready {
    /// Makes or fetches it, and downloads it once over loopback, which also brings the server's files into memory.
    pub(crate) fn new(
        subject: Subject,
        workspace: &Workspace,
        shelf: &Shelf,
        go: &GoVersion,
        memory: &Path,
    ) -> Result<Self, BenchError> {
        let project = TempDir::with_prefix("goferry-bench-")?;
        let mut server_files = None;
        let modules = match subject {
            Subject::Flat | Subject::Tree => {
                let files = TempDir::with_prefix_in("goferry-bench-", memory)?;
                let shape = if subject == Subject::Tree { Shape::BinaryTree } else { Shape::Flat };
                let universe = Universe::builder().modules(MODULES).shape(shape);
                let universe = universe.zip_size(ZipSize::Fixed(ZIP_BYTES)).build();
                write_goproxy(&universe, files.path())?;
                universe.write_project(project.path(), &ProjectSpec::default())?;
                let modules = files.path().to_owned();
                server_files = Some(files);
                modules
            }
            Subject::Real => {
                let upstream = Upstream::of(workspace);
                let real = Project::find(REAL).ok_or(BenchError::NoProject(REAL))?;
                upstream.fetch(real)?;
                let whole = TempDir::new()?;
                upstream.write_project(real, whole.path())?;
                for name in ["go.mod", "go.sum"] {
                    fs::copy(whole.path().join(name), project.path().join(name))?;
                }
                upstream.modules()
            }
        };
        let reference = Home::new_in(memory)?;
        let served = shelf.serve(&modules, None, None)?;
        let mut env = served.env();
        env.push(("GOSUMDB", "off".into()));
        let call = Call { go, dir: project.path(), home: &reference, env, deadline: DEADLINE, link: None };
        let done = call.download(&Tool::Go(go.clone()))?;
        if !done.succeeded() {
            return Err(BenchError::Reference(done.failure()));
        }
        let bytes = served.traffic()?.bytes;
        let (zips, files) = count(&reference.modcache())?;
        let rest = TempDir::with_prefix_in("goferry-bench-", memory)?;
        stand_ins::write(&reference.modcache().join("cache/download"), &modules, rest.path())?;
        Ok(Self { modules, rest, project, reference, zips, files, bytes, _server_files: server_files })
    }

    /// Writes go.mod and go.sum into a new folder.
    pub(crate) fn write_project(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for name in ["go.mod", "go.sum"] {
            fs::copy(self.project.path().join(name), folder.join(name))?;
        }
        Ok(())
    }

    /// What `cp -r` copies.
    pub(crate) fn result(&self) -> PathBuf {
        self.reference.modcache()
    }

    /// Whether a client left as many zips and files as the go command.
    pub(crate) fn is_whole(&self, modcache: &Path) -> io::Result<bool> {
        Ok(count(modcache)? == (self.zips, self.files))
    }
}

/// Zips and files of a module cache, lock files not counted.
fn count(folder: &Path) -> io::Result<(usize, usize)> {
    let (mut zips, mut files) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let inner = count(&entry.path())?;
            (zips, files) = (zips + inner.0, files + inner.1);
        } else if name != "lock" && !name.ends_with(".lock") {
            zips += usize::from(name.ends_with(".zip"));
            files += 1;
        }
    }
    Ok((zips, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_not_counted() {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        for name in ["lock", "inner/v1.lock", "inner/v1.zip", "inner/v1.mod"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(count(folder.path()).unwrap(), (1, 2));
    }

    #[test]
    fn the_real_project_is_one_of_the_oracle() {
        assert!(Project::find(REAL).is_some_and(|project| !project.workspace));
    }
}
