//! The vectors TLS is made of (RFC 8446, section 3.4).

/// A hello that ends too early, too late, or holds a value that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("TLS hello, octet {offset}: {problem}: {field}")]
pub struct HelloError {
    /// Where, counted from 0 at the first octet after the handshake header.
    pub offset: usize,
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Octets with their place in the whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn error(&self, field: &'static str, problem: &'static str) -> HelloError {
        HelloError { offset: self.offset, field, problem }
    }

    pub(super) fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(|| self.error(field, "it ends inside"))?;
        self.bytes = rest;
        self.offset += length;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], HelloError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or_else(|| self.error(field, "it ends inside"))?;
        self.bytes = rest;
        self.offset += N;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, HelloError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, HelloError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// What follows a length of one octet.
    pub(super) fn vector8(&mut self, field: &'static str) -> Result<Self, HelloError> {
        let length = self.u8(field)?;
        self.part(usize::from(length), field)
    }

    /// What follows a length of two octets.
    pub(super) fn vector16(&mut self, field: &'static str) -> Result<Self, HelloError> {
        let length = self.u16(field)?;
        self.part(usize::from(length), field)
    }

    /// All two-octet numbers that are left.
    pub(super) fn u16s(mut self, field: &'static str) -> Result<Vec<u16>, HelloError> {
        let mut all = Vec::with_capacity(self.len() / 2);
        while !self.is_empty() {
            all.push(self.u16(field)?);
        }
        Ok(all)
    }

    /// All octets that are left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// That nothing is left.
    pub(super) fn end(&self, field: &'static str) -> Result<(), HelloError> {
        if self.is_empty() { Ok(()) } else { Err(self.error(field, "octets are left after")) }
    }

    fn part(&mut self, length: usize, field: &'static str) -> Result<Self, HelloError> {
        let offset = self.offset;
        Ok(Self { bytes: self.take(length, field)?, offset })
    }
}
