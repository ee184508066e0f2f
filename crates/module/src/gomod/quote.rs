//! Strings of go.mod: words as they are, `"..."` with Go's escapes, raw strings in backquotes.

use crate::unicode::is_print;

/// The value of a token (`parseString` of `golang.org/x/mod/modfile/rule.go`).
///
/// The go command refuses raw strings in every directive, though its lexer reads them.
pub(crate) fn string(token: &str) -> Result<String, String> {
    if let Some(quoted) = token.strip_prefix('"') {
        return quoted
            .strip_suffix('"')
            .and_then(unquote)
            .ok_or_else(|| "invalid quoted string: invalid syntax".to_owned());
    }
    if token.contains(['"', '\'', '`']) {
        return Err("invalid quoted string: unquoted string cannot contain quote".to_owned());
    }
    Ok(token.to_owned())
}

/// `strconv.Unquote` for the inside of double quotes. Bytes that are not UTF-8 become U+FFFD.
fn unquote(inner: &str) -> Option<String> {
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    loop {
        let mut chars = rest.chars();
        let Some(c) = chars.next() else {
            return Some(String::from_utf8_lossy(&out).into_owned());
        };
        rest = chars.as_str();
        match c {
            '"' | '\n' => return None,
            '\\' => {
                let escape = chars.next()?;
                rest = chars.as_str();
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    '0'..='7' => {
                        let value = u32::from_str_radix(&format!("{escape}{}", take(&mut rest, 2)?), 8).ok()?;
                        out.push(u8::try_from(value).ok()?);
                        continue;
                    }
                    _ => {
                        out.push(simple_escape(escape)?);
                        continue;
                    }
                };
                let hex = take(&mut rest, digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
                let value = u32::from_str_radix(hex, 16).ok()?;
                if digits == 2 {
                    out.push(u8::try_from(value).ok()?);
                } else {
                    push(&mut out, char::from_u32(value)?);
                }
            }
            c => push(&mut out, c),
        }
    }
}

fn simple_escape(c: char) -> Option<u8> {
    Some(match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        '"' => b'"',
        _ => return None,
    })
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn take<'a>(rest: &mut &'a str, n: usize) -> Option<&'a str> {
    let (head, tail) = rest.split_at_checked(n)?;
    *rest = tail;
    Some(head)
}

/// A string as one token of a line: quoted where it must be (`modfile.AutoQuote`).
pub(crate) fn auto_quote(text: &str) -> String {
    let odd = |c: char| match c {
        ' ' | '"' | '\'' | '`' => true,
        '(' | ')' | '[' | ']' | '{' | '}' | ',' => text.len() > 1,
        c => !is_print(c),
    };
    let must = text.is_empty() || text.contains("//") || text.contains("/*") || text.chars().any(odd);
    if must { quote(text) } else { text.to_owned() }
}

/// `strconv.Quote`.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if is_print(c) => out.push(c),
            c if u32::from(c) < 0x80 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
