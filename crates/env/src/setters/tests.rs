use super::*;

/// Each hit as `line value counts`, and the text after removing `http2client`.
fn check(kind: FileKind, text: &str, want: &[(u32, &str, bool)], after: &[&str]) {
    let found = find_in(text, kind, &["GODEBUG"]);
    let got: Vec<_> = found.iter().map(|s| (s.line, s.value.as_str(), s.counts_here)).collect();
    assert_eq!(got, want, "{kind:?}\n{text}");
    for (setter, after) in found.iter().zip(after) {
        assert_eq!(setter.value, text[setter.value_span.clone()]);
        let edited = remove_setting(text, setter, "http2client").unwrap();
        assert_eq!(edited, **after, "{kind:?}, line {}", setter.line);
    }
}

#[test]
fn shell_start_up_files() {
    let k = FileKind::Shell;
    check(k, "a=1\nexport GODEBUG=http2client=0\nb=2\n", &[(2, "http2client=0", true)], &["a=1\nb=2\n"]);
    check(
        k,
        "export GODEBUG=http2client=0,netdns=go",
        &[(1, "http2client=0,netdns=go", true)],
        &["export GODEBUG=netdns=go"],
    );
    check(k, "export A=1 GODEBUG='http2client=0' B=2\n", &[(1, "http2client=0", true)], &["export A=1 B=2\n"]);
    check(k, "export \"GODEBUG=http2client=0\" # why\n", &[(1, "http2client=0", true)], &[""]);
    check(k, "GODEBUG=\"http2client=0\"\n", &[(1, "http2client=0", false)], &[""]);
    check(k, "GODEBUG=http2client=0; export GODEBUG\n", &[(1, "http2client=0", true)], &["true; export GODEBUG\n"]);
    check(k, "GODEBUG=http2client=0\nexport GODEBUG\n", &[(1, "http2client=0", true)], &["export GODEBUG\n"]);
    check(k, "GODEBUG=http2client=0 go build\n", &[(1, "http2client=0", true)], &["go build\n"]);
    check(k, "alias go='GODEBUG=http2client=0 go'\n", &[(1, "http2client=0", true)], &["alias go='go'\n"]);
    check(
        k,
        "env -i GODEBUG=http2client=0 go list; echo x\n",
        &[(1, "http2client=0", true)],
        &["env -i go list; echo x\n"],
    );
    check(k, "declare -x GODEBUG=http2client=0\n", &[(1, "http2client=0", true)], &[""]);
    check(
        k,
        "if x; then\n  export GODEBUG=http2client=0\nfi\n",
        &[(2, "http2client=0", true)],
        &["if x; then\n  true\nfi\n"],
    );
    check(k, "[ -t 0 ] && export GODEBUG=http2client=0\n", &[(1, "http2client=0", true)], &["[ -t 0 ] && true\n"]);
    check(
        k,
        "export A=1 \\\n  GODEBUG=http2client=0\n",
        &[(2, "http2client=0", false)],
        &["export A=1 \\\n  GODEBUG=\n"],
    );
    check(
        k,
        "export GODEBUG=$GODEBUG,http2client=0\n",
        &[(1, "$GODEBUG,http2client=0", true)],
        &["export GODEBUG=$GODEBUG\n"],
    );
    check(k, "# export GODEBUG=http2client=0\nMYGODEBUG=http2client=0\necho $GODEBUG\n", &[], &[]);
    check(k, "true # GODEBUG=http2client=0\n", &[], &[]);
    check(k, "if [ \"$GODEBUG\" = x ]; then :; fi\n[ GODEBUG == y ]\n", &[], &[]);
}

#[test]
fn fish() {
    let k = FileKind::Fish;
    check(k, "set -gx GODEBUG http2client=0\nset x 1\n", &[(1, "http2client=0", true)], &["set x 1\n"]);
    check(
        k,
        "set -Ux GODEBUG 'http2client=0,netdns=go' # c\n",
        &[(1, "http2client=0,netdns=go", true)],
        &["set -Ux GODEBUG 'netdns=go' # c\n"],
    );
    check(k, "set GODEBUG http2client=0\n", &[(1, "http2client=0", false)], &[""]);
    check(
        k,
        "if true\n  set -gx GODEBUG http2client=0\nend\n",
        &[(2, "http2client=0", true)],
        &["if true\n  true\nend\n"],
    );
    check(k, "set -e GODEBUG\nset -q GODEBUG; and echo\n", &[], &[]);
    check(k, "export GODEBUG=http2client=0\n", &[(1, "http2client=0", true)], &[""]);
}

