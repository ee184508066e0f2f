//! h2spec, which Debian does not have: the go command builds it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use super::{ProvisionError, on_path};
use crate::say::say;
use crate::workspace::{Workspace, output};

/// The last version that a go command can install: later ones are no versions of a module of this name.
const PACKAGE: &str = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible";

/// Where it is: `GOFERRY_H2SPEC`, PATH, or what an earlier run built.
pub(super) fn find(workspace: &Workspace) -> Option<PathBuf> {
    let told = env::var_os("GOFERRY_H2SPEC").map(PathBuf::from);
    let places = told.into_iter().chain(on_path("h2spec")).chain([built(workspace)]);
    places.into_iter().find(|file| file.is_file())
}

/// Builds it below the target folder.
pub(super) fn install(workspace: &Workspace) -> Result<PathBuf, ProvisionError> {
    let built = built(workspace);
    let folder = workspace.target.join("goferry-h2spec");
    say!("    the tests need h2spec: GOBIN={} go install {PACKAGE}", folder.display());
    let mut go = Command::new("go");
    go.args(["install", PACKAGE]).env("GOBIN", &folder).env_remove("GOFLAGS").env_remove("GOOS").env_remove("GOARCH");
    output(go.current_dir(env::temp_dir()))?;
    output(Command::new(&built).arg("--version"))?;
    Ok(built)
}

fn built(workspace: &Workspace) -> PathBuf {
    workspace.target.join("goferry-h2spec/h2spec")
}
