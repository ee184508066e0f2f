//! Integers with a prefix (RFC 7541, section 5.1).

/// Appends `value` with a prefix of `bits` bits; `pattern` is what the other bits of the first octet are.
pub(super) fn encode(value: u64, bits: u32, pattern: u8, out: &mut Vec<u8>) {
    let limit = (1_u64 << bits) - 1;
    if value < limit {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | limit as u8);
    let mut rest = value - limit;
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum IntegerError {
    /// The block ends inside it.
    Truncated,
    /// It is larger than 32 bits, or padded with more octets than 32 bits need.
    TooLarge,
}

/// Reads an integer with a prefix of `bits` bits. Gives it and the octets it took.
pub(super) fn decode(bytes: &[u8], bits: u32) -> Result<(u32, usize), IntegerError> {
    let limit = (1_u64 << bits) - 1;
    let first = *bytes.first().ok_or(IntegerError::Truncated)?;
    let mut value = u64::from(first) & limit;
    if value < limit {
        return Ok((value as u32, 1));
    }
    // Five octets of seven bits hold every 32-bit value.
    for (index, octet) in bytes.iter().enumerate().skip(1) {
        if index > 5 {
            return Err(IntegerError::TooLarge);
        }
        value += u64::from(octet & 0x7f) << (7 * (index - 1));
        if octet & 0x80 == 0 {
            return u32::try_from(value).map(|value| (value, index + 1)).map_err(|_| IntegerError::TooLarge);
        }
    }
    if bytes.len() > 5 { Err(IntegerError::TooLarge) } else { Err(IntegerError::Truncated) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_appendix_c_1() {
        for (value, bits, bytes) in [(10, 5, &[10_u8][..]), (1337, 5, &[31, 154, 10]), (42, 8, &[42])] {
            let mut out = Vec::new();
            encode(value, bits, 0, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(decode(bytes, bits), Ok((value as u32, bytes.len())));
        }
    }

    #[test]
    fn bounds() {
        let mut out = Vec::new();
        encode(u64::from(u32::MAX), 4, 0, &mut out);
        assert_eq!(decode(&out, 4), Ok((u32::MAX, 6)));
        out.clear();
        encode(u64::from(u32::MAX) + 1, 4, 0, &mut out);
        assert_eq!(decode(&out, 4), Err(IntegerError::TooLarge));
        assert_eq!(decode(&[0xff; 3], 7), Err(IntegerError::Truncated));
        assert_eq!(decode(&[0xff; 100], 7), Err(IntegerError::TooLarge));
        assert_eq!(decode(&[], 7), Err(IntegerError::Truncated));
    }
}
