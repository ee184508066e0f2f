//! Which toolchain the go command would switch to, and whether it would download it first
//! (`cmd/go/internal/toolchain/select.go`).

use std::path::{Path, PathBuf};

use goferry_module::{GoVersion, Toolchain};

use crate::gocmd::{look_path, minor_of};
use crate::inputs::{Inputs, Os};
use crate::resolve::{Environment, Origin};
use crate::{locate, read};

const MAX_FILE: u64 = 16 << 20;

/// What GOTOOLCHAIN and the project select.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ToolchainChoice {
    /// The go command on PATH, for example `go1.26.8`.
    pub local: Option<String>,
    /// The toolchain that runs in the end; the local one where nothing is switched.
    pub selected: Option<String>,
    /// Whether the selected toolchain must be downloaded first (about 75 MB).
    pub would_download: bool,
    /// Where the module cache holds it, or would hold it.
    pub cache_dir: Option<PathBuf>,
    /// Whether the module cache holds it unpacked.
    pub in_cache: bool,
    /// A program of that name on PATH, which is used before any download.
    pub on_path: Option<PathBuf>,
    /// What decided, in words.
    pub why: String,
    /// Where the deciding setting stands.
    pub decided_by: Option<Origin>,
    /// Why the go command fails instead, with what to change.
    pub problem: Option<String>,
}

impl ToolchainChoice {
    /// The minor version of the toolchain that runs in the end: 27 for `go1.27.3`.
    #[must_use]
    pub fn minor(&self) -> Option<u32> {
        minor_of(self.selected.as_deref()?)
    }
}

/// Follows the go command's own selection; runs nothing and downloads nothing.
#[must_use]
pub fn choose(inputs: &Inputs, env: &Environment) -> ToolchainChoice {
    let local = env.go.as_ref().and_then(|go| go.version.split_whitespace().next()).map(str::to_owned);
    let mut choice = ToolchainChoice {
        selected: local.clone(),
        local,
        would_download: false,
        cache_dir: None,
        in_cache: false,
        on_path: None,
        why: "the go command on PATH is used".to_owned(),
        decided_by: None,
        problem: None,
    };
    if env.value("GO111MODULE") == "off" {
        "GO111MODULE=off: toolchains are not switched".clone_into(&mut choice.why);
        return choice;
    }
    if minor_of(choice.local.as_deref().unwrap_or("")).is_some_and(|m| m < 21) {
        "releases before 1.21 do not switch toolchains".clone_into(&mut choice.why);
        return choice;
    }
    let Some(setting) = env.get("GOTOOLCHAIN") else {
        "GOTOOLCHAIN is not set anywhere: toolchains are not switched".clone_into(&mut choice.why);
        return choice;
    };
    choice.decided_by = Some(setting.origin.clone());
    match select(inputs, env, &setting.value, &mut choice) {
        Ok(()) => locate_selected(inputs, env, &setting.value, &mut choice),
        Err(problem) => choice.problem = Some(problem),
    }
    choice
}

