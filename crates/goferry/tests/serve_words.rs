//! What an unmodified go command prints when `goferry serve` cannot give it a file: the first line of goferry's words says what
//! failed, whose fault it is and what to do, what follows what was asked of whom. Loopback only.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;

use goferry_lab::certs::Authority;
use goferry_lab::go_client::{GoClient, GoRun};
use goferry_lab::serve::ServeProcess;
use goferry_lab::server::behaviour::{Answers, Silence, TlsOptions, Transport, Which};
use goferry_lab::server::{Behaviour, Identity, Origin, OriginHandle};
use goferry_lab::universe::{ProjectSpec, Universe, ZipSize};
use tempfile::TempDir;

/// The newest, and the oldest that is supported.
const VERSIONS: [&str; 2] = ["go1.27.3", "go1.21.13"];
/// Nobody waits here as long as at the defaults.
const HURRIED: &str = "[fetch]\ntimeout = \"2s\"\n";
const MODULE: &str = "lab.example.com/m0000";

/// A project that needs one module.
struct World {
    universe: Arc<Universe>,
    dir: TempDir,
}

/// How the proxy is started.
#[derive(Default)]
struct How<'a> {
    upstream: &'a str,
    gosumdb: Option<&'a str>,
    settings: &'a str,
    args: &'a [&'a str],
    /// The store has so many bytes of room.
    room: Option<u32>,
}

/// What the go command printed: how it names what failed, and the words of the proxy.
#[derive(Debug)]
struct Said {
    reading: String,
    words: Vec<String>,
}

impl World {
    fn new(zip: usize) -> World {
        let universe = Arc::new(Universe::builder().modules(1).zip_size(ZipSize::Fixed(zip)).build());
        let dir = TempDir::with_prefix("goferry-serve-words-").unwrap();
        fs::create_dir(dir.path().join("project")).unwrap();
        universe.write_project(&dir.path().join("project"), &ProjectSpec::default()).unwrap();
        World { universe, dir }
    }

    fn origin(&self, behaviour: Behaviour) -> OriginHandle {
        let authority = Authority::new("Lab Root").unwrap();
        let identity = Identity { authority: &authority, hosts: &["127.0.0.1"] };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Origin::start(behaviour, Arc::clone(&self.universe), Some(identity), listener).unwrap()
    }

    fn answering(&self, answers: Answers) -> OriginHandle {
        self.origin(Behaviour { transport: Transport::Plain, answers, ..Behaviour::default() })
    }

    fn status(&self, status: u16) -> OriginHandle {
        self.answering(Answers { status: vec![(Which::ALL, status)], ..Answers::default() })
    }

    fn serve(&self, how: &How) -> ServeProcess {
        let (file, store) = (self.dir.path().join("goferry.toml"), self.dir.path().join("store"));
        fs::write(&file, how.settings).unwrap();
        fs::create_dir_all(&store).unwrap();
        let program = env!("CARGO_BIN_EXE_goferry");
        let mut command = match how.room {
            None => Command::new(program),
            Some(bytes) => {
                let mount = format!("set -e; mount -t tmpfs -o size={bytes} tmpfs \"$ROOT\"; exec \"$@\"");
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount, "sh", program]);
                command
            }
        };
        let gosumdb = how.gosumdb.map_or_else(|| self.universe.sumdb_key(), str::to_owned);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--upstream", how.upstream, "--config"])
            .arg(file)
            .arg("--store")
            .arg(&store)
            .args(how.args)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("ROOT", &store)
            .env("HOME", self.dir.path())
            .env("GOENV", "off")
            .env("GOSUMDB", gosumdb);
        ServeProcess::start(&mut command, &self.dir.path().join("log")).unwrap()
    }

    /// What both go commands print, which must be the same.
    #[track_caller]
    fn said(&self, how: &How) -> Said {
        let said = VERSIONS.map(|version| {
            // Each for itself: what one was told of is remembered for a moment.
            let server = self.serve(how);
            let run = go(version, self, server.url());
            assert!(!run.succeeded(), "{version} succeeds");
            show(&run);
            let said = Said::of(&run.stderr, server.url());
            let whole = said.words.iter().map(|line| line.len() + 2).sum::<usize>() - 2;
            assert!(!run.stderr.contains("[Truncated") && said.words.len() <= 8 && whole <= 648, "{}", run.stderr);
            said
        });
        assert_eq!((&said[0].reading, &said[0].words[0]), (&said[1].reading, &said[1].words[0]));
        let [said, _] = said;
        said
    }
}

