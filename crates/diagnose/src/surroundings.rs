//! What lies around the go command on this machine: variables, certificates, toolchain, who sets what.

use std::path::PathBuf;

use goferry_env::gomaxprocs::{self, GoMaxProcs};
use goferry_env::http_proxy::ProxySettings;
use goferry_env::setters::{self, Setter};
use goferry_env::{EnvError, Environment, Inputs, Project, ToolchainChoice, auth, godebug, roots, toolchain};
use goferry_module::sumdb::SumDb;
use goferry_module::{FallBack, GoSum, ModuleVersion, ProxyList, ProxyTarget};

/// Variables whose setters are looked for: those that change how the go command connects.
pub const WATCHED: &[&str] = &["GODEBUG", "GOMAXPROCS", "GOPROXY", "GOFLAGS", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];

/// The minor version whose rules apply where there is no go on PATH.
const NEWEST_GO: u32 = 27;

/// Everything that a diagnosis knows before it opens a connection.
pub struct Surroundings {
    /// Variables with their origin.
    pub environment: Environment,
    /// GOPROXY, or what `--proxy` put in its place.
    pub goproxy: ProxyList,
    /// What is in force of GODEBUG.
    pub godebug: Vec<godebug::Setting>,
    /// GOMAXPROCS as the go command computes it.
    pub gomaxprocs: GoMaxProcs,
    /// Which toolchain runs.
    pub toolchain: ToolchainChoice,
    /// The certificates that Go trusts.
    pub roots: roots::Roots,
    /// Which HTTP proxy is used for a URL.
    pub proxies: ProxySettings,
    /// Credentials by host.
    pub netrc: auth::Netrc,
    /// Who sets the watched variables.
    pub setters: Vec<Setter>,
    /// GOSUMDB, or why the go command cannot use it.
    pub sumdb: Result<SumDb, String>,
    /// The project, if there is one.
    pub project: Option<Project>,
    /// go.sum of the project; empty without one.
    pub go_sum: GoSum,
    /// Directories that a `file://` entry of GOPROXY names and that cannot be read: the entry's position, the
    /// directory, and why.
    pub dead_directories: Vec<(usize, PathBuf, String)>,
    /// What is wrong with the project's files, where they cannot be read.
    pub project_problem: Option<String>,
}

impl Surroundings {
    /// Looks around. `proxy` takes the place of GOPROXY.
    ///
    /// # Errors
    /// Where there is no usable GOPROXY: the message says what to set.
    pub fn look(inputs: &Inputs, proxy: Option<&str>) -> Result<Surroundings, EnvError> {
        let mut inputs = inputs.clone();
        if let Some(proxy) = proxy {
            inputs.env.insert("GOPROXY".to_owned(), proxy.to_owned());
        }
        let inputs = &inputs;
        let environment = Environment::resolve(inputs)?;
        let toolchain = toolchain::choose(inputs, &environment);
        let minor = toolchain
            .minor()
            .or_else(|| environment.go.as_ref().and_then(goferry_env::GoCommand::minor))
            .unwrap_or(NEWEST_GO);
        let (project, project_problem) = match Project::find(inputs, &environment) {
            Ok(project) => (project, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let go_sum = project.as_ref().map(read_go_sum).unwrap_or_default();
        let sumdb = SumDb::parse(environment.value("GOSUMDB")).map_err(|error| error.to_string());
        Ok(Surroundings {
            dead_directories: dead_directories(&environment.goproxy),
            goproxy: environment.goproxy.clone(),
            godebug: godebug::settings(inputs),
            gomaxprocs: gomaxprocs::compute(inputs, minor),
            toolchain,
            roots: roots::load(inputs, minor),
            proxies: ProxySettings::from_inputs(inputs),
            netrc: auth::Netrc::read(inputs),
            setters: setters::find(inputs, WATCHED),
            sumdb,
            project,
            go_sum,
            project_problem,
            environment,
        })
    }

    /// The minor version of the go command that will run: 27 for 1.27.
    #[must_use]
    pub fn go_minor(&self) -> u32 {
        self.toolchain
            .minor()
            .or_else(|| self.environment.go.as_ref().and_then(goferry_env::GoCommand::minor))
            .unwrap_or(NEWEST_GO)
    }

    /// The value of a GODEBUG key that is in force.
    #[must_use]
    pub fn godebug(&self, key: &str) -> Option<&str> {
        self.godebug.iter().find(|setting| setting.key == key).map(|setting| setting.value.as_str())
    }

    /// Whether a `|` follows the entry, so that the go command goes on after any error.
    #[must_use]
    pub fn falls_back_on_any_error(&self, position: usize) -> bool {
        self.goproxy.entries().get(position).is_some_and(|entry| entry.on == FallBack::AnyError)
    }

    /// Whether GOPROXY ends with `direct`.
    #[must_use]
    pub fn ends_with_direct(&self) -> bool {
        self.goproxy.entries().last().is_some_and(|entry| entry.target == ProxyTarget::Direct)
    }

    /// Modules of the project that come through GOPROXY, private ones left out.
    pub fn public_modules(&self) -> impl Iterator<Item = &ModuleVersion> {
        let fetches = self.project.iter().flat_map(|project| &project.to_fetch);
        fetches.filter(|fetch| !fetch.private).map(|fetch| &fetch.module)
    }
}

fn dead_directories(goproxy: &ProxyList) -> Vec<(usize, PathBuf, String)> {
    let entries = goproxy.entries().iter().enumerate();
    let directories =
        entries.filter_map(|(position, entry)| Some((position, PathBuf::from(entry.target.url()?.directory()?))));
    directories
        .filter_map(|(position, path)| match std::fs::read_dir(&path) {
            Ok(_) => None,
            Err(error) => Some((position, path, error.to_string())),
        })
        .collect()
}

/// All go.sum files of the project in one. Files that cannot be read were reported with the project.
fn read_go_sum(project: &Project) -> GoSum {
    let mut text = Vec::new();
    let files: &[PathBuf] = &project.go_sums;
    for file in files {
        if let Ok(bytes) = std::fs::read(file)
            && bytes.len() as u64 <= goferry_module::gosum::MAX_GO_SUM as u64
        {
            text.extend_from_slice(&bytes);
            text.push(b'\n');
        }
    }
    GoSum::parse("go.sum", &text).unwrap_or_default()
}
