//! The rules held against the real go: tiny programs that print what net/http, crypto/x509 and the runtime decide.
//! These tests need a `go` on PATH.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use goferry_env::http_proxy::{ProxyDecision, ProxySettings};
use goferry_env::url::Url;
use goferry_env::{Inputs, gomaxprocs, roots};

const PROXY_PROGRAM: &str = r#"package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	for _, target := range os.Args[1:] {
		req, err := http.NewRequest("GET", target, nil)
		if err != nil {
			fmt.Println("bad", err)
			continue
		}
		proxy, err := http.ProxyFromEnvironment(req)
		switch {
		case err != nil:
			fmt.Println("refused")
		case proxy == nil:
			fmt.Println("direct")
		default:
			fmt.Println(proxy.Scheme, proxy.Host)
		}
	}
}
"#;

const ROOTS_PROGRAM: &str = r#"package main

import (
	"crypto/x509"
	"fmt"
)

func main() {
	pool, err := x509.SystemCertPool()
	if err != nil {
		fmt.Println("error")
		return
	}
	fmt.Println(len(pool.Subjects()))
}
"#;

const PROCS_PROGRAM: &str = r#"package main

import (
	"fmt"
	"runtime"
)

func main() { fmt.Println(runtime.GOMAXPROCS(0), runtime.NumCPU()) }
"#;

/// Builds one program; the directory is removed when the guard is dropped.
struct Program {
    _dir: tempfile::TempDir,
    binary: PathBuf,
}

