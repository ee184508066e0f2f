//! What is in the project before, what is asked for, and what is then checked and kept.

/// `{a@v1.0.0}` stands for a zip's hash, `{a@v1.0.0/go.mod}` for a go.mod's.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) files: &'static [(&'static str, &'static str)],
    pub(crate) args: &'static [&'static str],
    pub(crate) goflags: &'static str,
    /// The go.mod files that are read, and the zips that are fetched: the go command's cache must hold just these.
    pub(crate) mods: &'static [&'static str],
    pub(crate) zips: &'static [&'static str],
    pub(crate) graph: &'static [&'static str],
    pub(crate) selected: &'static [&'static str],
    /// The file that is written, or would be.
    pub(crate) main: &'static str,
    pub(crate) rewrites_go_mod: bool,
    pub(crate) fails: bool,
}

pub(crate) const GO_MOD: (&str, &str) =
    ("go.mod", "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.0.0 // indirect\n)\n");
const OLD: (&str, &str) = ("go.mod", "module m\n\ngo 1.16\n\nrequire example.com/a v1.0.0\n");
const WORK: (&str, &str) = ("go.work", "go 1.20\n\nuse ./one\nuse ./two\n");
const ONE: (&str, &str) = (
    "one/go.mod",
    "module one\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.0.0 // indirect\n)\n",
);
const TWO: (&str, &str) = (
    "two/go.mod",
    "module two\n\ngo 1.20\n\nrequire (\n\texample.com/b v1.1.0\n\texample.com/c v1.0.0 // indirect\n)\n",
);

/// go.mod requires a and b; only `example.com/a` is asked for, the graph is not loaded.
pub(crate) const ONLY_A: Case = Case {
    name: "a required module by path",
    files: &[GO_MOD],
    args: &["example.com/a"],
    goflags: "",
    mods: &["a@v1.0.0"],
    zips: &["a@v1.0.0"],
    graph: &[],
    selected: &["a@v1.0.0", "b@v1.0.0"],
    main: "go.sum",
    rewrites_go_mod: false,
    fails: false,
};

const WORKSPACE: Case = Case {
    name: "a workspace",
    files: &[WORK, ONE, TWO],
    args: &[],
    mods: &["a@v1.0.0", "b@v1.0.0", "b@v1.1.0", "c@v1.0.0"],
    zips: &["a@v1.0.0", "b@v1.1.0", "c@v1.0.0"],
    graph: &["a@v1.0.0", "b@v1.0.0", "b@v1.1.0", "c@v1.0.0"],
    selected: &["a@v1.0.0", "b@v1.1.0", "c@v1.0.0"],
    main: "go.work.sum",
    ..ONLY_A
};

const ALL: Case = Case {
    name: "all, where the pruned graph reaches further than go.mod",
    args: &["all"],
    mods: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"],
    zips: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"],
    graph: &["a@v1.0.0", "b@v1.0.0"],
    selected: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"],
    ..ONLY_A
};

