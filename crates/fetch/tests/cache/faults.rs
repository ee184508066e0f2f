//! The module cache when things go wrong: wrong hashes, damaged zips, full and read-only disks, kills.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use goferry_fetch::cache::Zip;
use goferry_fetch::{FailKind, FetchError, ModCache, Unpacker};
use goferry_lab::folder::{make_writable, snapshot};
use goferry_module::FileKind;
use goferry_module::zip::create_module_zip;

use crate::universe::{Universe, assert_same, in_pieces, mismatch, module, visible};

/// Set for the process that [`child_fills_a_cache`] is: the cache that it fills.
const CHILD_CACHE: &str = "GOFERRY_TEST_CACHE";
/// The universe that it fills it from.
const CHILD_UNIVERSE: &str = "GOFERRY_TEST_UNIVERSE";

#[test]
fn a_wrong_hash_leaves_nothing() {
    let universe = Universe::new();
    let root = universe.dir.path().join("ours");
    let cache = ModCache::open(&root, false);
    let unpacker = Unpacker::default();
    for module in &universe.modules {
        let zip = fs::read(universe.published(module, FileKind::Zip)).unwrap();
        let file = root.join("arrived");
        for step in 0..3 {
            let zip = match step {
                0 => in_pieces(&cache, module, &zip).unwrap(),
                1 => Zip::of_bytes(zip.clone().into()),
                _ => {
                    fs::write(&file, &zip).unwrap();
                    Zip::of_file(file.clone())
                }
            };
            let error = cache.install(module, zip, |_| Err(mismatch()), true, &unpacker).unwrap_err();
            assert_eq!(error.kind, FailKind::Mismatch);
            assert_eq!(visible(&root), Vec::<String>::new(), "{module}");
        }
    }
}

#[test]
fn what_could_not_be_judged_is_kept_for_the_next_run() {
    let universe = Universe::new();
    let cache = ModCache::open(&universe.dir.path().join("ours"), false);
    let module = &universe.modules[0];
    let zip = fs::read(universe.published(module, FileKind::Zip)).unwrap();
    let offline = || FetchError::new(FailKind::Network(None), goferry_net::Party::Network, "unreachable");
    let arrived = in_pieces(&cache, module, &zip).unwrap();
    cache.install(module, arrived, |_| Err(offline()), true, &Unpacker::default()).unwrap_err();
    assert!(!cache.state(module).has_zip && !cache.dir(module).exists());
    let parts = cache.partial_zip(module, Duration::ZERO).unwrap();
    assert_eq!(parts.contiguous().unwrap(), zip.len() as u64);
}