#[test]
fn environment_files() {
    for k in [FileKind::EtcEnvironment, FileKind::EnvironmentD, FileKind::DotEnv] {
        check(k, "A=1\nGODEBUG=http2client=0\n", &[(2, "http2client=0", true)], &["A=1\n"]);
        check(
            k,
            "export GODEBUG=\"netdns=go,http2client=0\"\r\nB=\r\n",
            &[(1, "netdns=go,http2client=0", true)],
            &["export GODEBUG=\"netdns=go\"\r\nB=\r\n"],
        );
        check(k, "#GODEBUG=http2client=0\nGODEBUGX=1\n", &[], &[]);
    }
    let k = FileKind::PamEnvironment;
    check(k, "GODEBUG DEFAULT=http2client=0\nX DEFAULT=1\n", &[(1, "http2client=0", true)], &["X DEFAULT=1\n"]);
    check(
        k,
        "GODEBUG OVERRIDE=\"http2client=0,a=b\"\n",
        &[(1, "http2client=0,a=b", true)],
        &["GODEBUG OVERRIDE=\"a=b\"\n"],
    );
}

#[test]
fn dockerfiles() {
    let k = FileKind::Dockerfile;
    check(k, "FROM x\nENV GODEBUG=http2client=0\nRUN y\n", &[(2, "http2client=0", true)], &["FROM x\nRUN y\n"]);
    check(k, "ENV GODEBUG http2client=0\n", &[(1, "http2client=0", true)], &[""]);
    check(k, "env A=1 GODEBUG=\"http2client=0\" B=2\n", &[(1, "http2client=0", true)], &["env A=1 B=2\n"]);
    check(k, "ENV A=1 \\\n    GODEBUG=http2client=0\nRUN x\n", &[(2, "http2client=0", true)], &["ENV A=1\nRUN x\n"]);
    check(
        k,
        "ENV A=1 \\\n    GODEBUG=http2client=0 \\\n    B=2\n",
        &[(2, "http2client=0", true)],
        &["ENV A=1 \\\n    B=2\n"],
    );
    check(k, "ENV GODEBUG=http2client=0 \\\n    B=2\n", &[(1, "http2client=0", true)], &["ENV \\\n    B=2\n"]);
    check(k, "ARG GODEBUG=http2client=0,x=1\n", &[(1, "http2client=0,x=1", true)], &["ARG GODEBUG=x=1\n"]);
    check(k, "RUN GODEBUG=http2client=0 go build\n", &[(1, "http2client=0", true)], &["RUN go build\n"]);
    check(
        k,
        "RUN export GODEBUG=http2client=0 && go build\n",
        &[(1, "http2client=0", true)],
        &["RUN true && go build\n"],
    );
    check(
        k,
        "RUN a && \\\n  GODEBUG=http2client=0 go build\n",
        &[(2, "http2client=0", true)],
        &["RUN a && \\\n  go build\n"],
    );
    check(k, "# ENV GODEBUG=http2client=0\nLABEL GODEBUG=http2client=0\n", &[], &[]);
}

#[test]
fn make_and_just() {
    let k = FileKind::Makefile;
    check(k, "export GODEBUG = http2client=0 # why\nall:\n", &[(1, "http2client=0", true)], &["all:\n"]);
    check(k, "export GODEBUG:=http2client=0,a=b\n", &[(1, "http2client=0,a=b", true)], &["export GODEBUG:=a=b\n"]);
    check(k, "GODEBUG ?= http2client=0\n", &[(1, "http2client=0", false)], &[""]);
    check(k, "GODEBUG = http2client=0\nexport GODEBUG\n", &[(1, "http2client=0", true)], &["export GODEBUG\n"]);
    check(
        k,
        "build: export GODEBUG=http2client=0\nbuild:\n\tgo build\n",
        &[(1, "http2client=0", true)],
        &["build:\n\tgo build\n"],
    );
    check(k, "a:\n\t@GODEBUG=http2client=0 go build\n", &[(2, "http2client=0", true)], &["a:\n\t@go build\n"]);
    let k = FileKind::Justfile;
    check(k, "export GODEBUG := \"http2client=0\"\na:\n  x\n", &[(1, "http2client=0", true)], &["a:\n  x\n"]);
    check(k, "GODEBUG := 'http2client=0'\n", &[(1, "http2client=0", false)], &[""]);
    check(k, "a:\n  @GODEBUG=http2client=0 go test\n", &[(2, "http2client=0", true)], &["a:\n  @go test\n"]);
}

