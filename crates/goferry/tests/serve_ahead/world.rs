//! A project, and go commands that work on it: alone, or through a proxy whose store is empty.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use goferry_env::{Environment, Inputs};
use goferry_lab::go_client::{GoClient, Outcome};
use goferry_module::ProxyList;
use goferry_proxy::config::Listen;
use goferry_proxy::server::{Server, Stop};
use goferry_proxy::{Proxy, ProxyConfig};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::origin::Origin;
use crate::universe::{Universe, path};

pub(crate) const NEWEST: &str = "go1.27.3";
pub(crate) const OLDEST: &str = "go1.21.13";
/// What is compiled has nothing to do with what is downloaded: the standard library need not be compiled each time.
const BUILD_CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/go-build");

/// An origin, and a project that is tidy.
pub(crate) struct World {
    pub(crate) origin: Origin,
    pub(crate) go_mod: String,
    pub(crate) go_sum: String,
    main_go: String,
}

/// What a go command, or what stands before it, took from the origin.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) given: Vec<(String, usize)>,
    /// How often a go command waited for the origin.
    pub(crate) waited: u64,
    /// go.mod and go.sum afterwards, and what was printed.
    pub(crate) left: [String; 3],
}

impl Taken {
    pub(crate) fn bytes(&self) -> usize {
        self.given.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Paths that `others` did not take, and those taken once more.
    pub(crate) fn beyond<'a>(&'a self, others: &'a [(String, usize)]) -> Vec<&'a str> {
        let mut known: std::collections::BTreeSet<&str> = others.iter().map(|(path, _)| path.as_str()).collect();
        let (mut taken, paths) = (std::collections::BTreeSet::new(), self.given.iter().map(|(path, _)| path.as_str()));
        paths.filter(|path| !taken.insert(*path) || known.insert(path)).collect()
    }
}

impl World {
    /// The project has this go line, requires `requires` and imports what it requires; then `go mod tidy` completes it.
    pub(crate) fn new(universe: Universe, go: &str, requires: &[(String, &str)]) -> World {
        let lines: String =
            requires.iter().map(|(name, version)| format!("require {} {version}\n", path(name))).collect();
        let imports: String = requires.iter().map(|(name, _)| format!("import _ {:?}\n", path(name))).collect();
        let go_sum = universe.sums().to_owned();
        let mut world = World {
            origin: Origin::start(universe.files),
            go_mod: format!("module example.com/main\n\ngo {go}\n\n{lines}"),
            go_sum,
            main_go: format!("package main\n\n{imports}\nfunc main() {{}}\n"),
        };
        let tidy = world.go(&world.origin.url(), NEWEST, 8, &["mod", "tidy"]);
        let [go_mod, go_sum, _] = tidy;
        (world.go_mod, world.go_sum) = (go_mod, go_sum);
        world.origin.given();
        world
    }

    pub(crate) fn alone(&self, go: &str, processors: u32, args: &[&str]) -> Taken {
        let origin = self.origin.again();
        let left = self.go(&origin.url(), go, processors, args);
        let given = origin.given();
        Taken { waited: given.len() as u64, given, left }
    }

    pub(crate) fn through(&self, ahead: bool, go: &str, processors: u32, args: &[&str]) -> Taken {
        self.through_all(ahead, go, processors, &[args])
    }

    /// Several go commands, one after another, each with empty caches, before an origin that nobody else asks.
    pub(crate) fn through_all(&self, ahead: bool, go: &str, processors: u32, commands: &[&[&str]]) -> Taken {
        let origin = self.origin.again();
        let served = Served::start(&origin.url(), ahead);
        let mut left = Default::default();
        for args in commands {
            left = self.go(&served.url, go, processors, args);
        }
        let figures = served.proxy.modules().ahead();
        let used = figures.used.load(Ordering::Relaxed);
        // What was begun is counted in full.
        while served.proxy.modules().in_flight() > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let given = origin.given();
        let begun = figures.begun.load(Ordering::Relaxed);
        assert!(ahead || begun + used == 0);
        let waited = (given.len() as u64).saturating_sub(begun);
        Taken { waited, given, left }
    }

    /// Runs a go command, with empty caches. Gives go.mod and go.sum afterwards, and what was printed.
    pub(crate) fn go(&self, proxy: &str, go: &str, processors: u32, args: &[&str]) -> [String; 3] {
        let dir = TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("go.mod", &self.go_mod);
        write("go.sum", &self.go_sum);
        write("main.go", &self.main_go);
        let run = GoClient::new(go.parse().unwrap())
            .args(args)
            .dir(dir.path())
            .goproxy(proxy)
            .gomaxprocs(processors)
            .gocache(BUILD_CACHE)
            .run()
            .unwrap();
        assert_eq!(run.outcome, Outcome::Succeeded, "go {args:?}: {}", run.stderr);
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        [read("go.mod"), read("go.sum"), run.stdout]
    }
}

/// A proxy in this process, whose store is empty at first.
pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) proxy: Arc<Proxy>,
    _stop: watch::Sender<bool>,
    _runtime: tokio::runtime::Runtime,
    _store: TempDir,
}

impl Served {
    pub(crate) fn start(upstream: &str, ahead: bool) -> Served {
        let store = TempDir::new().unwrap();
        let config = ProxyConfig {
            listen: vec![Listen::Tcp(([127, 0, 0, 1], 0).into())],
            store: store.path().to_owned(),
            upstream: Some(ProxyList::parse(upstream).unwrap()),
            sumdb: Some("off".to_owned()),
            ahead,
            ..ProxyConfig::default()
        };
        let inputs = Inputs::empty(store.path(), Path::new("/")).with_env("GOPROXY", upstream);
        let env = Environment::resolve(&inputs).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (proxy, server) = runtime.block_on(async {
            let proxy = Arc::new(Proxy::open(config, &inputs, &env).unwrap());
            (Arc::clone(&proxy), Server::bind(proxy).unwrap())
        });
        let url = format!("http://{}", server.addresses()[0]);
        let (stop, stopped) = Stop::new();
        runtime.spawn(async move { Arc::new(server).run(stopped).await });
        Served { url, proxy, _stop: stop, _runtime: runtime, _store: store }
    }
}
