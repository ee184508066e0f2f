//! The settings of `goferry serve`, with the real binary: `--check`, what is refused, SIGHUP, users; and the files of deploy/
//! held against the tools that read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use goferry_lab::plain::ask;
use goferry_lab::serve::ServeProcess;
use goferry_lab::wait::{PATIENCE, until};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// A folder with the files of one test, and the environment that all share.
struct World(TempDir);

impl World {
    fn new() -> World {
        World(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// A program with nothing of the user's around it.
    fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.0.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.0.path()).env("GOENV", "off").env("GOTOOLCHAIN", "local");
        command.env("GOPROXY", "https://user:hunter2@goproxy.example.com,direct");
        command
    }

    fn serve(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_goferry"));
        command.arg("serve").args(args);
        command
    }

    /// One that serves what an empty store has.
    fn start(&self, args: &[&str]) -> ServeProcess {
        self.start_with(args, &[])
    }

    fn start_with(&self, args: &[&str], variables: &[(&str, &str)]) -> ServeProcess {
        fs::create_dir_all(self.path("store")).unwrap();
        let mut args = args.to_vec();
        args.extend(["--listen", "127.0.0.1:0", "--store", "store", "--offline"]);
        ServeProcess::start(self.serve(&args).envs(variables.iter().copied()), &self.path("log")).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Asks for a path with a field; gives status, and head and body.
fn get(serve: &ServeProcess, path: &str, field: &str) -> (u16, String) {
    let answer = ask(serve.authority(), "GET", path, field).unwrap();
    (answer.status, answer.head + "\n" + &answer.body)
}

#[test]
fn check_shows_what_is_in_effect_and_where_it_comes_from() {
    let world = World::new();
    let file = world.write(
        "goferry.toml",
        "max-size = \"10GB\"\nstore = \"s\"\n[limits]\nidle = \"5m\"\n[[rule]]\npattern = \"example.com/a\"\nblock = \"no\"\n",
    );
    let output = world.serve(&["--config", &file, "--max-size", "20GB", "--check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown = text(&output.stdout);
    let row = |name: &str| {
        let line = shown.lines().find(|line| line.split("  ").next() == Some(name));
        line.unwrap_or_else(|| panic!("{name}:\n{shown}")).split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("max-size"), "20GB --max-size");
    assert_eq!(row("limits.idle"), format!("5m {file}:4"));
    assert_eq!(row("store"), format!("{} {file}:2", world.path("s").display()));
    assert_eq!(row("drain"), "30s default");
    assert!(row("upstream").ends_with("goproxy.example.com,direct GOPROXY, environment"), "{shown}");
    assert_eq!(row("rule 1"), format!("1 example.com/a: block \"no\" {file}:5"));
    assert!(!said(&output).contains("hunter2"), "{shown}");
    assert!(!world.path("s").exists(), "--check made a store");
}

#[test]
fn everything_wrong_is_said_at_once_and_nothing_starts() {
    let world = World::new();
    let file = world.write("goferry.toml", "max-sise = \"10GB\"\ndrain = 5\n[auth]\nkind = \"basic\"\n");
    for check in [&["--check"][..], &[]] {
        let args = [&["--config", &file, "--upstream", "ftp://x:hunter2@example.com", "--store", "store"][..], check];
        let output = world.serve(&args.concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let said = said(&output);
        for wanted in [
            format!("{file}:1: max-sise: there is no such setting; did you mean max-size?"),
            format!("{file}:2: drain: a time is wanted"),
            format!("{file}:4: auth.kind: needs a file"),
            "--upstream: ".to_owned(),
        ] {
            assert!(said.contains(&wanted), "{wanted}:\n{said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!world.path("store").exists());
    }
}

#[test]
fn a_file_of_users_that_cannot_be_used_is_found_before_the_start() {
    let world = World::new();
    let users = world.write("users", "hunter2\n");
    for check in [&["--check"][..], &[]] {
        let args = [&["--auth", "basic", "--auth-file", &users, "--tls-cert", "c.pem", "--tls-key", "k.pem"], check];
        let output = world.serve(&args.concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let said = said(&output);
        assert!(said.contains("--auth-file: auth.file: ") && said.contains("line 1: NAME:PASSWORD"), "{said}");
        assert!(
            said.contains("--tls-cert: tls.cert: c.pem: ") && said.contains("--tls-key: tls.key: k.pem: "),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn what_the_files_hold_and_go_says_is_looked_at_before_the_start() {
    let world = World::new();
    let pem = world.write("c.pem", "hunter2\n");
    let text = "weather = 1\nlog-file = \"nowhere/access.log\"\n";
    let file = world.write("goferry.toml", text);
    for check in [&["--check"][..], &[]] {
        let args = ["--config", &file, "--tls-cert", &pem, "--tls-key", &pem, "--store", "store"];
        let mut serve = world.serve(&[&args[..], check].concat());
        let output = serve.env("GOSUMDB", "sum.nowhere.example.com").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let said = said(&output);
        for wanted in [
            format!("{file}:1: weather: there is no such setting"),
            format!("{file}:2: log-file: {}: No such file", world.path("nowhere/access.log").display()),
            format!("--tls-cert: tls.cert: {pem}: no CERTIFICATE"),
            "GOSUMDB, environment: invalid GOSUMDB".to_owned(),
        ] {
            assert!(said.contains(&wanted), "{wanted}:\n{said}");
        }
        assert!(!said.contains("hunter2") && !world.path("store").exists(), "{said}");
    }
    world.write("goferry.toml", "log-file = \"access.log\"\n");
    let output = world.serve(&["--config", &file, "--check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!world.path("access.log").exists(), "--check made a file");
}

/// As in the container of deploy/, which has no go command.
#[test]
fn without_a_go_command_an_upstream_is_enough() {
    let world = World::new();
    let alone = |args: &[&str]| {
        let mut command = world.serve(args);
        command.env("PATH", world.path("empty")).env_remove("GOPROXY");
        command
    };
    let upstream = ["--listen", "127.0.0.1:0", "--store", "store", "--upstream", "https://goproxy.example.com"];
    let output = alone(&[&upstream[..], &["--check"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown = said(&output);
    let sumdb = shown.lines().find(|line| line.starts_with("sumdb ")).unwrap_or_else(|| panic!("{shown}"));
    assert!(sumdb.split_whitespace().eq(["sumdb", "sum.golang.org", "GOSUMDB,", "default"]), "{sumdb}");
    let serve = ServeProcess::start(&mut alone(&upstream), &world.path("log")).unwrap();
    assert_eq!(get(&serve, "/sumdb/sum.golang.org/supported", "").0, 200);
    let output = alone(&upstream[..4]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("there is no GOPROXY"), "{}", said(&output));
    // Nor where nobody is asked.
    for flag in ["--offline", "--frozen"] {
        let output = alone(&[&upstream[..4], &[flag, "--check"]].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        ServeProcess::start(&mut alone(&[&upstream[..4], &[flag]].concat()), &world.path("log")).unwrap();
    }
}

#[test]
fn its_own_upstream_is_refused() {
    let world = World::new();
    let check = |args: &[&str], goproxy: &str| {
        let output = world.serve(args).arg("--check").env("GOPROXY", goproxy).output().unwrap();
        (output.status.code(), said(&output))
    };
    let upstream = ["--listen", "127.0.0.1:8089", "--upstream", "http://localhost:8089/,direct"];
    let (code, said) = check(&upstream, "off");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--upstream: http://localhost:8089/ is this proxy itself"), "{said}");
    // What its own `export GOPROXY=` line does to the shell that starts it next.
    let (code, said) = check(&["--listen", "0.0.0.0:8089"], "http://127.0.0.1:8089");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("http://127.0.0.1:8089 is this proxy itself: name whom it fetches from"), "{said}");
    assert_eq!(check(&upstream[..2], "http://127.0.0.1:8088").0, Some(0));
}

#[test]
fn sighup_takes_on_good_settings_and_keeps_the_old_ones_where_the_new_are_bad() {
    let world = World::new();
    let file = world.write("goferry.toml", "path-prefix = \"/go\"\n");
    let mut serve = world.start(&["--config", &file]);
    assert!(serve.url().ends_with("/go"), "{}", serve.url());
    let status = || get(&serve, "/go/example.com/m/@v/v1.0.0.info", "").0;
    assert_eq!(status(), 404);

    let rule = "path-prefix = \"/go\"\n[[rule]]\npattern = \"example.com/m\"\nblock = \"not here\"\n";
    world.write("goferry.toml", rule);
    serve.signal(Signal::SIGHUP).unwrap();
    until("the rule is never in effect", || status() == 403);
    assert!(get(&serve, "/go/example.com/m/@v/list", "").1.contains("not here"));

    world.write("goferry.toml", "path-prefix = \"/go\"\nweather = 1\n");
    serve.signal(Signal::SIGHUP).unwrap();
    until("nothing is said of bad settings", || serve.log().contains("goferry.toml:2: weather"));
    assert_eq!(status(), 403);

    world.write("goferry.toml", "path-prefix = \"/go\"\n");
    serve.signal(Signal::SIGHUP).unwrap();
    until("the rule stays in effect", || status() == 404);
    serve.signal(Signal::SIGTERM).unwrap();
    assert_eq!(serve.wait(PATIENCE).unwrap(), Some(0));
}

#[test]
fn users_have_to_say_who_they_are_and_are_read_again() {
    let world = World::new();
    let users = world.write("users", "ann:s3cret\n");
    let serve = world.start(&["--auth", "basic", "--auth-file", &users]);
    let (ann, bob) = ("Authorization: Basic YW5uOnMzY3JldA==\r\n", "Authorization: Basic Ym9iOmh1bnRlcjI=\r\n");
    let list = |field: &str| get(&serve, "/example.com/m/@v/list", field);
    let (status, refusal) = list("");
    assert_eq!(status, 401);
    assert!(refusal.to_lowercase().contains("www-authenticate: basic realm="), "{refusal}");
    assert_eq!((list(ann).0, list(bob).0), (404, 401));
    // What caches on the way may keep for the one who said so is not for the others.
    fs::create_dir_all(world.path("store/example.com/kept/@v")).unwrap();
    fs::write(world.path("store/example.com/kept/@v/v1.0.0.info"), "{\"Version\":\"v1.0.0\"}").unwrap();
    let (status, info) = get(&serve, "/example.com/kept/@v/v1.0.0.info", ann);
    assert!(status == 200 && info.to_lowercase().contains("cache-control: private, max-age=31536000"), "{info}");
    assert_eq!(get(&serve, "/healthz", "").0, 200);
    assert_eq!(get(&serve, "/metrics", "").0, 401);

    world.write("users", "bob:hunter2\n");
    serve.signal(Signal::SIGHUP).unwrap();
    until("the users are not read again", || list(bob).0 == 404);
    assert_eq!(list(ann).0, 401);

    world.write("users", "nobody\n");
    serve.signal(Signal::SIGHUP).unwrap();
    until("nothing is said of a bad file", || serve.log().contains("line 1: NAME:PASSWORD"));
    assert_eq!(list(bob).0, 404);
    let log = serve.log();
    assert!(!log.contains("s3cret") && !log.contains("hunter2") && !log.contains("YW5u"), "{log}");
}

/// The go command sends what netrc has over TLS, and nothing without it.
#[test]
fn the_go_command_says_who_it_is_over_tls() {
    let world = World::new();
    let users = world.write("users", "ann:s3cret\n");
    let auth = ["--auth", "basic", "--auth-file", &users];
    let serve = world.start(&[&auth[..], &["--tls-self-signed"]].concat());
    let log = serve.log();
    let trusted = log.lines().find_map(|line| line.strip_prefix("export SSL_CERT_FILE=")).expect("an authority");
    let empty = world.write("empty", "");
    let ask = |goproxy: &str, netrc: &str| {
        let mut go = world.program("go");
        go.args(["list", "-m", "example.com/m@v1.0.0"]).env("GOPROXY", goproxy).env("NETRC", netrc);
        go.env("SSL_CERT_FILE", trusted).env("GOSUMDB", "off").env("GOFLAGS", "-mod=mod").env("GONOPROXY", "none");
        said(&go.output().unwrap())
    };
    let host = serve.authority();
    // The name of a machine is compared with host and port (cmd/go/internal/auth, loadCredential).
    let netrc = world.write("netrc", &format!("machine {host} login ann password s3cret\n"));
    let with_netrc = ask(serve.url(), &netrc);
    assert!(with_netrc.contains("404 Not Found"), "{with_netrc}");
    let without = ask(serve.url(), &empty);
    assert!(without.contains("401 Unauthorized") && without.contains("asks for a name and a password"), "{without}");
    let in_url = ask(&format!("https://ann:s3cret@{host}"), &empty);
    assert!(in_url.contains("404 Not Found"), "{in_url}");

    let plain = world.start(&auth);
    let insecure = ask(&format!("http://ann:s3cret@{}", plain.authority()), &empty);
    assert!(insecure.contains("refusing to pass credentials to insecure URL"), "{insecure}");
    let netrc = world.write("netrc", &format!("machine {} login ann password s3cret\n", plain.authority()));
    let unsent = ask(plain.url(), &netrc);
    assert!(unsent.contains("401 Unauthorized"), "{unsent}");
}

#[test]
fn a_line_to_copy_where_go_commands_would_go_around_it() {
    let world = World::new();
    let serve = world.start_with(&[], &[("GOPRIVATE", "git.example.com")]);
    until("it says too little", || serve.log().contains("rules: 0"));
    let log = serve.log();
    let line = |begin: &str| log.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{log}"));
    assert!(line("export GONOPROXY=none").contains("git.example.com"));
    line("store: ");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn whom_modules_come_from_is_said_at_the_start() {
    let world = World::new();
    fs::create_dir_all(world.path("store")).unwrap();
    for (flag, wanted) in [
        (None, "upstream: https://***@127.0.0.1:1,direct"),
        (Some("--offline"), "upstream: none (--offline): only what the store has is served"),
        (Some("--frozen"), "upstream: none (--frozen): only what the store has is served, and nothing written"),
    ] {
        let mut args = vec!["--listen", "127.0.0.1:0", "--store", "store", "--no-ahead"];
        args.extend(flag);
        let mut command = world.serve(&args);
        command.env("GOPROXY", "https://user:hunter2@127.0.0.1:1,direct");
        let serve = ServeProcess::start(&mut command, &world.path("log")).unwrap();
        until("it says too little", || serve.log().contains("rules: 0"));
        let log = serve.log();
        let said: Vec<&str> = log.lines().filter(|line| line.starts_with("upstream: ")).collect();
        assert_eq!(said, [wanted], "{log}");
    }
}

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

/// Runs a tool; `None`, and a word about it, where it is not installed.
#[expect(clippy::print_stderr, reason = "a check that was left out is said")]
fn tool(command: &mut Command) -> Option<Output> {
    let name = command.get_program().to_owned();
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("{} is not there, and checks nothing: {error}", name.display());
            None
        }
    }
}

#[test]
fn systemd_takes_the_unit() {
    let world = World::new();
    let unit = fs::read_to_string(deploy("goferry.service")).unwrap();
    let here = unit.replace("/usr/local/bin/goferry", env!("CARGO_BIN_EXE_goferry"));
    assert_ne!(unit, here);
    let unit = world.write("goferry.service", &here);
    if let Some(output) = tool(world.program("systemd-analyze").args(["verify", "--man=no", &unit])) {
        assert!(output.status.success() && said(&output).trim().is_empty(), "{}", said(&output));
    }
}

#[test]
fn the_compose_file_is_yaml() {
    let world = World::new();
    let read = "import sys\ntry:\n  import yaml\nexcept ImportError:\n  sys.exit(77)\n\
        service = yaml.safe_load(open(sys.argv[1]))['services']['goferry']\n\
        assert service['read_only'] is True and service['build']['dockerfile'] == 'deploy/Containerfile', service\n";
    let output = tool(world.program("python3").args(["-c", read]).arg(deploy("compose.yaml")));
    if let Some(output) = output.filter(|output| output.status.code() != Some(77)) {
        assert!(output.status.success(), "{}", said(&output));
    }
}
