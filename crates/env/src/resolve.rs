//! The variables as the go command resolves them (`cmd/go/internal/cfg`): process environment, `go env -w` file,
//! `$GOROOT/go.env`, defaults.

use std::fmt;
use std::path::{Path, PathBuf};

use goferry_module::pattern::match_prefix_patterns;
use goferry_module::{ProxyList, sumdb};

use crate::envfile::{self, EnvLine};
use crate::gocmd::{self, GoCommand, GoCommandError};
use crate::inputs::{Inputs, Os};
use crate::{mask, read};

/// Variables that the go command reads from files as well.
pub const GO_VARIABLES: &[&str] = &[
    "GO111MODULE",
    "GOAUTH",
    "GOFLAGS",
    "GOINSECURE",
    "GOMODCACHE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOPATH",
    "GOPRIVATE",
    "GOPROXY",
    "GOROOT",
    "GOSUMDB",
    "GOTOOLCHAIN",
    "GOVCS",
    "GOWORK",
];

/// Variables that count from the process environment only.
pub const PROCESS_VARIABLES: &[&str] = &[
    "GOENV",
    "GODEBUG",
    "GOMAXPROCS",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "NETRC",
    "REQUEST_METHOD",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

const MAX_ENV_FILE: u64 = 1 << 20;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    /// The process environment.
    Process,
    /// The file of `go env -w`.
    GoEnvFile {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u32,
    },
    /// `$GOROOT/go.env`.
    GoRootFile {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u32,
    },
    /// Built into the go command, or derived from other variables.
    Default,
    /// A file of the project.
    Project {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u32,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Process => f.write_str("environment"),
            Origin::GoEnvFile { path, line } | Origin::GoRootFile { path, line } | Origin::Project { path, line } => {
                write!(f, "{}:{line}", path.display())
            }
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A resolved variable. `Debug` and `Serialize` mask the credentials of URLs; [`Value::value`] does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// The variable.
    pub name: String,
    /// Its value, credentials included.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Value {
    /// The value with its credentials masked.
    #[must_use]
    pub fn masked(&self) -> String {
        match self.name.as_str() {
            "GOAUTH" => crate::auth::mask_goauth(&self.value),
            _ => mask::urls(&self.value),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?} ({})", self.name, self.masked(), self.origin)
    }
}

impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = s.serialize_struct("Value", 3)?;
        out.serialize_field("name", &self.name)?;
        out.serialize_field("value", &self.masked())?;
        out.serialize_field("origin", &self.origin)?;
        out.end()
    }
}

/// The environment of a go command.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Environment {
    /// Every variable that has a value, in the order of [`GO_VARIABLES`] and [`PROCESS_VARIABLES`].
    pub values: Vec<Value>,
    /// GOPROXY.
    #[serde(serialize_with = "crate::serialize_display")]
    pub goproxy: ProxyList,
    /// The go command on PATH.
    pub go: Option<GoCommand>,
    /// Why the go command on PATH gave no answer; the values are then those of the environment and files alone.
    pub go_problem: Option<String>,
    /// The file of `go env -w`, whether or not it exists; `None` with `GOENV=off`.
    pub go_env_file: Option<PathBuf>,
}

/// Why there is no environment to work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// GOPROXY has no value from anywhere.
    #[error(
        "there is no GOPROXY: {}. Set GOPROXY to the module proxy to use, for example GOPROXY=https://goproxy.example.com,direct, \
         or put a go command on PATH, whose own default then applies",
        go_problem.as_deref().unwrap_or("no go command is on PATH, and neither the environment nor a go/env file sets one")
    )]
    NoGoProxy {
        /// Why the go command on PATH could not be asked, where there is one.
        go_problem: Option<String>,
    },
    /// GOPROXY cannot be used.
    #[error("{problem} (GOPROXY from {origin}): correct it there")]
    BadGoProxy {
        /// What is wrong.
        problem: String,
        /// Where the value comes from.
        origin: Origin,
    },
}

