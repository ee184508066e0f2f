//! Several go commands at once on an empty store: the upstream is asked once for each file.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::VERSIONS;
use crate::serve::Serve;
use crate::server::Server;
use crate::world::{Home, Universe, go_mod, project};

const REQUIRES: &str = "require example.com/a v1.1.0\nrequire example.com/b v1.1.0 // indirect\n\
                        require example.com/c v1.1.0 // indirect\nrequire example.com/d v1.0.0 // indirect\n\
                        require example.com/e v1.0.0 // indirect\nrequire example.com/leaf v1.0.0\n";

fn at_once(count: usize) {
    let universe = Universe::new();
    let gosumdb = universe.publish_sumdb();
    let upstream = Server::start(universe.root());
    // Long enough for all to ask before the first is answered.
    upstream.delay(Duration::from_millis(30));
    let serve = Serve::start(&upstream.url(), &gosumdb, "");
    std::thread::scope(|scope| {
        for number in 0..count {
            let (serve, universe, gosumdb) = (&serve, &universe, &gosumdb);
            scope.spawn(move || {
                // Every second one has no go.sum, and asks for the checksum database through the proxy.
                let mut files = vec![("go.mod", go_mod("1.20", REQUIRES))];
                if number % 2 == 0 {
                    files.push(("go.sum", universe.full_go_sum()));
                }
                let dir = project(&files);
                let home = Home::new(serve.url()).with("GOSUMDB", gosumdb).toolchain(VERSIONS[number / 2 % 2]);
                home.go_download(dir.path(), &[]).ok();
                home.go(dir.path(), &["mod", "verify"]).ok();
                assert_eq!(home.zips().len(), 6, "{:?}", home.zips());
            });
        }
    });
    let mut asked = BTreeMap::<String, usize>::new();
    for request in upstream.asked() {
        *asked.entry(request.path).or_default() += 1;
    }
    let zips = asked.keys().filter(|path| path.ends_with(".zip")).count();
    assert_eq!(zips, 6, "{asked:?}");
    let twice: Vec<_> = asked.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn two() {
    at_once(2);
}

#[test]
fn eight() {
    at_once(8);
}
