//! Arguments, where they are given, and what the go command makes of them.

/// A directory in which the command runs.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    /// The go.mod; empty outside a module.
    pub(crate) go_mod: &'static str,
    /// The go.work; empty outside a workspace.
    pub(crate) go_work: &'static str,
    /// What the module graph selects beside what go.mod requires.
    pub(crate) graph: &'static [(&'static str, &'static str)],
    /// GOPROXY, with `a` and `b` for the two proxies.
    pub(crate) proxies: &'static str,
    /// Arguments, and the module versions they mean, or the kind of failure after `!`.
    pub(crate) cases: &'static [(&'static str, &'static str)],
}

const OUTSIDE: Place = Place { name: "outside", go_mod: "", go_work: "", graph: &[], proxies: "a", cases: &[] };

pub(crate) const PLACES: &[Place] = &[
    Place {
        cases: &[
            // Releases, prereleases, commits.
            ("example.com/plain@latest", "v1.10.0"),
            ("example.com/plain@v1", "v1.10.0"),
            ("example.com/plain@v1.2", "v1.2.3"),
            ("example.com/plain@v1.3", "!no match"),
            ("example.com/plain@v2", "!no match"),
            ("example.com/plain@v1.2.3", "v1.2.3"),
            ("example.com/plain@v1.2.4", "!not found"),
            ("example.com/plain@v1.3.0-rc.1", "v1.3.0-rc.1"),
            ("example.com/plain@<v1.2.0", "v1.1.0"),
            ("example.com/plain@<=v1.2.0", "v1.2.0"),
            ("example.com/plain@<v1.2", "v1.1.0"),
            ("example.com/plain@<=v1.2", "!ambiguous"),
            ("example.com/plain@>v1.2.0", "v1.2.3"),
            ("example.com/plain@>=v1.2.0", "v1.2.0"),
            ("example.com/plain@>=v1.2", "v1.2.0"),
            ("example.com/plain@>v1", "!ambiguous"),
            ("example.com/plain@>v1.10.0", "!no match"),
            ("example.com/plain@>=x", "!range"),
            ("example.com/plain@>=v1.3.0-a", "v1.10.0"),
            ("example.com/plain@>v1.2.3+meta", "v1.10.0"),
            ("example.com/plain@<v1.0.0", "!no match"),
            ("example.com/plain@main", "v1.10.1-0.20230101000000-cccccccccccc"),
            ("example.com/plain@cccccccccccc", "v1.10.1-0.20230101000000-cccccccccccc"),
            ("example.com/plain@v1.10.1-0.20230101000000-cccccccccccc", "v1.10.1-0.20230101000000-cccccccccccc"),
            ("example.com/plain@v1.2.3+meta", "v1.2.3"),
            ("example.com/plain@v1.2.4+meta", "!not found"),
            ("example.com/plain@feature/x", "!version string"),
            ("example.com/plain@feature!x", "!version string"),
            ("example.com/plain@", "!version string"),
            ("example.com/plain@none", "!not found"),
            ("example.com/pre@latest", "v0.1.0-beta.11"),
            ("example.com/pre@<v0.1.0-beta.11", "v0.1.0-beta.2"),
            ("example.com/untagged@latest", "v0.0.0-20220101000000-bbbbbbbbbbbb"),
            ("example.com/untagged@v0", "!no match"),
            ("example.com/nolatest@latest", "v0.0.0-20220101000000-bbbbbbbbbbbb"),
            ("example.com/timed@latest", "v0.0.0-20200101000000-aaaaaaaaaaaa"),
            ("example.com/nothing@latest", "!no match"),
            ("example.com/nolist@latest", "!not found"),
            ("example.com/nolist@v1.0.0", "v1.0.0"),
            ("example.com/absent@latest", "!not found"),
            ("example.com/Upper@v1", "v1.0.0"),
            ("example.com/Upper@v1.0.0-Rc1", "v1.0.0-Rc1"),
            // Retractions.
            ("example.com/retracts@latest", "v1.0.0"),
            ("example.com/retracts@v1", "v1.0.0"),
            ("example.com/retracts@>v1.0.0", "!no match"),
            ("example.com/retracts@v1.2.0", "v1.2.0"),
            ("example.com/allgone@latest", "!no match"),
            ("example.com/badretract@latest", "v1.1.0"),
            ("example.com/toonew@latest", "v1.0.0"),
            ("example.com/renamed@latest", "v1.0.0"),
            // +incompatible and major versions.
            ("example.com/incompat@latest", "v2.0.0+incompatible"),
            ("example.com/incompat@v1", "v1.1.0"),
            ("example.com/incompat@>v2.0.0", "v3.0.0-rc.1+incompatible"),
            ("example.com/incompat@v2.0.0+incompatible", "v2.0.0+incompatible"),
            ("example.com/incompat@v2.0.0", "!not found"),
            ("example.com/incompatmod@latest", "v1.1.0"),
            ("example.com/incompatmod@v2", "v2.1.0+incompatible"),
            ("example.com/incompatmod@>=v1.1.0", "v1.1.0"),
            ("example.com/incompatmod@>v1.1.0", "v2.0.0+incompatible"),
            ("example.com/incompatmod@<v3", "v2.1.0+incompatible"),
            ("example.com/onlyincompat@latest", "v3.1.0+incompatible"),
            ("example.com/premod@latest", "v1.0.0-pre"),
            ("example.com/majors/v2@latest", "v2.1.0"),
            ("example.com/majors/v2@v2.0", "v2.0.0"),
            ("example.com/majors/v2@v1.0.0", "!not found"),
            ("example.com/majors/v1@latest", "!path"),
            ("gopkg.in/thing.v1@latest", "v1.1.0"),
            ("gopkg.in/thing@latest", "!path"),
            ("example.com/wrongmajor@v1.0.0", "v1.0.0"),
            ("example.com/wrongmajor@latest", "!major"),
            // Paths that are none.
            ("example/plain@latest", "!path"),
            ("all@latest", "!path"),
            ("std@latest", "!standard library"),
            ("go@1.20", "!toolchain"),
            ("toolchain@go1.21.13", "!toolchain"),
            // Proxies that lie.
            ("example.com/hostile@latest", "v1.5.0"),
            ("example.com/liar@v1.0.0", "!other version"),
            ("example.com/liar@v1.1.0", "!not json"),
            ("example.com/liar@other", "!major"),
            ("example.com/liar@word", "!no version"),
            ("example.com/badlatest@latest", "!not json"),
            ("example.com/wordlatest@latest", "!no version"),
            // Refused before anyone is asked.
            ("example.com/plain", "!usage"),
            ("example.com/plain@upgrade", "!usage"),
            ("example.com/plain@patch", "!usage"),
            ("example.com/plain@-x", "!usage"),
            ("example.com/...", "!usage"),
            ("example.com/...@latest", "!usage"),
            ("all", "!usage"),
            ("./plain", "!usage"),
            (r"example.com\plain@latest", "!usage"),
        ],
        ..OUTSIDE
    },
    Place {
        name: "two proxies, ','",
        proxies: "a,b",
        cases: &[
            ("example.com/onlyb@latest", "v1.0.0"),
            ("example.com/nothing@latest", "!no match"),
            ("example.com/untagged@v1", "!no match"),
            ("example.com/untagged@v1.0.0", "v1.0.0"),
            ("example.com/liar@v1.1.0", "!not json"),
            ("example.com/absent@latest", "!not found"),
            // The list is at the first proxy, the version at neither.
            ("example.com/halfgone@latest", "v1.0.0"),
        ],
        ..OUTSIDE
    },
    Place {
        name: "two proxies, '|'",
        proxies: "a|b",
        cases: &[
            ("example.com/untagged@v1", "v1.0.0"),
            ("example.com/liar@latest", "v1.2.0"),
            ("example.com/liar@v1.0.0", "!other version"),
            ("example.com/plain@feature/x", "!version string"),
        ],
        ..OUTSIDE
    },
    Place {
        name: "a module",
        go_mod: "module example.com/main\n\ngo 1.20\n\nrequire (\n\texample.com/plain v1.2.0\n\
            \texample.com/untagged v0.0.0-20200101000000-aaaaaaaaaaaa\n\texample.com/incompatmod v2.0.0+incompatible\n\
            \texample.com/retracts v1.1.0\n\texample.com/deep v1.0.0\n\texample.com/pre v0.1.0-beta.2\n\
            \tgopkg.in/thing.v1 v1.0.0\n)\n",
        cases: &[
            ("example.com/plain", "v1.2.0"),
            ("example.com/plain@upgrade", "v1.10.0"),
            ("example.com/plain@patch", "v1.2.3"),
            ("example.com/plain@latest", "v1.10.0"),
            ("example.com/untagged@upgrade", "v0.0.0-20220101000000-bbbbbbbbbbbb"),
            ("example.com/untagged@patch", "v0.0.0-20220101000000-bbbbbbbbbbbb"),
            ("example.com/incompatmod@latest", "v2.1.0+incompatible"),
            ("example.com/incompatmod@upgrade", "v2.1.0+incompatible"),
            ("example.com/incompatmod@patch", "v2.0.0+incompatible"),
            ("example.com/retracts@upgrade", "!retracted"),
            ("example.com/retracts@patch", "!retracted"),
            ("example.com/pre@upgrade", "v0.1.0-beta.11"),
            ("example.com/pre@patch", "v0.1.0-beta.11"),
            ("example.com/onlyincompat@upgrade", "v3.1.0+incompatible"),
            ("example.com/onlyincompat@patch", "!no base"),
            ("example.com/onlyincompat", "!unknown"),
            ("example.com/main", ""),
            ("example.com/main@upgrade", ""),
            ("example.com/main@latest", "!not found"),
            (
                "example.com/...",
                "example.com/deep@v1.0.0 example.com/incompatmod@v2.0.0+incompatible \
                example.com/plain@v1.2.0 example.com/pre@v0.1.0-beta.2 example.com/retracts@v1.1.0 \
                example.com/untagged@v0.0.0-20200101000000-aaaaaaaaaaaa",
            ),
            ("example.com/p...", "example.com/plain@v1.2.0 example.com/pre@v0.1.0-beta.2"),
            ("example.com/plain/...", "v1.2.0"),
            ("example.org/...", ""),
            ("gopkg.in/...", "gopkg.in/thing.v1@v1.0.0"),
            ("example.com/...@latest", "!path"),
            ("go", "!toolchain"),
        ],
        ..OUTSIDE
    },
    Place {
        name: "newer than what is tagged",
        go_mod: "module example.com/main\n\ngo 1.20\n\nrequire (\n\
            \texample.com/plain v1.10.1-0.20230101000000-cccccccccccc\n\
            \texample.com/branchless v0.0.0-20230101000000-dddddddddddd\n)\n",
        cases: &[
            ("example.com/plain@upgrade", "v1.10.1-0.20230101000000-cccccccccccc"),
            ("example.com/plain@patch", "v1.10.1-0.20230101000000-cccccccccccc"),
            ("example.com/plain@latest", "v1.10.0"),
            // v1.0.0 is higher, but older than the commit in use, which the proxy does not have.
            ("example.com/branchless@upgrade", "!not found"),
        ],
        ..OUTSIDE
    },
    Place {
        name: "excludes",
        go_mod: "module example.com/main\n\ngo 1.20\n\nrequire example.com/plain v1.2.0\n\
            exclude example.com/plain v1.10.0\nexclude example.com/plain v1.2.3\n\
            exclude example.com/untagged v0.0.0-20220101000000-bbbbbbbbbbbb\n",
        cases: &[
            ("example.com/plain@latest", "v1.2.0"),
            ("example.com/plain@v1.2", "v1.2.0"),
            ("example.com/plain@patch", "v1.2.0"),
            ("example.com/plain@>v1.2.0", "v1.3.0-rc.1"),
            ("example.com/plain@v1.10.0", "v1.10.0"),
            ("example.com/untagged@latest", "!no match"),
        ],
        ..OUTSIDE
    },
    Place {
        name: "the graph",
        go_mod: "module example.com/main\n\ngo 1.20\n\nrequire example.com/deep v1.0.0\n",
        graph: &[("example.com/incompatmod", "v2.0.0+incompatible")],
        cases: &[
            ("example.com/incompatmod", "v2.0.0+incompatible"),
            ("example.com/incompatmod@upgrade", "v2.1.0+incompatible"),
            ("all", "example.com/deep@v1.0.0 example.com/incompatmod@v2.0.0+incompatible"),
            // The graph is not loaded for it, so that nobody knows of the +incompatible version in use.
            ("example.com/incompatmod@latest", "v1.1.0"),
        ],
        ..OUTSIDE
    },
    Place {
        name: "replacements",
        go_mod: "module example.com/main\n\ngo 1.20\n\nrequire (\n\texample.com/plain v1.2.0\n\
            \texample.com/pre v0.1.0-alpha\n\texample.com/retracts v1.0.0\n\tlocal v0.1.0\n)\n\
            replace example.com/plain v1.2.0 => example.com/fork v1.7.0\n\
            replace example.com/pre => ./local\n\
            replace local v0.1.0 => ./local\n\
            replace example.com/retracts v1.2.0 => ./retracts\n\
            replace example.com/absent v1.5.0 => ./local\n\
            replace example.com/absent v2.5.0+incompatible => ./local\n\
            replace example.com/gone => ./local\n\
            replace example.com/gone/v3 => ./local\n\
            replace example.com/allgone => ./local\n\
            replace example.com/untagged v0.9.0 => example.com/fork v1.7.0\n",
        cases: &[
            ("example.com/plain", "example.com/fork@v1.7.0"),
            ("example.com/plain@latest", "v1.10.0"),
            ("example.com/plain@v1.2.0", "v1.2.0"),
            ("example.com/pre", ""),
            ("example.com/pre@latest", "v0.1.0-beta.11"),
            ("example.com/retracts@latest", "v1.2.0"),
            ("example.com/retracts@<v1.1.0", "!no match"),
            // Versions that only a replacement has cannot be downloaded, but they are chosen.
            ("example.com/absent@v1", "v1.5.0 ?"),
            // Whether it has a go.mod decides about the +incompatible version, and nobody has the file.
            ("example.com/absent@latest", "!not found"),
            ("example.com/absent@v2", "v2.5.0+incompatible ?"),
            ("example.com/absent@<v2", "v1.5.0 ?"),
            ("example.com/absent@v1.4.0", "!not found"),
            ("example.com/gone@latest", "v0.0.0-00010101000000-000000000000 ?"),
            ("example.com/gone/v3@latest", "v3.0.0-00010101000000-000000000000 ?"),
            ("example.com/allgone@latest", "v1.1.0"),
            ("example.com/untagged@latest", "v0.9.0 ?"),
            ("local", ""),
            ("local@latest", "!path"),
            ("...", "example.com/fork@v1.7.0 example.com/retracts@v1.0.0"),
        ],
        ..OUTSIDE
    },
    Place {
        name: "a workspace",
        go_mod: "module example.com/main\n\ngo 1.20\n\nrequire example.com/plain v1.2.0\n",
        go_work: "go 1.20\n\nuse .\n\nreplace example.com/plain v1.2.0 => example.com/fork v1.7.0\n\
            replace example.com/absent v1.5.0 => ./local\nreplace example.com/gone => ./local\n\
            replace example.com/retracts => ./local\n",
        cases: &[
            ("example.com/plain", "example.com/fork@v1.7.0"),
            ("all", "example.com/fork@v1.7.0"),
            ("example.com/plain@patch", "v1.2.3"),
            ("example.com/plain@v1.2.0", "v1.2.0"),
            // Replacements in go.work do not add versions, but they count for the latest one.
            ("example.com/absent@v1", "!no match"),
            ("example.com/absent@v1.5.0", "!not found"),
            ("example.com/absent@latest", "!not found"),
            ("example.com/gone@latest", "!not found"),
            // All versions are replaced, so that nobody reads retractions.
            ("example.com/retracts@latest", "v1.2.0"),
            ("example.com/main@patch", ""),
        ],
        ..OUTSIDE
    },
];

/// What Go 1.21.13 makes of arguments that it does not look at as closely as 1.27.3.
pub(crate) const OLD_DIFFERS: &[(&str, &str)] = &[("example.com/plain@-x", "!not found")];

/// Files in every directory.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("local/go.mod", "module local\n\ngo 1.20\n"),
    ("retracts/go.mod", "module example.com/retracts\n\ngo 1.20\n\nretract v1.0.0\n"),
];
