//! The static table (RFC 7541, appendix A) and the dynamic table (sections 2.3 and 4).

use std::collections::VecDeque;

use super::HeaderField;

/// Appendix A. Index 1 comes first.
pub(super) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Where a field was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Name and value are at this index.
    Field(usize),
    /// Only the name is.
    Name(usize),
}

/// The dynamic table behind the static one, in one space of indices.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest first.
    fields: VecDeque<HeaderField>,
    size: usize,
    max_size: usize,
}

impl Table {
    pub(super) fn new(max_size: usize) -> Self {
        Self { fields: VecDeque::new(), size: 0, max_size }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn max_size(&self) -> usize {
        self.max_size
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn set_max_size(&mut self, max_size: usize) {
        self.max_size = max_size;
        self.evict(max_size);
    }

    /// Adds a field. One that is larger than the table empties it, which is no error (section 4.4).
    pub(super) fn insert(&mut self, field: HeaderField) {
        let size = field.size();
        if size > self.max_size {
            self.evict(0);
            return;
        }
        self.evict(self.max_size - size);
        self.size += size;
        self.fields.push_front(field);
    }

    /// Name and value at an index, which starts at 1 with the static table.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let place = index.checked_sub(1)?;
        match STATIC.get(place) {
            Some((name, value)) => Some((name.as_bytes(), value.as_bytes())),
            None => self.fields.get(place - STATIC.len()).map(|field| (&field.name[..], &field.value[..])),
        }
    }

    /// The best index for a field: one with its value if there is any, in the static table rather than the dynamic.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> Option<Found> {
        let mut best = None;
        for index in 1..=STATIC.len() + self.fields.len() {
            match self.get(index) {
                Some((n, v)) if n == name && v == value => return Some(Found::Field(index)),
                Some((n, _)) if n == name && best.is_none() => best = Some(Found::Name(index)),
                _ => {}
            }
        }
        best
    }

    fn evict(&mut self, until: usize) {
        while self.size > until
            && let Some(oldest) = self.fields.pop_back()
        {
            self.size -= oldest.size();
        }
    }
}
