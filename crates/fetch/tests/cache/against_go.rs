//! The module cache against the real go command: the same files, and both at work on one cache.

use std::fs;
use std::process::Stdio;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use goferry_fetch::cache::Zip;
use goferry_fetch::{ModCache, Unpacker};
use goferry_lab::folder::make_writable;
use goferry_lab::plain::{PlainServer, Response};
use goferry_module::FileKind;

use crate::universe::{Universe, assert_same, in_pieces, module};

#[test]
fn our_cache_is_the_cache_of_the_go_command() {
    let universe = Universe::new();
    let go = universe.go_cache();
    for workers in [1, 3] {
        let root = universe.dir.path().join(format!("ours-{workers}"));
        let cache = ModCache::open(&root, false);
        universe.fill(&cache, &Unpacker::new(workers)).unwrap();
        assert_same(&go, &root);
        for module in &universe.modules {
            let state = cache.state(module);
            assert!(state.extracted && state.has_info && state.has_mod, "{module}: {state:?}");
            assert_eq!(state.zip(), Some(universe.hash(module)), "{module}");
        }
    }
    // Folders that can be written, as with -modcacherw.
    let (go, ours) = (universe.dir.path().join("go-rw"), universe.dir.path().join("ours-rw"));
    let names = universe.modules.iter().map(ToString::to_string);
    let output = universe.go(&go).args(["mod", "download", "-modcacherw"]).args(names).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    universe.fill(&ModCache::open(&ours, true), &Unpacker::default()).unwrap();
    assert_same(&go, &ours);
}