impl Said {
    fn of(stderr: &str, proxy: &str) -> Said {
        let mut lines = stderr.lines();
        let reading = lines.find_map(|line| line.split_once(&format!("reading {proxy}/")).map(|(_, rest)| rest));
        let reading = reading.unwrap_or_else(|| panic!("nothing is read: {stderr}")).to_owned();
        let first = lines.next().and_then(|line| line.strip_prefix("\tserver response:"));
        let first = first.unwrap_or_else(|| panic!("there are no words: {stderr}"));
        let words = match first.trim() {
            "" => lines.map_while(|line| line.strip_prefix('\t')).map(str::to_owned).collect(),
            only => vec![only.to_owned()],
        };
        Said { reading, words }
    }
}

fn go(version: &str, world: &World, proxy: &str) -> GoRun {
    let project = world.dir.path().join("project");
    GoClient::new(version.parse().unwrap()).dir(project).goproxy(proxy).run().unwrap()
}

/// With GOFERRY_SHOW set, shows what go prints.
#[expect(clippy::print_stderr, reason = "asked for by the person who runs the test")]
fn show(run: &GoRun) {
    if std::env::var_os("GOFERRY_SHOW").is_some() {
        eprintln!("--- {:.1} s\n{}", run.wall.as_secs_f64(), run.stderr);
    }
}

/// The URL of a port where nothing listens.
fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// The first thing that is asked for.
fn first(status: &str) -> String {
    format!("{MODULE}/@v/v1.0.0.mod: {status}")
}

const GATEWAY: &str = "502 Bad Gateway";

#[test]
fn an_upstream_that_is_down() {
    let (world, url) = (World::new(1000), nobody());
    let said = world.said(&How { upstream: &url, ..How::default() });
    assert_eq!(said.reading, first(GATEWAY));
    assert_eq!(
        said.words[0],
        format!(
            "the upstream {url} is down, nothing listens there: ask whoever runs that, or check goferry's setting upstream"
        )
    );
    let asked = format!("GET {url}/{MODULE}/@v/v1.0.0.mod: connecting to ");
    assert!(said.words[1].starts_with(&asked) && said.words[1].contains("refused"), "{said:?}");
}

#[test]
fn an_upstream_that_is_silent() {
    let world = World::new(1000);
    // Connections are taken by the system, and nobody speaks there.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let stops =
        world.origin(Behaviour { transport: Transport::Plain, silence: Silence::AfterHeaders, ..Behaviour::default() });
    for (address, how) in [
        (silent.local_addr().unwrap(), "no answer within 2 s although the connection lives"),
        (stops.address(), "the answer stopped: nothing for 1 s (3 tries)"),
    ] {
        let url = format!("http://{address}");
        let said = world.said(&How { upstream: &url, settings: HURRIED, ..How::default() });
        assert_eq!(said.reading, first(GATEWAY));
        let words = "is silent: it hangs, or something on goferry's way to it swallows its answers";
        assert_eq!(said.words[0], format!("the upstream {url} {words}"));
        assert_eq!(said.words[1], format!("GET {url}/{MODULE}/@v/v1.0.0.mod: {how}"));
    }
}

#[test]
fn an_upstream_that_answers_with_an_error() {
    let world = World::new(1000);
    for (status, told, reason, words) in [
        (503, GATEWAY, "Service Unavailable", "fails (503): ask whoever runs that, or try again later"),
        (429, GATEWAY, "Too Many Requests", "is asked too much: try again in a minute"),
        (401, GATEWAY, "Unauthorized", "asks goferry for credentials: whoever runs goferry has to give it some"),
        (403, GATEWAY, "Forbidden", "refuses it to goferry: ask whoever runs that"),
        (404, "404 Not Found", "Not Found", "does not have it: check the module's path and version"),
        (410, "410 Gone", "Gone", "does not have it: check the module's path and version"),
    ] {
        let origin = world.status(status);
        let url = format!("http://{}", origin.address());
        let said = world.said(&How { upstream: &url, settings: HURRIED, ..How::default() });
        assert_eq!(said.reading, first(told));
        assert_eq!(said.words[0], format!("the upstream {url} {words}"));
        let asked = format!("GET {url}/{MODULE}/@v/v1.0.0.mod: {status} {reason}");
        let tries = said.words[1].strip_prefix(&asked);
        assert!(tries.is_some_and(|tries| matches!(status, 429 | 503) == tries.ends_with(" tries)")), "{said:?}");
        assert!(said.words[2].ends_with(&format!("server response: {status}: said the origin")), "{said:?}");
    }
}

