use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use goferry_module::{ModulePath, Version};

use super::*;

/// A directory with a go.sum and a module cache.
struct Place(tempfile::TempDir);

impl Place {
    fn new(go_sum: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.file(), go_sum).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("go.sum")
    }

    fn lock(&self) -> PathBuf {
        self.0.path().join("mod/cache/lock")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn load(&self) -> Sums {
        Sums::load(SumFiles { main: Some(self.file()), workspace: Vec::new() }, DatabaseUse::default()).unwrap()
    }

    /// Adds one zip hash and writes.
    fn add_and_write(&self, path: &str) -> Result<Option<Written>, FetchError> {
        let (sums, m) = (self.load(), module(path));
        assert!(sums.add(&m, Hashed::Zip, &hash(path), "x").unwrap().is_none());
        sums.write(&keep(&[path]), &self.lock())
    }
}

fn module(path: &str) -> ModuleVersion {
    ModuleVersion::new(ModulePath::parse(path).unwrap(), Version::parse("v1.0.0").unwrap()).unwrap()
}

fn hash(text: &str) -> DirHash {
    DirHash::of_go_mod(text.as_bytes())
}

fn line(path: &str) -> String {
    format!("{path} v1.0.0 {}\n", hash(path))
}

fn keep(paths: &[&str]) -> Keep {
    let mut keep = Keep::nothing();
    paths.iter().for_each(|path| keep.selected(&module(path)));
    keep
}

const A: &str = "example.com/a";
const B: &str = "example.com/b";

#[test]
fn listed_asked_or_exempt() {
    let place = Place::new(&line(A));
    let database = DatabaseUse { no_sum_db: "corp.example.com".to_owned(), ..DatabaseUse::default() };
    let files = SumFiles { main: Some(place.file()), workspace: Vec::new() };
    let sums = Sums::load(files, database).unwrap();
    let check = |path: &str, what| sums.check(&module(path), what, &hash(path), "x");
    assert!(matches!(check(A, Hashed::Zip), Verdict::Verified));
    assert!(matches!(check(A, Hashed::GoMod), Verdict::Ask));
    assert!(matches!(check("corp.example.com/x", Hashed::Zip), Verdict::NotChecked { why: Exempt::Gonosumdb }));
    assert!(sums.lists(&module(A), Hashed::Zip) && !sums.lists(&module(A), Hashed::GoMod));
    let outside = Sums::load(SumFiles::default(), DatabaseUse::default()).unwrap();
    assert!(matches!(outside.check(&module(A), Hashed::Zip, &hash(A), "x"), Verdict::Ask));
    outside.add(&module(A), Hashed::Zip, &hash(A), "x").unwrap();
    assert_eq!(outside.write(&keep(&[A]), &place.lock()).unwrap(), None);
}

#[test]
fn toolchains_are_always_asked_about() {
    let place = Place::new(&line(TOOLCHAIN));
    let verdict = |file_proxy: bool| {
        let database = DatabaseUse { off: true, no_sum_db: "golang.org".to_owned(), file_proxy };
        let files = SumFiles { main: Some(place.file()), workspace: Vec::new() };
        Sums::load(files, database).unwrap().check(&module(TOOLCHAIN), Hashed::Zip, &hash(TOOLCHAIN), "x")
    };
    assert!(matches!(verdict(false), Verdict::Ask), "even when it is listed");
    assert!(matches!(verdict(true), Verdict::NotChecked { why: Exempt::GosumdbOff }));
}

#[test]
fn a_mismatch_says_both_hashes_and_where_each_came_from() {
    let place = Place::new(&format!("{}\n\n{A} v1.0.0/go.mod {}\n", line(B), hash("other")));
    let sums = place.load();
    let verdict = sums.check(&module(A), Hashed::GoMod, &hash(A), "https://goproxy.example.com/x.mod");
    let Verdict::Mismatch(error) = verdict else { panic!("{verdict:?}") };
    assert_eq!(error.kind, FailKind::Mismatch);
    for part in [
        &format!("verifying {A}@v1.0.0/go.mod: checksum mismatch\n"),
        &hash(A).to_string(),
        &hash("other").to_string(),
        "https://goproxy.example.com/x.mod",
        &format!("{}:4", place.file().display()),
    ] {
        assert!(error.detail.contains(part), "{part}\n{}", error.detail);
    }
    assert!(error.advice.is_some());
}

#[test]
fn two_different_downloads_of_one_module_do_not_both_pass() {
    let place = Place::new("");
    let sums = place.load();
    sums.add(&module(A), Hashed::Zip, &hash(A), "x").unwrap();
    assert!(matches!(sums.check(&module(A), Hashed::Zip, &hash(A), "x"), Verdict::Verified));
    let error = sums.add(&module(A), Hashed::Zip, &hash("other"), "x").unwrap_err();
    assert!(error.detail.contains("added in this run"), "{error}");
    assert!(matches!(sums.check(&module(A), Hashed::Zip, &hash("other"), "x"), Verdict::Mismatch(_)));
}

/// The go command writes such a hash.
#[test]
fn what_the_database_did_not_confirm_is_not_written() {
    let place = Place::new("");
    let sums = place.load();
    assert!(matches!(sums.check(&module(A), Hashed::Zip, &hash("evil"), "x"), Verdict::Ask));
    sums.add(&module(B), Hashed::Zip, &hash(B), "x").unwrap();
    assert!(!sums.lists(&module(B), Hashed::Zip), "not yet");
    let written = sums.write(&keep(&[A, B]), &place.lock()).unwrap().unwrap();
    assert!(sums.lists(&module(B), Hashed::Zip) && !sums.lists(&module(A), Hashed::Zip));
    assert_eq!(place.text(), line(B));
    assert_eq!(written, Written { file: place.file(), added: vec![line(B).trim().to_owned()], dropped: 0 });
    assert!(place.lock().exists());
    assert_eq!(sums.write(&keep(&[A, B]), &place.lock()).unwrap(), None, "once");
}

