//! Signed notes, tree heads and look-ups: what is accepted, and that nothing changed is.

use goferry_module::sumdb::lookup::LookupError;
use goferry_module::sumdb::note::{MAX_SIGNATURES, MAX_SIZE, Note, NoteError, Verifier, VerifierError};
use goferry_module::sumdb::tree::TreeError;
use goferry_module::sumdb::{Lookup, TreeHead, tlog};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};

/// A key that signs, made from one byte.
struct Signer {
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl Signer {
    fn new(name: &str, seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let verifier = Verifier::new(name, pair.public_key().as_ref().try_into().unwrap()).unwrap();
        Self { pair, verifier }
    }

    /// The line of this key's signature.
    fn line(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let bytes = [&self.verifier.key_hash().to_be_bytes(), signature.as_ref()].concat();
        format!("— {} {}\n", self.verifier.name(), STANDARD.encode(bytes))
    }

    fn sign(&self, text: &str) -> String {
        format!("{text}\n{}", self.line(text))
    }

    fn open(&self, message: &str) -> Result<Note, NoteError> {
        Note::open(message.as_bytes(), std::slice::from_ref(&self.verifier))
    }
}

const TEXT: &str = "If you think cryptography is the answer,\n\nask again.\n";

#[test]
fn a_signed_note_opens() {
    let (signer, stranger) = (Signer::new("sum.example.com/db", 1), Signer::new("other.example.com", 2));
    let message = signer.sign(TEXT);
    let note = signer.open(&message).unwrap();
    assert_eq!(note.text, TEXT);
    assert_eq!(note.signatures.len(), 1);
    assert_eq!(note.signatures[0].name, "sum.example.com/db");
    assert_eq!(note.signatures[0].key_hash, signer.verifier.key_hash());

    let twice = format!("{}{}{}{}", message, stranger.line(TEXT), stranger.line(TEXT), signer.line("another text\n"));
    let note = signer.open(&twice).unwrap();
    assert_eq!((note.signatures.len(), note.unverified.len()), (1, 1), "repetitions are ignored");
    assert_eq!(stranger.open(&message), Err(NoteError::Unverified));
    assert_eq!(Note::open(message.as_bytes(), &[]), Err(NoteError::Unverified));
}

#[test]
fn a_known_key_must_have_signed_rightly() {
    let signer = Signer::new("sum.example.com", 1);
    let (name, key_hash) = ("sum.example.com".to_owned(), signer.verifier.key_hash());
    let wrong = format!("{TEXT}\n{}", signer.line("another text\n"));
    assert_eq!(signer.open(&wrong), Err(NoteError::InvalidSignature { name: name.clone(), key_hash }));
    let both = [signer.verifier.clone(), signer.verifier.clone()];
    assert_eq!(Note::open(signer.sign(TEXT).as_bytes(), &both), Err(NoteError::Ambiguous { name, key_hash }));
    // The same name over another key is another key.
    assert_eq!(Signer::new("sum.example.com", 3).open(&signer.sign(TEXT)), Err(NoteError::Unverified));
}

#[test]
fn malformed_notes_are_refused() {
    let signer = Signer::new("sum.example.com", 1);
    let line = signer.line(TEXT);
    for bad in [
        String::new(),
        "\n\n".to_owned(),
        TEXT.to_owned(),
        format!("{TEXT}{line}"),
        format!("{TEXT}\n{}", line.trim_end()),
        format!("{TEXT}\n{line}\n"),
        format!("{TEXT}\n-{line}"),
        format!("{TEXT}\n{line}no signature\n"),
        format!("{TEXT}\n— sum.example.com AAAAAA==\n"),
        format!("{TEXT}\n— sum.example.com \n"),
        format!("{TEXT}\n— sum.example.com\n"),
        format!("{TEXT}\n— sum+example AAAAAAAA\n"),
        format!("{TEXT}\n— sum\u{a0}example AAAAAAAA\n"),
        format!("a\tb\n\n{line}"),
        format!("a\r\n\n{line}"),
    ] {
        assert_eq!(signer.open(&bad), Err(NoteError::Malformed), "{bad:?}");
    }
    let invalid = [b"\xff\n\n", line.as_bytes()].concat();
    assert_eq!(Note::open(&invalid, &[]), Err(NoteError::Malformed));
    let most = format!("{TEXT}\n{}", line.repeat(MAX_SIGNATURES));
    assert!(signer.open(&most).is_ok());
    assert_eq!(signer.open(&(most + &line)), Err(NoteError::Malformed));
    assert_eq!(signer.open(&signer.sign(&"long\n".repeat(MAX_SIZE / 5))), Err(NoteError::TooLong));
}

/// A verifier key with the right hash, of whatever it is.
fn hashed(name: &str, key: &[u8]) -> String {
    let digest = Sha256::new().chain_update(name).chain_update("\n").chain_update(key).finalize();
    let hash: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}+{hash}+{}", STANDARD.encode(key))
}

