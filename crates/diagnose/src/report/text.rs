//! Text for terminals and documents: foreign text made harmless, lines folded, figures rounded.

/// Foreign text that cannot move a cursor, change a colour, turn the direction of writing or start a new line: each
/// such character is shown by its number, as `\u{1b}`.
#[must_use]
pub fn harmless(text: &str) -> String {
    escape_where(text, is_dangerous)
}

/// The same for text of several lines, such as a configuration: line feeds and tabs stay.
#[must_use]
pub fn harmless_lines(text: &str) -> String {
    escape_where(text, |c| is_dangerous(c) && !matches!(c, '\n' | '\t'))
}

fn escape_where(text: &str, bad: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if bad(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters (C0, DEL, C1), and those that are not seen but change what is seen: directions of writing
/// (Unicode UAX #9), line and paragraph separators, and the byte order mark.
pub(super) fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Text in ASCII alone: the few signs that goferry's own texts use are spelt, all others are shown by number.
#[must_use]
pub fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => out.push(c),
            '×' => out.push('x'),
            '→' => out.push_str("->"),
            '…' => out.push_str("..."),
            '–' | '—' | '−' => out.push('-'),
            'µ' | 'μ' => out.push('u'),
            '√' => out.push_str("sqrt "),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            '‘' | '’' => out.push('\''),
            '“' | '”' => out.push('"'),
            '\u{a0}' => out.push(' '),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// Lines of at most `width` characters, folded at blanks. A word that is longer has a line of its own, whole, so that
/// it can be copied.
#[must_use]
pub fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && count(&line) + 1 + count(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The text, or as much of it as fits into `width` characters with `mark` behind it.
#[must_use]
pub fn clip(text: &str, width: usize, mark: &str) -> String {
    if count(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(count(mark))).collect();
    // Not in the middle of a word, unless there is no blank near.
    let at_word = kept.rfind(' ').filter(|at| *at > kept.len() / 2);
    format!("{}{mark}", kept[..at_word.unwrap_or(kept.len())].trim_end_matches([' ', ',', ':', ';']))
}

/// Characters of a text; each takes one column in what goferry prints.
pub(super) fn count(text: &str) -> usize {
    text.chars().count()
}

/// Seconds with the digits that matter: `0.42 s`, `6.3 s`, `128 s`.
#[must_use]
pub fn seconds(value: f64) -> String {
    format!("{} s", number(value))
}

/// A range of seconds, or one figure where both ends look the same: `6.3 to 8.1 s`.
#[must_use]
pub fn seconds_range(min: f64, max: f64) -> String {
    let (least, most) = (number(min), number(max));
    if least == most { format!("{most} s") } else { format!("{least} to {most} s") }
}

/// Milliseconds with the digits that matter: `0.42 ms`, `52.1 ms`, `1250 ms`.
#[must_use]
pub fn millis(value: f64) -> String {
    format!("{} ms", number(value))
}

/// Octets: `730 bytes`, `12.5 kB`, `10.0 MB`.
#[must_use]
pub fn bytes(value: u64) -> String {
    let exact = value as f64;
    match value {
        0..=999 => format!("{value} bytes"),
        1_000..=999_999 => format!("{} kB", number(exact / 1e3)),
        1_000_000..=999_999_999 => format!("{} MB", number(exact / 1e6)),
        _ => format!("{} GB", number(exact / 1e9)),
    }
}

/// `1 module`, `2 modules`.
#[must_use]
pub fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Two digits below one, one below a hundred, none above.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    // What is rounded up to the next power has that power's digits.
    match value.abs() {
        v if v < 0.005 => "0".to_owned(),
        v if v < 0.995 => format!("{value:.2}"),
        v if v < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The text with a capital at its beginning.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_reaches_a_terminal_raw() {
        assert_eq!(harmless("a\x1b[31mb\r\nc\u{9b}2J"), "a\\u{1b}[31mb\\u{d}\\u{a}c\\u{9b}2J");
        assert_eq!(harmless("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(harmless("Büro, ≤ 5 ms"), "Büro, ≤ 5 ms");
        assert_eq!(harmless_lines("a {\n\tb;\n}\x07"), "a {\n\tb;\n}\\u{7}");
    }

    #[test]
    fn ascii_is_ascii() {
        assert_eq!(ascii("1.2 × MSS / (RTT × √loss) → Büro…"), "1.2 x MSS / (RTT x sqrt loss) -> B\\u{fc}ro...");
    }

    #[test]
    fn lines_are_folded_at_blanks_and_long_words_stay_whole() {
        assert_eq!(fold("one two three", 7), ["one two", "three"]);
        assert_eq!(fold("a https://goproxy.example.com/long b", 10), ["a", "https://goproxy.example.com/long", "b"]);
        assert!(fold("  ", 10).is_empty());
    }

    #[test]
    fn a_clipped_text_fits() {
        assert_eq!(clip("short", 5, "..."), "short");
        assert_eq!(clip("The server does not offer HTTP/2", 20, "..."), "The server does...");
        assert_eq!(clip("abcdefghijklmnop", 8, "..."), "abcde...");
        assert_eq!(clip("éééééééééé", 5, "…"), "éééé…");
    }

    #[test]
    fn figures_keep_the_digits_that_matter() {
        assert_eq!(
            [0.0, 0.004, 0.421, 0.996, 6.34, 99.96, 128.4].map(seconds),
            ["0 s", "0 s", "0.42 s", "1.0 s", "6.3 s", "100 s", "128 s"]
        );
        assert_eq!(seconds_range(6.31, 8.1), "6.3 to 8.1 s");
        assert_eq!(seconds_range(6.31, 6.33), "6.3 s");
        assert_eq!(seconds(f64::NAN), "? s");
        assert_eq!([730, 12_500, 10_000_000, 2_500_000_000].map(bytes), ["730 bytes", "12.5 kB", "10.0 MB", "2.5 GB"]);
    }
}
