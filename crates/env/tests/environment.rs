//! Variables, toolchains and projects, resolved in temporary homes and roots.

use std::path::{Path, PathBuf};

use goferry_env::gomaxprocs::Why;
use goferry_env::project::ProjectError;
use goferry_env::roots::{RootReason, RootSource};
use goferry_env::{EnvError, Environment, Inputs, Origin, Os, Project, gomaxprocs, roots, toolchain};

/// A machine of our own: home, root and project directories.
struct Machine {
    dir: tempfile::TempDir,
    inputs: Inputs,
}

impl Machine {
    fn new() -> Machine {
        let dir = tempfile::tempdir().unwrap();
        for name in ["home", "root", "project"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mut inputs = Inputs::empty(dir.path().join("project"), dir.path().join("root"));
        inputs.os = Os::Linux;
        inputs.arch = "amd64".to_owned();
        inputs.home = Some(dir.path().join("home"));
        let home = dir.path().join("home").display().to_string();
        Machine { inputs: inputs.with_env("HOME", &home), dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn with(mut self, name: &str, value: &str) -> Machine {
        self.inputs = self.inputs.with_env(name, value);
        self
    }

    fn resolve(&self) -> Environment {
        Environment::resolve(&self.inputs).unwrap()
    }

    fn project(&self) -> Project {
        Project::find(&self.inputs, &self.resolve()).unwrap().unwrap()
    }
}

/// A program on PATH that answers like `go env -json`.
#[cfg(unix)]
fn fake_go(machine: Machine, script: &str) -> Machine {
    // Written by a child: were it open for writing here while another test forks, the system would refuse to
    // start it ("text file busy").
    let path = machine.put("script", &format!("#!/bin/sh\n{script}\n"));
    let go = machine.path("bin/go");
    std::fs::create_dir_all(machine.path("bin")).unwrap();
    let copied = std::process::Command::new("install").args(["-m", "755"]).arg(&path).arg(&go).status().unwrap();
    assert!(copied.success(), "install(1) from coreutils");
    let list = format!("{}:/usr/bin:/bin", machine.path("bin").display());
    let mut machine = machine.with("PATH", &list);
    machine.inputs.run_go = true;
    machine
}

fn answering(machine: Machine, version: &str) -> Machine {
    let goroot = machine.path("goroot").display().to_string();
    let json = format!(r#"{{"GOVERSION":"{version}","GOROOT":"{goroot}","GOTOOLCHAIN":"local"}}"#);
    fake_go(machine, &format!("echo '{json}'"))
}

#[test]
fn every_origin_is_told() {
    let m = Machine::new().with("GOPRIVATE", "corp.example.com").with("GODEBUG", "http2client=0");
    let user =
        m.put("home/.config/go/env", "GOFLAGS=-mod=mod\nGOPROXY=https://goproxy.example.com|direct\nGODEBUG=x=1\n");
    let goroot = m.put("goroot/go.env", "# defaults\nGOPROXY=off\nGOSUMDB=sum.example.com\n");
    let root = goroot.parent().unwrap().display().to_string();
    let env = m.with("GOROOT", &root).resolve();
    let origin = |name: &str| env.get(name).unwrap().origin.clone();
    assert_eq!(origin("GOPROXY"), Origin::GoEnvFile { path: user.clone(), line: 2 });
    assert_eq!(origin("GOSUMDB"), Origin::GoRootFile { path: goroot, line: 3 });
    assert_eq!(origin("GOPRIVATE"), Origin::Process);
    assert_eq!((env.value("GONOPROXY"), origin("GONOPROXY")), ("corp.example.com", Origin::Process));
    assert_eq!((env.value("GOAUTH"), origin("GOAUTH")), ("netrc", Origin::Default));
    assert!(env.value("GOMODCACHE").ends_with("/home/go/pkg/mod"));
    assert_eq!(env.value("GODEBUG"), "http2client=0", "only the process counts");
    assert_eq!(env.goflag("mod").as_deref(), Some("mod"));
    assert_eq!(env.goproxy.entries().len(), 2);
    assert!(env.skips_proxy("corp.example.com/x") && !env.skips_proxy("example.com/x"));
}

#[test]
fn without_go_the_checksum_database_is_the_go_commands_own() {
    let with = |m: Machine| m.with("GOPROXY", "off").resolve().get("GOSUMDB").map(|value| value.value.clone());
    assert_eq!(with(Machine::new()).as_deref(), Some("sum.golang.org"));
    assert_eq!(with(Machine::new().with("GOSUMDB", "off")).as_deref(), Some("off"));
    // Whose go.env has none has none: "missing GOSUMDB" (modfetch/sumdb.go).
    let m = Machine::new();
    let goroot = m.put("goroot/go.env", "GOPROXY=off\n").parent().unwrap().display().to_string();
    assert_eq!(with(m.with("GOROOT", &goroot)), None);
}

#[test]
fn goenv_off_hides_the_file_and_goenv_moves_it() {
    let m = Machine::new();
    m.put("home/.config/go/env", "GOPROXY=https://one.example.com\n");
    let other = m.put("other", "GOPROXY=https://two.example.com\n").display().to_string();
    assert_eq!(m.resolve().value("GOPROXY"), "https://one.example.com");
    let m = m.with("GOENV", &other);
    assert_eq!(m.resolve().value("GOPROXY"), "https://two.example.com");
    let m = m.with("GOENV", "off");
    assert!(matches!(Environment::resolve(&m.inputs), Err(EnvError::NoGoProxy { .. })));
}

#[test]
fn without_a_goproxy_the_error_says_what_to_set() {
    let error = Environment::resolve(&Machine::new().inputs).unwrap_err().to_string();
    assert!(error.contains("Set GOPROXY") && error.contains("no go command is on PATH"), "{error}");
    let m = Machine::new().with("GOPROXY", "ftp://u:secret@x");
    let error = Environment::resolve(&m.inputs).unwrap_err();
    assert!(matches!(&error, EnvError::BadGoProxy { origin: Origin::Process, .. }));
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn credentials_do_not_show() {
    let env = Machine::new()
        .with("GOPROXY", "https://u:secret@goproxy.example.com")
        .with("HTTPS_PROXY", "u:secret@proxy.example.com:3128")
        .with("GOAUTH", "helper secret")
        .resolve();
    let shown = format!("{env:?}{}", serde_json::to_string(&env).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
    assert!(env.value("GOPROXY").contains("secret"), "it is still there for connecting");
}

#[cfg(unix)]
#[test]
fn a_go_that_fails_is_told_and_the_environment_still_serves() {
    let m = fake_go(Machine::new(), "echo broken >&2; exit 1").with("GOPROXY", "off");
    let env = m.resolve();
    assert!(env.go.is_none() && env.go_problem.as_deref().is_some_and(|p| p.contains("broken")), "{env:?}");
}

#[cfg(unix)]
#[test]
fn a_go_that_hangs_is_stopped() {
    let m = fake_go(Machine::new(), "exec sleep 60").with("GOPROXY", "off");
    let start = std::time::Instant::now();
    let env = m.resolve();
    assert!(start.elapsed().as_secs() < 15);
    assert!(env.go_problem.is_some_and(|p| p.contains("did not answer within 10 s")));
}

#[cfg(unix)]
#[test]
fn toolchains_are_selected_as_the_go_command_does() {
    let cases: &[(&str, &str, Option<&str>, bool)] = &[
        ("auto", "go 1.20\n", Some("go1.26.8"), false),
        ("auto", "go 1.27\n", Some("go1.27.0"), true),
        ("auto", "go 1.27.3\n", Some("go1.27.3"), true),
        ("auto", "go 1.25\ntoolchain go1.27.1\n", Some("go1.27.1"), true),
        ("auto", "go 1.28rc1\ntoolchain go1.27.1\n", Some("go1.28rc1"), true),
        ("auto", "go 1.26\ntoolchain default\n", Some("go1.26.8"), false),
        ("local", "go 1.25\ntoolchain go1.99.1\n", Some("go1.26.8"), false),
        ("go1.21.13", "go 1.20\n", Some("go1.21.13"), true),
        ("go1.21.13+auto", "go 1.22\n", Some("go1.22.0"), true),
        ("go1.27.3+auto", "go 1.22\n", Some("go1.27.3"), true),
    ];
    for (setting, lines, selected, download) in cases {
        let m = answering(Machine::new(), "go1.26.8").with("GOPROXY", "off").with("GOTOOLCHAIN", setting);
        m.put("project/go.mod", &format!("module m\n\n{lines}"));
        let choice = toolchain::choose(&m.inputs, &m.resolve());
        assert_eq!(
            (choice.selected.as_deref(), choice.would_download, choice.problem.clone()),
            (*selected, *download, None),
            "{setting} {lines} {choice:?}"
        );
        assert_eq!(choice.local.as_deref(), Some("go1.26.8"));
    }
}

#[cfg(unix)]
#[test]
fn a_toolchain_in_the_cache_is_not_downloaded_and_one_that_is_forbidden_is_a_problem() {
    let m = answering(Machine::new(), "go1.26.8").with("GOPROXY", "off").with("GOTOOLCHAIN", "auto");
    m.put("project/go.mod", "module m\n\ngo 1.27.3\n");
    m.put("home/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.27.3.linux-amd64/bin/go", "");
    let choice = toolchain::choose(&m.inputs, &m.resolve());
    assert!(choice.in_cache && !choice.would_download, "{choice:?}");
    assert_eq!(choice.minor(), Some(27));
    let line = Origin::Project { path: m.path("project/go.mod"), line: 3 };
    assert_eq!(choice.decided_by, Some(line));
    for (setting, part) in
        [("local", "requires go >= 1.27.3"), ("path", "not on PATH"), ("nonsense", "no toolchain's name")]
    {
        let m = answering(Machine::new(), "go1.26.8").with("GOPROXY", "off").with("GOTOOLCHAIN", setting);
        m.put("project/go.mod", "module m\n\ngo 1.27.3\n");
        let problem = toolchain::choose(&m.inputs, &m.resolve()).problem.unwrap_or_default();
        assert!(problem.contains(part), "{setting}: {problem}");
    }
}

const SUM: &str = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn a_pruned_module_fetches_its_requires() {
    let m = Machine::new().with("GOPROXY", "off").with("GOPRIVATE", "corp.example.com");
    m.put(
        "project/go.mod",
        "module example.com/m\n\ngo 1.22\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/B v1.1.0 // indirect\n\
         \tcorp.example.com/c v0.1.0\n\texample.com/local v1.0.0\n\texample.com/old v1.0.0\n)\n\n\
         replace example.com/local => ./local\nreplace example.com/old => example.com/new v1.2.0\n",
    );
    m.put(
        "project/go.sum",
        &format!("example.com/a v1.0.0 {SUM}\nexample.com/a v1.0.0/go.mod {SUM}\nexample.com/B v1.1.0/go.mod {SUM}\nexample.com/z v1.0.0/go.mod {SUM}\n"),
    );
    m.put("home/go/pkg/mod/cache/download/example.com/!b/@v/v1.1.0.zip", "12345");
    m.put("project/sub/x.go", "");
    let mut m = m;
    m.inputs.dir = m.path("project/sub");
    let project = m.project();
    let list: Vec<String> = project.to_fetch.iter().map(|f| f.module.to_string()).collect();
    assert_eq!(
        list,
        ["corp.example.com/c@v0.1.0", "example.com/B@v1.1.0", "example.com/a@v1.0.0", "example.com/new@v1.2.0"]
    );
    assert!(project.pruned && project.exact && !project.vendored);
    let fetch = |path: &str| project.to_fetch.iter().find(|f| f.module.path().as_str() == path).unwrap();
    assert!(fetch("corp.example.com/c").private && !fetch("example.com/a").private);
    assert_eq!((fetch("example.com/B").cached_zip, fetch("example.com/a").cached_zip), (Some(5), None));
    assert_eq!(project.graph_mod_files, 3);
    assert_eq!((project.missing_zip_hash.len(), project.missing_mod_hash.len()), (3, 2));
    assert_eq!(project.go_line.as_deref(), Some("1.22"));
    let json = serde_json::to_value(&project).unwrap();
    assert_eq!(json["to_fetch"][2]["module"], "example.com/a@v1.0.0");
}

#[test]
fn an_unpruned_module_and_a_workspace_fetch_what_go_sum_lists() {
    let m = Machine::new().with("GOPROXY", "off");
    m.put("project/go.mod", "module example.com/m\n\ngo 1.16\n\nrequire example.com/a v1.0.0\n");
    m.put(
        "project/go.sum",
        &format!("example.com/a v1.0.0 {SUM}\nexample.com/b v1.0.0/go.mod {SUM}\nexample.com/b v1.3.0/go.mod {SUM}\n"),
    );
    let project = m.project();
    let list = |p: &Project| p.to_fetch.iter().map(|f| f.module.to_string()).collect::<Vec<_>>();
    assert!(!project.pruned && !project.exact);
    assert_eq!(list(&project), ["example.com/a@v1.0.0", "example.com/b@v1.3.0"]);

    m.put(
        "project/go.work",
        "go 1.24\n\nuse (\n\t./one\n\t./two\n)\n\nreplace example.com/a => example.com/fork v1.9.0\n",
    );
    m.put(
        "project/one/go.mod",
        "module example.com/one\n\ngo 1.24\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/two v1.0.0\n)\n",
    );
    m.put("project/two/go.mod", "module example.com/two\n\ngo 1.24\n\nrequire example.com/c v1.0.0\n");
    m.put("project/one/go.sum", &format!("example.com/d v1.0.0/go.mod {SUM}\n"));
    m.put("project/go.work.sum", &format!("example.com/c v1.2.0/go.mod {SUM}\n"));
    let project = m.project();
    assert_eq!(list(&project), ["example.com/c@v1.2.0", "example.com/d@v1.0.0", "example.com/fork@v1.9.0"]);
    assert_eq!((project.modules.len(), project.go_sums.len()), (2, 2));
    assert_eq!(project.go_work.as_deref(), Some(m.path("project/go.work").as_path()));
    let off = m.with("GOWORK", "off").project();
    assert_eq!(off.modules[0].path, "example.com/m");
}

#[test]
fn the_files_of_a_project_and_of_a_workspace() {
    let m = Machine::new().with("GOPROXY", "off");
    let files = |m: &Machine| Project::files(&m.inputs, &m.resolve());
    assert!(files(&m).unwrap().is_none());
    let go_mod = m.put("project/go.mod", "module example.com/m\n\ngo 1.22\n");
    let alone = files(&m).unwrap().unwrap();
    assert_eq!(
        (alone.modules[0].0.as_path(), alone.sums.as_slice()),
        (go_mod.as_path(), [m.path("project/go.sum")].as_slice())
    );
    m.put("one/go.mod", "module example.com/one\n\ngo 1.24\n");
    let work = m.put("project/go.work", "go 1.24\n\nuse .\nuse ../one/./x/..\n");
    let both = files(&m).unwrap().unwrap();
    assert_eq!(both.go_work.unwrap().0, work);
    assert_eq!(both.modules.iter().map(|(f, _)| f.clone()).collect::<Vec<_>>(), [go_mod, m.path("one/go.mod")]);
    assert_eq!(both.sums, [m.path("project/go.work.sum"), m.path("project/go.sum"), m.path("one/go.sum")]);
    assert!(both.sums[2].to_str().unwrap().ends_with("/one/go.sum") && !both.sums[2].to_str().unwrap().contains(".."));

    m.put("project/go.work", "go 1.24\n\nuse .\nuse ../one\nuse ../one/\n");
    let error = files(&m).unwrap_err().to_string();
    assert!(error.contains("go.work:5") && error.contains("appears multiple times"), "{error}");

    let uses: String = (0..2001).map(|n| format!("use ./m{n}\n")).collect();
    m.put("project/go.work", &format!("go 1.24\n\n{uses}"));
    let error = files(&m).unwrap_err();
    assert!(matches!(&error, ProjectError::TooManyModules { count: 2001, .. }), "{error}");
    assert!(Project::find(&m.inputs, &m.resolve()).is_err(), "never a silent cut");
    let named = m.put("elsewhere/ws", "go 1.24\n\nuse ../project\n").display().to_string();
    let sums = files(&m.with("GOWORK", &named)).unwrap().unwrap().sums;
    assert!(sums[0].ends_with("elsewhere/ws.sum"), "{sums:?}");
}

#[test]
fn no_project_is_no_error_and_a_bad_one_says_where() {
    let m = Machine::new().with("GOPROXY", "off");
    assert!(Project::find(&m.inputs, &m.resolve()).unwrap().is_none());
    let file = m.put("project/go.mod", "module m\n\nrequire example.com/a\n");
    let error = Project::find(&m.inputs, &m.resolve()).unwrap_err().to_string();
    assert!(error.contains(&format!("{}:3", file.display())), "{error}");
    m.put("project/go.mod", "module m\n\ngo 1.22\n");
    m.put("project/go.sum", "one two\n");
    let error = Project::find(&m.inputs, &m.resolve()).unwrap_err().to_string();
    assert!(error.contains("go.sum:1"), "{error}");
    m.put("project/alt.mod", "module alt\n\ngo 1.22\n");
    assert_eq!(m.with("GOFLAGS", "-modfile=alt.mod").project().modules[0].path, "alt");
}

#[test]
fn roots_come_from_the_first_bundle_and_every_directory() {
    let pem = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    };
    let (a, b, c) = (pem("a.example.com"), pem("b.example.com"), pem("c.example.com"));
    let m = Machine::new();
    m.put("root/etc/pki/tls/certs/ca-bundle.crt", &a);
    m.put("root/etc/ssl/ca-bundle.pem", &b);
    m.put("root/etc/ssl/certs/x.pem", &format!("{c}-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"));
    let found = roots::load(&m.inputs, 27);
    assert_eq!(found.der.len(), 2, "the second bundle is not read: {found:?}");
    let reasons: Vec<_> = found.files.iter().map(|f| (f.because, f.new)).collect();
    assert_eq!(reasons, [(RootReason::DefaultFile, 1), (RootReason::DefaultDir, 1), (RootReason::DefaultDir, 0)]);
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].line, Some(u32::try_from(c.lines().count()).unwrap() + 1));

    let own = m.put("own.pem", &b).display().to_string();
    let m = m.with("SSL_CERT_FILE", &own);
    assert_eq!(roots::load(&m.inputs, 27).der.len(), 3, "the default directories are still read");
    let mut m = m.with("SSL_CERT_FILE", "/absent.pem");
    assert!(roots::load(&m.inputs, 27).problems.iter().any(|p| p.named_by_user && p.path == Path::new("/absent.pem")));
    m.inputs.os = Os::Darwin;
    assert_eq!(roots::load(&m.inputs, 26).source, RootSource::Platform);
    assert_eq!(roots::load(&m.inputs, 27).source, RootSource::Files);
}

#[test]
fn gomaxprocs_follows_affinity_quota_and_variable() {
    let m = Machine::new();
    m.put("root/proc/self/status", "Name:\tx\nCpus_allowed:\tff,0000ffff\n");
    let compute = |m: &Machine, minor| gomaxprocs::compute(&m.inputs, minor);
    assert_eq!(compute(&m, 27).why, Why::Affinity { cpus: 24 });
    m.put("root/proc/self/cgroup", "0::/pod/x\n");
    m.put("root/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    for (max, value) in
        [("250000 100000\n", 3), ("50000 100000\n", 2), ("max 100000\n", 24), ("9900000 100000\n", 24), ("junk", 24)]
    {
        m.put("root/sys/fs/cgroup/pod/x/cpu.max", max);
        assert_eq!(compute(&m, 25).value, value, "{max}");
        assert_eq!(compute(&m, 24).value, 24, "before 1.25 the quota does not count");
    }
    m.put("root/sys/fs/cgroup/pod/x/cpu.max", "250000 100000\n");
    let Why::CgroupQuota { file, quota } = compute(&m, 27).why else { panic!("not the quota") };
    assert!(file.ends_with("pod/x/cpu.max") && (quota - 2.5).abs() < 1e-9);
    let m = m.with("GODEBUG", "containermaxprocs=0");
    assert_eq!(compute(&m, 27).value, 24);
    let m = m.with("GODEBUG", "").with("GOMAXPROCS", "5");
    assert_eq!(compute(&m, 27).why, Why::Env);
    let m = m.with("GOMAXPROCS", "");
    m.put("root/proc/self/cgroup", "3:cpu,cpuacct:/d\n0::/\n");
    m.put("root/proc/self/mountinfo", "32 31 0:29 /d /cg/cpu rw - cgroup cgroup rw,cpu\n");
    m.put("root/cg/cpu/cpu.cfs_quota_us", "400000\n");
    m.put("root/cg/cpu/cpu.cfs_period_us", "100000\n");
    assert_eq!(compute(&m, 27).value, 4);
}