#[test]
fn verifier_keys() {
    let key = Signer::new("sum.example.com", 1).verifier;
    assert_eq!(Verifier::parse(&key.to_string()), Ok(key.clone()));
    let text = key.to_string();
    let (name, rest) = text.split_once('+').unwrap();
    let (hash, encoded) = rest.split_once('+').unwrap();
    let upper = format!("{name}+{}+{encoded}", hash.to_uppercase());
    assert_eq!(Verifier::parse(&upper), Ok(key));
    for (bad, error) in [
        (String::new(), VerifierError::Malformed),
        (name.to_owned(), VerifierError::Malformed),
        (format!("+{hash}+{encoded}"), VerifierError::Malformed),
        (format!("{name}+{hash}"), VerifierError::Malformed),
        (format!("{name}+0{hash}+{encoded}"), VerifierError::Malformed),
        (format!("{name}+{}+{encoded}", hash.replace(|_| true, "+")), VerifierError::Malformed),
        (format!("{name}+{hash}+"), VerifierError::Malformed),
        (format!("{name}+{hash}+{encoded}="), VerifierError::Malformed),
        (hashed(name, &[1; 32]), VerifierError::Malformed),
        (hashed(name, &[2; 33]), VerifierError::Algorithm),
        (format!("a b+{hash}+{encoded}"), VerifierError::Malformed),
        (format!("other+{hash}+{encoded}"), VerifierError::Hash),
    ] {
        assert_eq!(Verifier::parse(&bad), Err(error), "{bad}");
    }
    assert_eq!(Verifier::new("a+b", [0; 32]), None);
    assert_eq!(Verifier::new("", [0; 32]), None);
}

#[test]
fn tree_heads() {
    let hash = tlog::record_hash(b"x");
    let head = TreeHead { size: 17, hash };
    let text = head.to_string();
    assert_eq!(text, format!("go.sum database tree\n17\n{hash}\n"));
    assert_eq!(TreeHead::parse(&text), Ok(head));
    assert_eq!(TreeHead::parse(&format!("{text}a later\nform\n")), Ok(head));
    for bad in [
        String::new(),
        text.trim_end().to_owned(),
        format!("go.sum database tree v2\n17\n{hash}\n"),
        format!("go.sum database tree\n017\n{hash}\n"),
        format!("go.sum database tree\n+17\n{hash}\n"),
        format!("go.sum database tree\n-1\n{hash}\n"),
        format!("go.sum database tree\n9223372036854775808\n{hash}\n"),
        "go.sum database tree\n17\nAAAA\n".to_owned(),
        format!("go.sum database tree\n17\n{hash} \n"),
        format!("{text}{}", "x".repeat(1_000_000)),
    ] {
        assert_eq!(TreeHead::parse(&bad), Err(TreeError::Malformed));
    }
    let signer = Signer::new("sum.example.com", 1);
    let known = std::slice::from_ref(&signer.verifier);
    assert_eq!(TreeHead::open(signer.sign(&text).as_bytes(), known), Ok(head));
    assert_eq!(TreeHead::open(signer.sign("x\n").as_bytes(), known), Err(TreeError::Malformed));
    assert_eq!(TreeHead::open(b"", known), Err(TreeError::Note(NoteError::Malformed)));
}

#[test]
fn look_ups() {
    let record = "example.com/m v1.0.0 h1:a=\nexample.com/m v1.0.0/go.mod h1:b=\nexample.com/m v1.0.0 h1:c=\n";
    let answer = format!("42\n{record}\ngo.sum database tree\n…");
    let lookup = Lookup::parse(answer.as_bytes()).unwrap();
    assert_eq!((lookup.id, lookup.text), (42, record));
    assert_eq!(lookup.signed_tree, "go.sum database tree\n…".as_bytes());
    assert_eq!(lookup.record_hash(), tlog::record_hash(record.as_bytes()));
    let lines = |path: &str, version: &str| lookup.lines(path, version).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines("example.com/m", "v1.0.0"), ["example.com/m v1.0.0 h1:a=", "example.com/m v1.0.0 h1:c="]);
    assert_eq!(lines("example.com/m", "v1.0.0/go.mod"), ["example.com/m v1.0.0/go.mod h1:b="]);
    assert!(lines("example.com/m", "v1.0").is_empty());
    assert_eq!(Lookup::parse(b"0\na\n\n").unwrap().signed_tree, b"");

    for bad in
        [&b""[..], b"1", b"1\n", b"x\na\n\n", b"-1\na\n\n", b"\na\n\n", b"1\na\n", b"1\na\tb\n\n", b"1\n\xff\n\n"]
    {
        assert_eq!(Lookup::parse(bad), Err(LookupError::Malformed), "{bad:?}");
    }
    assert_eq!(Lookup::parse(&[b'1'; 1_000_001]), Err(LookupError::TooLong));
}

proptest! {
    #[test]
    fn a_changed_note_never_verifies(text in "[a-zé ]{0,20}\n", at: prop::sample::Index, bit in 0u8..8) {
        let signer = Signer::new("sum.example.com", 7);
        let original = signer.sign(&text);
        prop_assert_eq!(signer.open(&original).unwrap().text, text.clone());
        let mut message = original.into_bytes();
        let at = at.index(message.len());
        message[at] ^= 1 << bit;
        // The last two bits before the padding do not belong to the signature: Go lets them be anything, too.
        if let Ok(note) = Note::open(&message, std::slice::from_ref(&signer.verifier)) {
            prop_assert_eq!(note.text, text);
            prop_assert_eq!(at, message.len() - 3);
        }
    }

    #[test]
    fn anything_is_parsed_without_panic(data in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
        let _ = Note::open(&data, &[]);
        let _ = Lookup::parse(&data);
        let _ = TreeHead::parse(&text);
        let _ = Verifier::parse(&text);
        let _ = goferry_module::sumdb::Tile::parse(&text);
    }
}
