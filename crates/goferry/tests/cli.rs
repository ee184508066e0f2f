//! The built command, from outside: arguments, output, exit codes, files.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use goferry_diagnose::{Id, Report};
use tempfile::TempDir;

/// The command in an environment of nothing but a home and a project, both empty.
struct World {
    home: TempDir,
    project: TempDir,
}

impl World {
    fn new() -> World {
        World { home: TempDir::new().unwrap(), project: TempDir::new().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_goferry"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .env("GOENV", "off")
            .current_dir(self.project.path());
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.project.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.project.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Ran {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

fn run(args: &[&str]) -> Ran {
    World::new().run(args)
}

/// A URL on loopback where nothing listens.
fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("https://{}", listener.local_addr().unwrap())
}

#[test]
fn help() {
    for (name, args) in [
        ("help", &["--help"][..]),
        ("help_doctor", &["doctor", "--help"]),
        ("help_fix", &["fix", "--help"]),
        ("help_lab_run", &["lab", "run", "--help"]),
        ("help_lab_link", &["lab", "link", "--help"]),
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}");
        insta::assert_snapshot!(name, ran.out);
    }
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(run(&["--version"]).out, format!("goferry {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_finding_has_its_page() {
    let world = World::new();
    let listed = world.run(&["explain"]);
    assert_eq!(listed.code, Some(0));
    for id in Id::ALL {
        assert!(
            listed.out.lines().any(|line| line.starts_with(&format!("{id} ")) && line.ends_with(id.title())),
            "{id}"
        );
        let ran = world.run(&["explain", id.as_str()]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{id}");
        assert!(ran.out.starts_with(&format!("# {id}\n")) && ran.out.len() > 500, "{id}: {}", ran.out);
    }
}

#[test]
fn an_unknown_name_is_met_with_the_nearest() {
    for (args, near) in [
        (&["explain", "goaway-chrun"][..], "did you mean goaway-churn?"),
        (&["fix", "http2_disabled_by_env"], "did you mean http2-disabled-by-env?"),
        (&["lab", "run", "http1-olny"], "did you mean http1-only?"),
        (&["explain", "\u{1b}[31mweather"], "`goferry explain` lists all"),
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
        assert!(
            ran.err.starts_with("goferry: error: there is no ") && ran.err.contains("\ngoferry: hint: "),
            "{ran:?}"
        );
        assert!(ran.err.contains(near) && !ran.err.contains('\u{1b}'), "{ran:?}");
    }
}

#[test]
fn usage_errors() {
    for args in [
        &[][..],
        &["docter"],
        &["doctor", "--json", "--sarif"],
        &["doctor", "--fail-on", "fatal"],
        &["doctor", "--proxy", "https://"],
        &["doctor", "--proxy", ""],
        &["doctor", "/no/such/folder"],
        &["doctor", "/etc/passwd"],
        &["fix"],
        &["fix", "http2-disabled-by-env", "/no/such/folder"],
        &["lab", "link", "--rtt", "50", "--", "true"],
        &["lab", "link", "--loss", "101%", "--", "true"],
        &["lab", "link", "--rtt", "50ms"],
        &["lab", "run", "http1-only", "--listen", "nowhere"],
        &["lab", "run", "proxy-407"],
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
        assert!(!ran.err.is_empty() && !ran.err.contains("panicked"), "{args:?}: {ran:?}");
    }
    assert!(run(&["docter"]).err.starts_with("goferry: error: unrecognized subcommand"));
    assert!(run(&["doctor", "--proxy", "https://user:secret@"]).err.find("secret").is_none());
}

#[test]
fn a_folder_that_cannot_be_read_is_an_error_not_a_panic() {
    let world = World::new();
    let closed = world.project.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let ran = world.run(&["doctor", "closed", "--proxy", &dead()]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    // Root reads it all the same.
    assert!(matches!(ran.code, Some(1..=3)), "{ran:?}");
    assert!(!ran.err.contains("panicked"), "{ran:?}");
}

#[test]
fn without_go_and_goproxy_it_says_what_to_set() {
    let ran = run(&["doctor"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{ran:?}");
    assert!(ran.err.starts_with("goferry: error: there is no GOPROXY"), "{ran:?}");
    assert!(ran.err.contains("GOPROXY=https://goproxy.example.com"), "{ran:?}");
}

#[test]
fn a_broken_go_mod_is_named_with_its_line() {
    let world = World::new();
    world.write("go.mod", "module example.com/x\n\nrequire (\n\texample.com/y\n)\n");
    let ran = world.run(&["doctor", "--proxy", &dead()]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{ran:?}");
    assert!(ran.err.contains("go.mod") && ran.err.contains('4'), "{ran:?}");
}

#[test]
fn doctor_names_a_dead_proxy() {
    let world = World::new();
    let started = Instant::now();
    let ran = world.run(&["doctor", "--proxy", &dead()]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{ran:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("error: ") && lines[0].contains("`go mod download` fails"), "{}", ran.out);
    assert!(ran.out.contains("1. error upstream-unreachable"), "{}", ran.out);
    assert!(ran.out.is_ascii(), "no locale means ASCII: {}", ran.out);
    assert!(!ran.out.contains('\u{1b}'), "{}", ran.out);
}

#[test]
fn doctor_in_every_form() {
    let world = World::new();
    let proxy = dead().replace("https://", "https://user:hunter2@");
    let json = world.run(&["doctor", "--json", "--proxy", &proxy]);
    let value: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let schema: serde_json::Value = serde_json::from_str(include_str!("../../../docs/schema/report-1.json")).unwrap();
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let report: Report = serde_json::from_value(value).unwrap();
    assert!(report.findings.iter().any(|finding| finding.id == Id::UpstreamUnreachable), "{report:#?}");

    let sarif = world.run(&["doctor", "--sarif", "--proxy", &proxy]);
    let log: serde_json::Value = serde_json::from_str(&sarif.out).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "upstream-unreachable");
    assert_eq!(log["runs"][0]["results"][0]["level"], "error");

    let markdown = world.run(&["diagnose", "--markdown", "--proxy", &proxy]);
    assert!(markdown.out.starts_with("## goferry doctor: error\n"), "{}", markdown.out);
    for ran in [json, sarif, markdown] {
        assert_eq!(ran.code, Some(1));
        assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn fail_on_decides_the_exit_code() {
    let world = World::new();
    let proxy = dead();
    for (threshold, code) in [("error", 1), ("warning", 1), ("info", 1), ("never", 0)] {
        assert_eq!(
            world.run(&["doctor", "-q", "--fail-on", threshold, "--proxy", &proxy]).code,
            Some(code),
            "{threshold}"
        );
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let world = World::new();
    for _ in 0..5 {
        let mut child =
            world.command(&["explain", "goaway-churn"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = World::new().command(&["explain"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    let ran = Ran::of(&output);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.starts_with("goferry: error: standard output takes nothing"), "{ran:?}");
}

#[test]
fn colour_is_asked_for_or_absent() {
    let world = World::new();
    let colored = |name: &str, value: &str, more: &[(&str, &str)]| {
        let mut command = world.command(&["explain", "nothing"]);
        let output = command.env(name, value).envs(more.iter().copied()).output().unwrap();
        Ran::of(&output).err.contains("\u{1b}[")
    };
    assert!(!colored("TERM", "xterm", &[]));
    assert!(colored("CLICOLOR_FORCE", "1", &[]));
    assert!(!colored("CLICOLOR_FORCE", "1", &[("NO_COLOR", "1")]));
    assert!(!colored("CLICOLOR_FORCE", "0", &[]));
}

const DOCKERFILE: &str =
    "FROM debian\r\nENV GODEBUG=netdns=go,http2client=0 A=1\r\n\tRUN true  \r\n\r\nENV GODEBUG=http2client=0";

#[test]
fn fix_shows_the_change_and_writes_nothing() {
    let world = World::new();
    let file = world.write("Dockerfile", DOCKERFILE);
    let ran = world.run(&["fix", "http2-disabled-by-env"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("--- ") && lines[0].ends_with("/Dockerfile"), "{}", ran.out);
    assert!(lines.iter().any(|line| line.starts_with("-ENV GODEBUG=netdns=go,http2client=0 A=1")), "{}", ran.out);
    assert!(lines.iter().any(|line| line.starts_with("+ENV GODEBUG=netdns=go A=1")), "{}", ran.out);
    assert!(ran.err.contains("goferry fix http2-disabled-by-env --apply"), "{ran:?}");
    assert_eq!(fs::read_to_string(file).unwrap(), DOCKERFILE);
    assert_eq!(world.files(), ["Dockerfile"]);
}

#[test]
fn fix_changes_that_and_no_other_byte_and_keeps_a_backup() {
    let world = World::new();
    let file = world.write("Dockerfile", DOCKERFILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let ran = world.run(&["fix", "http2-disabled-by-env", "--apply"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let after = fs::read_to_string(&file).unwrap();
    assert!(after.starts_with("FROM debian\r\nENV GODEBUG=netdns=go A=1\r\n\tRUN true  \r\n\r\n"), "{after:?}");
    assert!(!after.contains("http2client"), "{after:?}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let backup = world.project.path().join("Dockerfile.goferry-backup-1");
    assert_eq!(fs::read_to_string(&backup).unwrap(), DOCKERFILE);
    assert_eq!((mode(&file), mode(&backup)), (0o640, 0o640));
    assert_eq!(world.files(), ["Dockerfile", "Dockerfile.goferry-backup-1"]);

    let again = world.run(&["fix", "http2-disabled-by-env", "--apply"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again.out.starts_with("Nothing to change: no file that goferry searches sets GODEBUG=http2client=0."),
        "{again:?}"
    );
    assert_eq!(world.files().len(), 2);

    fs::write(&file, DOCKERFILE).unwrap();
    world.run(&["fix", "http2-disabled-by-env", "--apply"]);
    assert_eq!(world.files(), ["Dockerfile", "Dockerfile.goferry-backup-1", "Dockerfile.goferry-backup-2"]);
}

#[test]
fn fix_follows_a_symbolic_link_and_leaves_it_one() {
    let world = World::new();
    let real = world.home.path().join("dotfiles-bashrc");
    fs::write(&real, "alias x=y\nexport GODEBUG=http2client=0\n").unwrap();
    let link = world.home.path().join(".bashrc");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let ran = world.run(&["fix", "http2-disabled-by-env", "--apply"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "alias x=y\n");
    assert!(world.home.path().join("dotfiles-bashrc.goferry-backup-1").exists());
}

#[test]
fn fix_masks_credentials_in_the_lines_around() {
    let world = World::new();
    world.write(".envrc", "export HTTPS_PROXY=http://user:hunter2@proxy.example.com:3128\nexport GOMAXPROCS=2\n");
    let ran = world.run(&["fix", "gomaxprocs-low"]);
    assert!(ran.out.contains("-export GOMAXPROCS=2") && !ran.out.contains("hunter2"), "{ran:?}");
}

#[test]
fn fix_leaves_alone_what_is_not_the_cause() {
    let world = World::new();
    world.write(
        "Dockerfile",
        "FROM debian\nENV GODEBUG=netdns=go GOMAXPROCS=16 GOPROXY=https://goproxy.example.com,off\n",
    );
    for id in ["http2-disabled-by-env", "gomaxprocs-low", "goproxy-off", "goproxy-direct"] {
        let ran = world.run(&["fix", id, "--apply"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.starts_with("Nothing to change: "), "{ran:?}");
    }
    assert_eq!(world.files(), ["Dockerfile"]);
}

#[test]
fn fix_says_that_only_the_process_has_it() {
    let world = World::new();
    let output = world.command(&["fix", "http2-disabled-by-env"]).env("GODEBUG", "http2client=0").output().unwrap();
    let ran = Ran::of(&output);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("environment of this process") && ran.err.contains("unset GODEBUG"), "{ran:?}");
}

#[test]
fn fix_is_honest_about_what_no_file_causes() {
    for id in ["goaway-churn", "packet-loss", "tls-expired"] {
        let ran = run(&["fix", id]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{ran:?}");
        assert!(ran.err.contains("goferry doctor") && ran.err.contains(&format!("goferry explain {id}")), "{ran:?}");
    }
}

#[test]
fn the_lab_lists_its_faults() {
    let ran = run(&["lab", "list"]);
    assert_eq!(ran.code, Some(0));
    for fault in goferry_lab::faults::all() {
        assert!(ran.out.contains(&format!("{} ", fault.id)), "{}", fault.id);
    }
}

#[test]
fn the_lab_serves_until_the_end_of_input_and_says_what_it_counted() {
    let ran = run(&["lab", "run", "http1-only"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(
        ran.out.contains("export GOPROXY=https://127.0.0.1:") && ran.out.contains("export SSL_CERT_FILE=/"),
        "{ran:?}"
    );
    assert!(ran.out.contains("connections      0 "), "{ran:?}");
}

#[test]
fn the_lab_runs_a_command_and_counts_for_it() {
    let ran = run(&["lab", "run", "http1-only", "--", "/bin/sh", "-c", "test -f go.mod && echo $GOPROXY; exit 7"]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(ran.out.starts_with("https://127.0.0.1:") && ran.out.contains("requests         0"), "{ran:?}");
}

#[test]
fn the_lab_links_two_sides_for_a_command_or_says_that_it_needs_root() {
    let world = World::new();
    let ran = world.run(&[
        "lab",
        "link",
        "--rtt",
        "5ms",
        "--server",
        "exec sleep 60",
        "--",
        "/bin/sh",
        "-c",
        "echo $GOFERRY_SERVER_ADDR; exit 7",
    ]);
    if nix::unistd::geteuid().is_root() {
        assert_eq!((ran.code, ran.out.as_str()), (Some(7), "10.66.2.1\n"), "{ran:?}");
        assert!(ran.err.contains("RTT 5 ms") && ran.err.contains("congestion control cubic"), "{ran:?}");
    } else {
        assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{ran:?}");
        assert!(ran.err.contains("needs root"), "{ran:?}");
    }
}

#[test]
fn the_demo_needs_go_and_shows_it_beside_doctor() {
    let world = World::new();
    let without = Ran::of(&world.command(&["demo"]).env("PATH", world.home.path()).output().unwrap());
    assert_eq!((without.code, without.out.as_str()), (Some(3), ""), "{without:?}");

    let output = world.command(&["demo"]).env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap();
    let ran = Ran::of(&output);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let row = |name: &str| ran.out.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    let numbers: Vec<u64> = row("connections").split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [with, _, without] = numbers[..] else { panic!("{}", ran.out) };
    assert!(with > 2 * without, "a connection for each request with the fault: {}", ran.out);
    assert!(ran.out.contains("http1-connection-close") && ran.out.contains("What doctor says:"), "{}", ran.out);
}
