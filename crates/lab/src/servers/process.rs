//! A running server.

use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use super::config::{ACCESS_LOG, FOLDER};
use super::forward::CERTGEN;
use super::{Config, Program, ServersError, Traffic};
use crate::link::Link;

/// Time a program may take until it accepts connections; mitmproxy takes seconds on a busy machine.
const READY: Duration = Duration::from_secs(30);
/// Time it may take to end when asked to, before it is killed.
const ENDING: Duration = Duration::from_secs(2);
/// Pause between two looks at it.
const STEP: Duration = Duration::from_millis(20);
/// An access log that has not grown for this time is taken to be complete.
const QUIET: Duration = Duration::from_millis(150);
/// What is read of a log at most, from its end, in bytes.
const MAX_LOG: u64 = 16 << 20;
/// What an error shows of it, in characters.
const MAX_SAID: usize = 2000;
/// The user that Debian's Squid gives its rights up for.
const SQUID_USER: &str = "proxy";

/// Where a server runs.
#[derive(Debug, Clone, Copy)]
pub enum Site<'a> {
    /// On this machine.
    Loopback,
    /// On the server side of a link, where these names lead to these addresses.
    Link(&'a Link, &'a [(IpAddr, &'a str)]),
}

/// A server that runs; it is ended, with every process that it started, when this is dropped.
#[derive(Debug)]
pub struct RealServer {
    program: Program,
    listen: SocketAddr,
    child: Child,
    folder: TempDir,
    output: PathBuf,
}

impl RealServer {
    /// Starts the program with `config` and waits until it accepts connections.
    ///
    /// # Errors
    /// When the program is missing, refuses the configuration or does not listen within 30 s.
    pub fn start(config: &Config, site: Site<'_>) -> Result<Self, ServersError> {
        let binary = config.program.binary()?;
        let folder = TempDir::with_prefix("goferry-server-")
            .map_err(ServersError::system("make a folder in", std::env::temp_dir()))?;
        let path = folder.path();
        let file = prepare(config, path)?;
        let output = path.join("output.log");
        let open = || File::options().create(true).append(true).open(&output);
        let (out, err) = open().and_then(|out| Ok((out, open()?))).map_err(ServersError::system("write", &output))?;
        let mut command = Command::new(&binary);
        command
            .args(arguments(config.program, &file, path))
            .current_dir(path)
            .env("HOME", path)
            .env("XDG_DATA_HOME", path)
            .env("XDG_CONFIG_HOME", path)
            .env_remove("HTTPS_PROXY")
            .env_remove("HTTP_PROXY")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0);
        let child = spawn(&mut command, &binary, site, path)?;
        let mut server = Self { program: config.program, listen: config.listen, child, output, folder };
        server.wait_until_ready(site)?;
        Ok(server)
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> Program {
        self.program
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// The process; it leads a group of its own.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its standard output and error, and to its own log: the last 16 MiB of each.
    #[must_use]
    pub fn log(&self) -> String {
        let cache_log = self.folder.path().join("cache.log");
        let mut log = tail(&self.output, 0);
        log.push_str(&tail(&cache_log, 0));
        log
    }

    /// A mark in the access log, for [`RealServer::traffic_since`]. A request is logged when its response is done, by some
    /// programs a moment later: the log's end is waited for until it no longer moves, 2 s at most.
    #[must_use]
    pub fn mark(&self) -> u64 {
        let end = Instant::now() + ENDING;
        let length = || fs::metadata(self.access_log()).map_or(0, |metadata| metadata.len());
        let mut before = length();
        loop {
            thread::sleep(QUIET);
            let now = length();
            if now == before || Instant::now() > end {
                return now;
            }
            before = now;
        }
    }

    /// The requests that the access log shows. mitmproxy and tinyproxy show none.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic_since(0)
    }

    /// Those after a mark.
    #[must_use]
    pub fn traffic_since(&self, mark: u64) -> Traffic {
        let _end = self.mark();
        Traffic::read(&tail(&self.access_log(), mark))
    }

    /// The certificate of the authority that mitmproxy made for itself.
    ///
    /// # Errors
    /// When it cannot be read; no other program has one.
    pub fn authority_pem(&self) -> Result<String, ServersError> {
        let file = self.folder.path().join("mitmproxy-ca-cert.pem");
        fs::read_to_string(&file).map_err(ServersError::system("read", file))
    }

    /// Runs the same program with another configuration, in place of this one. What it made for itself, such as mitmproxy's
    /// authority, is kept; logs are begun anew.
    ///
    /// # Errors
    /// As [`RealServer::start`].
    pub fn restart(mut self, config: &Config, site: Site<'_>) -> Result<Self, ServersError> {
        let authority = self.folder.path().join("mitmproxy-ca.pem");
        let mut config = config.clone();
        if let Ok(text) = fs::read_to_string(authority) {
            config.put_file("mitmproxy-ca.pem", &text);
        }
        self.end();
        drop(self);
        Self::start(&config, site)
    }

    fn access_log(&self) -> PathBuf {
        match self.program {
            Program::Haproxy => self.output.clone(),
            _ => self.folder.path().join(ACCESS_LOG),
        }
    }

    fn wait_until_ready(&mut self, site: Site<'_>) -> Result<(), ServersError> {
        let end = Instant::now() + READY;
        let said = |server: &Self| last(&server.log(), MAX_SAID);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(ServersError::Ended { program: self.program, status: describe(status), said: said(self) });
            }
            if accepts(self.listen, site)? {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(ServersError::NotReady {
                    program: self.program,
                    address: self.listen,
                    after: READY,
                    said: said(self),
                });
            }
            thread::sleep(STEP);
        }
    }

    /// Asks the whole process group to end, and kills it if it does not.
    fn end(&mut self) {
        let Ok(pid) = i32::try_from(self.child.id()) else {
            return;
        };
        let group = Pid::from_raw(pid);
        // A group that is gone already cannot be signalled, which is all that is wanted.
        let _gone = killpg(group, Signal::SIGTERM);
        let end = Instant::now() + ENDING;
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(STEP);
        }
        let _gone = killpg(group, Signal::SIGKILL);
        let _status = self.child.wait();
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Writes the configuration and its files, and makes what the program wants to find.
fn prepare(config: &Config, folder: &Path) -> Result<PathBuf, ServersError> {
    let name = match config.program {
        Program::Nginx => "nginx.conf",
        Program::Haproxy => "haproxy.cfg",
        Program::Caddy => "Caddyfile",
        Program::Envoy => "envoy.yaml",
        Program::Squid => "squid.conf",
        Program::Mitmproxy => "config.yaml",
        Program::Tinyproxy => "tinyproxy.conf",
    };
    let file = folder.join(name);
    let here = folder.display().to_string();
    let write = |file: &Path, text: &str| {
        fs::write(file, text.replace(FOLDER, &here)).map_err(ServersError::system("write", file))
    };
    write(&file, &config.text)?;
    for (name, text) in &config.files {
        write(&folder.join(name), text)?;
    }
    if config.program == Program::Squid {
        prepare_squid(config, folder)?;
    }
    Ok(file)
}

/// A database for its certificates, and a folder that its own user may write to.
fn prepare_squid(config: &Config, folder: &Path) -> Result<(), ServersError> {
    if config.text.contains(CERTGEN) {
        let output = Command::new(CERTGEN)
            .arg("-c")
            .arg("-s")
            .arg(folder.join("certificates"))
            .args(["-M", "4MB"])
            .stdin(Stdio::null())
            .output()
            .map_err(|_missing| ServersError::Missing(Program::Squid))?;
        if !output.status.success() {
            return Err(ServersError::Ended {
                program: Program::Squid,
                status: describe(output.status),
                said: last(&String::from_utf8_lossy(&output.stderr), MAX_SAID),
            });
        }
    }
    if !geteuid().is_root() {
        return Ok(());
    }
    let Ok(Some(user)) = User::from_name(SQUID_USER) else {
        return Err(ServersError::Missing(Program::Squid));
    };
    give_to(folder, &user).map_err(ServersError::system("give to Squid's user", folder))?;
    fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(ServersError::system("open", folder))
}

fn give_to(path: &Path, user: &User) -> std::io::Result<()> {
    std::os::unix::fs::lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give_to(&entry?.path(), user)?;
        }
    }
    Ok(())
}

