//! The module proxies that are compared, and how they are started.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use goferry_lab::go_client::GoVersion;
use goferry_lab::link::Link;
use goferry_lab::serve::ServeProcess;
use goferry_lab::servers;

use crate::bench::{BenchError, DEADLINE};
use crate::client::{Call, Home};
use crate::say::say;
use crate::workspace::output;

/// The other module proxy that one would take.
const GOPROXY: &str = "github.com/goproxy/goproxy/cmd/goproxy";
const START: Duration = Duration::from_secs(10);
/// Says where it will listen, as goferry does, and becomes the program.
const SCRIPT: &str =
    r#"echo "export GOPROXY=http://$1" >&2; exec "$2" server --address "$1" --cacher-dir "$3" --temp-dir "$4""#;

/// A proxy that can be started.
#[derive(Clone, Debug)]
pub(super) enum Candidate {
    Goferry(PathBuf),
    Goproxy(PathBuf),
}

/// One that runs, with its folders.
pub(super) struct Running {
    pub(super) process: ServeProcess,
    _home: Home,
}

impl Candidate {
    /// Starts it with what is in the folder `store`, on the client's side of the link. Its upstream is in `env`.
    pub(super) fn start(
        &self,
        go: &GoVersion,
        place: &Path,
        store: &Path,
        env: &[(&'static str, OsString)],
        arguments: &[&str],
        link: Option<&Link>,
    ) -> Result<Running, BenchError> {
        let home = Home::new_in(place)?;
        let dir = home.at("home");
        let mut env = env.to_vec();
        env.push(("GOSUMDB", "off".into()));
        let call = Call { go, dir: &dir, home: &home, env, deadline: DEADLINE, link };
        let (mut command, awaited) = match self {
            Self::Goferry(binary) => {
                let mut command = call.command(binary, &["serve", "--listen", "127.0.0.1:0", "--store"])?;
                command.arg(store).args(arguments);
                (command, None)
            }
            Self::Goproxy(binary) => {
                let address = servers::free_address()?;
                let mut command = call.command(Path::new("sh"), &["-c", SCRIPT, "sh", &address.to_string()])?;
                command.arg(binary).arg(store).arg(home.at("tmp"));
                (command, Some(address))
            }
        };
        let log = home.at("server.log");
        let mut start = || ServeProcess::start(&mut command, &log).and_then(|process| ready(process, awaited));
        let process = match link {
            Some(link) => link.in_client(start)?,
            None => start(),
        };
        Ok(Running { process: process?, _home: home })
    }
}

/// Waits until it accepts connections, where its own word does not say so.
fn ready(process: ServeProcess, awaited: Option<SocketAddr>) -> io::Result<ServeProcess> {
    let began = Instant::now();
    while let Some(address) = awaited {
        match TcpStream::connect(address) {
            Ok(_) => break,
            Err(error) if began.elapsed() > START => {
                return Err(io::Error::other(format!("{error}: {}", process.log())));
            }
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
    Ok(process)
}

/// goproxy, built from its source with the go command and the environment of this machine. `None` where that fails; what
/// the go command said is printed.
pub(super) fn goproxy(go: &GoVersion, folder: &Path) -> Result<Option<PathBuf>, BenchError> {
    fs::create_dir_all(folder)?;
    let binary = folder.join("goproxy");
    let mut install = Command::new(go.goroot()?.join("bin/go"));
    install.args(["install", &format!("{GOPROXY}@latest")]).env("GOBIN", folder).env("GOTOOLCHAIN", "local");
    say!("    go install {GOPROXY}@latest");
    match output(&mut install) {
        Ok(_) => Ok(Some(binary)),
        Err(error) => {
            say!("    goproxy is skipped: {error}");
            Ok(None)
        }
    }
}

/// The version of goproxy that a binary was built from, as the go command put it in.
pub(super) fn goproxy_version(go: &GoVersion, binary: &Path) -> Result<String, BenchError> {
    let said = output(Command::new(go.goroot()?.join("bin/go")).args(["version", "-m"]).arg(binary))?;
    let module = said.lines().find_map(|line| line.trim().strip_prefix("mod\t"));
    let version = module.and_then(|module| module.split('\t').nth(1)).unwrap_or("of unknown version");
    Ok(format!("goproxy {version}"))
}
