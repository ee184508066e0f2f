//! PEM as Go's `encoding/pem.Decode` reads it, with the line of each defect.

use base64::Engine as _;

/// A decoded block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The label, such as `CERTIFICATE`.
    pub(crate) label: String,
    /// Whether `Key: value` lines precede the data; Go skips such certificates.
    pub(crate) has_headers: bool,
    /// The decoded bytes.
    pub(crate) bytes: Vec<u8>,
    /// Line of the BEGIN marker, from 1.
    pub(crate) line: u32,
}

/// A marker that begins no acceptable block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Defect {
    /// Line of the BEGIN marker, from 1.
    pub(crate) line: u32,
    /// What is wrong.
    pub(crate) what: &'static str,
}

/// Every block, and every BEGIN line that Go would skip, in the order of the file.
pub(crate) fn decode(data: &[u8]) -> (Vec<Block>, Vec<Defect>) {
    let (mut blocks, mut defects) = (Vec::new(), Vec::new());
    let lines: Vec<&[u8]> = data.split(|&b| b == b'\n').map(trim_end).collect();
    let mut at = 0;
    while at < lines.len() {
        if !lines[at].starts_with(b"-----BEGIN ") {
            at += 1;
            continue;
        }
        let body = lines[at + 1..].iter().position(|l| l.starts_with(b"-----END ") || l.starts_with(b"-----BEGIN "));
        let end = body.map(|n| at + 1 + n);
        let line = u32::try_from(at + 1).unwrap_or(u32::MAX);
        match block(&lines, at, end) {
            Ok((label, has_headers, bytes)) => blocks.push(Block { label, has_headers, bytes, line }),
            Err(what) => defects.push(Defect { line, what }),
        }
        at = match end {
            Some(end) if lines[end].starts_with(b"-----END ") => end + 1,
            Some(end) => end,
            None => lines.len(),
        };
    }
    (blocks, defects)
}

type Parts = (String, bool, Vec<u8>);

fn block(lines: &[&[u8]], begin: usize, end: Option<usize>) -> Result<Parts, &'static str> {
    let label = lines[begin]
        .strip_prefix(b"-----BEGIN ")
        .and_then(|l| l.strip_suffix(b"-----"))
        .ok_or("the BEGIN line does not end with five dashes")?;
    let end = end.ok_or("the block has no END line")?;
    let closing = lines[end]
        .strip_prefix(b"-----END ")
        .ok_or("the block has no END line")?
        .strip_suffix(b"-----")
        .ok_or("the END line does not end with five dashes")?;
    if closing != label {
        return Err("the END line names another label than the BEGIN line");
    }
    let mut body = &lines[begin + 1..end];
    let headers = body.iter().take_while(|l| l.contains(&b':')).count();
    body = &body[headers..];
    let text: Vec<u8> = body.concat().into_iter().filter(|b| !b.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| "the text between BEGIN and END is not base64")?;
    Ok((String::from_utf8_lossy(label).into_owned(), headers > 0, bytes))
}

fn trim_end(line: &[u8]) -> &[u8] {
    let mut line = line;
    while let Some((b' ' | b'\t' | b'\r', rest)) = line.split_last() {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_blocks_survive_bad_neighbours() {
        let text = b"junk\n-----BEGIN A-----\nAAAA\n-----END A-----\n-----BEGIN B-----\n!!\n-----END B-----\n\
            -----BEGIN C-----\n-----BEGIN D-----\r\nK: v\r\n\r\nAA\r\nA=\r\n-----END D-----\r\n-----BEGIN E-----\nAAAA\n-----END F-----\n";
        let (blocks, defects) = decode(text);
        let labels: Vec<_> = blocks.iter().map(|b| (b.label.as_str(), b.line)).collect();
        assert_eq!(labels, [("A", 2), ("D", 9)]);
        assert!(blocks[1].has_headers && !blocks[0].has_headers);
        let lines: Vec<_> = defects.iter().map(|d| d.line).collect();
        assert_eq!(lines, [5, 8, 15]);
    }
}
