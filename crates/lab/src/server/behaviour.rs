//! What the origin does, as plain data.
//!
//! [`Behaviour::default`] is a healthy origin: TLS 1.2 and 1.3, ALPN `h2` then `http/1.1`, SETTINGS at once with
//! `MAX_CONCURRENT_STREAMS=250`, keep-alive, every file answered with 200 or 404. A fault changes a few fields of it
//! and nothing else, so that a difference seen by a client has one cause.

use std::time::Duration;

use goferry_wire::h2::{ErrorCode, SettingId, Settings};

pub use crate::certs::TlsVersions;
use crate::universe::FileKind;

/// Everything an [`Origin`](super::Origin) does differently from a healthy one.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// How bytes travel below HTTP.
    pub transport: Transport,
    /// Where the origin falls silent for good, if it does.
    pub silence: Silence,
    /// HTTP/1.1 connection handling.
    pub http1: Http1,
    /// HTTP/2 connection handling.
    pub http2: Http2,
    /// What answers say, whatever the protocol.
    pub answers: Answers,
    /// What goes wrong inside a response body, whatever the protocol.
    pub body: BodyFault,
    /// Bytes sent on a connection after which nothing more is sent or read, ever: no FIN, no PING answered.
    pub black_hole_after: Option<u64>,
}

/// What lies between TCP and HTTP.
#[derive(Debug, Clone)]
pub enum Transport {
    /// `http://`: HTTP/1.1 without TLS.
    Plain,
    /// TLS by rustls.
    Tls(TlsOptions),
    /// `openssl s_server`, for what rustls cannot do.
    Openssl(OpensslMode),
}

impl Default for Transport {
    fn default() -> Self {
        Self::Tls(TlsOptions::default())
    }
}

/// What `openssl s_server` is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpensslMode {
    /// TLS 1.2, and a HelloRequest as soon as a handshake is done (RFC 5246 section 7.4.1.1).
    RenegotiateTls12,
    /// TLS 1.1 and nothing newer.
    OnlyTls11,
}

/// TLS as rustls offers it.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// Protocols selected by ALPN in order of preference; empty: the extension is not answered (RFC 7301).
    pub alpn: Vec<&'static str>,
    /// Protocol versions offered.
    pub versions: TlsVersions,
    /// Demand a client certificate.
    pub client_certificate: bool,
    /// Which certificate is shown.
    pub certificate: CertificateChoice,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            alpn: vec!["h2", "http/1.1"],
            versions: TlsVersions::All,
            client_certificate: false,
            certificate: CertificateChoice::Good,
        }
    }
}

/// Which certificate the origin shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateChoice {
    /// Signed by the lab's authority for the origin's name and addresses.
    Good,
    /// As good, signed by an intermediate that is sent along.
    Intermediate,
    /// Signed by itself.
    SelfSigned,
    /// Signed by the lab's authority, expired.
    Expired,
    /// Signed by the lab's authority for another name.
    WrongName,
}

/// Where an origin stops talking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Silence {
    /// Nowhere.
    #[default]
    Never,
    /// TCP is accepted, TLS is never answered.
    BeforeTls,
    /// TLS is answered, then nothing: no SETTINGS, no response.
    AfterTls,
    /// The same where h2 was agreed on; HTTP/1.1 is served.
    AfterHttp2IsAgreed,
    /// Response headers are sent, the body never.
    AfterHeaders,
}

/// HTTP/1.1 connection handling.
#[derive(Debug, Clone)]
pub struct Http1 {
    /// Answer each request with `Connection: close` and close.
    pub connection_close: bool,
    /// Close a connection that has been idle for this long.
    pub idle_close: Option<Duration>,
    /// Send the headers, wait this long, then the body (Nagle against delayed ACK looks like this).
    pub body_delay: Duration,
}

impl Default for Http1 {
    fn default() -> Self {
        Self { connection_close: false, idle_close: None, body_delay: Duration::ZERO }
    }
}

/// HTTP/2 connection handling. What goes wrong here does not befall HTTP/1.1.
#[derive(Debug, Clone)]
pub struct Http2 {
    /// Settings announced; sent as they are, valid or not.
    pub settings: Settings,
    /// When the SETTINGS frame is sent.
    pub settings_timing: SettingsTiming,
    /// Close a connection that has had no stream for this long, with GOAWAY(NO_ERROR).
    pub idle_close: Option<Duration>,
    /// Streams answered at once; more are refused or queued.
    pub concurrency: Option<Concurrency>,
    /// GOAWAY by count of requests.
    pub goaway: Option<Goaway>,
    /// RST_STREAM in place of an answer or inside one.
    pub reset: Option<Reset>,
    /// Bytes of one stream sent in each round trip, whatever the client's windows allow. The round trip is the
    /// kernel's own estimate (`tcpi_rtt`), so a stream's throughput is this divided by the round trip time.
    pub stream_window: Option<u32>,
    /// Answer these requests with a header block that no HPACK decoder can read (RFC 7541 section 2.3.3).
    pub corrupt_hpack: Option<Which>,
    /// Answer these requests with CONTINUATION frames without end.
    pub endless_headers: Option<Which>,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            settings: Settings::new().with(SettingId::MaxConcurrentStreams, 250),
            settings_timing: SettingsTiming::AtOnce,
            idle_close: None,
            concurrency: None,
            goaway: None,
            reset: None,
            stream_window: None,
            corrupt_hpack: None,
            endless_headers: None,
        }
    }
}

