//! Bytes that are not UTF-8, such as old comments may have: the go command keeps them.

/// Where the characters begin that may stand for such bytes: ideographs, which are printable and no white space. 256 each.
const BASES: std::ops::Range<u32> = 0x200..0x2A6;

/// A file as text in which each byte that is not UTF-8 is a character that the file does not have.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) text: String,
    /// The first of the 256 characters; `None` where all is UTF-8.
    base: Option<u32>,
}

impl Encoded {
    /// `None` where no characters are left to stand for the bytes.
    pub(super) fn of(data: &[u8]) -> Option<Encoded> {
        if let Ok(text) = std::str::from_utf8(data) {
            return Some(Encoded { text: text.to_owned(), base: None });
        }
        let has = |base: u32| data.utf8_chunks().any(|chunk| chunk.valid().chars().any(|c| u32::from(c) >> 8 == base));
        let base = BASES.into_iter().find(|&base| !has(base))? << 8;
        let mut text = String::with_capacity(data.len());
        for chunk in data.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().filter_map(|&byte| char::from_u32(base + u32::from(byte))));
        }
        Some(Encoded { text, base: Some(base) })
    }

    /// A text made of parts of this one, as bytes.
    pub(super) fn decode(&self, text: &str) -> Vec<u8> {
        let Some(base) = self.base else { return text.as_bytes().to_vec() };
        let mut out = Vec::with_capacity(text.len());
        for c in text.chars() {
            match u8::try_from(u32::from(c).wrapping_sub(base)) {
                Ok(byte) => out.push(byte),
                Err(_) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_back() {
        for data in [&b"plain"[..], b"a\xffb\xc3(\xf0\x9f", "\u{20000}\u{20103}é".as_bytes(), b"\xf0\xa0\x80\x80 \x80"]
        {
            let encoded = Encoded::of(data).unwrap();
            assert_eq!(encoded.decode(&encoded.text), data);
        }
    }
}
