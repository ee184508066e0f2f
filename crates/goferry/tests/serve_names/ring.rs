//! Proxies that have one another for upstream: in a row, and in a ring.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use goferry_lab::serve::ServeProcess;
use tempfile::TempDir;

use crate::upstream::Upstream;
use crate::world::{TOOLCHAINS, World, ask, files, get, go, ok, project};

/// A ring must be found out at once; what it was without that is 30 s.
const AT_ONCE: Duration = Duration::from_secs(8);

/// Ports that nobody listens on.
fn free_ports<const N: usize>() -> [u16; N] {
    let all = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    all.map(|listener| listener.local_addr().unwrap().port())
}

/// Proxies of which each is the upstream of the one before, and the first that of the last.
struct Ring {
    serves: Vec<ServeProcess>,
    /// As each is known to the one before.
    urls: Vec<String>,
    _worlds: Vec<World>,
}

impl Ring {
    fn new<const N: usize>() -> Ring {
        let addresses = free_ports::<N>().map(|port| format!("127.0.0.1:{port}"));
        let worlds = [(); N].map(|()| World::new());
        let urls: Vec<String> = addresses.iter().map(|address| format!("http://{address}")).collect();
        let serves = (0..N).map(|at| worlds[at].serve(&urls[(at + 1) % N], "", &["--listen", &addresses[at]]));
        Ring { serves: serves.collect(), urls, _worlds: worlds.into() }
    }
}

#[test]
fn a_ring_ends_at_once_and_is_told() {
    for ring in [Ring::new::<2>(), Ring::new::<3>()] {
        let first = &ring.serves[0];
        for file in ["v1.0.0.mod", "v1.0.0.info", "v1.0.0.zip", "list", "main.info"] {
            let began = Instant::now();
            let got = get(first, &format!("/example.com/m/@v/{file}"));
            assert!(began.elapsed() < AT_ONCE, "{file}: {:?}", began.elapsed());
            assert_eq!(got.status, 508, "{file}: {}", got.body);
            assert!(got.body.contains("a ring of proxies: goferry-"), "{file}: {}", got.body);
            assert_eq!(got.body.matches("fetches from goferry-").count(), ring.serves.len(), "{file}: {}", got.body);
            for url in &ring.urls {
                assert!(got.body.contains(url), "{file}: {url} is not named:\n{}", got.body);
            }
        }
        let main = project(&["example.com/m@v1.0.0"]);
        let run = go(TOOLCHAINS[0], first.url(), main.path(), &["mod", "download"]);
        assert!(!run.succeeded() && run.stderr.contains("508 Loop Detected"), "{}", run.stderr);
        assert!(run.stderr.contains("give one of them another upstream"), "{}", run.stderr);
    }
}

/// Each proxy has begun a flight for a client of its own when the other asks it for the same.
#[test]
fn clients_at_both_ends_of_a_ring_do_not_make_it_wait() {
    let ring = Ring::new::<2>();
    let began = Instant::now();
    thread::scope(|scope| {
        for serve in &ring.serves {
            for worker in 0..4 {
                scope.spawn(move || {
                    for module in 0..25 {
                        let kind = ["info", "mod", "zip"][(module + worker) % 3];
                        let got = get(serve, &format!("/example.com/m{module}/@v/v1.0.0.{kind}"));
                        assert_eq!(got.status, 508, "{}", got.body);
                    }
                });
            }
        }
    });
    assert!(began.elapsed() < 2 * AT_ONCE, "{:?}", began.elapsed());
}

#[test]
fn too_many_one_behind_the_other() {
    let upstream = Upstream::start();
    upstream.publish("example.com/a@v1.0.0", &[]);
    let world = World::new();
    let serve = world.serve(&upstream.url(), "", &[]);
    let via = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("1.1 goferry-{n:016x}")).collect();
        ask(&serve, "GET", "/example.com/a/@v/v1.0.0.mod", &format!("Via: {}\r\n", names.join(", ")))
    };
    let refused = via(8);
    assert_eq!(refused.status, 508);
    assert!(refused.body.contains("came through 8 goferries (goferry-0000000000000000, "), "{}", refused.body);
    assert_eq!(upstream.asked(), [""; 0]);
    assert_eq!(via(7).status, 200);
}

#[test]
fn three_in_a_row_serve_go_commands() {
    for toolchain in TOOLCHAINS {
        let upstream = Upstream::start();
        upstream.publish("example.com/b@v1.0.0", &[]);
        upstream.publish("example.com/a@v1.0.0", &["example.com/b@v1.0.0"]);
        let gosumdb = upstream.gosumdb();
        let worlds = [(); 3].map(|()| World::with(toolchain).env("GOSUMDB", &gosumdb));
        let last = worlds[2].serve(&upstream.url(), "", &[]);
        let middle = worlds[1].serve(last.url(), "", &[]);
        let first = worlds[0].serve(middle.url(), "", &[]);
        let download = |dir: &TempDir| {
            let client = crate::world::client(toolchain, first.url(), dir.path(), &["mod", "download"]);
            ok(client.env("GOSUMDB", &gosumdb).run().unwrap());
        };
        for _ in 0..2 {
            download(&project(&["example.com/a@v1.0.0", "example.com/b@v1.0.0"]));
        }
        for world in &worlds {
            assert_eq!(files(&world.store(), ".zip").len(), 2);
        }
        let asked = upstream.asked();
        let zips = asked.iter().filter(|path| path.ends_with(".zip")).count();
        assert_eq!(zips, 2, "each is fetched once: {asked:?}");
        // Another go command in the middle of the row, and one that asks for what is not there.
        assert_eq!(get(&middle, "/example.com/a/@v/list").body, "v1.0.0\n");
        assert_eq!(get(&first, "/example.com/none/@v/v1.0.0.mod").status, 404);
    }
}