impl Program {
    fn build(source: &str) -> Program {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("main.go"), source).unwrap();
        // The go line sets the GODEBUG defaults: those of the release itself, as in the go command.
        let language = go_version().1;
        std::fs::write(dir.path().join("go.mod"), format!("module oracle\n\ngo 1.{language}\n")).unwrap();
        let binary = dir.path().join("oracle");
        let out = Command::new("go")
            .args(["build", "-o"])
            .arg(&binary)
            .arg(".")
            .current_dir(dir.path())
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=mod -buildvcs=false")
            .env("GOWORK", "off")
            .output()
            .expect("a go on PATH");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Program { _dir: dir, binary }
    }

    fn run(&self, env: &BTreeMap<String, String>, args: &[&str]) -> Vec<String> {
        let out = Command::new(&self.binary).args(args).env_clear().envs(env).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

fn go_version() -> (String, u32) {
    let out = Command::new("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").output().expect("a go on PATH");
    let text = String::from_utf8(out.stdout).unwrap().trim().to_owned();
    let minor = text.split('.').nth(1).unwrap().parse().unwrap();
    (text, minor)
}

fn inputs(env: &BTreeMap<String, String>) -> Inputs {
    let mut inputs = Inputs::empty("/", "/");
    inputs.env = env.clone();
    inputs
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

const TARGETS: &[&str] = &[
    "https://goproxy.example.com/x",
    "http://goproxy.example.com/x",
    "https://example.com",
    "https://badexample.com",
    "https://goproxy.example.com:8443",
    "https://GOPROXY.Example.com",
    "https://localhost",
    "https://LOCALHOST:81",
    "http://127.0.0.1:9",
    "https://127.1.2.3",
    "https://[::1]:3",
    "https://[::ffff:127.0.0.1]",
    "https://[::ffff:10.1.2.3]",
    "https://10.1.2.3",
    "https://10.1.2.3:99",
    "https://192.168.4.5",
    "https://[fd12::1]",
    "https://[fd12::1]:99",
    "https://[fe80::1%25eth0]",
    "https://a.localhost",
];

#[test]
fn real_go_chooses_the_same_proxy() {
    let program = Program::build(PROXY_PROGRAM);
    let p = ("HTTPS_PROXY", "http://p.example.com:3128");
    let q = ("http_proxy", "q.example.com");
    let no = |list| vec![p, q, ("NO_PROXY", list)];
    let mut cases: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![p],
        vec![q],
        vec![p, q, ("REQUEST_METHOD", "GET")],
        vec![("https_proxy", "lower.example.com"), ("HTTPS_PROXY", "")],
        vec![p, ("no_proxy", "example.com"), ("NO_PROXY", "")],
        vec![p, ("no_proxy", "example.com"), ("NO_PROXY", "other.example.org")],
    ];
    for value in [
        "p.example.com",
        "p.example.com:3128",
        "10.0.0.1:3128",
        "10.0.0.1",
        "https://p.example.com",
        "socks5://p.example.com",
        "socks5h://p.example.com:9",
        "HTTP://p.example.com",
        "ftp://p.example.com",
        "http://p.example.com:port",
        "http://p%zz",
        "http://[p]",
        "http://[::1]:3128",
        "[::1]:3128",
        "//p.example.com",
        "/p",
        "http://",
        "http:p.example.com",
        ":3128",
        "user:pass@p.example.com:1",
        "http://us er@p.example.com",
        "http://p.example.com/path?query#fragment",
        "http://p example.com",
        "*",
    ] {
        cases.push(vec![("HTTPS_PROXY", value)]);
    }
    for list in [
        "*",
        "x,*",
        "example.com",
        ".example.com",
        "*.example.com",
        "goproxy.example.com:443",
        "goproxy.example.com:8443",
        "EXAMPLE.com , y",
        "10.0.0.0/8",
        "10.0.0.0/33",
        "10.1.2.3",
        "10.1.2.3:99",
        "192.168.0.0/16,fd00::/8",
        "[fd12::1]:99",
        "[fd12::1]",
        "fd12::1",
        "::ffff:10.1.2.0/120",
        "::ffff:10.1.2.3",
        "0.0.0.0/0",
        "::/0",
        "fe80::/10",
        ":443",
        ".",
        "*.",
        "localhost",
        "com",
        "10.1.2",
        "a:b:c",
        "[x]:1",
    ] {
        cases.push(no(list));
    }
    assert!(cases.len() >= 40);
    for case in &cases {
        let env = env(case);
        let settings = ProxySettings::from_inputs(&inputs(&env));
        let real = program.run(&env, TARGETS);
        for (target, real) in TARGETS.iter().zip(real) {
            let ours = match settings.decide(&Url::parse(target).unwrap()) {
                ProxyDecision::Direct { .. } => "direct".to_owned(),
                ProxyDecision::Refused { .. } => "refused".to_owned(),
                ProxyDecision::Via(choice) => format!("{} {}", choice.url.scheme, choice.url.host),
            };
            assert_eq!(ours, real, "{case:?} {target}");
        }
    }
}

/// A certificate of our own, as PEM.
fn certificate(name: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.self_signed(&key).unwrap().pem()
}

#[test]
fn real_go_loads_as_many_roots() {
    let program = Program::build(ROOTS_PROGRAM);
    let minor = go_version().1;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(Path::new(&at(name)).parent().unwrap()).unwrap();
        std::fs::write(at(name), text).unwrap();
    };
    let (a, b, c) = (certificate("a.example.com"), certificate("b.example.com"), certificate("c.example.com"));
    write("one.pem", &a);
    write("crlf.pem", &a.replace('\n', "\r\n"));
    write("mixed.pem", &format!("# text\n{a}-----BEGIN CERTIFICATE-----\nbroken\n{b}junk\n{a}"));
    write("malformed.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write("key.pem", &a.replace("CERTIFICATE", "PRIVATE KEY"));
    write("headers.pem", &a.replacen("-----\n", "-----\nKey: value\n\n", 1));
    write("empty.pem", "");
    write("d1/a.crt", &a);
    write("d1/b.crt", &b);
    write("d2/c.any-name", &c);
    write("d2/again", &b);
    std::os::unix::fs::symlink("c.any-name", at("d2/link.0")).unwrap();
    std::os::unix::fs::symlink(at("one.pem"), at("d2/outside.0")).unwrap();
    std::fs::create_dir(at("none")).unwrap();

    let (one, d1, d2, none) = (at("one.pem"), at("d1"), at("d2"), at("none"));
    let both = format!("{d1}:{d2}");
    let missing_and = format!("{}:{d2}:", at("absent"));
    let mut cases: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("SSL_CERT_FILE", &one)],
        vec![("SSL_CERT_DIR", &d1)],
        vec![("SSL_CERT_FILE", &none), ("SSL_CERT_DIR", &none)],
        vec![("SSL_CERT_FILE", &one), ("SSL_CERT_DIR", &both)],
        vec![("SSL_CERT_FILE", &one), ("SSL_CERT_DIR", &missing_and)],
        vec![("SSL_CERT_FILE", "/absent/file"), ("SSL_CERT_DIR", "/absent/dir")],
        vec![("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", &none)],
    ];
    let files: Vec<String> =
        ["crlf", "mixed", "malformed", "key", "headers", "empty"].iter().map(|n| at(&format!("{n}.pem"))).collect();
    for file in &files {
        cases.push(vec![("SSL_CERT_FILE", file), ("SSL_CERT_DIR", &none)]);
    }
    for case in &cases {
        let env = env(case);
        let ours = roots::load(&inputs(&env), minor);
        let ours = if ours.fails { "error".to_owned() } else { ours.der.len().to_string() };
        assert_eq!(program.run(&env, &[]), [ours], "{case:?}");
    }
}

