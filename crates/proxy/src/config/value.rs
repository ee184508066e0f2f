//! Values as they are written: times, sizes, patterns, addresses.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use goferry_module::pattern::malformed_pattern;

use super::Listen;

/// A value as a file or a flag gives it.
#[derive(Clone, PartialEq, Eq)]
pub enum Given {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Switch(bool),
    /// Texts.
    Texts(Vec<String>),
    /// What no setting takes: the name of its type.
    Other(&'static str),
}

impl Given {
    /// Text.
    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Given::Text(text) => Ok(text),
            other => Err(format!("text in quotes is wanted, not {}", other.kind())),
        }
    }

    /// Yes or no.
    pub(super) fn switch(&self) -> Result<bool, String> {
        match self {
            Given::Switch(switch) => Ok(*switch),
            other => Err(format!("true or false is wanted, not {}", other.kind())),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, least: i64, most: i64) -> Result<i64, String> {
        match self {
            Given::Number(number) if (least..=most).contains(number) => Ok(*number),
            Given::Number(number) => Err(format!("{number} is not between {least} and {most}")),
            other => Err(format!("a whole number is wanted, not {}", other.kind())),
        }
    }

    /// One text or several.
    pub(super) fn texts(&self) -> Result<Vec<&str>, String> {
        match self {
            Given::Text(text) => Ok(vec![text]),
            Given::Texts(texts) => Ok(texts.iter().map(String::as_str).collect()),
            other => Err(format!("text in quotes, or a list of such, is wanted, not {}", other.kind())),
        }
    }

    /// A time, at least `least`.
    pub(super) fn time(&self, least: Duration) -> Result<Duration, String> {
        let time = parse_time(self.text().map_err(|_| TIME.to_owned())?)?;
        if time < least { Err(format!("at least {} is wanted", show_time(least))) } else { Ok(time) }
    }

    /// A number of bytes, at least `least` and at most `most`.
    pub(super) fn size(&self, least: u64, most: u64) -> Result<u64, String> {
        let size = match self {
            Given::Number(bytes) => u64::try_from(*bytes).map_err(|_| SIZE.to_owned())?,
            Given::Text(text) => parse_size(text)?,
            _ => return Err(SIZE.to_owned()),
        };
        match size {
            _ if size < least => Err(format!("at least {} is wanted", show_size(least))),
            _ if size > most => Err(format!("at most {} is possible", show_size(most))),
            _ => Ok(size),
        }
    }

    /// Patterns as in GOPRIVATE: a list, or one text with commas.
    pub(super) fn patterns(&self) -> Result<String, String> {
        patterns(&self.texts()?.join(","))
    }

    /// A path; one that is not absolute is meant from `base`.
    pub(super) fn path(&self, base: &Path) -> Result<PathBuf, String> {
        match self.text()? {
            "" => Err("the name of a file or folder is wanted".to_owned()),
            path => Ok(base.join(path)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Given::Text(_) => "text",
            Given::Number(_) => "a number",
            Given::Switch(_) => "true or false",
            Given::Texts(_) => "a list",
            Given::Other(kind) => kind,
        }
    }
}

const TIME: &str = "a time is wanted, as \"30s\", \"5m\", \"24h\" or \"500ms\"";
const SIZE: &str = "a size is wanted, as \"10GB\", \"512MiB\" or a number of bytes";
/// Longer than any time that makes sense: 10 years. Sums of it with the present cannot overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Reads a time: numbers with their units, as `90s`, `1h30m`, `250ms`; `0` too.
///
/// # Errors
/// What is wanted, where it is none.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let bad = || TIME.to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        let number: u64 = number.parse().map_err(|_| bad())?;
        let part = number.checked_mul(milliseconds).map(Duration::from_millis).filter(|part| *part <= LONGEST);
        total += part.ok_or_else(|| "at most 3650d is possible".to_owned())?;
        rest = tail;
    }
    match total {
        _ if text.is_empty() => Err(bad()),
        total if total > LONGEST => Err("at most 3650d is possible".to_owned()),
        total => Ok(total),
    }
}