#[test]
fn a_damaged_zip_leaves_nothing_and_names_the_file() {
    let universe = Universe::new();
    let small = module("example.com/m", "v1.0.0");
    let files = [
        ("go.mod", &b"module example.com/m\n"[..]),
        ("a/aaaaaa.txt", &[b'x'; 3000]),
        ("b.txt", b"some text to pack\n"),
    ];
    let whole = create_module_zip(&small, files).unwrap();
    let root = universe.dir.path().join("ours");
    let cache = ModCache::open(&root, false);
    let unpacker = Unpacker::new(2);
    let right = {
        universe.publish(&small, &whole);
        universe.hash(&small)
    };
    // Whether it was taken, and the error where not.
    let take = |zip: Vec<u8>| -> Result<(), FetchError> {
        let judge = |hash| if hash == right { Ok(()) } else { Err(mismatch()) };
        let result = cache.install(&small, Zip::of_bytes(zip.into()), judge, true, &unpacker);
        match &result {
            Ok(_) => {
                assert!(cache.state(&small).extracted);
                make_writable(&root);
                fs::remove_dir_all(&root).unwrap();
            }
            Err(_) => assert_eq!(visible(&root), Vec::<String>::new()),
        }
        result.map(drop)
    };
    take(whole.clone()).unwrap();
    for size in 0..whole.len() {
        assert!(take(whole[..size].to_vec()).is_err(), "the first {size} bytes were taken");
    }
    let mut taken = 0;
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        taken += usize::from(take(flipped).is_ok());
    }
    // Times, versions and attributes mean nothing; all else is noticed.
    assert!(taken < whole.len() / 2, "{taken} of {} flipped bytes went unnoticed", whole.len());

    let directory = whole.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let patched = |from: &[u8], to: &[u8], in_directory_only: bool| {
        assert_eq!(from.len(), to.len());
        let mut zip = whole.clone();
        let mut at = if in_directory_only { directory } else { 0 };
        while let Some(next) = zip[at..].windows(from.len()).position(|w| w == from) {
            at += next;
            zip[at..at + to.len()].copy_from_slice(to);
        }
        assert_ne!(zip, whole);
        zip
    };
    let size = 3000_u32.to_le_bytes();
    let crc = flate2_crc(&[b'x'; 3000]).to_le_bytes();
    let long = b"example.com/m@v1.0.0/a/aaaaaa.txt";
    for (zip, expected) in [
        (patched(&size, &2999_u32.to_le_bytes(), true), "a/aaaaaa.txt: uncompressed size is larger than declared size"),
        (patched(&size, &3001_u32.to_le_bytes(), true), "a/aaaaaa.txt: 1 of 3001 bytes missing"),
        (patched(&size, &(400_u32 << 20).to_le_bytes(), true), "a/aaaaaa.txt"),
        (patched(&crc, &1_u32.to_le_bytes(), true), "a/aaaaaa.txt: checksum error"),
        (patched(long, b"example.com/m@v1.0.0/../aaaaa.txt", false), "../aaaaa.txt: file path is not clean"),
        (patched(long, b"example.com/m@v1.0.0//aaaaaaa.txt", false), "aaaaaaa.txt"),
        (patched(long, b"example.com/m@v1.0.1/a/aaaaaa.txt", false), "does not have prefix"),
        (patched(long, b"example.com/m@v1.0.0/a\\aaaaaa.txt", false), "a\\\\aaaaaa.txt"),
        (patched(long, b"example.com/m@v1.0.0/a/nul.x.txtx", false), "nul.x.txtx"),
        (patched(long, b"example.com/m@v1.0.0/b.txt/aa.txt", false), "b.txt"),
        (patched(long, b"example.com/m@v1.0.0/b/bb/go.mod\0", false), "go.mod"),
    ] {
        let error = take(zip.clone()).unwrap_err();
        assert_eq!(error.kind, FailKind::Invalid, "{error}");
        assert!(error.detail.contains(expected), "{expected:?} in {error}");
        // The go command does not take it either.
        universe.publish(&small, &zip);
        let output =
            universe.go(&universe.dir.path().join("go")).args(["mod", "download", &small.to_string()]).output();
        assert!(!output.unwrap().status.success(), "go took {expected:?}");
    }
}

fn flate2_crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn a_large_zip_that_is_damaged_anywhere_leaves_nothing() {
    let universe = Universe::new();
    let large = module("example.com/large", "v1.0.0");
    let whole = fs::read(universe.published(&large, FileKind::Zip)).unwrap();
    let cache = ModCache::open(&universe.dir.path().join("ours"), false);
    let right = universe.hash(&large);
    for step in 1..12 {
        let mut zip = whole.clone();
        let at = whole.len() / 12 * step;
        zip[at..at + 64].fill(0);
        let judge = |hash| if hash == right { Ok(()) } else { Err(mismatch()) };
        let arrived = in_pieces(&cache, &large, &zip).unwrap();
        let error = cache.install(&large, arrived, judge, true, &Unpacker::new(3)).unwrap_err();
        assert!(error.detail.contains(".txt") || error.detail.contains("huge.bin"), "{error}");
        assert_eq!(visible(cache.root()), Vec::<String>::new());
    }
}

/// Not a test of its own: the process that others end, and run where the disk is small.
#[test]
fn child_fills_a_cache() {
    let (Ok(cache), Ok(universe)) = (std::env::var(CHILD_CACHE), std::env::var(CHILD_UNIVERSE)) else { return };
    let cache = ModCache::open(Path::new(&cache), false);
    let filled = crate::universe::Universe::at(Path::new(&universe)).fill(&cache, &Unpacker::new(2));
    if let Err(error) = filled {
        panic!("{:?}: {error}", error.kind);
    }
}

fn child(universe: &Universe, cache: &Path) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "faults::child_fills_a_cache", "--nocapture"]);
    child.env(CHILD_CACHE, cache).env(CHILD_UNIVERSE, universe.dir.path());
    child
}

