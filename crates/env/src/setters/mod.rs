//! Who sets a variable: start-up files, system files, project and CI files, with file, line and the span to edit.
//!
//! [`scan`] reads a fixed list of places, bounded in number and size, and understands each kind of file well enough
//! to name the assignment and to take one setting out of it again ([`remove_setting`]) with every other byte left as
//! it was. It does not run anything: what a shell computes at run time is not seen.

mod edit;
mod flow;
mod lines;
mod places;
mod shell;
mod text;
mod yaml;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

pub use edit::{EditError, remove_setting};

use crate::inputs::Inputs;
use crate::{mask, read};

/// Largest file that is searched, in bytes.
pub const MAX_FILE: u64 = 1 << 20;
/// Most files that are searched.
pub const MAX_FILES: usize = 400;
/// Most setters that are reported.
pub const MAX_FOUND: usize = 1000;

/// One place that sets a variable.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setter {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// The line's text without surrounding blanks, credentials masked.
    pub text: String,
    /// The variable.
    pub var: String,
    /// The value as written, without its quotes, credentials masked.
    pub value: String,
    /// What kind of file it is.
    pub kind: FileKind,
    /// Whether a go command that runs where this file applies sees the value.
    pub counts_here: bool,
    /// Why it does not count, or under which condition it does.
    pub reason: Option<String>,
    /// Whether the value is the one the process environment has now.
    pub matches_process: bool,
    /// Byte range of the value in the file, without its quotes.
    pub value_span: Range<usize>,
    #[serde(skip)]
    removal: Removal,
    #[serde(skip)]
    raw: String,
}

impl fmt::Debug for Setter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {} [{:?}, counts {}, {:?}]",
            self.file.display(),
            self.line,
            self.text,
            self.kind,
            self.counts_here,
            self.reason
        )
    }
}

/// The kinds of file that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A start-up file of sh, bash or zsh, or a file of `/etc/profile.d`.
    Shell,
    /// `config.fish` and `conf.d`.
    Fish,
    /// `/etc/environment`.
    EtcEnvironment,
    /// systemd's `environment.d`.
    EnvironmentD,
    /// `~/.pam_environment` and `/etc/security/pam_env.conf`.
    PamEnvironment,
    /// direnv's `.envrc`.
    Envrc,
    /// `.env`.
    DotEnv,
    /// A Dockerfile or Containerfile.
    Dockerfile,
    /// A compose file.
    Compose,
    /// A Makefile or a part of one.
    Makefile,
    /// A justfile.
    Justfile,
    /// A Taskfile.
    Taskfile,
    /// A GitHub Actions workflow.
    GithubWorkflow,
    /// `.gitlab-ci.yml`.
    GitlabCi,
    /// A CircleCI configuration.
    CircleCi,
    /// A Jenkinsfile.
    Jenkinsfile,
    /// `devcontainer.json`.
    Devcontainer,
    /// The file of `go env -w`.
    GoEnvFile,
    /// The `godebug` lines of go.mod or go.work.
    GoMod,
}

/// What a scan found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Scan {
    /// Every assignment, in the order of the places.
    pub found: Vec<Setter>,
    /// Files that exist and were not searched, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Every place that sets one of the variables.
#[must_use]
pub fn find(inputs: &Inputs, vars: &[&str]) -> Vec<Setter> {
    scan(inputs, vars).found
}

/// The same, with what could not be searched.
#[must_use]
pub fn scan(inputs: &Inputs, vars: &[&str]) -> Scan {
    let mut scan = Scan::default();
    for (path, kind) in places::list(inputs) {
        match read::text(&path, MAX_FILE) {
            Ok(text) => {
                for setter in find_in(&text, kind, vars) {
                    if scan.found.len() == MAX_FOUND {
                        return scan;
                    }
                    scan.found.push(Setter {
                        file: path.clone(),
                        matches_process: inputs.var(&setter.var) == Some(setter.raw.as_str()),
                        ..setter
                    });
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => scan.skipped.push((path, e.to_string())),
        }
    }
    scan
}

/// Every assignment of the variables in one text; [`Setter::file`] is left empty.
#[must_use]
pub fn find_in(text: &str, kind: FileKind, vars: &[&str]) -> Vec<Setter> {
    let mut hits: Vec<Hit> = Vec::new();
    for var in vars {
        if kind != FileKind::GoMod && !text.contains(var) {
            continue;
        }
        hits.extend(match kind {
            FileKind::Shell | FileKind::Envrc => shell::find(text, var),
            FileKind::Fish => shell::find_fish(text, var),
            FileKind::EtcEnvironment | FileKind::EnvironmentD | FileKind::DotEnv => lines::env_file(text, var),
            FileKind::PamEnvironment => lines::pam(text, var),
            FileKind::Dockerfile => lines::dockerfile(text, var),
            FileKind::Makefile => lines::makefile(text, var),
            FileKind::Justfile => lines::justfile(text, var),
            FileKind::GoEnvFile => lines::go_env(text, var),
            FileKind::GoMod => lines::go_mod(text, var),
            FileKind::Compose
            | FileKind::Taskfile
            | FileKind::GithubWorkflow
            | FileKind::GitlabCi
            | FileKind::CircleCi => yaml::find(text, var, kind),
            FileKind::Jenkinsfile => flow::jenkinsfile(text, var),
            FileKind::Devcontainer => flow::json(text, var),
        });
    }
    hits.sort_by_key(|h| h.value.start);
    hits.into_iter().map(|h| setter(text, kind, h)).collect()
}

/// What the scanner of one kind of file reports.
struct Hit {
    var: String,
    value: Range<usize>,
    removal: Removal,
    /// `Err` is the reason why it does not count, `Ok(Some)` the condition under which it does.
    counts: Result<Option<String>, String>,
}

/// How the whole assignment is taken out: this range is replaced by that text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Removal {
    range: Range<usize>,
    replacement: String,
}

impl Removal {
    fn cut(range: Range<usize>) -> Removal {
        Removal { range, replacement: String::new() }
    }
}

impl Hit {
    fn new(var: &str, value: Range<usize>, removal: Removal) -> Hit {
        Hit { var: var.to_owned(), value, removal, counts: Ok(None) }
    }
}

fn setter(text: &str, kind: FileKind, hit: Hit) -> Setter {
    let line = text::line_range(text, hit.value.start);
    let raw = text[hit.value.clone()].to_owned();
    Setter {
        file: PathBuf::new(),
        line: text::line_number(text, hit.value.start),
        text: mask::urls(text[line].trim()),
        var: hit.var,
        value: mask::urls(&raw),
        kind,
        counts_here: hit.counts.is_ok(),
        reason: match hit.counts {
            Ok(condition) => condition,
            Err(reason) => Some(reason),
        },
        matches_process: false,
        value_span: hit.value,
        removal: hit.removal,
        raw,
    }
}

#[cfg(test)]
mod tests;
