use super::*;

fn errors(text: &str) -> String {
    GoMod::parse("go.mod", text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn positions_are_those_of_the_directive() {
    assert_eq!(
        errors("module example.com/m\n\nrequire (\n\ta.b/c v1\n\ta.b/c latest\n)\n"),
        "go.mod:5:2: require a.b/c: version \"latest\" invalid: must be of the form v1.2.3"
    );
    assert_eq!(errors("module \"x\n"), "go.mod:1:10: unexpected newline in string");
    assert_eq!(
        errors("require (\n a.b/c v1.0.0\n"),
        "go.mod:3:1: syntax error (unterminated block started at line 1, column 1): expected ')'"
    );
    assert_eq!(errors("retract [v1.0.0,]\n"), "go.mod:1:1: retract: version \"]\" invalid: must be of the form v1.2.3");
}

#[test]
fn errors_are_bounded_and_a_large_file_is_refused() {
    let many = "x\n".repeat(1000);
    assert_eq!(GoMod::parse("go.mod", many.as_bytes()).unwrap_err().errors.len(), error::MAX_ERRORS);
    let large = vec![b'\n'; MAX_GO_MOD + 1];
    assert!(errors(std::str::from_utf8(&large).unwrap()).contains("limit is 16777216 bytes"));
}

#[test]
fn a_dependency_may_say_what_is_not_known_yet() {
    let text = "module example.com/m\ngo 1.99future\nfrob x\nfrob (\n y\n)\nreplace a => ../b\nrequire a.b/c v1.0.0\nretract (v1, v2)\n";
    let lax = GoMod::parse_lax("go.mod", text.as_bytes()).unwrap();
    assert_eq!(lax.go.as_ref().unwrap().version, "1.99");
    assert_eq!(lax.requires.len(), 1);
    assert!(lax.replaces.is_empty() && lax.retracts.is_empty());
    assert!(GoMod::parse("go.mod", text.as_bytes()).is_err());
}

#[test]
fn pruning_starts_with_go_1_17() {
    for (go, pruned) in [
        ("1.16", false),
        ("1.17", true),
        ("1.17rc1", false),
        ("1.9", false),
        ("1.21.3", true),
        ("1.18beta1", true),
        ("2.0", true),
    ] {
        let gomod = GoMod::parse("go.mod", format!("go {go}\n").as_bytes()).unwrap();
        assert_eq!(gomod.is_pruned(), pruned, "{go}");
    }
    assert!(!GoMod::default().is_pruned());
}

#[test]
fn the_replacement_with_a_version_comes_first() {
    let gomod = GoMod::parse(
        "go.mod",
        b"replace a.b/c => ../all\nreplace a.b/c v1.0.0 => d.e/f v1.2.3\nreplace a.b/d v1.0.0 => ./d\n",
    )
    .unwrap();
    let of = |path: &str, version: &str| gomod.replacement(path, &Version::parse(version).unwrap()).map(|r| r.line);
    assert_eq!(of("a.b/c", "v1.0.0"), Some(2));
    assert_eq!(of("a.b/c", "v1.0.1"), Some(1));
    assert_eq!(of("a.b/d", "v1.0.1"), None);
    assert_eq!(gomod.replaces[1].new.module_version().unwrap().to_string(), "d.e/f@v1.2.3");
}

#[test]
fn only_paths_that_a_proxy_can_serve_are_module_versions() {
    let gomod = GoMod::parse("go.mod", b"require (\n foo v1.0.0\n a.b/c v1.0.0 // indirect\n)\n").unwrap();
    assert_eq!(gomod.requires[0].module_version(), None);
    assert_eq!(gomod.requires[1].module_version().unwrap().to_string(), "a.b/c@v1.0.0");
    assert_eq!(gomod.requires.iter().map(|r| (r.indirect, r.line)).collect::<Vec<_>>(), [(false, 2), (true, 3)]);
}

#[test]
fn a_workspace_has_its_own_directives() {
    let work = GoWork::parse(
        "go.work",
        b"go 1.22.1\ntoolchain go1.23.0\ngodebug panicnil=1\nuse (\n ./a\n ../b // two\n)\nreplace x.y/z => ./z\n",
    )
    .unwrap();
    assert_eq!(work.go_version().unwrap().as_str(), "1.22.1");
    assert_eq!(work.toolchain.unwrap().name, "go1.23.0");
    assert_eq!(work.godebug[0].value, "1");
    assert_eq!(work.uses.iter().map(|u| (u.path.as_str(), u.line)).collect::<Vec<_>>(), [("./a", 5), ("../b", 6)]);
    assert_eq!(work.replaces[0].new, Replacement::Directory("./z".to_owned()));
    let error = GoWork::parse("go.work", b"use a b\n").unwrap_err().to_string();
    assert_eq!(error, "go.work:1:1: usage: use local/dir");
}