/// Writes a time as [`parse_time`] reads it, in the largest unit that says it exactly.
pub(super) fn show_time(time: Duration) -> String {
    let milliseconds = time.as_millis();
    [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit, _)| milliseconds >= *unit && milliseconds.is_multiple_of(*unit))
        .map_or_else(
            || if milliseconds == 0 { "0s".to_owned() } else { format!("{milliseconds}ms") },
            |(unit, name)| format!("{}{name}", milliseconds / unit),
        )
}

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads a number of bytes: `10GB`, `1.5GiB`, `512 MiB`, `4096`. Units differ in thousands (GB) and 1,024s (GiB).
///
/// # Errors
/// What is wanted, where it is none.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || SIZE.to_owned();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = match unit.trim_start() {
        "" => 1,
        name => UNITS.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name)).ok_or_else(bad)?.1,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || part.len() > 6 || part.contains('.') || (number.ends_with('.')) {
        return Err(bad());
    }
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let part: u64 = format!("{part:0<6}").parse().map_err(|_| bad())?;
    let total = u128::from(whole) * u128::from(unit) + u128::from(part) * u128::from(unit) / 1_000_000;
    u64::try_from(total).ok().filter(|total| i64::try_from(*total).is_ok()).ok_or_else(bad)
}

/// Writes a number of bytes as [`parse_size`] reads it, in the largest unit that says it exactly.
pub(super) fn show_size(size: u64) -> String {
    let fits =
        UNITS.iter().filter(|(_, unit)| size >= *unit && size.is_multiple_of(*unit)).max_by_key(|(_, unit)| *unit);
    fits.map_or_else(|| "0".to_owned(), |(name, unit)| format!("{}{name}", size / unit))
}

/// Patterns that can match something.
pub(super) fn patterns(text: &str) -> Result<String, String> {
    if let Some(bad) = text.split(',').find(|glob| glob.contains(char::is_whitespace)) {
        return Err(format!("{bad:?} matches nothing: patterns stand between commas without blanks"));
    }
    match malformed_pattern(text) {
        Some(bad) => Err(format!("{bad:?} is no pattern: they are written as in GOPRIVATE, example.com/team/*")),
        None => Ok(text.to_owned()),
    }
}

/// An address: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `unix:PATH`.
pub(super) fn listen(text: &str, base: &Path) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        // sun_path has 108 bytes with the zero at its end (unix(7)).
        return match base.join(path) {
            _ if path.is_empty() => Err("unix: is followed by the name of a socket".to_owned()),
            path if path.as_os_str().len() > 107 => Err("the name of a socket has at most 107 bytes".to_owned()),
            path => Ok(Listen::Unix(path)),
        };
    }
    let whole = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    whole.parse::<SocketAddr>().map(Listen::Tcp).map_err(|_| {
        format!("{text:?} is no address: an IP address and a port are wanted, as 127.0.0.1:8080, or 0.0.0.0:8080 for all, or unix:PATH")
    })
}

/// Writes an address as [`listen`] reads it.
pub(super) fn show_listen(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, milliseconds) in
            [("60s", 60_000), ("5m", 300_000), ("24h", 86_400_000), ("1h30m", 5_400_000), ("250ms", 250), ("0", 0)]
        {
            let time = parse_time(text).expect(text);
            assert_eq!(time.as_millis(), milliseconds, "{text}");
            assert_eq!(parse_time(&show_time(time)), Ok(time));
        }
        for bad in ["", "5", "m", "-5s", "5 s", "1.5s", "5x", "99999999999999999999s", "9999999d", "3650d1s"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("10GB", 10_000_000_000),
            ("512MiB", 512 << 20),
            ("1.5GiB", 3 << 29),
            ("4096", 4096),
            ("2 kb", 2000),
            ("0", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }
        assert_eq!(show_size(64 << 20), "64MiB");
        assert_eq!(show_size(10_000_000_000), "10GB");
        for bad in ["", "GB", "10XB", "-1", "1.", "1.2.3GB", ".5GB", "99999999999TB", "1e9"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        assert!(patterns("example.com/a,*.corp.example.com,").is_ok());
        for bad in ["example.com/a, example.com/b", "[", "a,b[", "example.com/a\n"] {
            assert!(patterns(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses() {
        let read = |text: &str| listen(text, Path::new("/run")).map(|listen| show_listen(&listen));
        assert_eq!(read("127.0.0.1:80").as_deref(), Ok("127.0.0.1:80"));
        assert_eq!(read("localhost:80").as_deref(), Ok("127.0.0.1:80"));
        assert_eq!(read("unix:g.sock").as_deref(), Ok("unix:/run/g.sock"));
        for bad in ["", "8080", ":8080", "127.0.0.1", "example.com:80", "127.0.0.1:70000", "unix:"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&format!("unix:{}", "a".repeat(200))).is_err());
    }
}
