//! What is said when something is not what was signed: as loud as the go command (`golang.org/x/mod/sumdb`, `client.go`,
//! `checkTrees`; `cmd/go/internal/modfetch`, `fetch.go`, `sumdbMismatch`).

use std::fmt::{Display, Write as _};

use goferry_module::ModuleVersion;
use goferry_module::sumdb::tlog::Hash;

/// The longest quotation, in characters.
const MAX_QUOTE: usize = 4000;

/// The database has shown two histories. `hash` is what the newer log has where the older one ends; `proof` proves it.
pub(super) fn fork<E: Display>(older: &[u8], newer: &[u8], hash: Hash, proof: Result<&[Hash], &E>) -> String {
    let mut text = format!(
        "SECURITY ERROR\ngo.sum database server misbehavior detected!\n\nold database:\n\t{}\nnew database:\n\t{}\n\
         proof of misbehavior:\n\t{hash}",
        quote(older),
        quote(newer)
    );
    match proof {
        Ok(hashes) => text.extend(hashes.iter().map(|hash| format!("\n\t{hash}"))),
        Err(error) => write!(text, "\n\tinternal error: {error}").expect("writing to a string cannot fail"),
    }
    text
}

/// Something has no signature, or is not in the log that was signed.
pub(super) fn unproven(what: &str) -> String {
    format!(
        "SECURITY ERROR\n{what}\n\
         The checksum database cannot be trusted here: what it says does not fit what it has signed.\n\
         Someone on the way may have changed it, or the server or a cache is damaged."
    )
}

/// The database has another hash.
pub(super) fn not_the_same(noun: &str, module: &ModuleVersion, hash: &str, database: &str, known: &str) -> String {
    format!(
        "{module}: verifying {noun}: checksum mismatch\n\tdownloaded: {hash}\n\t{database}: {}\n\n\
         SECURITY ERROR\n\
         This download does NOT match the one reported by the checksum server.\n\
         The bits may have been replaced on the origin server, or an attacker may\n\
         have intercepted the download attempt.",
        quote(known.as_bytes())
    )
}

/// The database has no hash.
pub(super) fn not_there(noun: &str, module: &ModuleVersion, database: &str) -> String {
    format!(
        "{module}: verifying {noun}: checksum missing from sumdb response\n\n\
         SECURITY ERROR\n\
         This download was NOT verified: {database} answered for the module without its hash."
    )
}

/// The text of an answer, indented, without control characters, and not endless.
pub(super) fn quote(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut quoted = String::new();
    for c in text.chars().take(MAX_QUOTE) {
        match c {
            '\n' => quoted.push_str("\n\t"),
            c if c.is_control() => quoted.extend(c.escape_default()),
            c => quoted.push(c),
        }
    }
    if text.chars().nth(MAX_QUOTE).is_some() {
        quoted.push('…');
    }
    quoted
}
