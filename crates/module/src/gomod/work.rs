//! go.work (`golang.org/x/mod/modfile/work.go`).

use super::directives::{go_line, godebug_line, parse_file, path_line, replace_line, toolchain_line};
use super::error::ParseErrors;
use super::syntax::Line;
use super::{GoLine, Godebug, Replace, ResolvedVersions, ToolchainLine};
use crate::go_version::GoVersion;

/// What a go.work says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoWork {
    /// The `go` line.
    pub go: Option<GoLine>,
    /// The `toolchain` line.
    pub toolchain: Option<ToolchainLine>,
    /// The `godebug` lines.
    pub godebug: Vec<Godebug>,
    /// The `use` lines.
    pub uses: Vec<Use>,
    /// The `replace` lines.
    pub replaces: Vec<Replace>,
}

/// A `use` line: the directory of a module of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// As written, relative to the go.work or absolute.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
}

impl GoWork {
    /// Parses a go.work. `file` is used in errors only.
    ///
    /// # Errors
    /// With file, line and column, and for a file over [`super::MAX_GO_MOD`].
    pub fn parse(file: &str, data: &[u8]) -> Result<Self, ParseErrors> {
        let mut work = Self::default();
        parse_file(file, data, Some(&["godebug", "use", "replace"]), |line| work.directive(line))?;
        Ok(work)
    }

    /// The Go version of the `go` line; `None` without one, or where it is not a Go version that can be compared.
    #[must_use]
    pub fn go_version(&self) -> Option<GoVersion> {
        GoVersion::parse(&self.go.as_ref()?.version).ok()
    }

    fn directive(&mut self, line: &Line<'_>) -> Result<(), String> {
        match line.verb {
            "go" => self.go = Some(go_line(self.go.is_some(), line, true)?),
            "toolchain" => self.toolchain = Some(toolchain_line(self.toolchain.is_some(), line)?),
            "godebug" => self.godebug.push(godebug_line(line)?),
            "use" => {
                let path = path_line(line).map_err(|e| match line.args.len() {
                    1 => e,
                    _ => "usage: use local/dir".to_owned(),
                })?;
                self.uses.push(Use { path: path.path, line: path.line });
            }
            "replace" => self.replaces.push(replace_line(line, &ResolvedVersions::default())?),
            verb => {
                return Err(format!("unknown directive: {}", verb.chars().take(256).collect::<String>()));
            }
        }
        Ok(())
    }
}
