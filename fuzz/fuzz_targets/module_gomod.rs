//! go.mod and go.work from any bytes: no panic, positions inside the file, and what a main module may say a dependency
//! may say too.
#![no_main]

use goferry_module::{GoMod, GoWork};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let lines = data.iter().filter(|b| **b == b'\n').count() + 1;
    match GoMod::parse("go.mod", data) {
        Ok(gomod) => {
            let lax = GoMod::parse_lax("go.mod", data).expect("lax is not stricter");
            assert_eq!(lax.requires, gomod.requires);
            for require in &gomod.requires {
                assert!(require.version.is_canonical());
                let _ = require.module_version().map(|module| module.zip_prefix());
            }
        }
        Err(errors) => {
            assert!((1..=20).contains(&errors.errors.len()));
            assert!(
                errors
                    .errors
                    .iter()
                    .all(|e| (1..=lines).contains(&e.line) && e.column >= 1)
            );
        }
    }
    let _ = GoWork::parse("go.work", data);
});