impl Environment {
    /// Resolves every variable.
    ///
    /// Runs `go env` once, for at most 10 s, where [`Inputs::run_go`] allows it and a go is on PATH.
    ///
    /// # Errors
    /// When GOPROXY has no value or none that can be used.
    pub fn resolve(inputs: &Inputs) -> Result<Environment, EnvError> {
        let names: Vec<&str> = [GO_VARIABLES, &["GOVERSION", "GOENV"]].concat();
        let (go, go_problem) = match gocmd::ask(inputs, &names) {
            Ok(go) => (go, None),
            Err(e) => (None, Some(e)),
        };
        let go_problem = go_problem.map(|e: GoCommandError| e.to_string());
        let files = Files::read(inputs, go.as_ref());
        let mut values: Vec<Value> = Vec::new();
        for name in GO_VARIABLES {
            let found = files.find(inputs, name).or_else(|| default(inputs, name, &files, go.as_ref()));
            values.extend(found);
        }
        // GONOPROXY and GONOSUMDB come before GOPRIVATE in the alphabet and take it as their default.
        let private = values.iter().find(|v| v.name == "GOPRIVATE").cloned();
        for name in ["GONOPROXY", "GONOSUMDB"] {
            if let Some(private) = &private
                && !values.iter().any(|v| v.name == name && v.origin != Origin::Default)
            {
                values.retain(|v| v.name != name);
                values.push(Value { name: name.to_owned(), ..private.clone() });
            }
        }
        values.sort_by_key(|v| GO_VARIABLES.iter().position(|n| *n == v.name));
        values.extend(PROCESS_VARIABLES.iter().filter_map(|name| {
            Some(Value { name: (*name).to_owned(), value: inputs.var(name)?.to_owned(), origin: Origin::Process })
        }));
        let Some(goproxy) = values.iter().find(|v| v.name == "GOPROXY") else {
            return Err(EnvError::NoGoProxy { go_problem });
        };
        let goproxy = ProxyList::parse(&goproxy.value)
            .map_err(|e| EnvError::BadGoProxy { problem: e.to_string(), origin: goproxy.origin.clone() })?;
        Ok(Environment { values, goproxy, go, go_problem, go_env_file: go_env_file(inputs) })
    }

    /// A variable with its origin.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|v| v.name == name)
    }

    /// A variable's value, empty when it has none.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.get(name).map_or("", |v| v.value.as_str())
    }

    /// GOMODCACHE.
    #[must_use]
    pub fn mod_cache(&self) -> Option<&Path> {
        self.get("GOMODCACHE").map(|v| Path::new(v.value.as_str()))
    }

    /// Whether a module is fetched past GOPROXY (GONOPROXY).
    #[must_use]
    pub fn skips_proxy(&self, module_path: &str) -> bool {
        match_prefix_patterns(self.value("GONOPROXY"), module_path)
    }

    /// Whether a module is not checked against the checksum database (GONOSUMDB, or `GOSUMDB=off`).
    #[must_use]
    pub fn skips_sumdb(&self, module_path: &str) -> bool {
        self.value("GOSUMDB") == "off" || match_prefix_patterns(self.value("GONOSUMDB"), module_path)
    }

    /// The flags of GOFLAGS, split as the go command does (`cmd/internal/quoted.Split`).
    #[must_use]
    pub fn goflags(&self) -> Vec<String> {
        split_quoted(self.value("GOFLAGS"))
    }

    /// The value of one flag in GOFLAGS, `-name=value` or `--name=value`; the last one wins. Empty for `-name`.
    #[must_use]
    pub fn goflag(&self, name: &str) -> Option<String> {
        self.goflags().into_iter().rev().find_map(|flag| {
            let flag = flag.strip_prefix('-')?;
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            let (n, v) = flag.split_once('=').unwrap_or((flag, ""));
            (n == name).then(|| v.to_owned())
        })
    }
}

/// The file of `go env -w` (`cfg.EnvFile`), `None` with `GOENV=off`.
#[must_use]
pub fn go_env_file(inputs: &Inputs) -> Option<PathBuf> {
    match inputs.var("GOENV") {
        Some("off") => None,
        Some(file) => Some(PathBuf::from(file)),
        None => inputs.user_config_dir().map(|d| d.join("go/env")),
    }
}

