//! Properties that hold for all input: round trips, total orders, and parsers that never panic.

use std::io::Cursor;

use goferry_module::escape::{escape_version, unescape_version};
use goferry_module::pattern::path_match;
use goferry_module::zip::{Archive, create_module_zip};
use goferry_module::{
    DirHash, GoMod, GoSum, GoVersion, GoWork, ModInfo, ModulePath, ModuleVersion, ProxyList, SumDb, Toolchain, Version,
};
use proptest::prelude::*;

fn any_version() -> impl Strategy<Value = Version> {
    "v[0-3](\\.[0-3](\\.[0-3](-[0-2a-b]{1,2}(\\.[0-2a-b]{1,2}){0,2})?(\\+incompatible|\\+[a-b])?)?)?"
        .prop_filter_map("not a version", |text| Version::parse(&text).ok())
}

fn any_path() -> impl Strategy<Value = ModulePath> {
    "[a-z]{1,3}\\.[a-z]{2}(/[A-Za-z0-9._~-]{1,6}){0,3}"
        .prop_filter_map("not a path", |text| ModulePath::parse(&text).ok())
}

proptest! {
    #[test]
    fn escaping_a_path_can_be_undone(path in any_path()) {
        let escaped = path.escape();
        prop_assert!(!escaped.as_str().contains(|c: char| c.is_ascii_uppercase()));
        prop_assert_eq!(escaped.unescape(), path);
    }

    #[test]
    fn escaping_a_version_can_be_undone(text in "\\PC{0,12}") {
        if let Ok(escaped) = escape_version(&text) {
            prop_assert_eq!(unescape_version(&escaped).unwrap(), text);
        }
    }

    #[test]
    fn versions_have_a_total_order(a in any_version(), b in any_version(), c in any_version()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
        let canonical = a.canonical();
        prop_assert!(canonical.is_canonical());
        prop_assert_eq!(canonical.canonical(), canonical);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "(\\PC|[\\n\\t\"\\\\/@:%+,|.()\\[\\]*v0-9-]){0,60}") {
        let _ = GoMod::parse("go.mod", text.as_bytes());
        let _ = GoMod::parse_lax("go.mod", text.as_bytes());
        let _ = GoWork::parse("go.work", text.as_bytes());
        let _ = GoSum::parse("go.sum", text.as_bytes());
        let _ = ProxyList::parse(&text);
        let _ = SumDb::parse(&text);
        let _ = ModInfo::parse(text.as_bytes());
        let _ = (GoVersion::parse(&text), Toolchain::parse(&text), ModulePath::parse(&text));
        let _ = path_match(&text, &text);
        if let Ok(version) = Version::parse(&text) {
            let _ = (version.pseudo().map(|p| p.base()), version.toolchain());
        }
    }

    #[test]
    fn no_directive_makes_a_parser_panic(
        verb in "(module|go|toolchain|require|replace|exclude|retract|tool|ignore|godebug|use)",
        rest in "( |\\(|\\)|\\[|\\]|,|=>|=|\"|`|//|v1\\.2\\.3|v2|a\\.b/c|\\./x|\\\\|\\n|indirect){0,12}",
    ) {
        let text = format!("{verb} {rest}");
        let _ = GoMod::parse("go.mod", text.as_bytes());
        let _ = GoMod::parse_lax("go.mod", text.as_bytes());
        let _ = GoWork::parse("go.work", text.as_bytes());
    }

    #[test]
    fn no_bytes_make_the_zip_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..400) {
        let path = ModulePath::parse("a.b/c").unwrap();
        let module = ModuleVersion::new(path, Version::parse("v1.0.0").unwrap()).unwrap();
        let mut zip = create_module_zip(&module, [("go.mod", "module a.b/c\n"), ("x", "y")]).unwrap();
        let start = at.min(zip.len());
        let end = (start + bytes.len()).min(zip.len());
        zip.splice(start..end, bytes);
        let _ = DirHash::of_zip(Cursor::new(&zip));
        if let Ok(archive) = Archive::open(Cursor::new(&zip)) {
            let _ = goferry_module::zip::check(&module, &archive).result();
        }
    }

    #[test]
    fn a_zip_hash_does_not_depend_on_the_order_of_files(contents in proptest::collection::vec(any::<Vec<u8>>(), 1..5)) {
        let path = ModulePath::parse("a.b/c").unwrap();
        let module = ModuleVersion::new(path, Version::parse("v1.0.0").unwrap()).unwrap();
        let files: Vec<(String, Vec<u8>)> = contents.into_iter().enumerate().map(|(i, c)| (format!("f{i}"), c)).collect();
        let forward = create_module_zip(&module, files.clone()).unwrap();
        let backward = create_module_zip(&module, files.into_iter().rev()).unwrap();
        prop_assert_eq!(DirHash::of_zip(Cursor::new(forward)).unwrap(), DirHash::of_zip(Cursor::new(backward)).unwrap());
    }

    #[test]
    fn credentials_are_never_shown(secret in "[a-z]{8}", bad in "[ %\u{7}:@?#/]{0,3}") {
        let text = format!("https://user:{secret}{bad}@goproxy.example.com/{bad}x");
        let shown = match ProxyList::parse(&text) {
            Ok(list) => format!("{list} {list:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        // A '/' or '?' in the text ends the authority, and what follows is then a path for everyone.
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }
}
