//! What an environment is resolved from: nothing here reads the process or the machine behind a caller's back.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The operating system whose rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// Linux.
    Linux,
    /// macOS.
    Darwin,
    /// Windows.
    Windows,
    /// FreeBSD, OpenBSD, NetBSD and DragonFly share one rule in the go command.
    Bsd,
    /// Solaris and illumos.
    Solaris,
}

impl Os {
    /// The system this binary was built for.
    #[must_use]
    pub fn current() -> Os {
        if cfg!(target_os = "macos") {
            Os::Darwin
        } else if cfg!(windows) {
            Os::Windows
        } else if cfg!(any(target_os = "freebsd", target_os = "openbsd", target_os = "netbsd", target_os = "dragonfly"))
        {
            Os::Bsd
        } else if cfg!(any(target_os = "solaris", target_os = "illumos")) {
            Os::Solaris
        } else {
            Os::Linux
        }
    }

    /// The separator of path lists such as `PATH` (`os.PathListSeparator`).
    #[must_use]
    pub fn list_separator(self) -> char {
        if self == Os::Windows { ';' } else { ':' }
    }
}

/// Everything a resolution depends on.
#[derive(Clone)]
pub struct Inputs {
    /// The process environment.
    pub env: BTreeMap<String, String>,
    /// The user's home directory, where start-up files are looked for.
    pub home: Option<PathBuf>,
    /// The directory the go command would be run in.
    pub dir: PathBuf,
    /// Where system files live: `/`, or a temporary directory in a test. Paths that the user's environment names
    /// are taken as they are.
    pub root: PathBuf,
    /// The operating system whose rules apply.
    pub os: Os,
    /// The architecture as Go names it (`GOHOSTARCH`), for the name of toolchain modules.
    pub arch: String,
    /// Whether a `go` found on `PATH` may be run to ask for its version and defaults.
    pub run_go: bool,
}

impl Inputs {
    /// The inputs of this process, for a go command run in `dir`.
    #[must_use]
    pub fn from_process(dir: impl Into<PathBuf>) -> Inputs {
        let env: BTreeMap<String, String> = std::env::vars_os()
            .map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned()))
            .collect();
        let os = Os::current();
        let home_var = if os == Os::Windows { "USERPROFILE" } else { "HOME" };
        let home = env.get(home_var).filter(|h| !h.is_empty()).map(PathBuf::from);
        let dir = dir.into();
        Inputs {
            home,
            dir: std::path::absolute(&dir).unwrap_or(dir),
            root: PathBuf::from("/"),
            os,
            arch: go_arch().to_owned(),
            env,
            run_go: true,
        }
    }

    /// Inputs with an empty environment, for tests and for questions about another machine's files.
    #[must_use]
    pub fn empty(dir: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Inputs {
        Inputs {
            env: BTreeMap::new(),
            home: None,
            dir: dir.into(),
            root: root.into(),
            os: Os::current(),
            arch: go_arch().to_owned(),
            run_go: false,
        }
    }

    /// The same inputs with one more variable.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Inputs {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A variable of the process environment, `None` when unset or empty (the go command makes no difference).
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// Where a system file such as `/etc/environment` is read from.
    #[must_use]
    pub fn system(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// `os.UserConfigDir`: the directory that holds `go/env`.
    #[must_use]
    pub fn user_config_dir(&self) -> Option<PathBuf> {
        match self.os {
            Os::Windows => self.var("AppData").map(PathBuf::from),
            Os::Darwin => self.var("HOME").map(|h| Path::new(h).join("Library/Application Support")),
            Os::Linux | Os::Bsd | Os::Solaris => match self.var("XDG_CONFIG_HOME") {
                Some(x) if Path::new(x).is_absolute() => Some(PathBuf::from(x)),
                Some(_) => None,
                None => self.var("HOME").map(|h| Path::new(h).join(".config")),
            },
        }
    }
}

impl fmt::Debug for Inputs {
    /// Names of variables only: an environment holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs")
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("home", &self.home)
            .field("dir", &self.dir)
            .field("root", &self.root)
            .field("os", &self.os)
            .field("arch", &self.arch)
            .field("run_go", &self.run_go)
            .finish()
    }
}

/// `runtime.GOARCH` for the architecture this binary was built for.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => {
            if cfg!(target_endian = "little") {
                "ppc64le"
            } else {
                "ppc64"
            }
        }
        "loongarch64" => "loong64",
        other => other,
    }
}
