//! Module zips from any bytes, and good ones with bytes changed: no panic, never more bytes than declared, and a zip that passes has the hash of its parts.
#![no_main]

use std::io::Cursor;

use goferry_module::dirhash::FileHasher;
use goferry_module::zip::{Archive, check, create_module_zip};
use goferry_module::{DirHash, ModulePath, ModuleVersion, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], Vec<(u16, u8)>)| {
    let path = ModulePath::parse("a.b/c").expect("a valid path");
    let version = Version::parse("v1.0.0").expect("a valid version");
    let module = ModuleVersion::new(path, version).expect("they fit");
    let (bytes, edits) = input;
    let mut data = bytes.to_vec();
    if !edits.is_empty() {
        let files = [("go.mod", &b"module a.b/c\n"[..]), ("dir/file.go", bytes)];
        data = create_module_zip(&module, files).expect("good names");
    }
    for (at, value) in edits {
        let at = usize::from(at) % data.len();
        data[at] = value;
    }
    judge(&module, &data);
});

fn judge(module: &ModuleVersion, data: &[u8]) {
    let Ok(mut archive) = Archive::open(Cursor::new(data)) else {
        return;
    };
    let Ok(files) = check(module, &archive).result() else {
        return;
    };
    // What inflates a lot only takes time here.
    if archive.total_size() > 1 << 20 {
        return;
    }
    let directories = archive.entries().len() != files.len();
    let mut sums = Vec::new();
    for index in files {
        let mut hasher = FileHasher::new();
        if archive.read(index, &mut hasher).is_err() {
            assert!(DirHash::of_zip(Cursor::new(data)).is_err());
            return;
        }
        sums.push((archive.entries()[index].name().to_owned(), hasher.finish()));
    }
    if !directories {
        let whole = DirHash::of_zip(Cursor::new(data)).expect("every part can be read");
        assert_eq!(DirHash::hash1(sums).expect("names were checked"), whole);
    }
}
