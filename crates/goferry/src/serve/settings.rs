//! The settings of this process: from flags, a file, the go command's variables; and how `--check` shows them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use goferry_env::{EnvError, Environment, Inputs};
use goferry_module::SumDb;
use goferry_proxy::auth::Gate;
use goferry_proxy::config::{Place, Problem, Problems, Settings, SourceMode, Sources, Tls};
use goferry_proxy::server::check_tls;

use crate::args::serve::Serve;
use crate::failure::Failure;

/// Reads and checks everything there is to read.
pub(super) fn read(args: &Serve, inputs: &Inputs) -> Result<(Settings, Environment), Failure> {
    let found = Environment::resolve(inputs);
    let sources = Sources { file: args.config.clone(), flags: args.given(), store: store(inputs) };
    let goproxy = found.as_ref().ok().map(|env| &env.goproxy);
    let (settings, mut problems) = Settings::gather(&sources, goproxy);
    problems.extend(check(&settings));
    problems.extend(found.as_ref().ok().and_then(|env| database(&settings, env)));
    if !problems.is_empty() {
        return Err(Failure::usage(Problems::new(problems).to_string()));
    }
    let env = match found {
        Ok(env) => env,
        // Where an upstream is named, or none is asked, nobody needs a GOPROXY: there may be no go command here at all.
        Err(EnvError::NoGoProxy { .. } | EnvError::BadGoProxy { .. })
            if settings.config.upstream.is_some() || settings.config.source != SourceMode::Fetch =>
        {
            let inputs = inputs.clone().with_env("GOPROXY", "off");
            Environment::resolve(&inputs).map_err(|error| Failure::failed(error.to_string()))?
        }
        Err(error) => {
            return Err(Failure::failed(error.to_string()).hint("or name an upstream: --upstream LIST"));
        }
    };
    Ok((settings, env))
}

/// What is wrong with the files that the settings name.
fn check(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |name: &str, what: String| {
        let place = settings.place(name).clone();
        problems.push(Problem { place, key: None, what: format!("{name}: {what}") });
    };
    if let Err(error) = Gate::open(&settings.config.auth) {
        wrong("auth.file", error.to_string());
    }
    if let Some(tls @ Tls::Files { cert, key }) = &settings.config.tls {
        let mut there = true;
        for (name, path) in [("tls.cert", cert), ("tls.key", key)] {
            if let Err(error) = File::open(path) {
                wrong(name, format!("{}: {error}", path.display()));
                there = false;
            }
        }
        if let Some(error) = check_tls(tls).err().filter(|_| there) {
            wrong("tls.cert", error.to_string());
        }
    }
    if let Some(path) = &settings.config.log_file
        && let Err(error) = can_append(path)
    {
        wrong("log-file", format!("{}: {error}", path.display()));
    }
    problems
}

/// Whether a file can be written to, or made. Nothing is made, and no pipe is opened: that waits for who reads it.
fn can_append(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() || meta.is_dir() => File::options().append(true).open(path).map(drop),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // With the dot it has to be a folder.
            fs::metadata(folder.join(".")).map(drop)
        }
        other => other.map(drop),
    }
}

/// What is wrong with the go command's GOSUMDB, where it counts.
fn database(settings: &Settings, env: &Environment) -> Option<Problem> {
    let error = SumDb::parse(env.value("GOSUMDB")).err().filter(|_| settings.config.sumdb.is_none())?;
    let origin = env.get("GOSUMDB").map_or_else(|| "not set".to_owned(), |value| value.origin.to_string());
    Some(Problem { place: Place::Variable("GOSUMDB", origin), key: None, what: error.to_string() })
}

/// The settings in effect, each with where it comes from.
pub(super) fn shown(settings: &Settings, env: &Environment) -> String {
    let mut rows: Vec<[String; 3]> = Vec::new();
    for (key, value, place) in settings.all() {
        let (value, place) = match inherited(key.name) {
            Some(variable) if *place == Place::Default => of_variable(variable, env),
            _ => (value, place.to_string()),
        };
        let value = if value.is_empty() { "-".to_owned() } else { value };
        rows.push([key.name.to_owned(), value, place]);
    }
    let rules = settings.rules().enumerate();
    rows.extend(rules.map(|(index, (rule, place))| [format!("rule {}", index + 1), rule, place.to_string()]));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    // A long list does not push all places off the terminal.
    let (first, second) = (width(0), width(1).min(40));
    let mut text = String::new();
    for [name, value, place] in &rows {
        let _ = writeln!(text, "{name:first$}  {value:second$}  {place}");
    }
    text
}

/// Whom modules are fetched from, masked.
pub(super) fn upstream(settings: &Settings, env: &Environment) -> String {
    settings.config.upstream.as_ref().map_or_else(|| of_variable("GOPROXY", env).0, ToString::to_string)
}

/// The go command's variable that counts where a setting is not made.
fn inherited(key: &str) -> Option<&'static str> {
    match key {
        "upstream" => Some("GOPROXY"),
        "direct" => Some("GONOPROXY"),
        "sumdb" => Some("GOSUMDB"),
        "no-sumdb" => Some("GONOSUMDB"),
        _ => None,
    }
}

fn of_variable(name: &'static str, env: &Environment) -> (String, String) {
    match env.get(name) {
        Some(value) => (value.masked(), Place::Variable(name, value.origin.to_string()).to_string()),
        None => (String::new(), Place::Default.to_string()),
    }
}

/// A folder in the user's cache folder (`os.UserCacheDir`).
pub(crate) fn store(inputs: &Inputs) -> Option<PathBuf> {
    let cache = inputs.var("XDG_CACHE_HOME").map(Path::new).filter(|dir| dir.is_absolute()).map(PathBuf::from);
    Some(cache.or_else(|| Some(PathBuf::from(inputs.var("HOME")?).join(".cache")))?.join("goferry/store"))
}