pub(crate) const CASES: &[Case] = &[
    ONLY_A,
    ALL,
    WORKSPACE,
    Case {
        name: "no arguments: hashes of go.mod files only",
        args: &[],
        mods: &["a@v1.0.0", "b@v1.0.0"],
        zips: &["a@v1.0.0", "b@v1.0.0"],
        graph: &["a@v1.0.0", "b@v1.0.0"],
        ..ALL
    },
    Case {
        name: "no arguments, a go.sum of which half is there",
        files: &[
            GO_MOD,
            ("go.sum", "example.com/b v1.0.0 {b@v1.0.0}\nexample.com/a v1.0.0/go.mod {a@v1.0.0/go.mod}\n"),
        ],
        args: &[],
        mods: &["a@v1.0.0", "b@v1.0.0"],
        zips: &["a@v1.0.0", "b@v1.0.0"],
        ..ALL
    },
    Case {
        name: "no arguments, nothing to add: not even sorted",
        files: &[
            GO_MOD,
            (
                "go.sum",
                "example.com/b v1.0.0/go.mod {b@v1.0.0/go.mod}\r\n\nexample.com/a v1.0.0/go.mod {a@v1.0.0/go.mod}",
            ),
        ],
        args: &[],
        mods: &["a@v1.0.0", "b@v1.0.0"],
        zips: &["a@v1.0.0", "b@v1.0.0"],
        ..ALL
    },
    Case { name: "m@v as required", args: &["example.com/a@v1.0.0"], ..ONLY_A },
    Case {
        name: "m@v of other versions: nothing is kept",
        args: &["example.com/a@v1.1.0", "example.com/c@v1.0.0"],
        mods: &["a@v1.1.0", "c@v1.0.0"],
        zips: &["a@v1.1.0", "c@v1.0.0"],
        ..ONLY_A
    },
    Case {
        name: "m@v of other versions beside a required one",
        args: &["example.com/b@v1.0.0", "example.com/c@v1.1.0"],
        mods: &["b@v1.0.0", "c@v1.1.0"],
        zips: &["b@v1.0.0", "c@v1.1.0"],
        ..ONLY_A
    },
    Case {
        name: "m@latest is not what is required",
        args: &["example.com/a@latest"],
        mods: &["a@v1.1.0"],
        zips: &["a@v1.1.0"],
        ..ONLY_A
    },
    Case { name: "a module that is not required, by path", args: &["example.com/c"], zips: &["c@v1.0.0"], ..ALL },
    Case {
        name: "a pattern",
        args: &["example.com/b..."],
        mods: &["a@v1.0.0", "b@v1.0.0"],
        zips: &["b@v1.0.0"],
        ..ALL
    },
    Case {
        name: "go 1.16, no arguments",
        files: &[OLD],
        args: &[],
        graph: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"],
        ..ALL
    },
    Case { name: "go 1.16, all", files: &[OLD], graph: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"], ..ALL },
    Case { name: "go 1.16, m@v", files: &[OLD], args: &["example.com/a@v1.0.0"], selected: &["a@v1.0.0"], ..ONLY_A },
    Case {
        name: "a require below what the graph selects: go.mod is corrected",
        files: &[(
            "go.mod",
            "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.1.0\n\texample.com/b v1.0.0 // indirect\n)\n",
        )],
        args: &[],
        mods: &["a@v1.1.0", "b@v1.0.0", "b@v1.1.0"],
        zips: &["a@v1.1.0", "b@v1.1.0"],
        graph: &["a@v1.1.0", "b@v1.1.0"],
        selected: &["a@v1.1.0", "b@v1.1.0", "c@v1.0.0"],
        rewrites_go_mod: true,
        ..ONLY_A
    },
    Case {
        name: "a require twice: go.mod is corrected",
        files: &[(
            "go.mod",
            "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/a v1.1.0\n\texample.com/b v1.1.0 // indirect\n)\n",
        )],
        mods: &["a@v1.1.0", "b@v1.1.0"],
        zips: &["a@v1.1.0"],
        graph: &["a@v1.1.0", "b@v1.1.0"],
        selected: &["a@v1.1.0", "b@v1.1.0", "c@v1.0.0"],
        rewrites_go_mod: true,
        ..ONLY_A
    },
    Case {
        name: "replaced modules: hashes of what replaces them",
        files: &[
            (
                "go.mod",
                "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.1.0 // indirect\n)\n\n\
             replace example.com/a => example.com/a v1.1.0\nreplace example.com/c => ./c\n",
            ),
            ("c/go.mod", "module example.com/c\n\ngo 1.20\n"),
        ],
        mods: &["a@v1.1.0", "b@v1.1.0"],
        zips: &["a@v1.1.0", "b@v1.1.0"],
        graph: &["a@v1.1.0", "b@v1.1.0"],
        selected: &["a@v1.1.0", "b@v1.1.0"],
        ..ALL
    },
    Case {
        name: "CRLF, doubles, disorder, an old mistake, versions and algorithms of all kinds",
        files: &[
            GO_MOD,
            (
                "go.sum",
                "zz.example.com/q v1.0.0 h1:abc\r\nexample.com/a v1.0.0 {a@v1.0.0}\r\n\r\nexample.com/a v1.0.0 {a@v1.0.0}\n\
             \tbb.example.com/x   v1.10.0 h2:q\nbb.example.com/x v1.9.0 h1:q\nbb.example.com/x v1.9.0 h1:a\n\
             bb.example.com/x v1.10.0-rc1 h1:a\nbb.example.com/x not-a-version h1:a\nbb.example.com/x v1.9.0/go.mod h1:a\n\
             bb.example.com/e v1.9.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=",
            ),
        ],
        ..ONLY_A
    },
    Case {
        name: "hashes of algorithms that are not known",
        files: &[GO_MOD, ("go.sum", "example.com/a v1.0.0 h2:zzz\nexample.com/a v1.0.0/go.mod h9:zzz\n")],
        ..ONLY_A
    },
    Case {
        name: "the right hash before a wrong one",
        files: &[GO_MOD, ("go.sum", "example.com/a v1.0.0 {a@v1.0.0}\nexample.com/a v1.0.0 {c@v1.0.0}\n")],
        ..ONLY_A
    },
    Case {
        name: "a wrong hash before the right one",
        files: &[GO_MOD, ("go.sum", "example.com/a v1.0.0 {c@v1.0.0}\nexample.com/a v1.0.0 {a@v1.0.0}\n")],
        fails: true,
        ..ONLY_A
    },
    Case {
        name: "a wrong hash of a go.mod",
        files: &[GO_MOD, ("go.sum", "example.com/a v1.0.0/go.mod {c@v1.0.0}\n")],
        zips: &[],
        fails: true,
        ..ONLY_A
    },
    Case { name: "-mod=readonly means nothing here", goflags: "-mod=readonly", ..ONLY_A },
    Case {
        name: "-mod=vendor and a vendor directory mean nothing here",
        files: &[GO_MOD, ("vendor/modules.txt", "# example.com/a v1.0.0\n## explicit; go 1.20\n")],
        goflags: "-mod=vendor",
        ..ONLY_A
    },
    Case {
        name: "-modfile",
        files: &[GO_MOD, ("alt.mod", GO_MOD.1), ("go.sum", "example.com/a v1.0.0 h1:untouched\n")],
        goflags: "-modfile=alt.mod",
        main: "alt.sum",
        ..ONLY_A
    },
    Case { name: "no module", files: &[("readme", "")], args: &["example.com/a@v1.0.0"], main: "", ..ONLY_A },
    Case {
        name: "a workspace, m@v: nothing is kept",
        args: &["example.com/a@v1.0.0"],
        mods: &["a@v1.0.0"],
        zips: &["a@v1.0.0"],
        graph: &[],
        selected: &[],
        ..WORKSPACE
    },
    Case {
        name: "a workspace: what a module's go.sum has is not in go.work.sum",
        files: &[
            WORK,
            ONE,
            TWO,
            ("one/go.sum", "example.com/a v1.0.0 {a@v1.0.0}\n"),
            (
                "go.work.sum",
                "zz.example.com/x v1.0.0 h1:a\nexample.com/a v1.0.0 {a@v1.0.0}\nexample.com/a v1.0.0/go.mod {a@v1.0.0/go.mod}\n",
            ),
        ],
        ..WORKSPACE
    },
    Case {
        name: "a workspace: right in go.work.sum, wrong in a module's go.sum",
        files: &[
            WORK,
            ONE,
            TWO,
            ("two/go.sum", "example.com/a v1.0.0 {c@v1.0.0}\n"),
            ("go.work.sum", "example.com/a v1.0.0 {a@v1.0.0}\n"),
        ],
        ..WORKSPACE
    },
    Case {
        name: "a workspace: right in one go.sum, wrong in another",
        files: &[
            WORK,
            ONE,
            TWO,
            ("one/go.sum", "example.com/a v1.0.0 {a@v1.0.0}\n"),
            ("two/go.sum", "example.com/a v1.0.0 {c@v1.0.0}\n"),
        ],
        fails: true,
        ..WORKSPACE
    },
    Case {
        name: "a workspace: wrong in go.work.sum",
        files: &[WORK, ONE, TWO, ("go.work.sum", "example.com/a v1.0.0 {c@v1.0.0}\n")],
        fails: true,
        ..WORKSPACE
    },
    Case {
        name: "a workspace: another algorithm in a module's go.sum keeps the hash out of go.work.sum",
        files: &[WORK, ONE, TWO, ("two/go.sum", "example.com/a v1.0.0 h2:zzz\n")],
        ..WORKSPACE
    },
    Case {
        name: "a workspace: only such hashes leave an empty go.work.sum behind",
        files: &[
            WORK,
            ONE,
            TWO,
            (
                "two/go.sum",
                "example.com/a v1.0.0 h2:zzz\nexample.com/a v1.0.0/go.mod {a@v1.0.0/go.mod}\n\
              example.com/b v1.0.0/go.mod {b@v1.0.0/go.mod}\nexample.com/b v1.1.0/go.mod {b@v1.1.0/go.mod}\n\
              example.com/b v1.1.0 {b@v1.1.0}\nexample.com/c v1.0.0/go.mod {c@v1.0.0/go.mod}\nexample.com/c v1.0.0 {c@v1.0.0}\n",
            ),
        ],
        ..WORKSPACE
    },
];
