//! The Huffman code of RFC 7541, appendix B.
//!
//! The code is canonical: codes of one length are consecutive numbers in the order of their symbols, and the shorter
//! ones come first. So the lengths say it all, and everything else here is computed from them.

/// Bits of the code of each octet, then of EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];

/// The symbol that ends a string and must never be written.
const EOS: u16 = 256;

/// Bits of the shortest and of the longest code.
const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// Everything that follows from the lengths.
struct Code {
    /// Code of each symbol.
    codes: [u32; 257],
    /// Symbols in the order of their codes.
    symbols: [u16; 257],
    /// For each length: the first code of that length, how many there are, and where they start in `symbols`.
    first: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
    start: [usize; LONGEST + 1],
}

static CODE: Code = Code::new();

impl Code {
    const fn new() -> Self {
        let mut this = Self {
            codes: [0; 257],
            symbols: [0; 257],
            first: [0; LONGEST + 1],
            count: [0; LONGEST + 1],
            start: [0; LONGEST + 1],
        };
        let (mut code, mut place, mut length) = (0, 0, 1);
        while length <= LONGEST {
            code <<= 1;
            this.first[length] = code;
            this.start[length] = place;
            let mut symbol = 0;
            while symbol < LENGTHS.len() {
                if LENGTHS[symbol] as usize == length {
                    this.codes[symbol] = code;
                    this.symbols[place] = symbol as u16;
                    this.count[length] += 1;
                    code += 1;
                    place += 1;
                }
                symbol += 1;
            }
            length += 1;
        }
        this
    }
}

/// Octets that `text` takes when encoded.
pub(super) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|octet| usize::from(LENGTHS[usize::from(*octet)])).sum();
    bits.div_ceil(8)
}

/// Appends `text`, encoded and filled up with ones.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut have) = (0_u64, 0);
    for octet in text {
        let length = u32::from(LENGTHS[usize::from(*octet)]);
        bits = bits << length | u64::from(CODE.codes[usize::from(*octet)]);
        have += length;
        while have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    if have > 0 {
        out.push((bits << (8 - have)) as u8 | (0xff >> have));
    }
}

/// Why a string is not Huffman-coded text (RFC 7541, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HuffmanError {
    /// It contains EOS.
    #[error("the Huffman-coded string contains EOS")]
    Eos,
    /// More than seven bits follow the last symbol.
    #[error("the Huffman-coded string has more than 7 bits of padding")]
    LongPadding,
    /// The bits after the last symbol are not all ones.
    #[error("the padding of the Huffman-coded string is not the start of EOS (all ones)")]
    WrongPadding,
}

/// Decodes a string. The result has at most 8/5 of its length.
pub(super) fn decode(mut bytes: &[u8]) -> Result<Vec<u8>, HuffmanError> {
    let mut out = Vec::with_capacity(bytes.len() * 8 / SHORTEST);
    // The lowest `have` bits of `bits` are still to be decoded.
    let (mut bits, mut have) = (0_u64, 0);
    loop {
        while have <= 56
            && let Some((octet, rest)) = bytes.split_first()
        {
            bits = bits << 8 | u64::from(*octet);
            have += 8;
            bytes = rest;
        }
        match symbol(bits, have) {
            Some((EOS, _)) => return Err(HuffmanError::Eos),
            Some((symbol, length)) => {
                out.push(symbol as u8);
                have -= length;
            }
            None if have > 7 => return Err(HuffmanError::LongPadding),
            None => {
                let ones = (1_u64 << have) - 1;
                return if bits & ones == ones { Ok(out) } else { Err(HuffmanError::WrongPadding) };
            }
        }
    }
}

/// The symbol that the lowest `have` bits of `bits` start with, and its length, if it is complete.
fn symbol(bits: u64, have: usize) -> Option<(u16, usize)> {
    (SHORTEST..=LONGEST.min(have)).find_map(|length| {
        let code = (bits >> (have - length)) as u32 & ((1 << length) - 1);
        let place = code.wrapping_sub(CODE.first[length]);
        (place < CODE.count[length]).then(|| (CODE.symbols[CODE.start[length] + place as usize], length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_that_of_appendix_b() {
        // The first and last of each group that the appendix prints, and EOS.
        for (symbol, code, length) in [
            (b'0', 0x0, 5),
            (b't', 0x9, 5),
            (b' ', 0x14, 6),
            (b'u', 0x2d, 6),
            (b':', 0x5c, 7),
            (b'z', 0x7b, 7),
            (b'&', 0xf8, 8),
            (b'!', 0x3f8, 10),
            (b'\\', 0x7fff0, 19),
            (0, 0x1ff8, 13),
            (249, 0x0fff_fffe, 28),
            (22, 0x3fff_fffe, 30),
        ] {
            assert_eq!((CODE.codes[usize::from(symbol)], LENGTHS[usize::from(symbol)]), (code, length), "{symbol}");
        }
        assert_eq!(CODE.codes[usize::from(EOS)], 0x3fff_ffff);
        // A complete prefix code uses up all of its space.
        let space: u64 = LENGTHS.iter().map(|length| 1_u64 << (LONGEST - usize::from(*length))).sum();
        assert_eq!(space, 1 << LONGEST);
    }

    #[test]
    fn all_octets_go_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut out = Vec::new();
        encode(&all, &mut out);
        assert_eq!(out.len(), encoded_len(&all));
        assert_eq!(decode(&out), Ok(all));
        assert_eq!(decode(&[]), Ok(Vec::new()));
    }

    #[test]
    fn padding_is_checked() {
        // "0" is 00000, filled up with three ones.
        assert_eq!(decode(&[0b0000_0111]), Ok(b"0".to_vec()));
        assert_eq!(decode(&[0b0000_0110]), Err(HuffmanError::WrongPadding));
        assert_eq!(decode(&[0b0000_0111, 0xff]), Err(HuffmanError::LongPadding));
        assert_eq!(decode(&[0xff]), Err(HuffmanError::LongPadding));
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff]), Err(HuffmanError::Eos));
    }
}
