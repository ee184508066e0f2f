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
use super::matcher::{Precedence, precedence};
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
        let rationale = retractions.rationale(version)?;
        Some(format!("retracted by module author{}", short_message(rationale)))
    }

    /// The retractions in the go.mod of the latest version, be that retracted or not. `None` where there is no such file or
    /// it cannot be read: the go command goes on without then.
    async fn retractions(&self, path: &str) -> Option<Arc<Retractions>> {
        self.retractions.get(path.to_owned(), || self.load_retractions(path)).await
    }

    /// In a box, since the search for the latest version is a query itself.
    fn load_retractions<'c>(&'c self, path: &'c str) -> BoxFuture<'c, Option<Arc<Retractions>>> {
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
            Some(Arc::new(Retractions::new(&go_mod.retracts)))
        })
    }
}

/// The retractions of a module, made for lists and go.mod files of any length.
#[derive(Debug)]
pub(super) struct Retractions {
    /// By low version. The second is the highest version that this or an earlier line retracts, with that line's comment.
    lines: Vec<(Precedence, Precedence, String)>,
}

impl Retractions {
    fn new(retracts: &[Retract]) -> Retractions {
        let ends = |retract: &Retract| (precedence(&retract.low), precedence(&retract.high), retract.rationale.clone());
        let mut lines: Vec<_> = retracts.iter().map(ends).collect();
        lines.sort_by(|a, b| a.0.cmp(&b.0));
        for at in 1..lines.len() {
            if lines[at - 1].1 >= lines[at].1 {
                let (_, high, rationale) = lines[at - 1].clone();
                (lines[at].1, lines[at].2) = (high, rationale);
            }
        }
        Retractions { lines }
    }

    /// The comment of a line that retracts the version, if there is one.
    fn rationale(&self, version: &Version) -> Option<&str> {
        let version = precedence(version);
        let before = self.lines.partition_point(|(low, ..)| *low <= version);
        let (_, high, rationale) = self.lines.get(before.checked_sub(1)?)?;
        (version <= *high).then_some(rationale)
    }
}

/// The go.mod of a replacement's directory; `None` where it is not there or too large.
fn read_go_mod(directory: &Path) -> Option<Bytes> {
    let path = directory.join("go.mod");
    // Opening a named pipe would wait for who writes it.
    if !std::fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut data = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_GO_MOD as u64 + 1).read_to_end(&mut data).ok()?;
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
    use goferry_module::Version;
    use goferry_module::gomod::GoMod;

    use super::{Retractions, short_message};

    #[test]
    fn what_lines_in_any_order_retract() {
        let text = b"module m\nretract v1.5.0 // e\nretract [v1.0.0, v2.0.0] // all\nretract v0.1.0-rc // rc\nretract [v1.1.0, v1.2.0]";
        let retractions = Retractions::new(&GoMod::parse_lax("go.mod", text).unwrap().retracts);
        let retracted = |v: &str| retractions.rationale(&Version::parse(v).unwrap()).is_some();
        for v in ["v0.1.0-rc", "v1.0.0", "v1.2.1", "v1.5.0", "v1.9.0-pre", "v2.0.0+incompatible"] {
            assert!(retracted(v), "{v}");
        }
        for v in ["v0.0.1", "v0.1.0", "v1.0.0-rc", "v2.0.1"] {
            assert!(!retracted(v), "{v}");
        }
        assert!(Retractions::new(&[]).rationale(&Version::parse("v1.0.0").unwrap()).is_none());
    }

    #[test]
    fn only_what_a_terminal_can_show_is_told() {
        assert_eq!(short_message("  broken build \nmore"), ": broken build");
        for hidden in ["", "\n", "a\u{1b}[31m", &"x".repeat(501)] {
            assert_eq!(short_message(hidden), "");
        }
    }
}
