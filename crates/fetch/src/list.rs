//! `@v/list`: the tagged versions that a module proxy knows of a module (`cmd/go/internal/modfetch/proxy.go`,
//! `proxyRepo.Versions` and `latestFromList`).

use goferry_module::Version;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::error::FetchError;

/// The largest list that is read, in bytes.
pub const MAX_LIST: usize = 64 << 20;

/// The most lines that a list may have.
pub const MAX_LIST_LINES: usize = 1_000_000;

/// What an `@v/list` says.
///
/// Each line is a version, with a time after it or not. Lines that do not begin with a semantic version are passed over,
/// as the go command does. Versions are as written: `v1` and `v1.0.0+meta` are semantic versions and stay in the list,
/// whatever the proxy means by them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionList {
    tagged: Vec<Version>,
    newest: Option<Version>,
}

impl VersionList {
    /// Parses the body of an `@v/list`.
    ///
    /// # Errors
    /// Where it is over [`MAX_LIST`] or has more than [`MAX_LIST_LINES`] lines. No other content is refused.
    pub fn parse(body: &[u8]) -> Result<VersionList, FetchError> {
        if body.len() > MAX_LIST {
            return Err(FetchError::invalid(format!("@v/list: {} bytes, limit is {MAX_LIST} bytes", body.len())));
        }
        let mut list = VersionList::default();
        let mut newest_time = go_zero_time();
        for (index, line) in body.split(|&b| b == b'\n').enumerate() {
            if index > MAX_LIST_LINES {
                return Err(FetchError::invalid(format!("@v/list: more than {MAX_LIST_LINES} lines")));
            }
            let line = String::from_utf8_lossy(line);
            let mut fields = line.split_whitespace();
            let Some(version) = fields.next().and_then(|field| Version::parse(field).ok()) else { continue };
            let time = match fields.next() {
                Some(field) => rfc3339(field),
                None => pseudo_time(&version),
            };
            if let Some(time) = time.filter(|time| *time > newest_time) {
                newest_time = time;
                list.newest = Some(version.clone());
            }
            if version.pseudo().is_none() {
                list.tagged.push(version);
            }
        }
        list.tagged.sort();
        Ok(list)
    }

    /// A list of versions that are known from elsewhere, for example from the go command.
    pub fn from_versions(versions: impl IntoIterator<Item = Version>) -> VersionList {
        let mut tagged: Vec<Version> = versions.into_iter().filter(|v| v.pseudo().is_none()).collect();
        tagged.sort();
        VersionList { tagged, newest: None }
    }

    /// The versions that are not pseudo-versions, lowest first.
    #[must_use]
    pub fn tagged(&self) -> &[Version] {
        &self.tagged
    }

    /// The version with the latest time, of the pseudo-versions and the lines that have a time. The go command takes it
    /// for the latest version where a proxy has no `@latest` and no version is tagged.
    #[must_use]
    pub fn newest(&self) -> Option<&Version> {
        self.newest.as_ref()
    }
}

