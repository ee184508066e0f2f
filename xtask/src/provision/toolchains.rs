//! The Go toolchains that are driven through the lab: the go command fetches them itself.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::ProvisionError;
use crate::say::say;
use crate::workspace::{WorkspaceError, output};

/// The oldest that knows `GOTOOLCHAIN`, and the newest.
const TOOLCHAINS: [&str; 2] = ["go1.21.13", "go1.27.3"];

/// Fetches those that are not there.
pub(super) fn fetch() -> Result<(), ProvisionError> {
    // No go.mod may have its say.
    let empty = TempDir::with_prefix("goferry-")
        .map_err(|source| ProvisionError::File { path: std::env::temp_dir(), source })?;
    let said = output(go(&empty, "local").args(["env", "GOVERSION", "GOMODCACHE", "GOOS", "GOARCH"]))?;
    let mut said = said.lines();
    let mut next = || said.next().unwrap_or_default().to_owned();
    let (version, cache, os, arch) = (next(), next(), next(), next());
    for toolchain in TOOLCHAINS {
        let folder = format!("golang.org/toolchain@v0.0.1-{toolchain}.{os}-{arch}");
        if version == toolchain || Path::new(&cache).join(folder).join("bin/go").is_file() {
            continue;
        }
        say!("    the tests drive {toolchain}: fetching it (75 MB) with GOTOOLCHAIN={toolchain} go version");
        let got = output(go(&empty, toolchain).arg("version"))?;
        if !got.contains(toolchain) {
            let program = format!("GOTOOLCHAIN={toolchain} go version");
            return Err(WorkspaceError::Failed { program, said: got }.into());
        }
    }
    Ok(())
}

fn go(folder: &TempDir, toolchain: &str) -> Command {
    let mut command = Command::new("go");
    command.current_dir(folder).env("GOTOOLCHAIN", toolchain).env_remove("GOROOT").env_remove("GOFLAGS");
    command
}
