//! Stand-in until filled.
use std::path::PathBuf;

use crate::inputs::Inputs;

/// The file of `go env -w`.
pub fn go_env_file(inputs: &Inputs) -> Option<PathBuf> {
    match inputs.var("GOENV") {
        Some("off") => None,
        Some(file) => Some(PathBuf::from(file)),
        None => inputs.user_config_dir().map(|d| d.join("go/env")),
    }
}
