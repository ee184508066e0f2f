//! Counts from what `GODEBUG=http2debug=1` (or `2`) makes the go command write to its standard error.
//!
//! The formats are those of net/http's HTTP/2 transport, the same from Go 1.21 (`h2_bundle.go`) to 1.27
//! (`internal/http2/transport.go`, `frame.go`: `summarizeFrame`). They have no timestamps, and HTTP/1.1 leaves no trace in them.

use std::collections::BTreeMap;

/// The most kinds of error code that are told apart.
const KINDS: usize = 64;

/// What the HTTP/2 transport said that it did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Http2Debug {
    /// Connections on which HTTP/2 began: `Transport creating client conn`.
    pub connections: u64,
    /// Requests whose headers were encoded, repeated ones counted again: `Transport encoding header ":path"`.
    pub requests: u64,
    /// Requests sent again by the transport: `RoundTrip retrying after failure`.
    pub retries: u64,
    /// Requests given up by the transport: `RoundTrip failure`.
    pub failures: u64,
    /// SETTINGS frames received, acknowledgements not counted.
    pub settings: u64,
    /// GOAWAY frames received, by error code (`NO_ERROR`).
    pub goaway: BTreeMap<String, u64>,
    /// RST_STREAM frames received, by error code.
    pub rst_stream: BTreeMap<String, u64>,
}

impl Http2Debug {
    /// Takes one line of the output into account; any other line is passed over.
    pub(super) fn read_line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(rest) = line.strip_prefix("http2: Transport ") {
            if rest.starts_with("creating client conn ") {
                self.connections += 1;
            } else if rest.starts_with("encoding header \":path\" = ") {
                self.requests += 1;
            } else if let Some(frame) = rest.strip_prefix("received ") {
                self.read_frame(frame);
            }
        } else if line.starts_with("RoundTrip retrying after failure: ") {
            self.retries += 1;
        } else if line.starts_with("RoundTrip failure: ") {
            self.failures += 1;
        }
    }

    fn read_frame(&mut self, frame: &str) {
        let mut words = frame.split_ascii_whitespace();
        match words.next() {
            Some("SETTINGS") if words.next().is_none_or(|word| !word.starts_with("flags=ACK")) => self.settings += 1,
            Some("GOAWAY") => count(&mut self.goaway, error_code(words)),
            Some("RST_STREAM") => count(&mut self.rst_stream, error_code(words)),
            _ => {}
        }
    }

    /// Adds what another stream of the same run said.
    pub(super) fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.requests += other.requests;
        self.retries += other.retries;
        self.failures += other.failures;
        self.settings += other.settings;
        for (mine, theirs) in [(&mut self.goaway, &other.goaway), (&mut self.rst_stream, &other.rst_stream)] {
            for (code, count) in theirs {
                *mine.entry(code.clone()).or_default() += count;
            }
        }
    }
}

/// The value of `ErrCode=`, which comes before any text that the peer chose.
fn error_code<'a>(mut words: impl Iterator<Item = &'a str>) -> &'a str {
    words.find_map(|word| word.strip_prefix("ErrCode=")).unwrap_or("?")
}

fn count(counts: &mut BTreeMap<String, u64>, code: &str) {
    let known = counts.len() < KINDS || counts.contains_key(code);
    *counts.entry(if known { code } else { "?" }.chars().take(40).collect()).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Http2Debug {
        let mut debug = Http2Debug::default();
        text.lines().for_each(|line| debug.read_line(line));
        debug
    }

    #[test]
    fn a_run_of_level_two() {
        let debug = read(concat!(
            "http2: Transport failed to get client conn for 127.0.0.1:39443: http2: no cached connection was available\n",
            "http2: Transport creating client conn 0xc000480700 to 127.0.0.1:39443\n",
            "http2: Framer 0x202b71a48000: wrote SETTINGS len=24, settings: ENABLE_PUSH=0, INITIAL_WINDOW_SIZE=4194304\n",
            "http2: Transport encoding header \":authority\" = \"127.0.0.1:39443\"\n",
            "http2: Transport encoding header \":path\" = \"/example.com/m0007/@v/v1.0.0.mod\"\n",
            "http2: Framer 0x202b71a48000: wrote HEADERS flags=END_STREAM|END_HEADERS stream=1 len=72\n",
            "http2: Framer 0x202b71a48000: read SETTINGS len=36, settings: MAX_CONCURRENT_STREAMS=250\n",
            "http2: Transport received SETTINGS len=36, settings: MAX_CONCURRENT_STREAMS=250\n",
            "http2: Transport received SETTINGS flags=ACK len=0\n",
            "http2: Transport received HEADERS flags=END_HEADERS stream=1 len=49\n",
            "http2: Transport encoding header \":path\" = \"/example.com/m0008/@v/v1.0.0.mod\"\n",
        ));
        let expected = Http2Debug { connections: 1, requests: 2, settings: 1, ..Http2Debug::default() };
        assert_eq!(debug, expected);
    }

    #[test]
    fn errors_are_counted_by_code() {
        let debug = read(concat!(
            "http2: Transport received GOAWAY len=8 LastStreamID=1999 ErrCode=NO_ERROR Debug=\"\"\n",
            "http2: Transport received GOAWAY len=30 LastStreamID=1 ErrCode=ENHANCE_YOUR_CALM Debug=\" ErrCode=NO_ERROR\"\n",
            "http2: Transport received RST_STREAM stream=5 len=4 ErrCode=REFUSED_STREAM\n",
            "http2: Transport received RST_STREAM stream=7 len=4 ErrCode=REFUSED_STREAM\n",
            "http2: Transport received RST_STREAM\n",
            "RoundTrip retrying after failure: stream error: stream ID 5; REFUSED_STREAM; received from peer\n",
            "RoundTrip failure: stream error: stream ID 7; INTERNAL_ERROR; received from peer\n",
        ));
        assert_eq!(debug.goaway, BTreeMap::from([("NO_ERROR".to_owned(), 1), ("ENHANCE_YOUR_CALM".to_owned(), 1)]));
        assert_eq!(debug.rst_stream, BTreeMap::from([("REFUSED_STREAM".to_owned(), 2), ("?".to_owned(), 1)]));
        assert_eq!((debug.retries, debug.failures), (1, 1));
    }

    #[test]
    fn other_lines_are_passed_over() {
        let debug = read(
            "go: downloading example.com/m v1.0.0\n\nsaid: http2: Transport creating client conn\nhttp2: Transport received\n",
        );
        assert_eq!(debug, Http2Debug::default());
    }

    #[test]
    fn kinds_of_codes_are_bounded() {
        let mut debug = Http2Debug::default();
        for n in 0..1000 {
            debug.read_line(&format!("http2: Transport received RST_STREAM stream=5 len=4 ErrCode=UNKNOWN_{n}"));
        }
        assert_eq!(debug.rst_stream.values().sum::<u64>(), 1000);
        assert!(debug.rst_stream.len() <= KINDS + 1);
        let mut sum = Http2Debug { connections: 1, ..Http2Debug::default() };
        sum.add(&debug);
        assert_eq!((sum.connections, sum.rst_stream), (1, debug.rst_stream));
    }
}
