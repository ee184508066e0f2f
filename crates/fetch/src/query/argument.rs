//! What an argument of `go mod download` is, before anything is asked of anyone (`cmd/go/internal/modload/list.go`).

use std::collections::BTreeMap;

use goferry_module::Version;

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// `all`: every module of the build list.
    All,
    /// A pattern with `...`: the modules of the build list whose paths match.
    Pattern(String),
    /// A module path: the version that the build list selects.
    Path(String),
    /// `PATH@QUERY`: whatever the build list selects.
    Query {
        /// Before the first `@`, unchecked: only a replacement can make some paths usable.
        path: String,
        /// After the first `@`; may be empty.
        query: String,
    },
}

impl Argument {
    /// The argument as it was written.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Argument::All => "all".to_owned(),
            Argument::Pattern(text) | Argument::Path(text) => text.clone(),
            Argument::Query { path, query } => format!("{path}@{query}"),
        }
    }

    /// Whether the go command loads the whole module graph because of this argument. `roots` are the versions that the
    /// main module's go.mod requires, and none in a workspace; `pruned` says whether go.mod lists all that its packages
    /// need (go 1.17 and up, and in a workspace).
    ///
    /// Where no argument needs the graph, the selected versions are those of `roots`, and nothing else is read.
    #[must_use]
    pub fn needs_graph(&self, roots: &BTreeMap<String, Version>, main_paths: &[String], pruned: bool) -> bool {
        let unknown = |path: &String| {
            !is_toolchain(path) && (!(roots.contains_key(path) || main_paths.contains(path)) || !pruned)
        };
        match self {
            Argument::All | Argument::Pattern(_) => true,
            Argument::Path(path) => unknown(path),
            // A pattern with a version is no pattern, but it makes the go command load the graph all the same.
            Argument::Query { path, query } => {
                path.contains("...") || query.contains("...") || (is_relative_to_selected(query) && unknown(path))
            }
        }
    }
}

/// Reads the arguments, in order. `in_module` is false outside a module and in a workspace without modules.
///
/// # Errors
/// For the first argument that the go command refuses before it asks anyone.
pub fn parse_arguments(arguments: &[String], in_module: bool) -> Result<Vec<Argument>, UsageError> {
    arguments.iter().map(|text| parse(text, in_module)).collect()
}

/// An argument that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// A `\` in an argument.
    #[error(
        "{argument:?} has a backslash: module paths are written with slashes, on every system, such as example.com/m"
    )]
    Backslash {
        /// The argument.
        argument: String,
    },
    /// A directory, `./x`.
    #[error(
        "{argument:?} is a directory: modules are named by their path, such as example.com/m; to download what the module in a directory needs, run goferry download there"
    )]
    Relative {
        /// The argument.
        argument: String,
    },
    /// A version that begins with `-` or `/`.
    #[error(
        "{argument:?}: a version cannot begin with - or /; write a version, a query or a branch, such as @v1.2.3, @latest or @main"
    )]
    Version {
        /// The argument.
        argument: String,
    },
    /// Something that has a meaning only inside a module.
    #[error("{argument:?} means modules that a go.mod requires, and there is no go.mod here or above: {advice}")]
    NoModule {
        /// The argument.
        argument: String,
        /// What to write or where to go instead.
        advice: String,
    },
}

/// `go` and `toolchain` are modules of the go command's own that cannot be downloaded.
pub(super) fn is_toolchain(path: &str) -> bool {
    path == "go" || path == "toolchain"
}

/// Queries that start from the version that is selected now.
pub(super) fn is_relative_to_selected(query: &str) -> bool {
    query == "upgrade" || query == "patch"
}

