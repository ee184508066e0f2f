//! The one HTTP client: pools by origin, redirects, credentials, and the patience that a broken network needs.

mod failure;
pub(crate) mod local;
mod patience;
mod redirect;
pub(crate) mod standing;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use goferry_env::http_proxy::{ProxyDecision, ProxyScheme, ProxySettings};
use goferry_env::url::Url;
use goferry_module::{ProxyUrl, Scheme};
use goferry_net::connect::{Bounds, Via, ViaScheme, basic};
use goferry_net::pool::{Ask, Class, Failure, Response, Summary};
use goferry_net::timeline::Snapshot;
use goferry_net::tls::Roots;
use goferry_net::{Connector, Origin, Party, Pool, PoolConfig};
use http::header::{AUTHORIZATION, HeaderName, IF_RANGE, RANGE, VIA};
use http::{HeaderMap, HeaderValue};

use crate::error::{FailKind, FetchError};
use crate::web::{BoxFuture, Web};
use failure::status_error;
use patience::Waits;
pub use patience::{Next, Patience};
use redirect::redirect;
use standing::{Blame, Standing};

/// Who knows the header fields that authenticate a request.
pub trait Authorize: Send + Sync {
    /// The fields for a URL (`scheme://host/path`).
    fn headers<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Vec<(String, String)>>;

    /// The answer was a 4xx: whether there are new fields to try with.
    fn refused<'a>(&'a self, url: &'a str, answer: &'a Refusal) -> BoxFuture<'a, bool>;

    /// What the new fields were answered with: a status.
    fn outcome<'a>(&'a self, _url: &'a str, _status: u16) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

/// A 4xx answer's head, as it is shown to a GOAUTH command.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Vec<(String, String)>,
}

/// Nobody has credentials.
#[derive(Debug, Default)]
pub struct Anonymous;

impl Authorize for Anonymous {
    fn headers<'a>(&'a self, _url: &'a str) -> BoxFuture<'a, Vec<(String, String)>> {
        Box::pin(async { Vec::new() })
    }

    fn refused<'a>(&'a self, _url: &'a str, _answer: &'a Refusal) -> BoxFuture<'a, bool> {
        Box::pin(async { false })
    }
}

/// How patient the client is, and how many connections it may use.
#[derive(Clone, Copy, Debug)]
pub struct ClientConfig {
    /// Attempts without progress that one file gets beyond its first.
    pub retries: u32,
    /// How long one file may go on failing without progress, attempts and waits included.
    pub timeout: Duration,
    /// Most connections to one origin.
    pub connections: usize,
    /// Offer no HTTP/2.
    pub http1_only: bool,
    /// How long an origin that failed as a whole is left alone; zero: each file finds out for itself.
    pub cool_down: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        let timeout = Duration::from_secs(120);
        ClientConfig { retries: 8, timeout, connections: 16, http1_only: false, cool_down: Duration::ZERO }
    }
}

/// What is asked of a URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Get {
    pub(crate) large: bool,
    pub(crate) rank: u64,
    pub(crate) expect: Option<u64>,
    /// First byte, and the one after the last.
    pub(crate) range: Option<(u64, Option<u64>)>,
    pub(crate) if_range: Option<String>,
    /// How often it was moved from a connection that stood still.
    pub(crate) moves: u32,
    /// How long it may take; nothing said: all the time that there is.
    pub(crate) left: Option<Duration>,
}

tokio::task_local! {
    /// Whether a request of this task came through only after it had failed.
    static HEALED: Cell<bool>;
}

tokio::task_local! {
    /// The `Via` of requests of this task.
    static ON_BEHALF: HeaderValue;
}

/// Does the work on behalf of someone else's request: its requests are sent with this `Via` (RFC 9110 section 7.6.3).
/// Requests of tasks that it starts are not.
pub async fn on_behalf<F: Future>(via: HeaderValue, work: F) -> F::Output {
    ON_BEHALF.scope(via, work).await
}

/// Does the work, and says whether a request of it came through only after it had failed. Requests of tasks that it
/// starts do not count.
pub async fn heeding<F: Future>(work: F) -> (F::Output, bool) {
    let both = async {
        let output = work.await;
        (output, HEALED.with(Cell::get))
    };
    HEALED.scope(Cell::new(false), both).await
}

/// One try that failed.
pub(crate) enum Trouble {
    /// The connection or the stream.
    Net(Failure, Option<Pool>),
    /// An answer that may be better a moment later: 429, 5xx.
    Busy { error: FetchError, after: Option<Duration>, status: u16 },
    /// Final.
    Final(FetchError),
}

type LazyRoots = LazyLock<Roots, Box<dyn FnOnce() -> Roots + Send>>;

