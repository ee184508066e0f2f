//! Versions, paths and patterns from any text: no panic, orders that agree with each other, escaping that can be undone.
#![no_main]

use goferry_module::escape::{escape_version, unescape_version};
use goferry_module::pattern::match_prefix_patterns;
use goferry_module::{EscapedPath, GoVersion, ModulePath, Toolchain, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &str)| {
    let (a, b) = texts;
    if let (Ok(a), Ok(b)) = (Version::parse(a), Version::parse(b)) {
        assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        assert_eq!(a.canonical().canonical(), a.canonical());
        if let Some(base) = a.pseudo().and_then(|pseudo| pseudo.base()) {
            assert!(base < a);
        }
        let _ = (a.toolchain(), a.major(), a.prerelease(), a.build());
    }
    if let (Ok(a), Ok(b)) = (GoVersion::parse(a), GoVersion::parse(b)) {
        assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    }
    let _ = Toolchain::parse(a);
    if let Ok(path) = ModulePath::parse(a) {
        assert_eq!(path.escape().unescape(), path);
        let (prefix, major) = path.split_major();
        assert_eq!(format!("{prefix}{major}"), path.as_str());
    }
    if let Ok(escaped) = EscapedPath::parse(a) {
        assert_eq!(escaped.unescape().escape(), escaped);
    }
    if let Ok(escaped) = escape_version(a) {
        assert_eq!(unescape_version(&escaped).as_deref(), Ok(a));
    }
    let _ = match_prefix_patterns(a, b);
});