fn parse(text: &str, in_module: bool) -> Result<Argument, UsageError> {
    let argument = || text.chars().take(256).collect::<String>();
    if text.contains('\\') {
        return Err(UsageError::Backslash { argument: argument() });
    }
    if matches!(text, "." | "..") || text.starts_with("./") || text.starts_with("../") {
        return Err(UsageError::Relative { argument: argument() });
    }
    let no_module = |advice: &str| Err(UsageError::NoModule { argument: argument(), advice: advice.to_owned() });
    let wild = text == "all" || text.contains("...");
    if wild && !in_module {
        return no_module(
            "change to the directory of a module, or name a module and a version, such as example.com/m@latest",
        );
    }
    let Some((path, query)) = text.split_once('@') else {
        return match text {
            "all" => Ok(Argument::All),
            _ if wild => Ok(Argument::Pattern(text.to_owned())),
            _ if !in_module && !is_toolchain(text) => no_module(&format!(
                "add a version, such as {}@latest, or change to the directory of a module",
                argument()
            )),
            _ => Ok(Argument::Path(text.to_owned())),
        };
    };
    if query.starts_with(['-', '/']) {
        return Err(UsageError::Version { argument: argument() });
    }
    if is_relative_to_selected(query) && !in_module && !is_toolchain(path) {
        return no_module(
            "@upgrade and @patch start from the version that is required; use @latest, or a prefix such as @v1.2",
        );
    }
    Ok(Argument::Query { path: path.to_owned(), query: query.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, in_module: bool) -> Result<Argument, UsageError> {
        Ok(parse_arguments(&[text.to_owned()], in_module)?.remove(0))
    }

    fn query(path: &str, query: &str) -> Argument {
        Argument::Query { path: path.to_owned(), query: query.to_owned() }
    }

    #[test]
    fn arguments_inside_a_module() {
        for (text, want) in [
            ("all", Argument::All),
            ("example.com/...", Argument::Pattern("example.com/...".to_owned())),
            ("example.com/m", Argument::Path("example.com/m".to_owned())),
            ("", Argument::Path(String::new())),
            ("example.com/m@v1", query("example.com/m", "v1")),
            ("example.com/m@", query("example.com/m", "")),
            ("example.com/m@a@b", query("example.com/m", "a@b")),
            ("all@latest", query("all", "latest")),
            ("example.com/...@latest", query("example.com/...", "latest")),
            ("example.com/m@>=v1.2.3", query("example.com/m", ">=v1.2.3")),
        ] {
            let argument = one(text, true).unwrap();
            assert_eq!(argument, want);
            assert_eq!(argument.text(), text);
        }
    }

    #[test]
    fn what_needs_a_module_says_so() {
        for text in
            ["all", "...", "example.com/m", "example.com/m@upgrade", "example.com/m@patch", "example.com/...@v1"]
        {
            assert!(matches!(one(text, false), Err(UsageError::NoModule { .. })), "{text}");
        }
        assert_eq!(one("example.com/m@latest", false).unwrap(), query("example.com/m", "latest"));
        assert_eq!(
            one("example.com/m", false).unwrap_err().to_string(),
            "\"example.com/m\" means modules that a go.mod requires, and there is no go.mod here or above: \
             add a version, such as example.com/m@latest, or change to the directory of a module"
        );
    }

    #[test]
    fn what_is_never_a_module() {
        for in_module in [false, true] {
            assert!(matches!(one(r"a\b@v1", in_module), Err(UsageError::Backslash { .. })));
            for text in [".", "..", "./x", "../x@v1"] {
                assert!(matches!(one(text, in_module), Err(UsageError::Relative { .. })), "{text}");
            }
            for text in ["example.com/m@-x", "example.com/m@/x"] {
                assert!(matches!(one(text, in_module), Err(UsageError::Version { .. })), "{text}");
            }
        }
    }

    #[test]
    fn the_graph_is_needed_for_what_the_requirements_do_not_tell() {
        let roots = BTreeMap::from([("example.com/m".to_owned(), Version::parse("v1.0.0").unwrap())]);
        let main = ["example.com/main".to_owned()];
        for (text, pruned, want) in [
            ("all", true, true),
            ("example.com/...", true, true),
            ("example.com/...@v1", true, true),
            ("example.com/m", true, false),
            ("example.com/m", false, true),
            ("example.com/main", true, false),
            ("example.com/n", true, true),
            ("example.com/m@patch", true, false),
            ("example.com/n@patch", true, true),
            ("example.com/n@latest", false, false),
        ] {
            assert_eq!(one(text, true).unwrap().needs_graph(&roots, &main, pruned), want, "{text} {pruned}");
        }
    }
}
