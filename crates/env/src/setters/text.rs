//! Positions in a text.

use std::ops::Range;

/// The line that holds a position, without its newline.
pub(super) fn line_range(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let end = text[at..].find('\n').map_or(text.len(), |i| at + i);
    start..end
}

/// The line that holds a position, with its newline.
pub(super) fn full_line(text: &str, at: usize) -> Range<usize> {
    let line = line_range(text, at);
    line.start..(line.end + 1).min(text.len())
}

/// Number of the line that holds a position, from 1.
pub(super) fn line_number(text: &str, at: usize) -> u32 {
    let newlines = text[..at].bytes().filter(|b| *b == b'\n').count();
    u32::try_from(newlines + 1).unwrap_or(u32::MAX)
}

/// Ranges of all lines without their newlines.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |l| {
        let start = at;
        at += l.len();
        start..start + l.trim_end_matches('\n').trim_end_matches('\r').len()
    })
}

/// The part of a range without surrounding blanks.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    start..start + part.trim().len()
}

/// The inside of a range that is wholly quoted, else the range itself.
pub(super) fn unquoted(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let quoted = ['"', '\''].iter().any(|q| part.len() >= 2 && part.starts_with(*q) && part.ends_with(*q));
    if quoted { range.start + 1..range.end - 1 } else { range }
}

/// Number of leading blanks of a line.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether a byte can be part of a variable's name.
pub(super) fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// Every position where `var` stands as a whole word.
pub(super) fn words<'a>(text: &'a str, var: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(var).map(|(i, _)| i).filter(move |&i| {
        let before = i == 0 || !is_name(text.as_bytes()[i - 1]);
        let after = text.as_bytes().get(i + var.len()).is_none_or(|b| !is_name(*b));
        before && after
    })
}
