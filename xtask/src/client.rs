//! A go command or a goferry as the client of a module proxy: the same folders, the same environment, one clock.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use goferry_lab::go_client::{GoClientError, GoVersion};
use goferry_lab::link::{Link, LinkError};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

/// What an error shows of a program's output, in characters.
const SAID: usize = 1_500;

/// Why a client could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The go command is not to be had.
    #[error(transparent)]
    Go(#[from] GoClientError),
    /// The namespace cannot be entered, or the program cannot be started in it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A file or a process.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl ClientError {
    /// For `map_err`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::System { what: what.into(), source }
    }
}

/// What downloads.
#[derive(Clone, Debug)]
pub(crate) enum Tool {
    /// `go mod download` of this version.
    Go(GoVersion),
    /// `goferry download` of this binary.
    Goferry(PathBuf),
}

/// The folders of one client: its GOPATH with the module cache, its home, and what it writes beside.
#[derive(Debug)]
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// New folders in `place`.
    pub(crate) fn new_in(place: &Path) -> Result<Self, ClientError> {
        let folder = TempDir::with_prefix_in("goferry-xtask-", place)
            .map_err(ClientError::system(format!("making a folder in {}", place.display())))?;
        let home = Self { folder };
        // Telemetry leaves a process behind that would be measured with the next run (cmd/go/main.go, MaybeParent).
        let telemetry = home.at("home/.config/go/telemetry");
        for folder in [&telemetry, &home.at("no-certificates"), &home.at("tmp"), &home.at("gocache"), &home.gopath()] {
            fs::create_dir_all(folder).map_err(ClientError::system("making a client's folders"))?;
        }
        fs::write(telemetry.join("mode"), "off").map_err(ClientError::system("turning telemetry off"))?;
        Ok(home)
    }

    /// GOPATH.
    pub(crate) fn gopath(&self) -> PathBuf {
        self.at("go")
    }

    /// GOMODCACHE.
    pub(crate) fn modcache(&self) -> PathBuf {
        self.at("go/pkg/mod")
    }

    /// A path in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes the cache away, with all that is in GOPATH.
    pub(crate) fn empty(&self) -> Result<(), ClientError> {
        remove(&self.gopath()).map_err(ClientError::system("removing a module cache"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the temporary folder.
        let _left = remove(&self.gopath());
    }
}

/// Where folders are made that a disk would only slow down: in memory, where the system has such a place.
pub(crate) fn memory() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    if shared.is_dir() { shared } else { std::env::temp_dir() }
}

/// Removes a folder of a module cache, whose folders are read-only.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        unlock(folder)?;
    }
    fs::remove_dir_all(folder)
}