#[test]
fn real_go_runs_with_the_same_gomaxprocs() {
    let program = Program::build(PROCS_PROGRAM);
    let minor = go_version().1;
    for case in [
        vec![],
        vec![("GOMAXPROCS", "7")],
        vec![("GOMAXPROCS", "0")],
        vec![("GOMAXPROCS", "-3")],
        vec![("GOMAXPROCS", "many")],
        vec![("GODEBUG", "containermaxprocs=0")],
    ] {
        let env = env(&case);
        let ours = gomaxprocs::compute(&inputs(&env), minor);
        let real = program.run(&env, &[]);
        assert_eq!(real, [format!("{} {}", ours.value, ours.num_cpu)], "{case:?}");
    }
}

#[test]
fn real_go_env_agrees() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join(".config/go");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(
        config.join("env"),
        "GOFLAGS=-mod=mod\nGOPRIVATE=corp.example.com\nGOSUMDB=\nGODEBUG=http2client=0\n",
    )
    .unwrap();
    let home_text = home.path().to_str().unwrap();
    let path = std::env::var("PATH").unwrap();
    for case in [
        vec![],
        vec![("GOPROXY", "https://goproxy.example.com|direct")],
        vec![("GOENV", "off")],
        vec![("GOPRIVATE", "other.example.com"), ("GONOSUMDB", "x.example.com")],
        vec![("GOPATH", "/tmp/one:/tmp/two")],
        vec![("GOMODCACHE", "/tmp/cache"), ("GODEBUG", "http2debug=1")],
        vec![("XDG_CONFIG_HOME", home_text)],
    ] {
        let mut env = env(&case);
        env.insert("HOME".into(), home_text.into());
        env.insert("PATH".into(), path.clone());
        let out = Command::new("go")
            .args(["env", "-json"])
            .env_clear()
            .envs(&env)
            .env("GOTOOLCHAIN", "local")
            .current_dir(home.path())
            .output()
            .unwrap();
        let real: BTreeMap<String, String> = serde_json::from_slice(&out.stdout).unwrap();
        let mut given = inputs(&env);
        given.dir = home.path().to_owned();
        given.home = Some(home.path().to_owned());
        // With a go to ask, and again from the environment and GOROOT alone.
        for run_go in [true, false] {
            given.run_go = run_go;
            if !run_go {
                given.env.insert("GOROOT".into(), real["GOROOT"].clone());
            }
            let ours = goferry_env::Environment::resolve(&given).unwrap();
            for name in [
                "GOPROXY",
                "GOPRIVATE",
                "GONOPROXY",
                "GONOSUMDB",
                "GOFLAGS",
                "GOMODCACHE",
                "GOPATH",
                "GODEBUG",
                "GOINSECURE",
                "GOROOT",
                "GOAUTH",
            ] {
                assert_eq!(ours.value(name), real[name], "{name} {case:?} run_go={run_go}");
            }
        }
    }
}

/// Toolchains on PATH come before any download, so programs of their names show what the go command selects.
#[test]
fn real_go_selects_the_same_toolchain() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let script = dir.path().join("script");
    for name in ["go1.21.13", "go1.98.0", "go1.98.3", "go1.99.0", "go1.99.1", "go1.99rc1"] {
        std::fs::write(&script, format!("#!/bin/sh\necho {name}\n")).unwrap();
        // Written by a child: a program that is open for writing anywhere cannot be started.
        let copied = Command::new("install").args(["-m", "755"]).arg(&script).arg(bin.join(name)).status().unwrap();
        assert!(copied.success(), "install(1) from coreutils");
    }
    let local = go_version().0;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for setting in
        ["auto", "path", "local", "go1.98.3", "go1.98.3+auto", "go1.21.13+path", "local+auto", "bash", "go1.98.3+x"]
    {
        for lines in [
            "go 1.20",
            "go 1.99",
            "go 1.99rc1",
            "go 1.98.3",
            "go 1.98\ntoolchain go1.99.1",
            "go 1.99.1\ntoolchain go1.98.3",
            "go 1.21\ntoolchain default",
            "go 1.99\ntoolchain default",
        ] {
            std::fs::write(dir.path().join("go.mod"), format!("module m\n\n{lines}\n")).unwrap();
            let env = env(&[
                ("HOME", dir.path().to_str().unwrap()),
                ("PATH", &path),
                ("GOTOOLCHAIN", setting),
                ("GOPROXY", "off"),
                ("GOFLAGS", "-mod=mod"),
            ]);
            // `go list -m` fails where the go line is too new; `go version` would not read go.mod.
            let out = Command::new("go")
                .args(["list", "-m"])
                .env_clear()
                .envs(&env)
                .current_dir(dir.path())
                .output()
                .unwrap();
            let printed = String::from_utf8(out.stdout).unwrap().trim().to_owned();
            let real = match (out.status.success(), printed.as_str()) {
                (false, _) => None,
                (true, "m") => Some(local.clone()),
                (true, name) => Some(name.to_owned()),
            };
            let mut given = inputs(&env);
            given.dir = dir.path().to_owned();
            given.run_go = true;
            let environment = goferry_env::Environment::resolve(&given).unwrap();
            let choice = goferry_env::toolchain::choose(&given, &environment);
            // The programs on PATH run whatever the go line says; only the real go complains.
            let switched = real.as_ref().is_some_and(|r| *r != local);
            let ours = choice.selected.clone().filter(|_| switched || choice.problem.is_none());
            assert_eq!(
                ours,
                real,
                "GOTOOLCHAIN={setting}, {lines}: {choice:?} {}",
                String::from_utf8_lossy(&out.stderr)
            );
        }
    }
}

