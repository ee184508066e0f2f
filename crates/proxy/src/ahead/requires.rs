//! What of a `.mod` matters to whoever fetches ahead.

use std::sync::Arc;

use goferry_module::{GoMod, ModuleVersion};

/// Requirements of one `.mod` that are looked at. Real ones have up to a few hundred.
const MAX_REQUIRES: usize = 2_000;

/// What a `.mod` requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requires {
    /// Whether its go line is 1.17 or later: then the go command needs the `.mod`s of its requirements only where they
    /// are required by the main module too (`cmd/go/internal/modload/buildlist.go`, `readModGraph`).
    pub pruned: bool,
    /// The requirements that a module proxy can serve.
    pub list: Arc<[ModuleVersion]>,
}

impl Requires {
    /// Of the bytes of a `.mod`. What cannot be read requires nothing.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Requires {
        let Ok(parsed) = GoMod::parse_lax("go.mod", bytes) else {
            return Requires { pruned: true, list: Arc::default() };
        };
        let list = parsed.requires.iter().filter_map(goferry_module::gomod::Require::module_version);
        Requires { pruned: parsed.is_pruned(), list: list.take(MAX_REQUIRES).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file() {
        let text = "module example.com/a\ngo 1.17\nrequire (\n\texample.com/b v1.0.0\n\tlocal v1.0.0 // indirect\n)\n";
        let requires = Requires::parse(text.as_bytes());
        assert!(requires.pruned);
        assert_eq!(requires.list.iter().map(ToString::to_string).collect::<Vec<_>>(), ["example.com/b@v1.0.0"]);
        assert!(!Requires::parse(b"module example.com/a\n").pruned);
        assert!(!Requires::parse(b"module example.com/a\ngo 1.16\n").pruned);
        assert_eq!(Requires::parse(b"require (").list.len(), 0);
    }
}