/// The time in a pseudo-version (`module.PseudoVersionTime`); `None` where it is none or no such time exists.
#[must_use]
pub fn pseudo_time(version: &Version) -> Option<Timestamp> {
    let pseudo = version.pseudo()?;
    let number = |range: std::ops::Range<usize>| pseudo.timestamp.get(range)?.parse::<i16>().ok();
    let small = |at: usize| i8::try_from(number(at..at + 2)?).ok();
    let date = DateTime::new(number(0..4)?, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, 0).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Go's zero `time.Time`, which stands for "no time".
pub(crate) fn go_zero_time() -> Timestamp {
    Timestamp::from_second(-62_135_596_800).expect("the year 1 is a time")
}

/// `time.Parse(time.RFC3339, …)`: no form of ISO 8601 that RFC 3339 leaves out.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let b = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| b.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    let shaped = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19].into_iter().all(digits)
        && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')].into_iter().all(|(at, c)| b[at] == c)
        && &b[17..19] != b"60"
        && text.is_ascii();
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let zoned = zone == "Z" || (zone.len() == 6 && zone.as_bytes()[3] == b':');
    if shaped && zoned { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &VersionList) -> Vec<&str> {
        list.tagged().iter().map(Version::as_str).collect()
    }

    #[test]
    fn keeps_versions_and_sorts_them_by_precedence() {
        let list =
            VersionList::parse(b"v1.10.0\nv1.2.0\r\n\n  v1.2.0-rc.1 \nmaster\n1.0.0\nv1.02.0\nv2\nv1.2.0+meta\n");
        assert_eq!(texts(&list.unwrap()), ["v1.2.0-rc.1", "v1.2.0", "v1.2.0+meta", "v1.10.0", "v2"]);
    }

    #[test]
    fn pseudo_versions_are_not_tagged_and_the_newest_is_known() {
        let list = VersionList::parse(
            b"v0.0.0-20200101000000-aaaaaaaaaaaa\nv0.0.0-20210101000000-bbbbbbbbbbbb\nv0.0.0-20210230000000-cccccccccccc\n",
        )
        .unwrap();
        assert!(list.tagged().is_empty());
        assert_eq!(list.newest().unwrap().as_str(), "v0.0.0-20210101000000-bbbbbbbbbbbb");
    }

    #[test]
    fn a_time_on_the_line_counts_before_that_of_the_pseudo_version() {
        let list = VersionList::parse(
            b"v0.0.0-20200101000000-aaaaaaaaaaaa 2024-05-06T07:08:09.5+02:00 more\nv0.0.0-20210101000000-bbbbbbbbbbbb\n",
        );
        assert_eq!(list.unwrap().newest().unwrap().as_str(), "v0.0.0-20200101000000-aaaaaaaaaaaa");
        let list = VersionList::parse(b"v1.0.0 2024-05-06T07:08:09Z\nv1.1.0 2023-01-01T00:00:00Z\nv1.2.0\n").unwrap();
        assert_eq!(list.newest().unwrap().as_str(), "v1.0.0");
        assert_eq!(texts(&list), ["v1.0.0", "v1.1.0", "v1.2.0"]);
    }

    #[test]
    fn times_that_go_cannot_read_do_not_count() {
        for time in [
            "2024-05-06",
            "2024-05-06T07:08Z",
            "2024-05-06 07:08:09Z",
            "20240506T070809Z",
            "2024-05-06T07:08:60Z",
            "x",
            "0001-01-01T00:00:00Z",
        ] {
            let list = VersionList::parse(format!("v1.0.0 {time}\n").as_bytes()).unwrap();
            assert_eq!(list.newest(), None, "{time}");
        }
        assert!(rfc3339("2024-05-06T07:08:09Z").is_some());
    }

    #[test]
    fn hostile_lists_are_refused_or_passed_over() {
        assert!(VersionList::parse(&vec![b'\n'; MAX_LIST_LINES + 1]).is_err());
        assert!(VersionList::parse(&vec![b'v'; MAX_LIST + 1]).is_err());
        assert_eq!(VersionList::parse(b"\xff\xfe\0\nv1.0.0\xff\n").unwrap(), VersionList::default());
        assert_eq!(VersionList::parse(b"").unwrap(), VersionList::default());
        assert_eq!(texts(&VersionList::parse("v1.0.0\u{85}x".as_bytes()).unwrap()), ["v1.0.0"]);
    }

    proptest::proptest! {
        #[test]
        fn any_list_is_read_and_comes_out_sorted(body in "(v?[0-9]{1,2}(\\.[0-9]{1,2}){0,3}[-+]?[a-z0-9.-]{0,40}[ T:Z0-9é-]{0,30}\n){0,20}") {
            let list = VersionList::parse(body.as_bytes()).unwrap();
            proptest::prop_assert!(list.tagged().is_sorted());
            proptest::prop_assert!(list.tagged().iter().all(|version| version.pseudo().is_none()));
        }

        #[test]
        fn any_octets_are_read(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            VersionList::parse(&body).unwrap();
        }
    }

    #[test]
    fn versions_from_elsewhere_are_sorted_too() {
        let versions = ["v1.1.0", "v0.0.0-20200101000000-aaaaaaaaaaaa", "v1.0.0"].map(|v| Version::parse(v).unwrap());
        assert_eq!(texts(&VersionList::from_versions(versions)), ["v1.0.0", "v1.1.0"]);
    }
}
