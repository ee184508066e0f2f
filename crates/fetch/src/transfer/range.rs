//! Which part of which file an answer holds.

use goferry_net::pool::Response;

use crate::cache::{Origin, Segment};

/// What `If-Range` may be sent with (RFC 9110 section 13.1.5): a strong ETag, else Last-Modified.
pub(super) fn validator(origin: &Origin) -> Option<String> {
    let strong = origin.etag.as_ref().filter(|etag| !etag.starts_with("W/"));
    strong.or(origin.last_modified.as_ref()).cloned()
}

/// Whose bytes an answer holds.
pub(super) fn origin(response: &Response, url: &str, total: Option<u64>) -> Origin {
    let field = |name| response.header(name).filter(|value| value.len() <= 256).map(str::to_owned);
    Origin { url: url.to_owned(), etag: field("etag"), last_modified: field("last-modified"), total }
}

/// Whether an answer goes on from byte `from` of the file that `kept` tells of; then the whole length where it is said.
pub(super) fn goes_on(response: &Response, kept: &Origin, from: u64) -> Option<Option<u64>> {
    let (start, total) = parse_content_range(response.header("content-range")?).filter(|_| response.status == 206)?;
    let new = origin(response, &kept.url, total);
    // A server that knows ranges and not If-Range gives a part of whatever it has now.
    let same = match (&kept.etag, &new.etag) {
        (Some(old), Some(new)) => old == new,
        _ => kept.last_modified.is_none() || new.last_modified.is_none() || kept.last_modified == new.last_modified,
    };
    let sizes = kept.total.is_none() || total.is_none() || kept.total == total;
    (start == from && same && sizes).then_some(total.or(kept.total))
}

/// `bytes 5-9/10`: where it begins, and the whole length where that is said.
fn parse_content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to): (u64, u64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    let total = if total.trim() == "*" { None } else { Some(total.trim().parse::<u64>().ok()?) };
    (from <= to && total.is_none_or(|total| to < total)).then_some((from, total))
}

/// What is missing of `total` bytes: from, to, and where the piece begins that ends there. In order.
pub(super) fn holes(segments: &[Segment], total: u64) -> Vec<Hole> {
    let mut holes = Vec::new();
    let (mut end, mut piece) = (0, 0);
    for segment in segments {
        if segment.start > end && end < total {
            holes.push(Hole { piece, from: end, to: segment.start.min(total) });
        }
        if segment.end() > end {
            (end, piece) = (segment.end(), segment.start);
        }
    }
    if end < total {
        holes.push(Hole { piece, from: end, to: total });
    }
    holes
}

/// Bytes that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// Where the piece begins that is to be gone on with.
    pub(super) piece: u64,
    /// The first byte that is missing.
    pub(super) from: u64,
    /// The one after the last.
    pub(super) to: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 0-0/*"), Some((0, None)));
        for bad in ["bytes 5-10/10", "bytes 9-5/10", "bytes */10", "octets 0-1/2", "bytes a-b/c", ""] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn holes_between_pieces() {
        let of = |segments: &[(u64, u64)]| {
            let segments: Vec<Segment> =
                segments.iter().map(|(start, length)| Segment { start: *start, length: *length }).collect();
            holes(&segments, 100).iter().map(|hole| (hole.piece, hole.from, hole.to)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), [(0, 0, 100)]);
        assert_eq!(of(&[(0, 40)]), [(0, 40, 100)]);
        assert_eq!(of(&[(0, 10), (50, 20)]), [(0, 10, 50), (50, 70, 100)]);
        assert_eq!(of(&[(0, 60), (50, 20), (55, 2)]), [(50, 70, 100)], "pieces overlap after a kill");
        assert_eq!(of(&[(50, 50)]), [(0, 0, 50)]);
        assert_eq!(of(&[(0, 50), (50, 50)]), []);
        assert_eq!(of(&[(0, 300)]), []);
        assert_eq!(of(&[(0, 10), (200, 5)]), [(0, 10, 100)]);
    }
}
