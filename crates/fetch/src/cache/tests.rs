//! Small rules; the comparison with the real go command is in `tests/cache_*.rs`.

use super::*;
use goferry_module::Version;

fn module(path: &str, version: &str) -> ModuleVersion {
    ModuleVersion::new(ModulePath::parse(path).unwrap(), Version::parse(version).unwrap()).unwrap()
}

fn cleaned(version: &str, sent: &str) -> Result<String, String> {
    let data = clean_info(&module("example.com/m", version), sent.as_bytes()).map_err(|e| e.detail)?;
    Ok(String::from_utf8(data).unwrap())
}

#[test]
fn an_info_loses_what_go_does_not_keep() {
    let sent = r#"{ "version": "v1.0.0", "Time": "2024-01-02T03:04:05.1200Z", "Name": "abc", "Short": "a",
        "Origin": {"TagSum": "t1:x", "Ref": "refs/tags/v1.0.0", "Hash": "abc", "URL": "https://e.com/?a&b<c>", "VCS": "git"}}"#;
    let expected = concat!(
        r#"{"Version":"v1.0.0","Time":"2024-01-02T03:04:05.12Z","Origin":{"VCS":"git","#,
        r#""URL":"https://e.com/?a\u0026b\u003cc\u003e","Hash":"abc","Ref":"refs/tags/v1.0.0"}}"#
    );
    assert_eq!(cleaned("v1.0.0", sent).unwrap(), expected);
    let pseudo = "v0.0.0-20240102030405-abcdefabcdef";
    let sent = format!(r#"{{"Version":"{pseudo}","Origin":{{"Ref":"refs/heads/main"}}}}"#);
    let expected = format!(r#"{{"Version":"{pseudo}","Time":"0001-01-01T00:00:00Z","Origin":{{}}}}"#);
    assert_eq!(cleaned(pseudo, &sent).unwrap(), expected);
}

#[test]
fn an_info_of_another_version_or_without_a_real_time_is_refused() {
    assert!(cleaned("v1.0.0", r#"{"Version":"v1.0.1"}"#).unwrap_err().contains("v1.0.1"));
    for time in
        ["2024-02-30T00:00:00Z", "2024-01-02T24:00:00Z", "2024-01-02 03:04:05Z", "2024-01-02T03:04:05", "\u{e9}"]
    {
        let sent = format!(r#"{{"Version":"v1.0.0","Time":"{time}"}}"#);
        assert!(cleaned("v1.0.0", &sent).is_err(), "{time}");
    }
    for time in ["2024-02-29T00:00:00+02:00", "2024-01-02T03:04:05.000000001-07:30"] {
        let sent = format!(r#"{{"Version":"v1.0.0","Time":"{time}"}}"#);
        assert!(cleaned("v1.0.0", &sent).unwrap().contains(time), "{time}");
    }
}

#[test]
fn old_go_mods_and_strange_infos_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let cache = ModCache::open(dir.path(), false);
    let module = module("example.com/Upper", "v1.0.0-Rc1");
    assert_eq!((cache.read_info(&module), cache.read_mod(&module)), (None, None));
    cache.write_mod(&module, b"//vgo 0.0.4\n\nmodule example.com/Upper\n").unwrap();
    assert_eq!(cache.read_mod(&module), None);
    cache.write_mod(&module, b"module example.com/Upper\n").unwrap();
    assert_eq!(cache.read_mod(&module).unwrap(), b"module example.com/Upper\n");
    fs::write(cache.file(&module, FileKind::Info), r#"{"Version":"v1.0.0"}"#).unwrap();
    assert_eq!(cache.read_info(&module), None);
    assert!(cache.dir(&module).ends_with("example.com/!upper@v1.0.0-!rc1"));
}

#[test]
fn pieces_outlive_their_process_and_join() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().unwrap();
    let cache = ModCache::open(dir.path(), false);
    let module = module("example.com/m", "v1.0.0");
    let origin = Origin { url: "https://goproxy.example.com/m".to_owned(), total: Some(10), ..Origin::default() };
    {
        let mut parts = cache.partial_zip(&module, Duration::ZERO).unwrap();
        parts.set_origin(origin.clone()).unwrap();
        parts.segment(0, 4).unwrap().write_all(b"0123").unwrap();
        parts.segment(6, 10).unwrap().write_all(b"67").unwrap();
        // Another does not get at them, and leaves nothing.
        let mut other = cache.partial_zip(&module, Duration::ZERO).unwrap();
        assert_eq!(other.segments().unwrap(), []);
        other.set_origin(origin.clone()).unwrap();
        other.segment(0, 4).unwrap().write_all(b"xxxx").unwrap();
    }
    let parts = cache.partial_zip(&module, Duration::ZERO).unwrap();
    assert_eq!(parts.origin(), Some(&origin));
    assert_eq!(parts.segments().unwrap(), [Segment { start: 0, length: 4 }, Segment { start: 6, length: 2 }]);
    assert_eq!(parts.contiguous().unwrap(), 4);
    let mut last = parts.segment(6, 10).unwrap();
    assert_eq!(last.arrived().end(), 8);
    assert!(last.write_all(b"89a").is_err());
    last.write_all(b"89").unwrap();
    assert!(parts.join(10).unwrap_err().detail.contains("4 bytes"));
    let parts = cache.partial_zip(&module, Duration::ZERO).unwrap();
    // One byte too many, as a kill while joining may leave it.
    parts.segment(0, 10).unwrap().write_all(b"456").unwrap();
    let path = parts.whole();
    let zip = parts.join(10).unwrap();
    assert_eq!(fs::read(path).unwrap(), b"0123456789");
    drop(zip);
    let mut parts = cache.partial_zip(&module, Duration::ZERO).unwrap();
    parts.set_origin(Origin { etag: Some("other".to_owned()), ..origin }).unwrap();
    assert_eq!(parts.segments().unwrap(), []);
    parts.discard();
    assert_eq!(fs::read_dir(cache.version_dir(module.path())).unwrap().count(), 0);
}

#[test]
fn a_lock_that_is_held_is_waited_for_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let module = module("example.com/m", "v1.0.0");
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = {
        let told = told.clone();
        move |text: &str| told.lock().unwrap().push(text.to_owned())
    };
    let cache = ModCache::open(dir.path(), false).waiting(Duration::from_millis(1300), tell);
    let held = cache.lock(&module).unwrap();
    let error = cache.lock(&module).unwrap_err();
    assert!(error.detail.contains("v1.0.0.lock is locked by another process"), "{error}");
    assert_eq!(told.lock().unwrap().len(), 1);
    drop(held);
    cache.lock(&module).unwrap();
}