#[test]
fn what_others_did_meanwhile() {
    let place = Place::new(&format!("{}{}", line(A), line("example.com/z")));
    let sums = place.load();
    assert!(matches!(sums.check(&module(A), Hashed::Zip, &hash(A), "x"), Verdict::Verified));
    sums.add(&module(B), Hashed::Zip, &hash(B), "x").unwrap();
    fs::write(place.file(), line("example.com/new")).unwrap();
    sums.write(&keep(&[B]), &place.lock()).unwrap().unwrap();
    let want = [A, B, "example.com/new"].map(line).concat();
    assert_eq!(place.text(), want, "theirs stays, what was checked comes back, what was not is gone");

    let sums = place.load();
    sums.add(&module("example.com/c"), Hashed::Zip, &hash("example.com/c"), "x").unwrap();
    let theirs = format!("example.com/c v1.0.0 {}\n", hash("other"));
    fs::write(place.file(), &theirs).unwrap();
    let error = sums.write(&keep(&["example.com/c"]), &place.lock()).unwrap_err();
    assert_eq!((error.kind, place.text()), (FailKind::Mismatch, theirs));
}

#[test]
fn unknown_algorithms_are_kept_and_told() {
    let place = Place::new(&format!("{A} v1.0.0 h2:zzz\n"));
    let sums = place.load();
    assert!(!sums.lists(&module(A), Hashed::Zip));
    let warning = sums.add(&module(A), Hashed::Zip, &hash(A), "x").unwrap().unwrap();
    assert!(warning.contains("unknown hashes in go.sum: h2:zzz; adding h1:"), "{warning}");
    sums.write(&keep(&[A]), &place.lock()).unwrap();
    assert_eq!(place.text(), format!("{}{A} v1.0.0 h2:zzz\n", line(A)));
}

#[test]
fn links_modes_and_missing_files() {
    let place = Place::new("");
    let (real, file) = (place.0.path().join("real.sum"), place.file());
    fs::rename(&file, &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("real.sum", &file).unwrap();
    place.add_and_write(A).unwrap().unwrap();
    assert!(file.symlink_metadata().unwrap().is_symlink());
    assert_eq!((fs::read_to_string(&real).unwrap(), real.metadata().unwrap().mode() & 0o777), (line(A), 0o640));

    fs::remove_file(&file).unwrap();
    fs::hard_link(&real, &file).unwrap();
    place.add_and_write(B).unwrap().unwrap();
    assert_eq!((place.text(), real.metadata().unwrap().nlink()), (format!("{}{}", line(A), line(B)), 2));

    fs::remove_file(&file).unwrap();
    place.add_and_write(B).unwrap().unwrap();
    assert_eq!(place.text(), line(B));
    let left: Vec<_> = fs::read_dir(place.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("goferry")), "{left:?}");
}

#[test]
fn a_file_that_cannot_be_written_stays_and_one_that_is_not_text_too() {
    let place = Place::new("");
    fs::remove_file(place.file()).unwrap();
    let sums = place.load();
    sums.add(&module(A), Hashed::Zip, &hash(A), "x").unwrap();
    fs::create_dir(place.file()).unwrap();
    let error = sums.write(&keep(&[A]), &place.lock()).unwrap_err();
    assert!(error.detail.contains("updating") && error.detail.contains("go.sum"), "{error}");

    let place = Place::new("");
    let bytes = b"example.com/\xff v1.0.0 h1:x\n";
    fs::write(place.file(), bytes).unwrap();
    let error = place.add_and_write(A).unwrap_err();
    assert!(error.detail.contains("not UTF-8 text at byte 12"), "{error}");
    assert_eq!(fs::read(place.file()).unwrap(), bytes);
}

#[test]
fn many_writers_lose_nothing() {
    let place = Place::new("");
    let paths: Vec<String> = (0..8).map(|n| format!("example.com/m{n}")).collect();
    std::thread::scope(|scope| {
        for path in &paths {
            scope.spawn(|| place.add_and_write(path).unwrap().unwrap());
        }
    });
    assert_eq!(place.text(), paths.iter().map(|p| line(p)).collect::<String>());
}

#[test]
fn a_lock_is_waited_for() {
    let place = Place::new("");
    let held = crate::edit::side_lock(&place.lock()).unwrap().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| place.add_and_write(A).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(place.text(), "", "not while the lock is held");
        drop(held);
        assert!(writer.join().unwrap().is_some());
    });
    assert_eq!(place.text(), line(A));
}

proptest::proptest! {
    #[test]
    fn any_file_is_read_without_a_panic_and_sorting_settles(text in "([a-c./]{1,6} v[0-9.]{0,5}(/go[.]mod)? h[12]:[a-c]{1,3}\r?\n){0,12}", junk in "\\PC{0,40}") {
        let file = Path::new("go.sum");
        let table = Table::parse(file, text.as_bytes()).unwrap();
        let once: String = table.lines().iter().map(|l| format!("{l}\n")).collect();
        let again: String = Table::parse(file, once.as_bytes()).unwrap().lines().iter().map(|l| format!("{l}\n")).collect();
        proptest::prop_assert_eq!(once, again);
        let _ = Table::parse_strict(file, junk.as_bytes());
    }
}
