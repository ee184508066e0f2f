//! The report as JSON: the published form, `docs/schema/report-1.json`.

use super::Report;
use super::text::is_dangerous;

/// The report as indented JSON with a line feed at its end.
///
/// Every character that a terminal would act on is escaped, not only those that JSON demands.
#[must_use]
pub fn json(report: &Report) -> String {
    printable(&serde_json::to_string_pretty(report).unwrap_or_else(|error| {
        // Only a map with keys other than text can fail, and a report holds none.
        unreachable!("a report is always JSON: {error}")
    }))
}

/// JSON text with the characters escaped that only occur inside of its strings.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c != '\n' && is_dangerous(c) {
            // All of them are in the basic plane: one unit of UTF-16 each.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}