#[test]
fn after_kills_at_random_moments_the_cache_is_whole() {
    let universe = Universe::new();
    let go = universe.go_cache();
    let root = universe.dir.path().join("ours");
    let began = Instant::now();
    assert!(child(&universe, &root).stdout(Stdio::null()).status().unwrap().success());
    let whole = began.elapsed();
    assert_same(&go, &root);
    for round in 0..40_u32 {
        if round % 4 == 0 {
            make_writable(&root);
            fs::remove_dir_all(&root).unwrap();
        }
        let mut child = child(&universe, &root).stdout(Stdio::null()).spawn().unwrap();
        // Anywhere in the run, evenly, in an order that jumps.
        std::thread::sleep(whole * (round * 17 % 40) / 40);
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 8 == 3 {
            // The go command takes over.
            let output = universe.go_download(&root);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            universe.fill(&ModCache::open(&root, false), &Unpacker::default()).unwrap();
            without_pieces(&root);
            assert_same(&go, &root);
        } else if round % 4 == 3 {
            universe.fill(&ModCache::open(&root, false), &Unpacker::default()).unwrap();
            assert_same(&go, &root);
        }
    }
}

/// Removes what had arrived of zips that the go command then fetched itself.
fn without_pieces(root: &Path) {
    for name in visible(root).iter().filter(|name| name.contains(".goferry-part")) {
        fs::remove_file(root.join(name)).unwrap();
    }
}

/// Runs a shell script that sets up a small or read-only file system at `$ROOT`, and then the child, in a mount
/// namespace of its own. What is left there is printed.
fn on_a_file_system(universe: &Universe, setup: &str) -> Output {
    let root: PathBuf = universe.dir.path().join("mounted");
    fs::create_dir(&root).unwrap();
    let script = format!(
        "set -e; {setup}; set +e; \"$0\" --exact faults::child_fills_a_cache --nocapture; \
         cd \"$ROOT\"; find . \\( -name '*.zip' -o -name '*@v*' -o -name '*.tmp*' -o -name '*.ziphash' \\) | sort"
    );
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("ROOT", &root)
        .env(CHILD_CACHE, root.join("mod"))
        .env(CHILD_UNIVERSE, universe.dir.path())
        .output()
        .expect("unshare must be on PATH for this test")
}

#[test]
fn a_full_disk_is_said_and_nothing_is_half_visible() {
    let universe = Universe::new();
    let go = universe.go_cache();
    let complete = snapshot(&go);
    for kilobytes in [16, 200, 900, 4000, 9000] {
        let output = on_a_file_system(&universe, &format!("mount -t tmpfs -o size={kilobytes}k tmpfs \"$ROOT\""));
        fs::remove_dir(universe.dir.path().join("mounted")).unwrap();
        let (said, left) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(said.contains("StorageFull") && said.contains("No space left"), "{kilobytes}: {said}");
        for name in left.lines().filter_map(|line| line.strip_prefix("./mod/")) {
            assert!(complete.contains_key(name) || name.contains(".zip.goferry-part"), "{kilobytes}: {name} is left");
        }
    }
}

#[test]
fn a_read_only_cache_is_said_and_read() {
    let universe = Universe::new();
    let setup = "mount -t tmpfs -o size=1m tmpfs \"$ROOT\"; mkdir \"$ROOT/mod\"; mount -o remount,ro \"$ROOT\"";
    let output = on_a_file_system(&universe, setup);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("ReadOnlyFilesystem") && said.contains("example.com/plain/@v"), "{said}");
    // What is there already is used.
    let whole = universe.dir.path().join("whole");
    universe.fill(&ModCache::open(&whole, false), &Unpacker::default()).unwrap();
    fs::remove_dir(universe.dir.path().join("mounted")).unwrap();
    let setup = format!(
        "mount --bind {0} \"$ROOT\"; mkdir -p \"$ROOT\"; mount -t tmpfs tmpfs \"$ROOT\"; mkdir \"$ROOT/mod\"; \
         mount --bind {0} \"$ROOT/mod\"; mount -o remount,ro,bind \"$ROOT/mod\"",
        whole.display()
    );
    let output = on_a_file_system(&universe, &setup);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
