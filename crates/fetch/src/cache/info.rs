//! `.info` files as the go command writes them: what the proxy sent, unmarshalled into `RevInfo` and marshalled again
//! (`writeDiskStat` in modfetch/cache.go, `RevInfo` in modfetch/repo.go, `Origin` in modfetch/codehost/codehost.go).

use std::fmt;

use goferry_module::ModuleVersion;
use goferry_module::info::MAX_INFO;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::error::FetchError;

/// Go's zero time.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The `.info` of the cache, made of the `.info` that a proxy sent: fields that are not known go, and of `Origin` what
/// matters to branches and tags only. The order of the fields is that of Go 1.27.3; Go 1.21.13 has `Hash` of `Origin`
/// later, and each takes the other's.
///
/// # Errors
/// [`FailKind::Invalid`](crate::FailKind::Invalid) where it is not JSON of that form or names another version.
pub fn clean_info(module: &ModuleVersion, sent: &[u8]) -> Result<Vec<u8>, FetchError> {
    let bad = |reason: String| FetchError::invalid(format!(".info of {module}: {reason}"));
    if sent.len() > MAX_INFO {
        return Err(bad(format!("{} bytes, limit is {MAX_INFO}", sent.len())));
    }
    let info: RevInfo = serde_json::from_str(&String::from_utf8_lossy(sent)).map_err(|e| bad(e.to_string()))?;
    let version = info.version.0.unwrap_or_default();
    if version != module.version().as_str() {
        return Err(bad(format!("it is for version {version} instead of the requested version")));
    }
    let time = info.time.0.map_or_else(|| Ok(ZERO_TIME.to_owned()), |time| go_time(&time).map_err(bad))?;
    let mut out = format!("{{\"Version\":{},\"Time\":\"{time}\"", go_string(&version));
    if let Some(origin) = info.origin.0 {
        let mut reference = origin.reference.0;
        if module.version().pseudo().is_some() {
            reference = None;
        }
        let fields = [
            ("VCS", origin.vcs.0),
            ("URL", origin.url.0),
            ("Subdir", origin.subdir.0),
            ("Hash", origin.hash.0),
            ("Ref", reference),
        ];
        let fields: Vec<String> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
            .map(|(name, value)| format!("\"{name}\":{}", go_string(&value)))
            .collect();
        out.push_str(&format!(",\"Origin\":{{{}}}", fields.join(",")));
    }
    out.push('}');
    Ok(out.into_bytes())
}

/// A field that may be there several times: the last one counts, and a null changes nothing.
#[derive(Default)]
struct Field(Option<String>);

impl Field {
    fn set<'de, M: MapAccess<'de>>(&mut self, map: &mut M) -> Result<(), M::Error> {
        if let Some(value) = map.next_value()? {
            self.0 = Some(value);
        }
        Ok(())
    }
}

#[derive(Default)]
struct RevInfo {
    version: Field,
    time: Field,
    origin: OriginField,
}

#[derive(Default)]
struct OriginField(Option<Origin>);

#[derive(Default)]
struct Origin {
    vcs: Field,
    url: Field,
    subdir: Field,
    hash: Field,
    reference: Field,
    unused: Field,
}

/// A struct that takes fields by name, whatever their case, as encoding/json does.
trait Fields: Default {
    /// Takes the value of the field `name`, which is lower-case, or says that there is no such field.
    fn field<'de, M: MapAccess<'de>>(&mut self, name: &str, map: &mut M) -> Result<bool, M::Error>;
}

impl Fields for RevInfo {
    fn field<'de, M: MapAccess<'de>>(&mut self, name: &str, map: &mut M) -> Result<bool, M::Error> {
        match name {
            "version" => self.version.set(map)?,
            "time" => self.time.set(map)?,
            "origin" => self.origin.0 = map.next_value::<Option<Object<Origin>>>()?.map(|object| object.0),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Fields for Origin {
    fn field<'de, M: MapAccess<'de>>(&mut self, name: &str, map: &mut M) -> Result<bool, M::Error> {
        match name {
            "vcs" => &mut self.vcs,
            "url" => &mut self.url,
            "subdir" => &mut self.subdir,
            "hash" => &mut self.hash,
            "ref" => &mut self.reference,
            "tagprefix" | "tagsum" | "reposum" => &mut self.unused,
            _ => return Ok(false),
        }
        .set(map)?;
        Ok(true)
    }
}

struct Object<T>(T);

impl<'de, T: Fields> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(T);
        impl<'de, T: Fields> Visitor<'de> for Reader<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<Object<T>, M::Error> {
                while let Some(name) = map.next_key::<String>()? {
                    if !self.0.field(&fold(&name), &mut map)? {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Object(self.0))
            }
        }
        deserializer.deserialize_map(Reader(T::default()))
    }
}

impl<'de> Deserialize<'de> for RevInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Object::deserialize(deserializer).map(|object| object.0).map_err(D::Error::custom)
    }
}

/// `foldName` of encoding/json: case does not matter, nor do the two letters outside ASCII that fold into it.
fn fold(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

/// A string as encoding/json writes it, which escapes what could be HTML.
fn go_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A time as `time.Time` takes it from JSON and gives it back: strict RFC 3339, the fraction cut to nanoseconds and
/// without trailing zeros, the offset kept.
fn go_time(text: &str) -> Result<String, String> {
    let bad = || format!("{text:?} is not a time such as 2024-01-02T03:04:05Z");
    let bytes = text.as_bytes();
    let number = |at: usize, digits: usize| -> Option<u32> {
        let part = bytes.get(at..at + digits)?;
        part.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0')))
    };
    let mark = |at: usize, c: u8| bytes.get(at) == Some(&c);
    let parts =
        (|| Some([number(0, 4)?, number(5, 2)?, number(8, 2)?, number(11, 2)?, number(14, 2)?, number(17, 2)?]))();
    let [year, month, day, hour, minute, second] = parts.ok_or_else(bad)?;
    let days = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let marks = mark(4, b'-') && mark(7, b'-') && mark(10, b'T') && mark(13, b':') && mark(16, b':');
    if !marks || !(1..=12).contains(&month) || !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return Err(bad());
    }
    let mut zone = 19;
    let mut fraction = "";
    if mark(19, b'.') {
        let digits = bytes[20..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return Err(bad());
        }
        zone = 20 + digits;
        fraction = text[20..20 + digits.min(9)].trim_end_matches('0');
    }
    let offset = match &text[zone..] {
        "Z" | "+00:00" | "-00:00" => "Z",
        offset => {
            let (hours, minutes) = (number(zone + 1, 2).ok_or_else(bad)?, number(zone + 4, 2).ok_or_else(bad)?);
            let shape = offset.len() == 6 && offset.starts_with(['+', '-']) && mark(zone + 3, b':');
            if !shape || hours > 23 || minutes > 59 {
                return Err(bad());
            }
            offset
        }
    };
    let dot = if fraction.is_empty() { "" } else { "." };
    Ok(format!("{}{dot}{fraction}{offset}", &text[..19]))
}
