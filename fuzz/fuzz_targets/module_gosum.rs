//! go.sum from any bytes: no panic, counts that agree with the lines.
#![no_main]

use goferry_module::GoSum;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(sum) = GoSum::parse("go.sum", data) {
        let counts = sum.counts();
        assert!(counts.go_mod_only <= counts.go_mod);
        assert_eq!(counts.zip + counts.go_mod, sum.iter().count());
        let lines = data.iter().filter(|b| **b == b'\n').count() + 1;
        assert!(counts.zip + counts.go_mod + counts.duplicates <= lines);
    }
});
