//! Signed notes and the keys that verify them (`golang.org/x/mod/sumdb/note`, `note.go`).
//!
//! A note is a text, an empty line, and signatures: `— NAME BASE64`, a line each, where the base64 is four bytes of key
//! hash and then the signature. A verifier key is `NAME+HASH+BASE64`, where the base64 is one byte of algorithm and then
//! the public key.

use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use super::{decode_base64, encode_base64};

/// The longest note that is read, in bytes. The go command bounds only the tree head in it, by as much.
pub const MAX_SIZE: usize = 1_000_000;

/// The most signatures that a note may have, those by unknown keys included.
pub const MAX_SIGNATURES: usize = 100;

const ALGORITHM_ED25519: u8 = 1;
const SIGNATURE_PREFIX: &str = "— ";
const KEY_HASH_SIZE: usize = 4;

/// A key that verifies notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key_hash: u32,
    public_key: [u8; 32],
}

/// A note that a known key has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text, with the newline that ends it.
    pub text: String,
    /// The signatures by known keys, at least one, all verified, one for each key.
    pub signatures: Vec<Signature>,
    /// The signatures by other keys, without exact repetitions.
    pub unverified: Vec<Signature>,
}

/// A signature of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key.
    pub name: String,
    /// The hash of the key.
    pub key_hash: u32,
    /// Key hash and signature, in base64 as they stood in the note.
    pub base64: String,
}

/// Why a verifier key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// It is not of the form.
    #[error("malformed verifier id")]
    Malformed,
    /// The hash in it is not that of its name and key.
    #[error("invalid verifier hash")]
    Hash,
    /// It is not an Ed25519 key.
    #[error("unknown verifier algorithm")]
    Algorithm,
}

/// Why a note cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is longer than [`MAX_SIZE`].
    #[error("the note is longer than {MAX_SIZE} bytes")]
    TooLong,
    /// It is not of the form, or has more than [`MAX_SIGNATURES`] signatures.
    #[error("malformed note")]
    Malformed,
    /// Two of the known keys have the same name and hash.
    #[error("ambiguous key {name}+{key_hash:08x}")]
    Ambiguous {
        /// The name of both keys.
        name: String,
        /// The hash of both keys.
        key_hash: u32,
    },
    /// A known key did not make the signature that bears its name.
    #[error("invalid signature for key {name}+{key_hash:08x}")]
    InvalidSignature {
        /// The name of the key.
        name: String,
        /// The hash of the key.
        key_hash: u32,
    },
    /// No known key has signed it.
    #[error("note has no verifiable signatures")]
    Unverified,
}

impl Verifier {
    /// Parses `NAME+HASH+BASE64`: a name without spaces, eight hexadecimal digits, and an Ed25519 key.
    ///
    /// # Errors
    /// Where `note.NewVerifier` refuses it, with its words.
    pub fn parse(key: &str) -> Result<Self, VerifierError> {
        let mut parts = key.splitn(3, '+');
        let (Some(name), Some(hash), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierError::Malformed);
        };
        let hash_ok = hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        let (Ok(hash), Some(bytes)) = (u32::from_str_radix(hash, 16), decode_base64(encoded)) else {
            return Err(VerifierError::Malformed);
        };
        let Some((algorithm, public_key)) = bytes.split_first().filter(|_| hash_ok && valid_name(name)) else {
            return Err(VerifierError::Malformed);
        };
        if key_hash(name, &bytes) != hash {
            return Err(VerifierError::Hash);
        }
        if *algorithm != ALGORITHM_ED25519 {
            return Err(VerifierError::Algorithm);
        }
        let public_key = public_key.try_into().map_err(|_| VerifierError::Malformed)?;
        Ok(Self { name: name.to_owned(), key_hash: hash, public_key })
    }

    /// The verifier of an Ed25519 public key under a name. `None` if the name is empty or has a space or a plus in it.
    #[must_use]
    pub fn new(name: &str, public_key: [u8; 32]) -> Option<Self> {
        let key_hash = key_hash(name, &encoded_key(&public_key));
        valid_name(name).then(|| Self { name: name.to_owned(), key_hash, public_key })
    }

    /// Its name: for a checksum database, `host[/path]`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of the SHA-256 over name and key, most significant first.
    #[must_use]
    pub fn key_hash(&self) -> u32 {
        self.key_hash
    }

    /// The Ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Whether `signature` is this key's signature of `text` (RFC 8032 section 5.1.7).
    #[must_use]
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public_key).verify(text, signature).is_ok()
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.key_hash, encode_base64(&encoded_key(&self.public_key)))
    }
}