#[test]
fn the_go_command_verifies_and_builds_from_our_cache() {
    let universe = Universe::new();
    let root = universe.dir.path().join("ours");
    universe.fill(&ModCache::open(&root, false), &Unpacker::default()).unwrap();
    let project = universe.dir.path().join("project");
    fs::create_dir(&project).unwrap();
    let used =
        ["example.com/plain@v1.10.0", "example.com/Upper/Case@v0.1.0-Alpha.1", "example.com/old@v3.0.0+incompatible"];
    let (mut requires, mut sums, mut imports) = (String::new(), String::new(), String::new());
    for module in universe.modules.iter().filter(|module| used.contains(&module.to_string().as_str())) {
        let (path, version) = (module.path(), module.version());
        let gomod = fs::read(universe.published(module, FileKind::Mod)).unwrap();
        requires += &format!("require {path} {version}\n");
        sums += &format!("{path} {version} {}\n", universe.hash(module));
        sums += &format!("{path} {version}/go.mod {}\n", goferry_module::DirHash::of_go_mod(&gomod));
        imports += &format!("import _ \"{path}/a/b/c/d\"\n");
    }
    fs::write(project.join("go.mod"), format!("module example.com/project\n\ngo 1.20\n\n{requires}")).unwrap();
    fs::write(project.join("go.sum"), sums).unwrap();
    fs::write(project.join("p.go"), format!("package p\n\n{imports}")).unwrap();
    for args in [&["mod", "verify"][..], &["mod", "download"], &["build", "./..."], &["list", "-m", "-json", "all"]] {
        let output = universe
            .go(&root)
            .args(args)
            .current_dir(&project)
            .env("GOPROXY", "off")
            .env("GOFLAGS", "")
            .output()
            .unwrap();
        assert!(output.status.success(), "go {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_go_command_waits_for_our_lock() {
    let universe = Universe::new();
    let root = universe.dir.path().join("shared");
    let cache = ModCache::open(&root, false);
    let held = cache.lock(&universe.modules[0]).unwrap();
    let name = universe.modules[0].to_string();
    let mut go = universe.go(&root).args(["mod", "download", &name]).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(go.try_wait().unwrap(), None, "go did not wait");
    assert!(!cache.state(&universe.modules[0]).has_zip);
    drop(held);
    assert!(go.wait().unwrap().success());
    assert!(cache.state(&universe.modules[0]).extracted);
}

#[test]
fn we_wait_for_a_go_command_that_is_downloading_and_use_its_zip() {
    let universe = Universe::new();
    let root = universe.dir.path().join("shared");
    let module = universe.modules[0].clone();
    let ((asked, was_asked), (go_on, release)) = (mpsc::channel(), mpsc::channel::<()>());
    let release = Mutex::new(release);
    let files = universe.proxy();
    // A proxy that sends nothing of a zip before it is told to.
    let server = PlainServer::start(move |request| {
        if request.path.ends_with(".zip") {
            asked.send(()).unwrap();
            release.lock().unwrap().recv().unwrap();
        }
        Response::from_folder(&files, request).unwrap_or_else(|| Response::refused(404, "no such file\n"))
    });
    let server = server.unwrap();
    let mut go = universe.go(&root);
    go.env("GOPROXY", server.url()).args(["mod", "download", &module.to_string()]);
    let mut go = go.spawn().unwrap();
    was_asked.recv_timeout(Duration::from_secs(30)).unwrap();
    let hasty = ModCache::open(&root, false).waiting(Duration::from_millis(50), |_| {});
    let error = hasty.lock(&module).unwrap_err();
    assert!(error.detail.contains("v1.0.0.lock is locked by another process"), "{error}");
    let (said, told) = mpsc::channel();
    let patient = ModCache::open(&root, false).waiting(Duration::from_secs(60), move |text| {
        let _ = said.send(text.to_owned());
    });
    let unpacker = Unpacker::new(1);
    let zip = fs::read(universe.published(&module, FileKind::Zip)).unwrap();
    let installed = std::thread::scope(|scope| {
        let ours = scope.spawn(|| patient.install(&module, Zip::of_bytes(zip.into()), |_| Ok(()), true, &unpacker));
        assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().contains("held by another go command"));
        go_on.send(()).unwrap();
        ours.join().unwrap().unwrap()
    });
    assert!(go.wait().unwrap().success());
    assert_eq!(installed.hash, universe.hash(&module));
    assert!(patient.state(&module).extracted);
}

#[test]
fn go_commands_and_we_fill_one_cache_at_once() {
    let universe = Universe::new();
    let go = universe.go_cache();
    for round in 0..4 {
        let root = universe.dir.path().join(format!("shared-{round}"));
        let unpacker = Unpacker::new(2);
        std::thread::scope(|scope| {
            let go = scope.spawn(|| universe.go_download(&root));
            for reverse in [false, true] {
                let (universe, unpacker, root) = (&universe, &unpacker, &root);
                scope.spawn(move || {
                    let cache = ModCache::open(root, false);
                    let mut modules: Vec<_> = universe.modules.iter().collect();
                    if reverse {
                        modules.reverse();
                    }
                    for module in modules {
                        universe.install(&cache, unpacker, module).unwrap();
                    }
                });
            }
            let output = go.join().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        });
        assert_same(&go, &root);
    }
}

#[test]
fn what_go_left_half_done_is_done_anew() {
    let universe = Universe::new();
    let go = universe.go_cache();
    let root = universe.dir.path().join("ours");
    let cache = ModCache::open(&root, false);
    universe.fill(&cache, &Unpacker::default()).unwrap();
    let unpacker = Unpacker::default();
    for (step, module) in universe.modules.iter().enumerate() {
        make_writable(&cache.dir(module));
        match step % 4 {
            // Killed while it wrote the folder.
            0 => {
                fs::remove_file(cache.dir(module).join("z.go")).unwrap();
                fs::write(cache.dir(module).join("half.go"), "x").unwrap();
                fs::write(cache.partial(module), "").unwrap();
            }
            // Killed before it wrote the folder; the zip's temporary file and an old temporary folder are left.
            1 => {
                let dir = cache.dir(module);
                fs::rename(&dir, dir.with_file_name(format!("{}.tmp-123", dir.file_name().unwrap().to_str().unwrap())))
                    .unwrap();
                fs::write(cache.file(module, FileKind::Zip).with_extension("zip99.tmp"), "x").unwrap();
            }
            // Without a hash: it is made anew.
            2 => fs::remove_file(cache.ziphash(module)).unwrap(),
            // A hash that is none, and no zip.
            _ => {
                fs::write(cache.ziphash(module), [0; 47]).unwrap();
                fs::remove_file(cache.file(module, FileKind::Zip)).unwrap();
                fs::write(cache.partial(module), "").unwrap();
            }
        }
        assert!(!cache.state(module).extracted, "{module}");
        universe.install(&cache, &unpacker, module).unwrap();
        assert!(cache.state(module).extracted, "{module}");
    }
    assert_same(&go, &root);
}

#[test]
fn two_hundred_modules_are_looked_up_in_a_moment() {
    let universe = Universe::new();
    let root = universe.dir.path().join("ours");
    let cache = ModCache::open(&root, false);
    universe.fill(&cache, &Unpacker::default()).unwrap();
    let best = (0..5)
        .map(|_| {
            let began = Instant::now();
            let there =
                (0..200).filter(|i| cache.state(&universe.modules[i % universe.modules.len()]).extracted).count();
            assert_eq!(there, 200);
            began.elapsed()
        })
        .min()
        .unwrap();
    // A few milliseconds when optimised and alone.
    assert!(best < Duration::from_millis(200), "{best:?}");
}

#[test]
fn two_of_us_share_one_download() {
    let universe = Universe::new();
    let cache = ModCache::open(&universe.dir.path().join("ours"), false);
    let large = module("example.com/large", "v1.0.0");
    let zip = fs::read(universe.published(&large, FileKind::Zip)).unwrap();
    let unpacker = Unpacker::default();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let zip = in_pieces(&cache, &large, &zip).unwrap();
                cache.install(&large, zip, |_| Ok(()), true, &unpacker).unwrap();
            });
        }
    });
    assert!(cache.state(&large).extracted);
    let left: Vec<_> =
        crate::universe::visible(cache.root()).into_iter().filter(|name| name.contains("part")).collect();
    assert_eq!(left, Vec::<String>::new());
}