#[test]
fn a_certificate_that_is_not_trusted() {
    let world = World::new(1000);
    let origin = world.origin(Behaviour { transport: Transport::Tls(TlsOptions::default()), ..Behaviour::default() });
    let url = format!("https://{}", origin.address());
    let said = world.said(&How { upstream: &url, ..How::default() });
    assert_eq!(said.reading, first(GATEWAY));
    let words = "is not trusted by goferry: mend its certificate, or give goferry its CA in SSL_CERT_FILE";
    assert_eq!(said.words[0], format!("the upstream {url} {words}"));
}

#[test]
fn a_wrong_hash() {
    let world = World::new(1000);
    let origin = world.answering(Answers { wrong_content: Some(Which::ZIPS), ..Answers::default() });
    let url = format!("http://{}", origin.address());
    let said = world.said(&How { upstream: &url, ..How::default() });
    assert_eq!(said.reading, format!("{MODULE}/@v/v1.0.0.zip: {GATEWAY}"));
    assert!(said.words[0].starts_with(&format!("SECURITY ERROR: the upstream {url}, or something on ")), "{said:?}");
    assert_eq!(said.words[1], format!("{MODULE}@v1.0.0: verifying module: checksum mismatch"));
    assert!(said.words[2].contains("downloaded: h1:") && said.words[3].contains(": h1:"), "{said:?}");
}

#[test]
fn a_checksum_database_out_of_reach() {
    let (world, database) = (World::new(1000), nobody());
    let origin = world.answering(Answers::default());
    let (url, key) = (format!("http://{}", origin.address()), format!("{} {database}", world.universe.sumdb_key()));
    let said = world.said(&How { upstream: &url, gosumdb: Some(&key), ..How::default() });
    assert_eq!(said.reading, format!("{MODULE}/@v/v1.0.0.mod: {GATEWAY}"));
    let begin = "the checksum database ";
    let end = " is down, nothing listens there: ask whoever runs that, or check goferry's setting sumdb or no-sumdb";
    assert!(said.words[0].starts_with(begin) && said.words[0].ends_with(end), "{said:?}");
    assert!(said.words[1].starts_with(&format!("{MODULE}@v1.0.0: GET {database}/lookup/")), "{said:?}");
}

#[test]
fn a_rule() {
    let world = World::new(1000);
    let rule = "[[rule]]\npattern = \"lab.example.com\"\nblock = \"not used here: ask the platform team\"\n";
    let said = world.said(&How { upstream: &nobody(), settings: rule, ..How::default() });
    assert_eq!(said.reading, first("403 Forbidden"));
    assert_eq!(said.words, [format!("a rule of goferry blocks {MODULE}: not used here: ask the platform team")]);
}

#[test]
fn a_store_without_the_file() {
    let world = World::new(1000);
    let said = world.said(&How { upstream: &nobody(), args: &["--offline"], ..How::default() });
    assert_eq!(said.reading, first("404 Not Found"));
    let words = "the .mod is not in the store, and this proxy serves what is in its store only (--offline or --frozen); \
                 whoever runs it can add it";
    assert_eq!(said.words, [format!("{MODULE}@v1.0.0: {words}")]);
}

#[test]
fn a_full_disk() {
    let world = World::new(1_500_000);
    let origin = world.answering(Answers::default());
    let url = format!("http://{}", origin.address());
    let said = world.said(&How { upstream: &url, room: Some(1 << 20), ..How::default() });
    assert_eq!(said.reading, format!("{MODULE}/@v/v1.0.0.zip: 507 Insufficient Storage"));
    let words = "the disk of goferry is full: whoever runs goferry has to make room (goferry store prune, max-size)";
    assert_eq!(said.words[0], words);
    assert!(said.words[1].ends_with("No space left on device (os error 28)"), "{said:?}");
}

#[test]
fn after_one_file_has_failed_the_next_ones_do_so_at_once() {
    let world = World::new(1000);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let settings = "[fetch]\ntimeout = \"3s\"\ncool-down = \"1m\"\n";
    let server = world.serve(&How { upstream: &url, settings, ..How::default() });
    let walls: Vec<f64> = (0..4).map(|_| go(VERSIONS[0], &world, server.url()).wall.as_secs_f64()).collect();
    // All patience, then one request that finds out, then none.
    assert!(walls[0] >= 2.9 && walls[1] < 8.0 && walls[2] < 1.5 && walls[3] < 1.5, "{walls:?}");
    let last = Said::of(&go(VERSIONS[1], &world, server.url()).stderr, server.url());
    assert!(
        last.words[0].contains(" is silent: ") && last.words[1].contains(": not asked, for it failed "),
        "{last:?}"
    );
}
