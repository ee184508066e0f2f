//! Versions in a main module's go.mod that only a source knows: branches, commits, prefixes such as `v1.2`.

use std::collections::{BTreeSet, HashMap};

use super::GoMod;
use super::directives::parse_file;
use super::error::ParseErrors;
use super::quote::string;
use crate::version::Version;

/// What [`GoMod::queries`] stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedVersions(HashMap<String, HashMap<String, Version>>);

impl ResolvedVersions {
    /// Says which version `query` of the module `path` is.
    pub fn insert(&mut self, path: &str, query: &str, version: Version) {
        self.0.entry(path.to_owned()).or_default().insert(query.to_owned(), version);
    }

    /// Whether nothing was resolved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, path: &str, query: &str) -> Option<&Version> {
        self.0.get(path)?.get(query)
    }
}

impl GoMod {
    /// The path and version of each `require`, `exclude` and `replace` line whose version is not a full semantic version:
    /// the go command asks the sources what it means, in the main module only, and writes the answer into go.mod
    /// (`fixVersion` of `cmd/go/internal/modload/init.go`). Each once, sorted.
    ///
    /// [`GoMod::parse`] takes `v1.2` for `v1.2.0` and refuses `master`; [`GoMod::parse_with`] takes the answers. The
    /// versions of `retract` lines, which are the main module's own, are not asked for.
    ///
    /// # Errors
    /// Where the file cannot be split into lines. What else is wrong with it, [`GoMod::parse_with`] says.
    pub fn queries(file: &str, data: &[u8]) -> Result<Vec<(String, String)>, ParseErrors> {
        let mut queries = BTreeSet::new();
        parse_file(file, data, None, |line| {
            let args = &line.args[..];
            let pairs: &[(Option<&&str>, Option<&&str>)] = match line.verb {
                "require" | "exclude" if args.len() == 2 => &[(args.first(), args.get(1))],
                "replace" if args.get(1) == Some(&"=>") => &[(args.get(2), args.get(3))],
                "replace" => &[(args.first(), args.get(1)), (args.get(3), args.get(4))],
                _ => &[],
            };
            for (path, version) in pairs {
                let (Some(path), Some(version)) = (path, version) else { continue };
                let (Ok(path), Ok(version)) = (string(path), string(version)) else { continue };
                if !Version::parse(&version).is_ok_and(|version| version.is_canonical()) {
                    queries.insert((path, version));
                }
            }
            Ok(())
        })?;
        Ok(queries.into_iter().collect())
    }
}