/// The HTTP client. Used within a tokio runtime.
pub struct Client {
    pools: Mutex<BTreeMap<Origin, Pool>>,
    standings: Mutex<BTreeMap<Origin, Arc<Standing>>>,
    proxies: ProxySettings,
    roots: LazyRoots,
    authorize: Arc<dyn Authorize>,
    config: ClientConfig,
    /// Header fields of every request.
    fields: HeaderMap,
    healed: std::sync::atomic::AtomicU64,
}

impl Client {
    /// A client that goes through `proxies`, trusts `roots` and authenticates by `authorize`.
    #[must_use]
    pub fn new(proxies: ProxySettings, roots: Roots, authorize: Arc<dyn Authorize>, config: ClientConfig) -> Client {
        Client::trusting(proxies, move || roots, authorize, config)
    }

    /// The same with roots that are loaded when the first connection is opened: reading a few hundred certificates takes
    /// longer than everything that needs no connection.
    #[must_use]
    pub fn trusting(
        proxies: ProxySettings,
        load: impl FnOnce() -> Roots + Send + 'static,
        authorize: Arc<dyn Authorize>,
        config: ClientConfig,
    ) -> Client {
        let pools = Mutex::new(BTreeMap::new());
        let roots = LazyRoots::new(Box::new(load));
        let (fields, healed) = (HeaderMap::new(), std::sync::atomic::AtomicU64::new(0));
        let standings = Mutex::new(BTreeMap::new());
        Client { pools, standings, proxies, roots, authorize, config, fields, healed }
    }

    /// Sends a header field with every request.
    #[must_use]
    pub fn sending(mut self, name: HeaderName, value: HeaderValue) -> Client {
        self.fields.insert(name, value);
        self
    }

    /// How patient it is.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Opens the first connection to `base` before anything is asked of it.
    pub fn warm(&self, base: &ProxyUrl) {
        if base.scheme() != Scheme::File
            && let Ok(pool) = self.pool(&origin_of(base))
        {
            pool.warm();
        }
    }