#[test]
fn yaml_maps_and_lists() {
    for k in [FileKind::GithubWorkflow, FileKind::GitlabCi, FileKind::CircleCi, FileKind::Compose, FileKind::Taskfile] {
        check(k, "env:\n  A: 1\n  GODEBUG: http2client=0 # c\n", &[(3, "http2client=0", true)], &["env:\n  A: 1\n"]);
        check(k, "env:\n  GODEBUG: \"http2client=0\"\n  A: 1\n", &[(2, "http2client=0", true)], &["env:\n  A: 1\n"]);
        check(k, "x: 1\nenv:\n  GODEBUG: 'http2client=0'\njobs:\n", &[(3, "http2client=0", true)], &["x: 1\njobs:\n"]);
        check(k, "- env:\n    GODEBUG: http2client=0\n  run: x\n", &[(2, "http2client=0", true)], &[]);
        check(k, "env: {A: 1, GODEBUG: \"http2client=0\"}\n", &[(1, "http2client=0", true)], &["env: {A: 1}\n"]);
        check(k, "env: { GODEBUG: http2client=0, B: 2 }\n", &[(1, "http2client=0", true)], &["env: { B: 2 }\n"]);
        check(k, "# GODEBUG: http2client=0\nGODEBUGS: 1\n", &[], &[]);
    }
    let text = "- env:\n    GODEBUG: http2client=0\n  run: x\n";
    let found = find_in(text, FileKind::GithubWorkflow, &["GODEBUG"]);
    assert_eq!(remove_setting(text, &found[0], "http2client").unwrap(), "- env:\n    GODEBUG: \"\"\n  run: x\n");

    let k = FileKind::Compose;
    check(
        k,
        "s:\n  environment:\n    - A=1\n    - GODEBUG=http2client=0\n",
        &[(4, "http2client=0", true)],
        &["s:\n  environment:\n    - A=1\n"],
    );
    check(
        k,
        "s:\n  environment:\n    - \"GODEBUG=http2client=0\"\n  ports:\n",
        &[(3, "http2client=0", true)],
        &["s:\n  ports:\n"],
    );
    check(
        k,
        "environment: [\"GODEBUG=http2client=0\", A=1]\n",
        &[(1, "http2client=0", true)],
        &["environment: [A=1]\n"],
    );
    let k = FileKind::GitlabCi;
    check(
        k,
        "variables:\n  GODEBUG:\n    value: \"http2client=0\"\n",
        &[(3, "http2client=0", true)],
        &["variables:\n  GODEBUG:\n    value: \"\"\n"],
    );
    check(
        k,
        "script:\n  - GODEBUG=http2client=0 go test\n",
        &[(2, "http2client=0", true)],
        &["script:\n  - go test\n"],
    );
    check(
        k,
        "script:\n  - export GODEBUG=http2client=0\n",
        &[(2, "http2client=0", true)],
        &["script:\n  - export GODEBUG=\n"],
    );
    let k = FileKind::GithubWorkflow;
    check(k, "- run: GODEBUG=http2client=0 go test\n", &[(1, "http2client=0", true)], &["- run: go test\n"]);
    check(
        k,
        "- run: |\n    echo \"GODEBUG=http2client=0\" >> \"$GITHUB_ENV\"\n",
        &[(2, "http2client=0", true)],
        &["- run: |\n    echo \"GODEBUG=\" >> \"$GITHUB_ENV\"\n"],
    );
    let k = FileKind::CircleCi;
    check(
        k,
        "environment:\n  - GODEBUG: http2client=0\n  - A: 1\n",
        &[(2, "http2client=0", true)],
        &["environment:\n  - A: 1\n"],
    );
}

#[test]
fn jenkins_and_devcontainers() {
    let k = FileKind::Jenkinsfile;
    check(
        k,
        "environment {\n  A = '1'\n  GODEBUG = 'http2client=0'\n}\n",
        &[(3, "http2client=0", true)],
        &["environment {\n  A = '1'\n}\n"],
    );
    check(
        k,
        "environment {\n  GODEBUG = \"http2client=0\"\n}\n",
        &[(2, "http2client=0", true)],
        &["environment {\n  GODEBUG = \"\"\n}\n"],
    );
    check(
        k,
        "environment { GODEBUG = 'http2client=0' }\n",
        &[(1, "http2client=0", true)],
        &["environment { GODEBUG = '' }\n"],
    );
    check(k, "withEnv(['A=1', 'GODEBUG=http2client=0']) {\n", &[(1, "http2client=0", true)], &["withEnv(['A=1']) {\n"]);
    check(k, "sh 'GODEBUG=http2client=0 go build'\n", &[(1, "http2client=0", true)], &["sh 'go build'\n"]);
    check(k, "// GODEBUG = 'http2client=0'\n", &[], &[]);
    let k = FileKind::Devcontainer;
    check(
        k,
        "{\"containerEnv\": {\n  \"GODEBUG\": \"http2client=0\",\n  \"A\": \"1\"\n}}\n",
        &[(2, "http2client=0", true)],
        &["{\"containerEnv\": {\n  \"A\": \"1\"\n}}\n"],
    );
    check(
        k,
        "{\"remoteEnv\": {\"A\": \"1\", \"GODEBUG\": \"http2client=0\"}}",
        &[(1, "http2client=0", true)],
        &["{\"remoteEnv\": {\"A\": \"1\"}}"],
    );
    check(
        k,
        "{\"runArgs\": [\"-e\", \"GODEBUG=http2client=0\"]}",
        &[(1, "http2client=0", true)],
        &["{\"runArgs\": [\"-e\", \"GODEBUG=\"]}"],
    );
}

