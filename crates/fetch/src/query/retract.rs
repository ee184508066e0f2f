//! Which versions are passed over: those that go.mod excludes, and those that their authors retracted
//! (`cmd/go/internal/modload/modfile.go`, `CheckAllowed`).

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use goferry_module::gomod::{GoMod, MAX_GO_MOD, Replacement, Retract};
use goferry_module::{ModulePath, ModuleVersion, Version};

use super::Context;
use super::choose::choose;
use super::matcher::precedence;
use crate::web::BoxFuture;

impl Context<'_> {
    /// Why a version is not to be chosen; `None` where it may be, and where retractions cannot be known.
    pub(super) async fn disallowed(&self, path: &str, version: &Version) -> Option<String> {
        let excluded = |project: &super::Project| {
            project.excludes.iter().any(|exclude| exclude.path == path && exclude.version == *version)
        };
        if self.project.as_ref().is_some_and(excluded) {
            return Some("excluded by go.mod".to_owned());
        }
        let retractions = self.retractions(path).await?;
        let retract = retractions.iter().find(|retract| {
            let version = precedence(version);
            precedence(&retract.low) <= version && version <= precedence(&retract.high)
        })?;
        Some(format!("retracted by module author{}", short_message(&retract.rationale)))
    }

    /// The retractions in the go.mod of the latest version, be that retracted or not. `None` where there is no such file or
    /// it cannot be read: the go command goes on without then.
    async fn retractions(&self, path: &str) -> Option<Arc<Vec<Retract>>> {
        self.retractions.get(path.to_owned(), || self.load_retractions(path)).await
    }

    /// In a box, since the search for the latest version is a query itself.
    fn load_retractions<'c>(&'c self, path: &'c str) -> BoxFuture<'c, Option<Arc<Vec<Retract>>>> {
        Box::pin(async move {
            let project = self.project.as_ref();
            if project.is_some_and(|project| project.replacement(path, None).is_some()) {
                return None;
            }
            let latest = choose(self, path, "latest", None, false).await.ok()?.version;
            let latest = Version::parse(&latest).ok()?;
            let data = match project.and_then(|project| project.replacement(path, Some(&latest))) {
                Some(line) => match &line.new {
                    Replacement::Directory(directory) => read_go_mod(&project?.directory.join(directory))?,
                    Replacement::Module { .. } => self.go_mod(&line.new.module_version()?).await.ok()?,
                },
                None => {
                    let module = ModuleVersion::new(ModulePath::parse(path).ok()?, latest).ok()?;
                    self.go_mod(&module).await.ok()?
                }
            };
            let go_mod = GoMod::parse_lax("go.mod", &data).ok()?;
            Some(Arc::new(go_mod.retracts))
        })
    }
}

/// The go.mod of a replacement's directory; `None` where it is not there or too large.
fn read_go_mod(directory: &Path) -> Option<Bytes> {
    let mut data = Vec::new();
    let file = std::fs::File::open(directory.join("go.mod")).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(MAX_GO_MOD as u64 + 1).read_to_end(&mut data).ok()?;
    (data.len() <= MAX_GO_MOD).then(|| data.into())
}

/// The first line of a text from a go.mod, where a terminal can show it (`modload.ShortMessage`).
fn short_message(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() || line.len() > 500 || line.chars().any(char::is_control) {
        return String::new();
    }
    format!(": {line}")
}

#[cfg(test)]
mod tests {
    use super::short_message;

    #[test]
    fn only_what_a_terminal_can_show_is_told() {
        assert_eq!(short_message("  broken build \nmore"), ": broken build");
        for hidden in ["", "\n", "a\u{1b}[31m", &"x".repeat(501)] {
            assert_eq!(short_message(hidden), "");
        }
    }
}
