//! From a request to its answer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use goferry_env::{Environment, Inputs};
use goferry_fetch::FetchError;
use goferry_fetch::source::Changing;
use goferry_module::pattern::match_prefix_patterns;
use goferry_module::{FileKind, ModulePath, ModuleVersion};
use http::header::{AGE, ALLOW, CACHE_CONTROL, HeaderName, SERVER};
use http::{HeaderValue, Method, StatusCode};
use quick_cache::sync::Cache as Recent;

use crate::ahead::FetchAhead;
use crate::answer::{Answer, Entity, FOR_EVER, Request};
use crate::auth::Gate;
use crate::config::{Action, ProxyConfig, SourceMode};
use crate::exchange::Observer;
use crate::modules::Modules;
use crate::names::Names;
use crate::observe::{Operator, Watch};
use crate::route::{Route, RouteError};
use crate::store::{Keeper, Store, small};
use crate::sumdb::SumDb;
use crate::upstream::Upstream;
use crate::via::{Came, Chains};
use crate::waited::{self, Waited};
use crate::warm::Warm;

/// With `true` a client asks for what is here already, and for nothing to be fetched for it, as of other module proxies.
const NO_FETCH: HeaderName = HeaderName::from_static("disable-module-fetch");
const VERSION: HeaderValue = HeaderValue::from_static(concat!("goferry/", env!("CARGO_PKG_VERSION")));
/// Paths that are remembered with what they ask for, and the longest of them, in bytes.
const KNOWN: usize = 8192;
const KNOWN_LENGTH: usize = 256;

/// A module proxy.
pub struct Proxy {
    config: ProxyConfig,
    /// How long clients may keep what may change.
    passing: HeaderValue,
    gate: Gate,
    chains: Chains,
    store: Arc<Store>,
    _keeper: Option<Keeper>,
    /// Patterns of modules that a frozen store does not give away.
    withheld: String,
    upstream: Arc<Upstream>,
    modules: Arc<Modules>,
    ahead: Arc<FetchAhead>,
    /// Paths that were read, and what they ask for.
    known: Recent<String, Arc<Route>>,
    warm: Arc<Warm>,
    names: Arc<Names>,
    sumdb: SumDb,
    watch: Arc<Watch>,
    observer: Arc<dyn Observer>,
    operator: Operator,
}

impl Proxy {
    /// Sets a proxy up. It connects to its upstream; nothing is asked of anyone yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// For settings that cannot be used, and a store that cannot be opened.
    pub fn open(config: ProxyConfig, inputs: &Inputs, env: &Environment) -> Result<Proxy, FetchError> {
        let watch = Watch::open(&config)?;
        Proxy::open_watched(config, inputs, env, watch)
    }