    /// The pools' doings, busiest first.
    #[must_use]
    pub fn summaries(&self) -> Vec<Summary> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Summary> = pools.values().map(Pool::summary).collect();
        all.sort_by_key(|summary| std::cmp::Reverse(summary.requests));
        all
    }

    /// Every connection's timeline, by origin.
    #[must_use]
    pub fn snapshots(&self) -> Vec<(String, Vec<Snapshot>)> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().map(|(origin, pool)| (origin.to_string(), pool.snapshots())).collect()
    }

    /// The pools, by origin.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Asks `base` once for what the go command asks first, whether it answers for a checksum database. Gives the status,
    /// whatever it is.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn reach(&self, base: &ProxyUrl, bound: Duration) -> Result<u16, FetchError> {
        let ask = async {
            match self.open(base, "/sumdb/sum.golang.org/supported", &Get::default()).await {
                Ok((response, _)) => Ok(response.status),
                Err(Trouble::Busy { status, .. }) => Ok(status),
                Err(Trouble::Net(failure, _)) => {
                    let (party, text) = (failure.error.party, format!("{base}: {}", failure.error));
                    Err(FetchError::new(FailKind::Network(Some(Box::new(failure.error))), party, text))
                }
                Err(Trouble::Final(error)) => match error.kind {
                    FailKind::NotFound(status) | FailKind::Status(status) => Ok(status),
                    _ => Err(error),
                },
            }
        };
        tokio::time::timeout(bound, ask).await.unwrap_or_else(|_| {
            let text = format!("{base}: no answer within {:.0} s", bound.as_secs_f64());
            Err(FetchError::new(FailKind::Status(504), Party::Upstream, text))
        })
    }

    /// Requests that failed on the way and came through in the end.
    #[must_use]
    pub fn healed(&self) -> u64 {
        self.healed.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn note_healed(&self) {
        let _ = HEALED.try_with(|healed| healed.set(true));
        self.healed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// The pool that serves `base`, for who wants to know when it has room.
    pub(crate) fn pool_of(&self, base: &ProxyUrl) -> Result<Pool, FetchError> {
        self.pool(&origin_of(base))
    }

    /// How `base` stands.
    pub(crate) fn standing(&self, base: &ProxyUrl) -> Arc<Standing> {
        let mut standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
        let standing =
            standings.entry(origin_of(base)).or_insert_with(|| Arc::new(Standing::new(self.config.cool_down)));
        Arc::clone(standing)
    }

    /// What to do after a try that failed, and what that says of the origin.
    pub(crate) fn after(
        &self,
        patience: &mut Patience,
        standing: &Standing,
        trouble: Trouble,
        (base, rest): (&ProxyUrl, &str),
    ) -> Next {
        let (blame, url) = (Blame::of(&trouble), shown(base, rest));
        let next = patience.after(trouble, &url);
        let since = patience.since().unwrap_or_else(std::time::Instant::now);
        let error = match next {
            Next::GiveUp(error) => {
                standing.bad(blame, patience.is_hurried(), since, &error);
                error
            }
            Next::Wait(pause) => match standing.given_up(since, &url) {
                None => return Next::Wait(pause),
                Some(error) => error,
            },
        };
        Next::GiveUp(error.asked_of(base))
    }

    fn pool(&self, origin: &Origin) -> Result<Pool, FetchError> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(origin) {
            return Ok(pool.clone());
        }
        let via = self.via(origin)?;
        let connector = Connector::new(origin.clone(), via, Roots::clone(&self.roots), Bounds::default());
        let config = PoolConfig {
            max_connections: self.config.connections.max(1),
            http1_only: self.config.http1_only,
            ..PoolConfig::default()
        };
        let pool = Pool::new(connector, config);
        pools.insert(origin.clone(), pool.clone());
        Ok(pool)
    }

    fn via(&self, origin: &Origin) -> Result<Option<Via>, FetchError> {
        let local = |text: String| FetchError::new(FailKind::Forbidden, Party::Client, text);
        let url = Url::parse(&format!("{origin}/")).map_err(|error| local(format!("{origin}: {error}")))?;
        match self.proxies.decide(&url) {
            ProxyDecision::Direct { .. } => Ok(None),
            ProxyDecision::Refused { variable } => {
                Err(local(format!("{variable} is not trusted where REQUEST_METHOD is set, as in the go command")))
            }
            ProxyDecision::Via(choice) => {
                let scheme = match &choice.scheme {
                    ProxyScheme::Http => ViaScheme::Http,
                    ProxyScheme::Https => ViaScheme::Https,
                    ProxyScheme::Socks5 => ViaScheme::Socks5,
                    ProxyScheme::Other(other) => {
                        return Err(local(format!("{}: unknown proxy scheme {other:?}", choice.variable)));
                    }
                };
                let Some(port) = choice.port() else {
                    return Err(local(format!("{}: {} has no usable port", choice.variable, choice.url)));
                };
                let credentials = choice
                    .url
                    .credentials()
                    .map(|(user, password)| (user.to_owned(), password.unwrap_or_default().to_owned()));
                Ok(Some(Via { scheme, host: choice.host().to_owned(), port, credentials }))
            }
        }
    }

    /// One try: redirects and credentials included, retries not. The status is 200, or 206 where a range was asked for.
    pub(crate) async fn open(&self, base: &ProxyUrl, rest: &str, get: &Get) -> Result<(Response, Pool), Trouble> {
        let first = (origin_of(base), base.request_target(rest));
        let url = format!("{}{}", first.0, first.1);
        let own = base.credentials().map(|(user, password)| basic(user, password.unwrap_or_default()));
        let https = first.0.https;
        if own.is_some() && !https {
            // cmd/go/internal/web/http.go has the same words.
            let text = format!("refusing to pass credentials to insecure URL: {}", shown(base, rest));
            return Err(Trouble::Final(FetchError::new(FailKind::Forbidden, Party::Client, text)));
        }
        let mut again = false;
        loop {
            let fields = match &own {
                Some(value) => vec![(AUTHORIZATION.to_string(), value.clone())],
                None if https => self.authorize.headers(&url).await,
                None => Vec::new(),
            };
            let (response, pool) = self.follow(first.clone(), &fields, get).await?;
            let status = response.status;
            if again {
                self.authorize.outcome(&url, status).await;
            } else if https && own.is_none() && (400..500).contains(&status) {
                // A 4xx over https asks GOAUTH again, once, and the request begins anew.
                again = self.authorize.refused(&url, &refusal(&response)).await;
                if again {
                    let _ = response.body.collect(64 << 10).await;
                    continue;
                }
            }
            return match status {
                200 => Ok((response, pool)),
                206 if get.range.is_some() => Ok((response, pool)),
                _ => Err(status_error(&url, response).await),
            };
        }
    }

    /// Sends a request and follows redirects. The fields that authenticate go no further than the first host
    /// (net/http/client.go, `shouldCopyHeaderOnRedirect`); once left out, they stay out.
    async fn follow(
        &self,
        (mut origin, mut target): (Origin, String),
        fields: &[(String, String)],
        get: &Get,
    ) -> Result<(Response, Pool), Trouble> {
        let mut fields = fields;
        for redirects in 1.. {
            let pool = self.pool(&origin).map_err(Trouble::Final)?;
            let ask = self.ask(&target, fields, get).map_err(Trouble::Final)?;
            let response = match pool.get(&ask).await {
                Ok(response) => response,
                Err(failure) => return Err(Trouble::Net(failure, Some(pool))),
            };
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return Ok((response, pool));
            }
            let next = redirect(&origin, &target, &response, redirects).map_err(Trouble::Final)?;
            if next.0 != origin {
                fields = &[];
            }
            let _ = response.body.collect(64 << 10).await;
            (origin, target) = next;
        }
        unreachable!("redirects are counted")
    }

    fn ask(&self, target: &str, fields: &[(String, String)], get: &Get) -> Result<Ask, FetchError> {
        let mut ask = Ask::new(target, if get.large { Class::Large } else { Class::Small });
        ask.rank = get.rank;
        ask.expect = get.expect;
        ask.moves = get.moves;
        let waits = Waits::within(get.left.unwrap_or(self.config.timeout), self.config.timeout, get.large);
        (ask.head_bound, ask.pause_bound) = (waits.head, waits.pause);
        let mut headers = self.fields.clone();
        if let Ok(via) = ON_BEHALF.try_with(HeaderValue::clone) {
            headers.insert(VIA, via);
        }
        for (name, value) in fields {
            let bad = |what: &dyn std::fmt::Display| {
                let text = format!("GOAUTH gives a header field that cannot be sent ({name}): {what}");
                FetchError::new(FailKind::Forbidden, Party::Client, text)
            };
            let field = HeaderName::try_from(name.as_str()).map_err(|error| bad(&error))?;
            let mut value = HeaderValue::try_from(value.as_str()).map_err(|error| bad(&error))?;
            value.set_sensitive(true);
            headers.append(field, value);
        }
        if let Some((from, to)) = get.range {
            let text = match to {
                Some(to) => format!("bytes={from}-{}", to.saturating_sub(1)),
                None => format!("bytes={from}-"),
            };
            headers.insert(RANGE, HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("bytes=0-")));
            if let Some(Ok(value)) = get.if_range.as_deref().map(HeaderValue::try_from) {
                headers.insert(IF_RANGE, value);
            }
        }
        ask.headers = headers;
        Ok(ask)
    }

    async fn small(&self, base: &ProxyUrl, rest: &str, limit: usize, rank: u64) -> Result<Bytes, FetchError> {
        if base.scheme() == Scheme::File {
            return local::read(base, rest, limit);
        }
        let standing = self.standing(base);
        let pass = standing.admit(&shown(base, rest)).await.map_err(|error| error.asked_of(base))?;
        let mut patience = Patience::hurried(pass.patience(self.config), self.config);
        loop {
            let left = Some(patience.left());
            let get = Get { rank: patience.rank(rank), moves: patience.moves(), left, ..Get::default() };
            let opened = self.open(base, rest, &get).await;
            if opened.is_ok() {
                patience.answered();
            }
            let trouble = match opened {
                Ok((response, pool)) => match response.body.collect(limit).await {
                    Ok(body) => {
                        standing.good();
                        if patience.tried() {
                            self.note_healed();
                        }
                        return Ok(body);
                    }
                    Err(failure) if failure.error.kind == goferry_net::ErrorKind::TooLarge => {
                        let text = format!("GET {}: {}", shown(base, rest), failure.error);
                        return Err(FetchError::invalid(text).asked_of(base));
                    }
                    Err(failure) => Trouble::Net(failure, Some(pool)),
                },
                Err(trouble) => trouble,
            };
            match self.after(&mut patience, &standing, trouble, (base, rest)) {
                Next::Wait(pause) => tokio::time::sleep(pause).await,
                Next::GiveUp(error) => return Err(error),
            }
        }
    }

    /// [`Web::get`] with a rank: the higher goes first.
    pub(crate) async fn get_ranked(
        &self,
        base: &ProxyUrl,
        rest: &str,
        limit: usize,
        rank: u64,
    ) -> Result<Bytes, FetchError> {
        self.small(base, rest, limit, rank).await
    }
}

impl Web for Client {
    fn get<'a>(&'a self, base: &'a ProxyUrl, rest: &'a str, limit: usize) -> BoxFuture<'a, Result<Bytes, FetchError>> {
        Box::pin(self.small(base, rest, limit, 0))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A URL as it is shown: credentials masked.
pub(crate) fn shown(base: &ProxyUrl, rest: &str) -> String {
    format!("{base}{rest}")
}

fn origin_of(base: &ProxyUrl) -> Origin {
    let host = base.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    Origin { https: base.scheme() == Scheme::Https, host, port: base.port_or_default() }
}

fn refusal(response: &Response) -> Refusal {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Refusal { status: response.status, headers }
}