/// `go mod download -json` names what it wants even where a proxy has no zip.
#[test]
fn real_go_downloads_the_same_modules() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let put = |name: &str, text: &str| {
        std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        std::fs::write(at(name), text).unwrap();
    };
    for (path, version, requires) in [
        ("example.com/a", "v1.0.0", "require example.com/b v1.1.0\n"),
        ("example.com/b", "v1.0.0", ""),
        ("example.com/b", "v1.1.0", "require example.com/d v1.0.0\n"),
        ("example.com/d", "v1.0.0", ""),
        ("example.com/new", "v1.2.0", ""),
    ] {
        put(&format!("proxy/{path}/@v/{version}.mod"), &format!("module {path}\n\ngo 1.16\n\n{requires}"));
        put(&format!("proxy/{path}/@v/{version}.info"), &format!(r#"{{"Version":"{version}"}}"#));
    }
    let replace = "replace example.com/old => example.com/new v1.2.0\nreplace example.com/here => ./here\n";
    put("here/go.mod", "module example.com/here\n\ngo 1.16\n");
    let direct = "example.com/a v1.0.0\n\texample.com/old v1.0.0\n\texample.com/here v1.0.0\n";
    let indirect = "\texample.com/b v1.1.0 // indirect\n\texample.com/d v1.0.0 // indirect\n";
    let proxy = format!("file://{}", at("proxy").display());
    for (go, requires) in [("1.20", format!("{direct}{indirect}")), ("1.16", direct.to_owned())] {
        put("go.mod", &format!("module m\n\ngo {go}\n\nrequire (\n\t{requires})\n\n{replace}"));
        let env = env(&[
            ("HOME", dir.path().to_str().unwrap()),
            ("PATH", &std::env::var("PATH").unwrap()),
            ("GOTOOLCHAIN", "local"),
            ("GOPROXY", &proxy),
            ("GOSUMDB", "off"),
            ("GOFLAGS", "-mod=mod"),
        ]);
        let run = |args: &[&str]| {
            Command::new("go").args(args).env_clear().envs(&env).current_dir(dir.path()).output().unwrap()
        };
        // Writes the go.mod hashes into go.sum, which is all that the unpruned list can be read from.
        let listed = run(&["list", "-m", "all"]);
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let out = run(&["mod", "download", "-json"]);
        let mut real: Vec<String> = serde_json::Deserializer::from_slice(&out.stdout)
            .into_iter::<serde_json::Value>()
            .map(Result::unwrap)
            .map(|m| format!("{}@{}", m["Path"].as_str().unwrap(), m["Version"].as_str().unwrap()))
            .collect();
        real.sort();
        let mut given = inputs(&env);
        given.dir = dir.path().to_owned();
        let environment = goferry_env::Environment::resolve(&given).unwrap();
        let project = goferry_env::Project::find(&given, &environment).unwrap().unwrap();
        let ours: Vec<String> = project.to_fetch.iter().map(|f| f.module.to_string()).collect();
        assert_eq!(ours, real, "go {go}");
        assert_eq!(real.len(), 4);
        assert_eq!(project.exact, go == "1.20");
        assert_eq!(project.graph_mod_files, 4);
    }
}
