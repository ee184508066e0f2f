//! Module zips from any bytes: no panic, never more bytes than declared, and a zip that passes has the hash of its parts.
#![no_main]

use std::io::Cursor;

use goferry_module::dirhash::FileHasher;
use goferry_module::zip::{Archive, MAX_ZIP_FILE, check};
use goferry_module::{DirHash, ModulePath, ModuleVersion, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(mut archive) = Archive::open(Cursor::new(data)) else {
        return;
    };
    let path = ModulePath::parse("a.b/c").expect("a valid path");
    let module = ModuleVersion::new(path, Version::parse("v1.0.0").expect("a valid version"))
        .expect("they fit");
    let Ok(files) = check(&module, &archive).result() else {
        return;
    };
    // What inflates a lot only takes time here.
    if archive.total_size() > MAX_ZIP_FILE.min(1 << 20) {
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
});
