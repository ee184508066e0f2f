//! Header and trailer fields (RFC 9112, section 5; RFC 9110, section 5).

use std::borrow::Cow;

use super::reader::{HeadLimits, HeadProblem};

/// Fields in the order in which they were sent. Names compare without regard to case; values are octets without the
/// blanks around them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first field of this name, with U+FFFD for what is not UTF-8.
    pub fn get_str(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(String::from_utf8_lossy)
    }

    /// The values of all fields of this name.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The members of a list field, over all fields of this name (RFC 9110, section 5.6.1). Empty members are left
    /// out. Quoted strings with a comma inside are not understood, so not for fields that can have them.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name)
            .flat_map(|value| value.split(|octet| *octet == b','))
            .map(trim)
            .filter(|member| !member.is_empty())
    }

    /// Whether a list field has this member, without regard to case.
    pub fn has_member(&self, name: &str, member: &str) -> bool {
        self.list(name).any(|known| known.eq_ignore_ascii_case(member.as_bytes()))
    }

    /// All fields: name as sent, value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a field at the end. Nothing is checked: name and value go on the wire as they are.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.push((name.into(), value.into()));
    }

    /// Appends all fields, each with its line end, to `out`. The empty line after them is not written.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Reads one field line, without its line end.
    pub(super) fn parse_line(&mut self, line: &[u8], folds: bool, limits: HeadLimits) -> Result<(), HeadProblem> {
        if line.first().is_some_and(|octet| is_blank(*octet)) {
            let Some((_, value)) = self.0.last_mut() else {
                return Err(HeadProblem::FoldFirst);
            };
            if !folds {
                return Err(HeadProblem::Fold);
            }
            let more = check_value(trim(line))?;
            if !value.is_empty() && !more.is_empty() {
                value.push(b' ');
            }
            value.extend_from_slice(more);
            return Ok(());
        }
        let colon = line.iter().position(|octet| *octet == b':').ok_or(HeadProblem::NoColon)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.last().is_some_and(|octet| is_blank(*octet)) {
            return Err(HeadProblem::BlankBeforeColon);
        }
        let name = token(name).ok_or(HeadProblem::FieldName)?;
        let value = check_value(trim(value))?;
        if self.0.len() == limits.fields {
            return Err(HeadProblem::TooManyFields { limit: limits.fields });
        }
        self.push(name, value);
        Ok(())
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(iter: I) -> Self {
        Self(iter.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// The text of a token (RFC 9110, section 5.6.2), or `None` if it is not one.
pub(super) fn token(bytes: &[u8]) -> Option<&str> {
    let all = !bytes.is_empty()
        && bytes.iter().all(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet));
    if all { std::str::from_utf8(bytes).ok() } else { None }
}

/// Without spaces and tabs around it.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

fn is_blank(octet: u8) -> bool {
    octet == b' ' || octet == b'\t'
}

/// Field values have no control characters but tab (RFC 9110, section 5.5).
fn check_value(value: &[u8]) -> Result<&[u8], HeadProblem> {
    if value.iter().any(|octet| octet.is_ascii_control() && *octet != b'\t') {
        return Err(HeadProblem::FieldValue);
    }
    Ok(value)
}
