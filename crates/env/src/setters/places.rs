//! Where variables are set: the files that are looked into.

use std::path::{Path, PathBuf};

use super::{FileKind, MAX_FILES};
use crate::inputs::Inputs;

/// Most entries that are taken from one directory.
const MAX_ENTRIES: usize = 200;
/// How many directories above the project are taken for part of it, up to the one that holds `.git`.
const MAX_UP: usize = 8;

/// Every candidate file with its kind; files that do not exist may be among them.
pub(super) fn list(inputs: &Inputs) -> Vec<(PathBuf, FileKind)> {
    let mut out = Vec::new();
    if let Some(home) = &inputs.home {
        user(home, inputs, &mut out);
    }
    system(inputs, &mut out);
    if let Some(file) = crate::resolve::go_env_file(inputs) {
        out.push((file, FileKind::GoEnvFile));
    }
    for dir in project_dirs(&inputs.dir) {
        project(&dir, &mut out);
    }
    let mut seen = std::collections::HashSet::new();
    // What `goferry fix` kept of a file before it changed it sets nothing.
    out.retain(|(path, _)| !path.to_string_lossy().contains(".goferry-backup-") && seen.insert(path.clone()));
    out.truncate(MAX_FILES);
    out
}

fn user(home: &Path, inputs: &Inputs, out: &mut Vec<(PathBuf, FileKind)>) {
    for name in [
        ".bashrc",
        ".bash_profile",
        ".bash_login",
        ".bash_aliases",
        ".profile",
        ".zshrc",
        ".zshenv",
        ".zprofile",
        ".zlogin",
    ] {
        out.push((home.join(name), FileKind::Shell));
    }
    let config = match inputs.var("XDG_CONFIG_HOME") {
        Some(dir) if Path::new(dir).is_absolute() => PathBuf::from(dir),
        _ => home.join(".config"),
    };
    out.push((config.join("fish/config.fish"), FileKind::Fish));
    directory(&config.join("fish/conf.d"), ".fish", FileKind::Fish, out);
    directory(&config.join("environment.d"), ".conf", FileKind::EnvironmentD, out);
    out.push((home.join(".pam_environment"), FileKind::PamEnvironment));
}

fn system(inputs: &Inputs, out: &mut Vec<(PathBuf, FileKind)>) {
    for name in [
        "/etc/profile",
        "/etc/bash.bashrc",
        "/etc/bashrc",
        "/etc/zsh/zshenv",
        "/etc/zsh/zprofile",
        "/etc/zsh/zshrc",
        "/etc/zshenv",
        "/etc/zshrc",
    ] {
        out.push((inputs.system(name), FileKind::Shell));
    }
    directory(&inputs.system("/etc/profile.d"), "", FileKind::Shell, out);
    out.push((inputs.system("/etc/environment"), FileKind::EtcEnvironment));
    out.push((inputs.system("/etc/security/pam_env.conf"), FileKind::PamEnvironment));
    for dir in ["/etc/environment.d", "/run/environment.d", "/usr/lib/environment.d", "/usr/local/lib/environment.d"] {
        directory(&inputs.system(dir), ".conf", FileKind::EnvironmentD, out);
    }
    out.push((inputs.system("/etc/fish/config.fish"), FileKind::Fish));
}

/// The directory itself and those above it, up to the root of the repository if there is one close by.
fn project_dirs(dir: &Path) -> Vec<PathBuf> {
    let dirs: Vec<PathBuf> = dir.ancestors().take(MAX_UP).map(Path::to_owned).collect();
    let root = dirs.iter().position(|d| d.join(".git").exists());
    dirs.into_iter().take(root.unwrap_or(0) + 1).collect()
}

fn project(dir: &Path, out: &mut Vec<(PathBuf, FileKind)>) {
    for (name, kind) in [
        (".gitlab-ci.yml", FileKind::GitlabCi),
        (".circleci/config.yml", FileKind::CircleCi),
        (".circleci/config.yaml", FileKind::CircleCi),
        (".devcontainer/devcontainer.json", FileKind::Devcontainer),
        (".devcontainer.json", FileKind::Devcontainer),
    ] {
        out.push((dir.join(name), kind));
    }
    for ext in [".yml", ".yaml"] {
        let workflows = dir.join(".github/workflows");
        directory(&workflows, ext, FileKind::GithubWorkflow, out);
    }
    let known = |path: &PathBuf| kind_by_name(path) == Some(FileKind::Dockerfile);
    let container = entries(&dir.join(".devcontainer"));
    out.extend(container.into_iter().filter(known).map(|p| (p, FileKind::Dockerfile)));
    for path in entries(dir) {
        if let Some(kind) = kind_by_name(&path) {
            out.push((path, kind));
        }
    }
}

/// The kind of a file in the project's own directory, by its name.
fn kind_by_name(path: &Path) -> Option<FileKind> {
    let name = path.file_name()?.to_str()?;
    let lower = name.to_ascii_lowercase();
    let yaml = lower.ends_with(".yml") || lower.ends_with(".yaml");
    Some(match lower.as_str() {
        ".envrc" => FileKind::Envrc,
        "go.mod" | "go.work" => FileKind::GoMod,
        "makefile" | "gnumakefile" => FileKind::Makefile,
        "justfile" | ".justfile" => FileKind::Justfile,
        _ if lower == ".env" || lower.starts_with(".env.") => FileKind::DotEnv,
        _ if lower.ends_with(".mk") => FileKind::Makefile,
        _ if lower.starts_with("taskfile") && yaml => FileKind::Taskfile,
        _ if yaml && (lower.starts_with("compose") || lower.starts_with("docker-compose")) => FileKind::Compose,
        _ if lower.starts_with("jenkinsfile") => FileKind::Jenkinsfile,
        _ if lower.starts_with("dockerfile")
            || lower.starts_with("containerfile")
            || lower.ends_with(".dockerfile") =>
        {
            FileKind::Dockerfile
        }
        _ => return None,
    })
}

fn directory(dir: &Path, suffix: &str, kind: FileKind, out: &mut Vec<(PathBuf, FileKind)>) {
    out.extend(entries(dir).into_iter().filter(|p| p.to_string_lossy().ends_with(suffix)).map(|p| (p, kind)));
}

/// Regular files of a directory in name order, bounded.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(read) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut out: Vec<PathBuf> =
        read.take(20_000).filter_map(Result::ok).map(|e| e.path()).filter(|p| p.is_file()).collect();
    out.sort();
    // In a directory full of other files those with a known name come first.
    out.sort_by_key(|p| kind_by_name(p).is_none());
    out.truncate(MAX_ENTRIES);
    out
}
