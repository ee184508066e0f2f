//! Git repositories of a test, and what makes git find them where no server is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Makes a repository `name` in a folder, on branch `main`, and gives its path. `script` is for `sh` and runs inside it; it
/// writes files and calls git, and the first command that fails ends it. Settings of the user have no say.
///
/// # Errors
/// When git or the script fails, with what was printed.
pub fn repository(folder: &Path, name: &str, script: &str) -> io::Result<PathBuf> {
    let path = folder.join(name);
    fs::create_dir(&path)?;
    let script = format!("set -e\ngit init -q -b main\n{script}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(&path)
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "x")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "x@example.com")))
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(path);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("making the repository {}: {}: {said}", path.display(), output.status)))
}

/// What a `.gitconfig` has to say for the repositories in `folder` to be found at `https://HOST/`.
#[must_use]
pub fn config(folder: &Path, host: &str) -> String {
    format!("[url \"file://{}/\"]\n\tinsteadOf = https://{host}/\n[safe]\n\tdirectory = *\n", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_found_at_its_host() {
        let folder = tempfile::TempDir::new().unwrap();
        let script = "printf x > f && git add . && git commit -q -m one && git tag v1.0.0";
        let path = repository(folder.path(), "r.git", script).unwrap();
        assert!(path.join("f").is_file());
        fs::write(folder.path().join(".gitconfig"), config(folder.path(), "git.example.com")).unwrap();
        let listed = Command::new("git")
            .args(["ls-remote", "--tags", "https://git.example.com/r.git"])
            .env("HOME", folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&listed.stdout).contains("refs/tags/v1.0.0"), "{listed:?}");
    }

    #[test]
    fn a_script_that_fails_is_an_error() {
        let folder = tempfile::TempDir::new().unwrap();
        let error = repository(folder.path(), "r.git", "echo why >&2\nfalse\ntrue").unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