/// When the server's SETTINGS are sent (RFC 9113 section 3.4 demands: first).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingsTiming {
    /// First and at once.
    AtOnce,
    /// First, after a wait; requests wait as well.
    After(Duration),
    /// Never; everything else works.
    Never,
    /// After a PING frame: the connection's first frame is not SETTINGS.
    AfterPing,
}

/// A limit on streams that is enforced, not only announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// Streams answered at the same time.
    pub max: usize,
    /// Refuse what is above with RST_STREAM(REFUSED_STREAM); otherwise it waits.
    pub refuse: bool,
}

/// GOAWAY by count of requests on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goaway {
    /// The request that causes it: the n-th on the connection, from 1.
    pub after_requests: u64,
    /// Error code.
    pub code: ErrorCode,
    /// What the frame says about the last stream.
    pub last_stream: LastStream,
    /// Close at once, without finishing the streams that were accepted.
    pub close_at_once: bool,
}

/// The last stream identifier of a GOAWAY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastStream {
    /// The last stream that is answered.
    Honest,
    /// 1: streams in flight, or answered already, are said to be untouched.
    Lying,
    /// 0: nothing was processed, and nothing is.
    Zero,
}

/// RST_STREAM in place of an answer, or inside one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Error code (RFC 9113 section 7).
    pub code: ErrorCode,
    /// Body bytes sent before it; `None`: not even headers.
    pub after_body: Option<u64>,
    /// Which requests.
    pub which: Which,
}

/// Which requests a fault touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Which {
    /// Only this kind of file; `None`: every kind.
    pub kind: Option<FileKind>,
    /// Only each n-th of those, counted over all connections from the first; 1: all of them.
    pub every: u64,
}

impl Which {
    /// Every request.
    pub const ALL: Self = Self { kind: None, every: 1 };
    /// Every zip.
    pub const ZIPS: Self = Self { kind: Some(FileKind::Zip), every: 1 };

    /// Whether the `count`-th request (from 0) of its kind, being a `kind`, is touched.
    #[must_use]
    pub fn matches(&self, kind: FileKind, count: u64) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind) && count.is_multiple_of(self.every.max(1))
    }
}

/// What answers say.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Time the origin thinks before each answer.
    pub think: Duration,
    /// Statuses in place of the file: the first pair that matches wins.
    pub status: Vec<(Which, u16)>,
    /// `Retry-After` sent with statuses from 400 on, in seconds.
    pub retry_after: Option<u32>,
    /// The `Server` header; `None`: not sent.
    pub server: Option<&'static str>,
    /// What `/sumdb/<name>/supported` is answered.
    pub sumdb: Sumdb,
    /// Serve other bytes than go.sum promises for these files: a valid zip or go.mod, of other content.
    pub wrong_content: Option<Which>,
}

/// The checksum database endpoint of the proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sumdb {
    /// 404: clients must reach the database themselves. Only the universe's own is answered for.
    #[default]
    Absent,
    /// 200: the proxy says that it mirrors the database; lookups are still 404.
    Supported,
    /// No answer, ever.
    Hanging,
}

/// What goes wrong inside a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodyFault {
    /// Nothing.
    #[default]
    None,
    /// The body ends early as if complete, though `content-length` says more.
    Truncate {
        /// Body bytes sent.
        after: u64,
        /// Which requests.
        which: Which,
    },
    /// The body stops; the connection lives and answers PING.
    Stall {
        /// Body bytes sent.
        after: u64,
        /// Which requests.
        which: Which,
    },
    /// The connection is cut.
    Cut {
        /// Body bytes sent.
        after: u64,
        /// How.
        how: CutHow,
        /// Which requests.
        which: Which,
    },
    /// The body never ends; no `content-length`.
    Endless {
        /// Which requests.
        which: Which,
    },
}

/// How TCP ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutHow {
    /// A TCP reset.
    Rst,
    /// A TCP FIN without TLS close_notify.
    Fin,
}
