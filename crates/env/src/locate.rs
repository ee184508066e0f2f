//! Finding go.mod and go.work from a directory upwards, as the go command does (`modload.findModuleRoot`,
//! `findWorkspaceFile`).

use std::path::{Path, PathBuf};

use crate::inputs::Inputs;
use crate::resolve::Environment;

/// The go.mod of the directory or the closest one above it.
pub(crate) fn go_mod(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().map(|d| d.join("go.mod")).find(|f| f.is_file())
}

/// The go.work in use: GOWORK, or the closest one, never from beyond GOROOT.
pub(crate) fn go_work(inputs: &Inputs, env: &Environment) -> Option<PathBuf> {
    match env.value("GOWORK") {
        "off" => None,
        "" | "auto" => {
            let goroot = Path::new(env.value("GOROOT"));
            for dir in inputs.dir.ancestors() {
                let file = dir.join("go.work");
                if file.is_file() {
                    return Some(file);
                }
                if dir.parent().is_some_and(|up| up == goroot) {
                    return None;
                }
            }
            None
        }
        file => Some(PathBuf::from(file)),
    }
}
