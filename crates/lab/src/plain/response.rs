//! Answers.

use std::fs;
use std::ops::Range;
use std::path::Path;

use super::Request;

/// An answer: a status, header fields and a body whose length is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    /// Each with CR LF.
    fields: String,
    body: Vec<u8>,
}

impl Response {
    /// 200 with this body.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Response {
        Response::new(200, body)
    }

    /// A status with this body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response { status, fields: String::new(), body: body.into() }
    }

    /// A status with words for people: the go command shows those of `text/plain`.
    #[must_use]
    pub fn refused(status: u16, words: impl Into<Vec<u8>>) -> Response {
        Response::new(status, words).with("Content-Type", "text/plain")
    }

    /// The same with a header field more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Response {
        self.fields.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// A file, or the part of it that the request's Range asks for, where its If-Range allows that (RFC 9110, 13.1.5 and
    /// 14.2). Its ETag stands for its content.
    #[must_use]
    pub fn file(content: Vec<u8>, request: &Request) -> Response {
        let (length, sum) = (content.len(), content.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        let etag = format!("\"{length}-{sum}\"");
        let valid = request.field("if-range").is_none_or(|known| known == etag);
        let response = match request.field("range").filter(|_| valid).and_then(|range| bytes(range, length)) {
            None => Response::ok(content),
            Some(part) if part.is_empty() => Response::new(416, "").with("Content-Range", &format!("bytes */{length}")),
            Some(part) => {
                let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                Response::new(206, &content[part]).with("Content-Range", &range)
            }
        };
        response.with("ETag", &etag).with("Accept-Ranges", "bytes")
    }

    /// The same with the file that a folder has at the request's path, if it has one.
    #[must_use]
    pub fn from_folder(folder: &Path, request: &Request) -> Option<Response> {
        let path = request.path.strip_prefix('/').filter(|path| !path.split('/').any(|name| name == ".."))?;
        Some(Response::file(fs::read(folder.join(path)).ok()?, request))
    }

    pub(super) fn head(&self) -> String {
        format!("HTTP/1.1 {} Status\r\nContent-Length: {}\r\n{}\r\n", self.status, self.body.len(), self.fields)
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

/// The one range of `bytes=first-last` or `bytes=first-`; empty where the content ends before it. Any other is none, and may
/// be passed over.
fn bytes(range: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse::<usize>().ok()?.min(length);
    let end = if last.is_empty() { length } else { last.parse::<usize>().ok()?.saturating_add(1).min(length) };
    (first <= end).then_some(first..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> Request {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { method: "GET".to_owned(), path: "/d/f".to_owned(), fields }
    }

    fn part(fields: &[(&str, &str)]) -> (u16, Vec<u8>) {
        let response = Response::file(b"0123456789".to_vec(), &request(fields));
        assert!(response.head().contains("ETag: \"10-525\"\r\n"), "{}", response.head());
        (response.status, response.body)
    }

    #[test]
    fn a_file_in_parts() {
        assert_eq!(part(&[]), (200, b"0123456789".to_vec()));
        assert_eq!(part(&[("Range", "bytes=3-")]), (206, b"3456789".to_vec()));
        assert_eq!(part(&[("range", "bytes=3-4")]), (206, b"34".to_vec()));
        assert_eq!(part(&[("range", "bytes=3-99"), ("If-Range", "\"10-525\"")]), (206, b"3456789".to_vec()));
        assert_eq!(part(&[("range", "bytes=3-4"), ("If-Range", "\"other\"")]), (200, b"0123456789".to_vec()));
        assert_eq!(part(&[("range", "bytes=10-")]).0, 416);
        for odd in ["bytes=4-2", "bytes=-3", "bytes=a-b", "lines=1-2", "bytes=1-2,4-5"] {
            assert_eq!(part(&[("range", odd)]).0, 200, "{odd}");
        }
    }

    #[test]
    fn a_folders_file() {
        let folder = tempfile::TempDir::new().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        assert_eq!(Response::from_folder(folder.path(), &request(&[])), None);
        fs::write(folder.path().join("d/f"), "x").unwrap();
        assert_eq!(Response::from_folder(folder.path(), &request(&[])).unwrap().body, b"x");
        let below = Request { path: "/../d/f".to_owned(), ..request(&[]) };
        assert_eq!(Response::from_folder(&folder.path().join("d"), &below), None);
    }
}
