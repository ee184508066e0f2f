//! Signed notes, tree heads and look-ups from any bytes, and signed ones with bytes changed: no panic, and nothing passes but what was signed.
#![no_main]

use std::sync::LazyLock;

use goferry_module::sumdb::tlog::{EMPTY_TREE, record_hash};
use goferry_module::sumdb::{Lookup, Note, TreeHead, Verifier};
use libfuzzer_sys::fuzz_target;

/// A tree head that Go's own `note.Sign` signed, and the key that it was signed with.
const SIGNED: &str = include_str!("../seeds/module_note/signed");
const KEY: &str = include_str!("../seeds/module_note/key");

static KNOWN: LazyLock<[Verifier; 1]> = LazyLock::new(|| [Verifier::parse(KEY.trim()).expect("a valid key")]);
static TEXT: LazyLock<String> =
    LazyLock::new(|| Note::open(SIGNED.as_bytes(), &*KNOWN).expect("it was signed with the key").text);

fuzz_target!(|input: (&[u8], Vec<(u16, u8)>)| {
    let (bytes, edits) = input;
    judge(bytes);
    let mut data = SIGNED.as_bytes().to_vec();
    for (at, value) in &edits {
        let at = usize::from(*at) % data.len();
        data[at] = *value;
    }
    judge(&data);
    let mut answer = b"7\nexample.com/m v1.0.0 h1:a=\n\n".to_vec();
    answer.extend(data);
    judge(&answer);
});

fn judge(data: &[u8]) {
    if let Ok(note) = Note::open(data, &*KNOWN) {
        assert_eq!(note.text, *TEXT, "nothing else was ever signed");
        assert_eq!(note.signatures.len(), 1);
        assert!(data.starts_with(note.text.as_bytes()));
    }
    if let Ok(head) = TreeHead::open(data, &*KNOWN) {
        assert_eq!((head.size, head.hash), (1234, EMPTY_TREE));
    }
    if let Ok(lookup) = Lookup::parse(data) {
        assert!(lookup.text.ends_with('\n') && !lookup.text.contains("\n\n"));
        assert_eq!(lookup.record_hash(), record_hash(lookup.text.as_bytes()));
        let lines = lookup.lines("example.com/m", "v1.0.0").count();
        assert!(lines <= lookup.text.lines().count());
        let written = [format!("\n{}\n", lookup.text).as_bytes(), lookup.signed_tree].concat();
        assert!(data.ends_with(&written), "nothing is lost");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(head) = TreeHead::parse(text) {
        assert_eq!(TreeHead::parse(&head.to_string()), Ok(head));
    }
    if let Ok(key) = Verifier::parse(text) {
        assert_eq!(Verifier::parse(&key.to_string()), Ok(key));
    }
}