#[test]
fn go_files_do_not_count_for_the_go_command() {
    check(FileKind::GoEnvFile, "GOFLAGS=\nGODEBUG=http2client=0\n", &[(2, "http2client=0", false)], &["GOFLAGS=\n"]);
    let text = "module m\n\ngodebug http2client=0 // c\n\ngodebug (\n\tdefault=go1.21\n\thttp2client=0\n)\n";
    check(
        FileKind::GoMod,
        text,
        &[(3, "http2client=0", false), (6, "default=go1.21", false), (7, "http2client=0", false)],
        &["module m\n\n\ngodebug (\n\tdefault=go1.21\n\thttp2client=0\n)\n"],
    );
    let found = find_in("GOPROXY=off\n", FileKind::GoEnvFile, &["GOPROXY"]);
    assert!(found[0].counts_here);
}

#[test]
fn edits_are_refused_when_the_file_changed_or_nothing_is_set() {
    let text = "export GODEBUG=http2client=0\n";
    let found = find_in(text, FileKind::Shell, &["GODEBUG"]);
    assert!(matches!(
        remove_setting("export GODEBUG=http2debug=1\n", &found[0], "http2client"),
        Err(EditError::Changed { .. })
    ));
    assert!(matches!(remove_setting("", &found[0], "http2client"), Err(EditError::Changed { .. })));
    assert!(matches!(remove_setting(text, &found[0], "netdns"), Err(EditError::NoSuchKey { .. })));
    assert_eq!(remove_setting(text, &found[0], "GODEBUG").unwrap(), "");
}

#[test]
fn credentials_are_masked() {
    let found = find_in("export HTTPS_PROXY=http://u:secret@p.example.com\n", FileKind::Shell, &["HTTPS_PROXY"]);
    let shown = format!("{found:?}{}", serde_json::to_string(&found).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
    let edited = remove_setting("export HTTPS_PROXY=http://u:secret@p.example.com\n", &found[0], "HTTPS_PROXY");
    assert_eq!(edited.unwrap(), "");
}

#[test]
fn a_scan_finds_user_system_and_project_files() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("home/.bashrc", "export GODEBUG=http2client=0\n");
    put("root/etc/environment", "GODEBUG=http2client=0\n");
    put("root/etc/profile.d/go.sh", "export GODEBUG=netdns=go\n");
    put("repo/.git/HEAD", "");
    put("repo/docker-compose.yml", "environment:\n  GODEBUG: http2client=0\n");
    put("repo/sub/go.mod", "module m\ngodebug http2client=0\n");
    put("repo/.github/workflows/ci.yml", "env:\n  GODEBUG: http2client=0\n");
    put("repo/Dockerfile.dev", "ENV GODEBUG=http2client=0\n");
    put("home/.profile", &"#".repeat((MAX_FILE + 1) as usize));
    let mut inputs =
        Inputs::empty(dir.path().join("repo/sub"), dir.path().join("root")).with_env("GODEBUG", "http2client=0");
    inputs.home = Some(dir.path().join("home"));
    let scan = scan(&inputs, &["GODEBUG"]);
    let names: Vec<_> =
        scan.found.iter().map(|s| (s.file.file_name().unwrap().to_str().unwrap(), s.matches_process)).collect();
    assert_eq!(
        names,
        [
            (".bashrc", true),
            ("go.sh", false),
            ("environment", true),
            ("go.mod", true),
            ("ci.yml", true),
            ("Dockerfile.dev", true),
            ("docker-compose.yml", true),
        ]
    );
    assert_eq!(scan.skipped.len(), 1, "{:?}", scan.skipped);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_scanner_panic(text in "[ -~\n\t'\"é]{0,80}GODEBUG[=: '\"\n]{0,3}[ -~\né'\"]{0,40}") {
        for kind in [
            FileKind::Shell, FileKind::Fish, FileKind::DotEnv, FileKind::PamEnvironment, FileKind::Dockerfile,
            FileKind::Compose, FileKind::Makefile, FileKind::Justfile, FileKind::GithubWorkflow,
            FileKind::Jenkinsfile, FileKind::Devcontainer, FileKind::GoEnvFile, FileKind::GoMod,
        ] {
            for setter in find_in(&text, kind, &["GODEBUG"]) {
                let _ = remove_setting(&text, &setter, "http2client");
                let _ = remove_setting(&text, &setter, "GODEBUG").unwrap();
            }
        }
    }
}