/// In the foreground, without state outside its folder.
fn arguments(program: Program, config: &Path, folder: &Path) -> Vec<String> {
    let config = config.display().to_string();
    let folder = folder.display();
    let arguments: &[&str] = match program {
        Program::Nginx => &["-e", "stderr", "-c", &config],
        Program::Haproxy => &["-db", "-f", &config],
        Program::Caddy => &["run", "--adapter", "caddyfile", "--config", &config],
        Program::Envoy => &[
            "-c",
            &config,
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--file-flush-interval-msec",
            "50",
            "-l",
            "warning",
        ],
        Program::Squid => &["-N", "-f", &config],
        Program::Mitmproxy => &["--quiet", "--set", &format!("confdir={folder}")],
        Program::Tinyproxy => &["-d", "-c", &config],
    };
    arguments.iter().map(|&argument| argument.to_owned()).collect()
}

fn spawn(command: &mut Command, binary: &Path, site: Site<'_>, folder: &Path) -> Result<Child, ServersError> {
    let failed = || ServersError::system("run", binary);
    match site {
        Site::Loopback => command.spawn().map_err(failed()),
        Site::Link(link, []) => Ok(link.server_spawn(command)?),
        Site::Link(link, names) => {
            let hosts = folder.join("hosts");
            let text: String = [(IpAddr::from([127, 0, 0, 1]), "localhost")]
                .iter()
                .chain(names)
                .map(|(address, name)| format!("{address} {name}\n"))
                .collect();
            fs::write(&hosts, text).map_err(ServersError::system("write", &hosts))?;
            // On a thread of its own, which ends with this closure: what it unshares, only the child inherits.
            link.in_server(|| {
                own_hosts_file(&hosts).and_then(|()| command.current_dir(folder).spawn()).map_err(failed())
            })?
        }
    }
}

/// Lays `hosts` over `/etc/hosts` for the calling thread and the processes that it starts.
fn own_hosts_file(hosts: &Path) -> std::io::Result<()> {
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    let none: Option<&Path> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some(hosts), "/etc/hosts", none, MsFlags::MS_BIND, none)?;
    Ok(())
}

fn accepts(address: SocketAddr, site: Site<'_>) -> Result<bool, ServersError> {
    let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
    match site {
        Site::Loopback => Ok(connect()),
        Site::Link(link, _) => Ok(link.in_server(connect)?),
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".to_owned(),
    }
}

/// The file from `mark` on, at most [`MAX_LOG`] bytes from its end; empty where there is none.
fn tail(file: &Path, mark: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(mark.max(length.saturating_sub(MAX_LOG))))?;
        let mut bytes = Vec::new();
        file.take(MAX_LOG).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

/// The last characters of a text.
fn last(text: &str, characters: usize) -> String {
    let skip = text.chars().count().saturating_sub(characters);
    text.chars().skip(skip).collect::<String>().trim().to_owned()
}