impl Note {
    /// Parses a note and checks the signatures by known keys. Those by other keys are kept apart; a second one by the
    /// same known key is ignored, whatever it is.
    ///
    /// # Errors
    /// When the note is malformed or too long, when a signature by a known key is wrong, or when there is none.
    pub fn open(message: &[u8], known: &[Verifier]) -> Result<Self, NoteError> {
        let (text, lines) = split(message)?;
        let mut note = Self { text: text.to_owned(), signatures: Vec::new(), unverified: Vec::new() };
        for (number, line) in lines.enumerate() {
            let (signature, bytes) = parse_signature(line).ok_or(NoteError::Malformed)?;
            if number >= MAX_SIGNATURES {
                return Err(NoteError::Malformed);
            }
            note.add(signature, &bytes, known)?;
        }
        if note.signatures.is_empty() { Err(NoteError::Unverified) } else { Ok(note) }
    }

    fn add(&mut self, signature: Signature, bytes: &[u8], known: &[Verifier]) -> Result<(), NoteError> {
        let Signature { name, key_hash, .. } = &signature;
        let mut keys = known.iter().filter(|key| key.name == *name && key.key_hash == *key_hash);
        let Some(key) = keys.next() else {
            if !self.unverified.contains(&signature) {
                self.unverified.push(signature);
            }
            return Ok(());
        };
        if keys.next().is_some() {
            return Err(NoteError::Ambiguous { name: name.clone(), key_hash: *key_hash });
        }
        if self.signatures.iter().any(|seen| seen.name == *name && seen.key_hash == *key_hash) {
            return Ok(());
        }
        if !key.verify(self.text.as_bytes(), bytes) {
            return Err(NoteError::InvalidSignature { name: name.clone(), key_hash: *key_hash });
        }
        self.signatures.push(signature);
        Ok(())
    }
}

/// The text with its newline, and the lines of the signatures.
fn split(message: &[u8]) -> Result<(&str, std::str::Split<'_, char>), NoteError> {
    if message.len() > MAX_SIZE {
        return Err(NoteError::TooLong);
    }
    let message = std::str::from_utf8(message).map_err(|_| NoteError::Malformed)?;
    if message.bytes().any(|b| b < 0x20 && b != b'\n') {
        return Err(NoteError::Malformed);
    }
    let at = message.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let signatures = message[at + 2..].strip_suffix('\n').ok_or(NoteError::Malformed)?;
    Ok((&message[..=at], signatures.split('\n')))
}

/// A line of a signature, and the signature itself without the key hash.
fn parse_signature(line: &str) -> Option<(Signature, Vec<u8>)> {
    let (name, base64) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let mut bytes = decode_base64(base64)?;
    if !valid_name(name) || bytes.len() <= KEY_HASH_SIZE {
        return None;
    }
    let signature = bytes.split_off(KEY_HASH_SIZE);
    let key_hash = u32::from_be_bytes(bytes.try_into().ok()?);
    Some((Signature { name: name.to_owned(), key_hash, base64: base64.to_owned() }, signature))
}

fn valid_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace())
}

fn encoded_key(public_key: &[u8; 32]) -> Vec<u8> {
    [&[ALGORITHM_ED25519], &public_key[..]].concat()
}

fn key_hash(name: &str, encoded_key: &[u8]) -> u32 {
    let digest = Sha256::new().chain_update(name).chain_update("\n").chain_update(encoded_key).finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}