fn unlock(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

/// One call of a program.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The go command that it finds on PATH.
    pub(crate) go: &'a GoVersion,
    /// The folder that it runs in.
    pub(crate) dir: &'a Path,
    /// Its own folders.
    pub(crate) home: &'a Home,
    /// GOPROXY and what else differs from the empty environment.
    pub(crate) env: Vec<(&'static str, OsString)>,
    /// It is killed after this time.
    pub(crate) deadline: Duration,
    /// Where its packets go, if not over loopback.
    pub(crate) link: Option<&'a Link>,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// From before its start to its end.
    pub(crate) wall: Duration,
    /// `None` when it was killed at the deadline.
    pub(crate) status: Option<ExitStatus>,
    /// The end of what it wrote, standard error last.
    pub(crate) said: String,
}

impl Done {
    /// Whether it ended with status 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// How it failed, in one line and its own words.
    pub(crate) fn failure(&self) -> String {
        let how = match self.status {
            Some(status) => status.to_string(),
            None => format!("killed after {:.0} s", self.wall.as_secs_f64()),
        };
        format!("{how}: {}", self.said.trim())
    }
}

impl Call<'_> {
    /// Downloads the modules of the project in `dir`.
    pub(crate) fn download(&self, tool: &Tool) -> Result<Done, ClientError> {
        match tool {
            Tool::Go(version) => self.run(&version.goroot()?.join("bin/go"), &["mod", "download"]),
            Tool::Goferry(binary) => self.run(binary, &["download"]),
        }
    }

    /// Runs the go command that is on its PATH.
    pub(crate) fn go(&self, arguments: &[&str]) -> Result<Done, ClientError> {
        self.run(&self.go.goroot()?.join("bin/go"), arguments)
    }

    /// A program in this folder, with this environment and nothing else.
    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Result<Command, ClientError> {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.go.goroot()?.join("bin").display());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.dir).env_clear();
        command.env("PATH", path).env("HOME", self.home.at("home")).env("TMPDIR", self.home.at("tmp"));
        command.env("GOPATH", self.home.gopath()).env("GOMODCACHE", self.home.modcache());
        command.env("GOCACHE", self.home.at("gocache")).env("GOENV", "off").env("GOTOOLCHAIN", "local");
        command.env("SSL_CERT_DIR", self.home.at("no-certificates"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Runs a program until it ends or the deadline has passed.
    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) -> Result<Done, ClientError> {
        let outputs = ["stdout", "stderr"].map(|name| self.home.at(name));
        let file =
            |path: &Path| File::create(path).map_err(ClientError::system("making a file for a program's output"));
        let mut command = self.command(program, arguments)?;
        command.stdin(Stdio::null()).stdout(file(&outputs[0])?).stderr(file(&outputs[1])?).process_group(0);
        let start = Instant::now();
        let child = match self.link {
            Some(link) => link.client_spawn(&mut command)?,
            None => command.spawn().map_err(ClientError::system(format!("running {}", program.display())))?,
        };
        let (wall, status) = wait(child, start, self.deadline)?;
        let said = outputs.iter().map(|file| fs::read(file).unwrap_or_default()).collect::<Vec<_>>().concat();
        let said = String::from_utf8_lossy(&said);
        let skip = said.chars().count().saturating_sub(SAID);
        Ok(Done { wall, status, said: said.chars().skip(skip).collect() })
    }
}

/// Waits for the child's end without looking every few milliseconds, which would be measured.
fn wait(mut child: Child, start: Instant, deadline: Duration) -> Result<(Duration, Option<ExitStatus>), ClientError> {
    let group = Pid::from_raw(child.id().cast_signed());
    let (tell, told) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let status = child.wait();
        let end = start.elapsed();
        // Nobody listens any more after the deadline.
        let _late = tell.send(());
        status.map(|status| (end, status))
    });
    let in_time = told.recv_timeout(deadline).is_ok();
    if !in_time {
        // A group that has just gone cannot be signalled, which is all that is wanted.
        let _gone = killpg(group, Signal::SIGKILL);
    }
    let ended = waiter.join().map_err(|_| io::Error::other("the thread that waits for it panicked"));
    let (wall, status) = ended.and_then(|ended| ended).map_err(ClientError::system("waiting for a program"))?;
    Ok((wall, in_time.then_some(status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_killed_and_one_that_does_is_not() {
        let spawn = |seconds: &str| Command::new("sleep").arg(seconds).process_group(0).spawn().unwrap();
        let (wall, status) = wait(spawn("60"), Instant::now(), Duration::from_millis(100)).unwrap();
        assert!(status.is_none() && wall < Duration::from_secs(20), "{wall:?} {status:?}");
        let (_, status) = wait(spawn("0"), Instant::now(), Duration::from_secs(20)).unwrap();
        assert!(status.is_some_and(|status| status.success()));
    }

    #[test]
    fn read_only_folders_are_removed() {
        let place = TempDir::new().unwrap();
        let home = Home::new_in(place.path()).unwrap();
        let inner = home.modcache().join("m@v1.0.0");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("go.mod"), "module m\n").unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o555)).unwrap();
        home.empty().unwrap();
        assert!(!home.gopath().exists());
    }
}