    /// The same for a proxy that takes the place of another: `watch` goes on with what it counts.
    ///
    /// # Errors
    /// As [`Proxy::open`].
    pub fn open_watched(
        config: ProxyConfig,
        inputs: &Inputs,
        env: &Environment,
        watch: Arc<Watch>,
    ) -> Result<Proxy, FetchError> {
        let name = instance();
        let gate = Gate::open(&config.auth)?;
        let store = Arc::new(Store::open(&config.store, config.source, config.memory)?);
        let keeper = Keeper::start(&store, config.max_size);
        let withhold = config.source == SourceMode::Frozen && !config.allow_private;
        let withheld = if withhold { env.value("GOPRIVATE").to_owned() } else { String::new() };
        let upstream = Arc::new(Upstream::open(&config, inputs, env, &store, &name)?);
        let modules = Arc::new(Modules::new(Arc::clone(&store), Arc::clone(&upstream), config.freshness.not_found));
        let names = Arc::new(Names::new(Arc::clone(&store), Arc::clone(&upstream), config.freshness));
        let ahead = Arc::new(FetchAhead::new(&config, Arc::clone(&modules), Arc::clone(&upstream)));
        let warm = Arc::new(Warm::new(Arc::clone(&modules), config.rules.clone()));
        let sumdb = SumDb::new(&store, Arc::clone(&upstream), config.freshness);
        let observer: Arc<dyn Observer> = Arc::clone(&watch) as _;
        let operator = Operator::new(Arc::clone(&watch), &store, &upstream, &modules);
        if config.source == SourceMode::Fetch {
            upstream.warm();
        }
        let passing = format!("public, max-age={}", config.freshness.fresh.as_secs());
        let passing = HeaderValue::try_from(passing).unwrap_or(HeaderValue::from_static("no-cache"));
        Ok(Proxy {
            config,
            passing,
            gate,
            chains: Chains::new(name),
            store,
            _keeper: keeper,
            withheld,
            upstream,
            modules,
            ahead,
            known: Recent::new(KNOWN),
            warm,
            names,
            sumdb,
            watch,
            observer,
            operator,
        })
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &ProxyConfig {
        &self.config
    }

    /// The files of versions.
    #[must_use]
    pub fn modules(&self) -> &Arc<Modules> {
        &self.modules
    }

    /// The answers that may change.
    #[must_use]
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Where modules come from.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// What is counted and logged; goes on in the next proxy with [`Proxy::open_watched`].
    #[must_use]
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Who is told of requests.
    #[must_use]
    pub fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// Answers a request.
    pub async fn answer(&self, request: &Request) -> Answer {
        let mut answer = self.routed(request).await;
        answer.headers.insert(SERVER, VERSION);
        answer
    }

    async fn routed(&self, request: &Request) -> Answer {
        match self.chains.of(request) {
            Came::Directly => self.taken(request).await,
            Came::Through(chain) => {
                let answer = Box::pin(Arc::clone(&chain).scope(self.taken(request))).await;
                self.chains.learn(&chain, &answer);
                answer
            }
            Came::Round(text) => Answer::error(StatusCode::LOOP_DETECTED, text),
        }
    }

    async fn taken(&self, request: &Request) -> Answer {
        let path = match request.path.strip_prefix(&self.config.path_prefix) {
            Some(path) if path.starts_with('/') => path,
            _ => {
                let text = format!("paths of this proxy begin with {}/", self.config.path_prefix);
                return Answer::text(StatusCode::NOT_FOUND, text);
            }
        };
        let route = match self.route(path) {
            Ok(route) => route,
            Err(RouteError::Malformed(text)) => return Answer::text(StatusCode::BAD_REQUEST, text),
            Err(RouteError::Unknown(text)) => return Answer::text(StatusCode::NOT_FOUND, text),
        };
        let allowed = if *route == Route::Warm { "POST" } else { "GET, HEAD" };
        if !allowed.split(", ").any(|method| method == request.method.as_str()) {
            let text = format!("{} is not allowed here, but {allowed}", request.method);
            return Answer::text(StatusCode::METHOD_NOT_ALLOWED, text).with(ALLOW, HeaderValue::from_static(allowed));
        }
        let user = match self.gate.admit(&route, request) {
            Ok(user) => user,
            Err(refusal) => return *refusal,
        };
        let mut answer = match self.refused(&route) {
            Some(refusal) => refusal,
            None => self.routes(&route, request, user.as_deref()).await,
        };
        answer.note.route = route.name();
        if user.is_some() {
            keep_from_others(&mut answer);
        }
        answer.note.user = user;
        answer
    }

    /// What a path asks for. Reading it costs as much as all else that is done for a small file that is stored.
    fn route(&self, path: &str) -> Result<Arc<Route>, RouteError> {
        if let Some(known) = self.known.get(path) {
            return Ok(known);
        }
        let route = Arc::new(Route::parse(path)?);
        if path.len() <= KNOWN_LENGTH {
            self.known.insert(path.to_owned(), Arc::clone(&route));
        }
        Ok(route)
    }

    /// What a rule forbids.
    fn refused(&self, route: &Route) -> Option<Answer> {
        let path = route.module()?;
        if match_prefix_patterns(&self.withheld, path.as_str()) {
            let text = format!("{path} is private (GOPRIVATE) and not given away from a frozen store (allow-private)");
            return Some(Answer::error(StatusCode::FORBIDDEN, text));
        }
        let rule = self.config.rules.iter().find(|rule| match_prefix_patterns(&rule.pattern, path.as_str()))?;
        match &rule.action {
            Action::Block(message) => {
                let text = format!("a rule of goferry blocks {path}: {message}");
                Some(Answer::error(StatusCode::FORBIDDEN, text))
            }
            _ => None,
        }
    }

    async fn routes(&self, route: &Arc<Route>, request: &Request, user: Option<&str>) -> Answer {
        let client = user.unwrap_or(&request.peer.address);
        if !matches!(**route, Route::File(..)) {
            self.tell(client, route, request, true);
        }
        match &**route {
            Route::File(module, kind) => self.file(client, route, module, *kind, request).await,
            // What is seldom asked for must not make the answer to every request larger: it is moved about.
            Route::List(path) => Box::pin(self.name(path, &Changing::List, "text/plain; charset=utf-8", request)).await,
            Route::Latest(path) => Box::pin(self.name(path, &Changing::Latest, "application/json", request)).await,
            Route::Query(path, query) => {
                Box::pin(self.name(path, &Changing::Query(query.clone()), "application/json", request)).await
            }
            Route::SumDb(name, what) => {
                let answering = self.sumdb.answer(name, what, request, may_fetch(request));
                let (mut answer, waited) = Box::pin(waited::noting(answering)).await;
                told(&mut answer, waited);
                answer
            }
            Route::Health => Answer::text(StatusCode::OK, "ok"),
            Route::Home => {
                Answer::text(StatusCode::OK, format!("goferry {}: a Go module proxy", env!("CARGO_PKG_VERSION")))
            }
            Route::Ready => Box::pin(self.operator.ready()).await,
            Route::Metrics => Box::pin(self.operator.metrics()).await,
            Route::Connections => self.operator.connections(),
            Route::Warm => self.warm.answer(request).await,
        }
    }

    /// A file of a version. It is on its way before what is fetched ahead for it.
    async fn file(
        &self,
        client: &str,
        route: &Arc<Route>,
        module: &ModuleVersion,
        kind: FileKind,
        request: &Request,
    ) -> Answer {
        let mut file = pin!(self.modules.file(module, kind, may_fetch(request)));
        let at_once = poll_fn(|context| Poll::Ready(file.as_mut().poll(context))).await;
        self.tell(client, route, request, at_once.is_pending());
        let (outcome, waited) = match at_once {
            Poll::Ready(outcome) => (outcome, Waited::default()),
            Poll::Pending => waited::noting(file).await,
        };
        match outcome {
            Ok(served) => {
                self.ahead.given(client, module, kind, &served);
                let mut answer = Answer::entity(&served.entity, &request.method, &request.headers);
                answer.note.cache = served.cache;
                answer.note.upstream = served.upstream;
                answer.note.healed = served.healed;
                answer
            }
            Err(error) => {
                let mut answer = Answer::failed(&error);
                told(&mut answer, waited);
                answer
            }
        }
    }

    /// Tells what is asked for, and whether the client has to wait for it.
    fn tell(&self, client: &str, route: &Arc<Route>, request: &Request, waiting: bool) {
        if request.method == Method::GET && may_fetch(request) {
            self.ahead.asked(client, route, waiting);
        }
    }

    async fn name(&self, path: &ModulePath, what: &Changing, kind: &'static str, request: &Request) -> Answer {
        let (outcome, waited) = waited::noting(self.names.get(path, what, may_fetch(request))).await;
        let mut answer = match outcome {
            Ok(named) => {
                let entity = Entity { cache_control: self.passing.clone(), ..small(named.bytes, kind, FOR_EVER) };
                let mut answer = Answer::entity(&entity, &request.method, &request.headers);
                answer.note.cache = named.cache;
                answer.with(AGE, HeaderValue::from(named.age.as_secs()))
            }
            Err(error) => Answer::failed(&error),
        };
        told(&mut answer, waited);
        answer
    }
}

/// A cache on the way must not give to everyone what somebody had to say a name for: `public` would allow it (RFC 9111
/// section 3.5).
fn keep_from_others(answer: &mut Answer) {
    let kept = answer.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()?.strip_prefix("public"));
    if let Some(value) = kept.and_then(|rest| HeaderValue::try_from(format!("private{rest}")).ok()) {
        answer.headers.insert(CACHE_CONTROL, value);
    }
}

fn told(answer: &mut Answer, waited: Waited) {
    (answer.note.upstream, answer.note.healed) = (waited.upstream, waited.healed);
}

fn may_fetch(request: &Request) -> bool {
    request.headers.get(NO_FETCH).is_none_or(|value| !value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// How it is called in `Via`; no other process is called so.
fn instance() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    format!("goferry-{:016x}", std::hash::RandomState::new().build_hasher().finish())
}
