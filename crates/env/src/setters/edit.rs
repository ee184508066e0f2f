//! Taking one setting out of a file.

use super::{Removal, Setter};

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file is not the one that was scanned.
    #[error("the text at bytes {start}..{end} is not what was found there before: scan the file again")]
    Changed {
        /// First byte of the value.
        start: usize,
        /// Byte after the value.
        end: usize,
    },
    /// The value has no such key.
    #[error("{var} does not set {key} here")]
    NoSuchKey {
        /// The variable.
        var: String,
        /// The key that was asked for.
        key: String,
    },
}

/// The text without `key` in the comma list that the setter assigns, or without the whole assignment where nothing
/// would be left or `key` is the variable itself. Every other byte stays as it was.
///
/// Where an assignment cannot be taken out without leaving something invalid behind, its value becomes empty, which
/// the go command treats as unset.
///
/// # Errors
/// [`EditError::Changed`] when the text is not the one that was scanned, [`EditError::NoSuchKey`] when there is
/// nothing to remove.
pub fn remove_setting(text: &str, setter: &Setter, key: &str) -> Result<String, EditError> {
    let span = setter.value_span.clone();
    let removal = &setter.removal;
    let fits = removal.range.end <= text.len()
        && text.is_char_boundary(removal.range.start)
        && text.is_char_boundary(removal.range.end);
    if !fits || text.get(span.clone()) != Some(setter.raw.as_str()) {
        return Err(EditError::Changed { start: span.start, end: span.end });
    }
    if key == setter.var {
        return Ok(replace(text, removal));
    }
    let sets_key = |item: &&str| item.trim().split_once('=').is_some_and(|(k, _)| k == key);
    let items: Vec<&str> = setter.raw.split(',').collect();
    let kept: Vec<&str> = items.iter().filter(|i| !sets_key(i)).copied().collect();
    if kept.len() == items.len() {
        return Err(EditError::NoSuchKey { var: setter.var.clone(), key: key.to_owned() });
    }
    if kept.iter().all(|i| i.trim().is_empty()) {
        return Ok(replace(text, removal));
    }
    Ok(replace(text, &Removal { range: span, replacement: kept.join(",") }))
}

fn replace(text: &str, removal: &Removal) -> String {
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..removal.range.start]);
    out.push_str(&removal.replacement);
    out.push_str(&text[removal.range.end..]);
    out
}
