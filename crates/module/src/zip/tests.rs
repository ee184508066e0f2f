use std::io::Cursor;

use super::*;
use crate::dirhash::DirHash;
use crate::{ModulePath, ModuleVersion, Version};

fn module() -> ModuleVersion {
    ModuleVersion::new(ModulePath::parse("example.com/m").unwrap(), Version::parse("v1.0.0").unwrap()).unwrap()
}

/// A zip of one module with any names, made past the checks by renaming files of equal length.
fn renamed(files: &[(&str, &str)]) -> Vec<u8> {
    let stand_ins: Vec<String> =
        files.iter().enumerate().map(|(i, (name, _))| format!("{i:_<width$}", width = name.len())).collect();
    let mut bytes = create_module_zip(&module(), stand_ins.iter().map(|name| (name, "x"))).unwrap();
    for (stand_in, (_, name)) in stand_ins.iter().zip(files) {
        assert_eq!(stand_in.len(), name.len());
        let full = format!("@v1.0.0/{stand_in}").into_bytes();
        for at in 0..bytes.len() - full.len() {
            if bytes[at..].starts_with(&full) {
                bytes[at + 8..at + full.len()].copy_from_slice(name.as_bytes());
            }
        }
    }
    bytes
}

fn judged(names: &[&str]) -> Result<usize, String> {
    let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
    let archive = Archive::open(Cursor::new(renamed(&files))).unwrap();
    check(&module(), &archive).result().map(|valid| valid.len()).map_err(|e| e.to_string())
}

#[test]
fn what_is_made_can_be_read_and_checked() {
    let files = [("go.mod", "module example.com/m\n"), ("a/b.go", "package a\n"), ("empty", "")];
    let bytes = create_module_zip(&module(), files).unwrap();
    assert_eq!(bytes, create_module_zip(&module(), files).unwrap());
    let mut archive = Archive::open(Cursor::new(&bytes)).unwrap();
    assert_eq!(check(&module(), &archive).result().unwrap(), [0, 1, 2]);
    for (index, (name, content)) in files.iter().enumerate() {
        let mut out = Vec::new();
        archive.read(index, &mut out).unwrap();
        assert_eq!(archive.entries()[index].name(), format!("example.com/m@v1.0.0/{name}"));
        assert_eq!(out, content.as_bytes());
    }
    assert_eq!(archive.total_size(), 31);
}

#[test]
fn names_that_some_system_cannot_hold_are_refused() {
    assert_eq!(judged(&["go.mod", "a/b", "a/c"]), Ok(3));
    for (names, reason) in [
        (&["a.go", "A.go"][..], "case-insensitive file name collision: \"a.go\" and \"A.go\""),
        (&["dir/a", "Dir/b"], "case-insensitive file name collision: \"dir\" and \"Dir\""),
        (&["same", "same"], "multiple entries for file \"same\""),
        (&["name", "name/x"], "entry \"name\" is both a file and a directory"),
        (&["name/x", "name"], "entry \"name\" is both a file and a directory"),
        (&["sub/go.mod"], "go.mod file not in module root directory"),
        (&["GO.mod"], "go.mod files must have lowercase names"),
        (&["../etc"], "file path is not clean"),
        (&["a/./b"], "file path is not clean"),
        (&["/root"], "empty path element"),
        (&["a//b"], "file path is not clean"),
        (&["a\\b"], "invalid char '\\\\'"),
        (&["aux.c"], "\"aux\" disallowed as path element component on Windows"),
        (&["a\nb"], "invalid char '\\n'"),
    ] {
        let error = judged(names).expect_err(&format!("{names:?}"));
        assert!(error.contains(reason), "{names:?}: {error}");
    }
}

#[test]
fn another_module_is_refused() {
    let bytes = create_module_zip(&module(), [("a", "x")]).unwrap();
    let other =
        ModuleVersion::new(ModulePath::parse("example.com/n").unwrap(), Version::parse("v1.0.0").unwrap()).unwrap();
    let archive = Archive::open(Cursor::new(bytes)).unwrap();
    let error = check(&other, &archive).result().unwrap_err().to_string();
    assert!(error.contains("path does not have prefix \"example.com/n@v1.0.0/\""), "{error}");
}

#[test]
fn every_cut_and_every_flipped_byte_is_an_error_or_the_same_hash() {
    let files = [("go.mod", "module example.com/m\n"), ("a.go", "package a // a a a a a a a a\n")];
    let bytes = create_module_zip(&module(), files).unwrap();
    let hash = DirHash::of_zip(Cursor::new(&bytes)).unwrap();
    for cut in 0..bytes.len() {
        assert!(DirHash::of_zip(Cursor::new(&bytes[..cut])).is_err(), "cut at {cut}");
    }
    let names = |bytes: &[u8]| {
        let archive = Archive::open(Cursor::new(bytes.to_vec())).unwrap();
        archive.entries().iter().map(|entry| entry.name().to_owned()).collect::<Vec<_>>()
    };
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x41;
        if let Ok(other) = DirHash::of_zip(Cursor::new(&flipped)) {
            assert!(other == hash || names(&flipped) != names(&bytes), "byte {at} changes the hash and nothing else");
        }
    }
}

#[test]
fn a_file_larger_than_it_says_is_refused() {
    let bytes = create_module_zip(&module(), [("a", "0123456789")]).unwrap();
    let directory = bytes.windows(4).position(|w| w == 0x0201_4b50_u32.to_le_bytes()).unwrap();
    for (size, reason) in [(9_u32, "larger than declared size (9 bytes)"), (11, "1 of 11 bytes missing")] {
        let mut lying = bytes.clone();
        lying[directory + 24..directory + 28].copy_from_slice(&size.to_le_bytes());
        let error = DirHash::of_zip(Cursor::new(lying)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let mut bomb = bytes;
    bomb[directory + 24..directory + 28].copy_from_slice(&(600_u32 << 20).to_le_bytes());
    assert!(matches!(DirHash::of_zip(Cursor::new(&bomb)), Err(ZipError::ContentTooLarge)));
    let archive = Archive::open(Cursor::new(&bomb)).unwrap();
    assert!(check(&module(), &archive).too_large);
}

#[test]
fn making_refuses_what_checking_refuses() {
    let error = |files: &[(&str, &str)]| create_module_zip(&module(), files.iter().copied()).unwrap_err().to_string();
    assert!(error(&[("a", ""), ("A", "")]).contains("collision"));
    assert!(error(&[("../a", "")]).contains("not clean"));
    assert!(error(&[("dir/", "")]).contains("a directory is not a file"));
    assert!(error(&[("x/go.mod", "")]).contains("root"));
}
