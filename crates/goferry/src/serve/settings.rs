//! The settings of this process: from flags, a file, the go command's variables; and how `--check` shows them.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use goferry_env::{EnvError, Environment, Inputs};
use goferry_proxy::auth::Gate;
use goferry_proxy::config::{Place, Settings, Sources, Tls};

use crate::args::serve::Serve;
use crate::failure::Failure;

/// Reads and checks everything there is to read.
pub(super) fn read(args: &Serve, inputs: &Inputs) -> Result<(Settings, Environment), Failure> {
    let found = Environment::resolve(inputs);
    let sources = Sources { file: args.config.clone(), flags: args.given(), store: store(inputs) };
    let goproxy = found.as_ref().ok().map(|env| &env.goproxy);
    let settings = Settings::read(&sources, goproxy).map_err(|problems| Failure::usage(problems.to_string()))?;
    check(&settings)?;
    let env = match found {
        Ok(env) => env,
        // Where an upstream is named nobody needs a GOPROXY: there may be no go command here at all.
        Err(EnvError::NoGoProxy { .. } | EnvError::BadGoProxy { .. }) if settings.config.upstream.is_some() => {
            let inputs = inputs.clone().with_env("GOPROXY", "off");
            Environment::resolve(&inputs).map_err(|error| Failure::failed(error.to_string()))?
        }
        Err(error) => {
            return Err(Failure::failed(error.to_string()).hint("or name an upstream: --upstream LIST"));
        }
    };
    Ok((settings, env))
}

/// Opens the files that the settings name.
fn check(settings: &Settings) -> Result<(), Failure> {
    let mut problems = Vec::new();
    if let Err(error) = Gate::open(&settings.config.auth) {
        problems.push(format!("{}: auth.file: {error}", settings.place("auth.file")));
    }
    if let Some(Tls::Files { cert, key }) = &settings.config.tls {
        for (name, path) in [("tls.cert", cert), ("tls.key", key)] {
            if let Err(error) = File::open(path) {
                problems.push(format!("{}: {name}: {}: {error}", settings.place(name), path.display()));
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::usage(problems.join("\n"))) }
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

/// Settings that have changed and are read at the start only.
pub(super) fn fixed(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let (old, new) = (&old.config, &new.config);
    let changed = [
        ("listen", old.listen != new.listen),
        ("tls", old.tls != new.tls),
        ("limits.connections", old.limits.connections != new.limits.connections),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
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