fn select(inputs: &Inputs, env: &Environment, setting: &str, choice: &mut ToolchainChoice) -> Result<(), String> {
    let (name, mode) = match setting {
        "auto" | "path" => ("local", Some(setting)),
        _ => match setting.split_once('+') {
            Some((name, mode)) => (name, Some(mode)),
            None => (setting, None),
        },
    };
    let invalid = |what: &str| {
        format!("GOTOOLCHAIN={setting} is invalid: {what}; use local, auto, path, goX.Y.Z or goX.Y.Z+auto")
    };
    if !matches!(mode, None | Some("auto" | "path")) {
        return Err(invalid("only +auto and +path can follow a name"));
    }
    let mut minimum = choice.local.as_deref().and_then(|l| Toolchain::parse(l).ok());
    if name == "local" {
        choice.why = format!("GOTOOLCHAIN={setting} and nothing newer is asked for");
        if mode.is_none() {
            choice.why = format!("GOTOOLCHAIN={setting}: never switched");
        }
    } else {
        minimum = Some(Toolchain::parse(name).map_err(|_| invalid("it is no toolchain's name"))?);
        choice.selected = Some(name.to_owned());
        choice.why = format!("GOTOOLCHAIN={setting}");
    }
    let file = locate::go_work(inputs, env).filter(|f| f.exists()).or_else(|| locate::go_mod(&inputs.dir));
    let Some(file) = file else { return Ok(()) };
    let Ok(data) = read::bytes(&file, MAX_FILE) else {
        return Err(format!("{} cannot be read", file.display()));
    };
    let text = String::from_utf8_lossy(&data);
    let go = lookup(&text, "go").and_then(|(v, line)| Some((GoVersion::parse(v).ok()?, line)));
    if mode.is_none() {
        return check(&file, go.as_ref(), setting, choice);
    }
    let at = |line| Some(Origin::Project { path: file.clone(), line });
    let suggested = lookup(&text, "toolchain");
    if matches!(suggested, Some(("default", _))) {
        choice.why = format!("{} says toolchain default", file.display());
        return check(&file, go.as_ref(), setting, choice);
    }
    let mut floor = minimum.map(|m| m.version().clone());
    let newer = |v: &GoVersion, floor: &Option<GoVersion>| floor.as_ref().is_none_or(|f| v > f);
    if let Some((name, line)) = suggested.filter(|(name, _)| !name.is_empty()) {
        let toolchain = Toolchain::parse(name)
            .map_err(|_| format!("{}:{line}: {name:?} is no toolchain's name", file.display()))?;
        if newer(toolchain.version(), &floor) {
            choice.selected = Some(name.to_owned());
            choice.why = format!("toolchain {name} in {}", file.display());
            choice.decided_by = at(line);
            floor = Some(toolchain.version().clone());
        }
    }
    if let Some((go, line)) = go
        && newer(&go, &floor)
    {
        // 1.21 and later are released as 1.21.0.
        let zero = if go.is_language() && go.at_least(21) { ".0" } else { "" };
        choice.selected = Some(format!("go{go}{zero}"));
        choice.why = format!("go {go} in {}", file.display());
        choice.decided_by = at(line);
    }
    Ok(())
}

/// A selected toolchain that is older than the go line refuses the project.
fn check(file: &Path, go: Option<&(GoVersion, u32)>, setting: &str, choice: &ToolchainChoice) -> Result<(), String> {
    let selected = choice.selected.as_deref().and_then(|name| Toolchain::parse(name).ok());
    let (Some((go, line)), Some(selected)) = (go, selected) else {
        return Ok(());
    };
    if go <= selected.version() {
        return Ok(());
    }
    Err(format!(
        "{}:{line} requires go >= {go}, but GOTOOLCHAIN={setting} and the toolchain line stay at {}: install a newer Go, \
         or set GOTOOLCHAIN=auto without a line toolchain default",
        file.display(),
        selected.name(),
    ))
}

fn locate_selected(inputs: &Inputs, env: &Environment, setting: &str, choice: &mut ToolchainChoice) {
    let Some(name) = choice.selected.clone() else {
        return;
    };
    if choice.selected == choice.local {
        return;
    }
    choice.on_path = look_path(inputs, &name);
    let os = match inputs.os {
        Os::Linux => "linux",
        Os::Darwin => "darwin",
        Os::Windows => "windows",
        Os::Bsd => std::env::consts::OS,
        Os::Solaris => "solaris",
    };
    let module = format!("golang.org/toolchain@v0.0.1-{name}.{os}-{}", inputs.arch);
    choice.cache_dir = env.mod_cache().map(|dir| dir.join(Path::new(&module)));
    choice.in_cache = choice.cache_dir.as_ref().is_some_and(|dir| dir.join("bin").is_dir());
    if choice.on_path.is_none() {
        if setting == "path" || setting.ends_with("+path") {
            choice.problem = Some(format!(
                "{name} is selected ({}) but not on PATH, and GOTOOLCHAIN={setting} forbids a download: install it or set GOTOOLCHAIN=auto",
                choice.why
            ));
            return;
        }
        choice.would_download = !choice.in_cache;
    }
}

/// `gover.GoModLookup`: the first line that begins with the key, without parsing the file, with its line number.
fn lookup<'a>(text: &'a str, key: &str) -> Option<(&'a str, u32)> {
    text.split('\n').zip(1..).find_map(|(line, number)| {
        let rest = line.trim().strip_prefix(key)?;
        if !rest.starts_with([' ', '\t']) {
            return None;
        }
        Some((rest.split("//").next().unwrap_or("").trim(), number))
    })
}