/// The two files, read.
struct Files {
    user: Option<(PathBuf, Vec<EnvLine>)>,
    goroot: Option<(PathBuf, Vec<EnvLine>)>,
}

impl Files {
    fn read(inputs: &Inputs, go: Option<&GoCommand>) -> Files {
        let parse = |path: PathBuf| {
            let data = read::bytes(&path, MAX_ENV_FILE).ok()?;
            let lines = envfile::parse(&String::from_utf8_lossy(&data));
            Some((path, lines))
        };
        let user = go_env_file(inputs).and_then(parse);
        let named = user
            .as_ref()
            .and_then(|(_, lines)| envfile::lookup(lines, "GOROOT"))
            .map(|l| l.value.as_str())
            .filter(|v| !v.is_empty())
            .or_else(|| inputs.var("GOROOT"));
        let goroot = match go {
            Some(go) if !go.goroot.as_os_str().is_empty() => Some(go.goroot.clone()),
            _ => named.map(PathBuf::from),
        };
        let goroot = goroot.and_then(|dir| parse(dir.join("go.env")));
        Files { user, goroot }
    }

    /// `cfg.Getenv`: an empty value is no value, but an empty line of the user's file hides `go.env`.
    fn find(&self, inputs: &Inputs, name: &str) -> Option<Value> {
        let value = |value: &str, origin| {
            (!value.is_empty()).then(|| Value { name: name.to_owned(), value: value.to_owned(), origin })
        };
        if let Some(v) = inputs.var(name) {
            return value(v, Origin::Process);
        }
        let line = |file: &Option<(PathBuf, Vec<EnvLine>)>| {
            let (path, lines) = file.as_ref()?;
            let line = envfile::lookup(lines, name)?;
            Some((path.clone(), line.line, line.value.clone()))
        };
        if let Some((path, line, v)) = line(&self.user) {
            return value(&v, Origin::GoEnvFile { path, line });
        }
        if name == "GOROOT" {
            return None;
        }
        let (path, line, v) = line(&self.goroot)?;
        value(&v, Origin::GoRootFile { path, line })
    }
}

/// What the go command says, or what follows from the sources without one.
fn default(inputs: &Inputs, name: &str, files: &Files, go: Option<&GoCommand>) -> Option<Value> {
    let told = go
        .and_then(|go| go.answers.get(name))
        // The question was asked with GOTOOLCHAIN=local, and GOWORK is the file in use.
        .filter(|_| !matches!(name, "GOTOOLCHAIN" | "GOWORK"))
        .map(str::to_owned);
    let value = told.or_else(|| match name {
        "GOAUTH" => Some("netrc".to_owned()),
        // As every go.env has it; where there is one, what is missing in it is missing.
        "GOSUMDB" if go.is_none() && files.goroot.is_none() => Some(sumdb::DEFAULT.to_owned()),
        "GOPATH" => {
            let var = if inputs.os == Os::Windows { "USERPROFILE" } else { "HOME" };
            Some(Path::new(inputs.var(var)?).join("go").to_string_lossy().into_owned())
        }
        _ => None,
    });
    let value = value.or_else(|| {
        if name != "GOMODCACHE" {
            return None;
        }
        let gopath = files.find(inputs, "GOPATH").or_else(|| default(inputs, "GOPATH", files, go))?.value;
        let first = gopath.split(inputs.os.list_separator()).next().filter(|p| !p.is_empty())?;
        Some(Path::new(first).join("pkg/mod").to_string_lossy().into_owned())
    })?;
    Some(Value { name: name.to_owned(), value, origin: Origin::Default })
}

/// `quoted.Split`; an unterminated quote ends the list.
fn split_quoted(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = if matches!(first, '"' | '\'') {
            match rest[1..].split_once(first) {
                Some(parts) => parts,
                None => return out,
            }
        } else {
            let end = rest.find([' ', '\t', '\n', '\r']).unwrap_or(rest.len());
            rest.split_at(end)
        };
        out.push(word.to_owned());
        rest = after.trim_start();
    }
    out
}
