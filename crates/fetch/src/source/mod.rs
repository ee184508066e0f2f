//! Where a module's files come from: the entries of GOPROXY in order, with the exact meaning of `,` and `|`, and the go
//! command for `direct` (cmd/go/internal/modfetch/proxy.go, `TryProxies`; repo.go, `Lookup`).

mod direct;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use goferry_module::pattern::match_prefix_patterns;
use goferry_module::{
    FallBack, FileKind, ModInfo, ModulePath, ModuleVersion, ProxyList, ProxyTarget, ProxyUrl, Version,
};
use goferry_net::Party;

pub use direct::GoDirect;

use crate::cache::{ModCache, clean_info};
use crate::client::{Client, shown};
use crate::error::{FailKind, FetchError};
use crate::list::{MAX_LIST, VersionList};
use crate::query::Versions;
use crate::web::BoxFuture;

/// The largest go.mod (x/mod zip.go, `MaxGoMod`).
pub const MAX_GO_MOD: usize = 16 << 20;
/// The largest `.info`.
pub const MAX_INFO: usize = goferry_module::info::MAX_INFO;
/// What is quoted of what is not of its form, in characters.
const MAX_QUOTE: usize = 60;

/// A ranking of requests: what unlocks more goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Nobody waits for it but the user.
    Info = 0,
    /// A go.mod: it may lead to others.
    Mod = 1,
    /// An answer that decides what is asked for next.
    Query = 2,
}

/// What a module proxy says of a module that may be another thing tomorrow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Changing {
    /// `@v/list`.
    List,
    /// `@latest`.
    Latest,
    /// `@v/QUERY.info`, where the query is no canonical version: a branch, a hash.
    Query(String),
}

/// Where a file came from, or would.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A module proxy.
    Proxy(&'a ProxyUrl),
    /// The go command, which clones.
    Direct(&'a GoDirect),
}

impl Place<'_> {
    /// The place as messages name it; credentials masked.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Place::Proxy(url) => url.to_string(),
            Place::Direct(_) => "direct".to_owned(),
        }
    }
}

/// The entries of GOPROXY, and who serves them.
pub struct Sources {
    client: Arc<Client>,
    cache: Arc<ModCache>,
    list: ProxyList,
    no_proxy: String,
    direct: Arc<GoDirect>,
}

impl Sources {
    /// `list` is GOPROXY, `no_proxy` GONOPROXY (whose default is GOPRIVATE).
    #[must_use]
    pub fn new(
        client: Arc<Client>,
        cache: Arc<ModCache>,
        list: ProxyList,
        no_proxy: String,
        direct: impl Into<Arc<GoDirect>>,
    ) -> Sources {
        Sources { client, cache, list, no_proxy, direct: direct.into() }
    }

    /// The HTTP client.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// GOPROXY.
    #[must_use]
    pub fn proxies(&self) -> &ProxyList {
        &self.list
    }

    /// Whether GONOPROXY sends the module past all proxies.
    #[must_use]
    pub fn skips_proxy(&self, path: &str) -> bool {
        match_prefix_patterns(&self.no_proxy, path)
    }

    /// Asks one place after the other, as GOPROXY says.
    ///
    /// # Errors
    /// The error that tells most: of `direct` where it was asked, else the first that is not "not found".
    pub async fn try_each<'a, T, F>(&'a self, path: &str, ask: impl Fn(Place<'a>) -> F) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        if self.skips_proxy(path) {
            return ask(Place::Direct(&self.direct)).await;
        }
        let mut best: Option<FetchError> = None;
        let mut absent = Vec::new();
        for entry in self.list.entries() {
            let (outcome, direct) = match &entry.target {
                ProxyTarget::Url(url) => (ask(Place::Proxy(url)).await.map_err(|error| error.asked_of(url)), false),
                ProxyTarget::Direct => (ask(Place::Direct(&self.direct)).await, true),
                ProxyTarget::Off => {
                    let text = format!("{path}: module lookup disabled by GOPROXY=off");
                    (Err(FetchError::new(FailKind::Forbidden, Party::Client, text)), false)
                }
            };
            let mut error = match outcome {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if direct && self.direct.knows_no_repository(&error) {
                error.absent = best.as_ref().and_then(FetchError::not_found);
            }
            let not_found = error.is_not_found();
            if not_found && let ProxyTarget::Url(url) = &entry.target {
                absent.push(url.to_string());
            }
            let goes_on = not_found || entry.on == FallBack::AnyError;
            // What this machine or the content is at fault for, no other proxy mends.
            let own = matches!(error.kind, FailKind::Local(_) | FailKind::Mismatch);
            if direct || best.as_ref().is_none_or(FetchError::is_not_found) {
                best = Some(error);
            }
            if !goes_on || own {
                break;
            }
        }
        let mut error = best.unwrap_or_else(|| {
            FetchError::new(FailKind::Forbidden, Party::Client, format!("{path}: GOPROXY names nobody to ask"))
        });
        absent.retain(|base| error.asked.as_ref().is_none_or(|asked| asked.base != *base));
        if !absent.is_empty() {
            error.detail.push_str(&format!("\nnot found either at {}", absent.join(", ")));
        }
        Err(error)
    }

    /// The bytes of a `.info`, as sent. Of two with different ranks the higher goes first.
    ///
    /// # Errors
    /// See [`Sources::try_each`]; [`FailKind::Invalid`] where it is not of its form, after which only `|` leads on, as in
    /// the go command (modfetch/proxy.go, `Stat`).
    pub async fn info(&self, module: &ModuleVersion, rank: u64) -> Result<Bytes, FetchError> {
        self.try_each(module.path().as_str(), |place| async move {
            match place {
                Place::Proxy(url) => {
                    let (rest, rank) = (module.proxy_path(FileKind::Info), rank + Rank::Info as u64);
                    let info = self.client.get_ranked(url, &rest, MAX_INFO, rank).await?;
                    clean_info(module, &info).map_err(|error| malformed(error, (url, &rest), &info))?;
                    Ok(info)
                }
                Place::Direct(go) => go.info(module).await,
            }
        })
        .await
    }

    /// The bytes of a `.mod`, not verified, and where they came from. Of two with different ranks the higher goes first.
    ///
    /// # Errors
    /// See [`Sources::try_each`].
    pub async fn go_mod(&self, module: &ModuleVersion, rank: u64) -> Result<(Bytes, String), FetchError> {
        self.try_each(module.path().as_str(), |place| async move {
            let bytes = match place {
                Place::Proxy(url) => {
                    let rank = rank + Rank::Mod as u64;
                    self.client.get_ranked(url, &module.proxy_path(FileKind::Mod), MAX_GO_MOD, rank).await?
                }
                Place::Direct(go) => go.go_mod(module).await?,
            };
            Ok((bytes, place.name()))
        })
        .await
    }

    /// An answer that may change, as it is sent; of the go command what a proxy would send.
    ///
    /// # Errors
    /// See [`Sources::try_each`]; [`FailKind::Invalid`] where it is not of its form.
    pub async fn changing(&self, path: &ModulePath, what: &Changing) -> Result<Bytes, FetchError> {
        self.try_each(path.as_str(), |place| async move {
            match (place, what) {
                (Place::Proxy(url), Changing::List) => self.list_at(url, &path.list_path()).await.map(|(sent, _)| sent),
                (Place::Direct(go), Changing::List) => {
                    let lines = go.list(path).await?.tagged().iter().map(|version| format!("{version}\n")).collect();
                    Ok(Bytes::from(String::into_bytes(lines)))
                }
                (Place::Proxy(url), Changing::Latest) => {
                    self.info_at(url, &path.latest_path()).await.map(|(sent, _)| sent)
                }
                (Place::Proxy(url), Changing::Query(query)) => {
                    let escaped = goferry_module::escape::escape_version(query).map_err(|error| {
                        FetchError::new(FailKind::Forbidden, Party::Client, format!("{path}@{query}: {error}"))
                    })?;
                    let rest = format!("/{}/@v/{escaped}.info", path.escape());
                    self.info_at(url, &rest).await.map(|(sent, _)| sent)
                }
                (Place::Direct(go), Changing::Latest | Changing::Query(_)) => {
                    let query = if let Changing::Query(query) = what { query } else { "latest" };
                    let info = go.resolve(path, query).await?;
                    let json = serde_json::json!({ "Version": info.version, "Time": info.time });
                    Ok(Bytes::from(json.to_string()))
                }
            }
        })
        .await
    }

    /// The entries as [`Versions`], for queries; with each whether `|` follows, and whether it is `direct`.
    #[must_use]
    pub fn entries(self: &Arc<Self>) -> Vec<(EntryVersions, FallBack, bool)> {
        let proxies = self.list.entries().iter().enumerate().map(|(index, entry)| {
            let direct = !matches!(entry.target, ProxyTarget::Url(_));
            (EntryVersions { sources: Arc::clone(self), entry: Some(index) }, entry.on, direct)
        });
        // GONOPROXY's modules go to the go command, whatever the list says.
        let private = (EntryVersions { sources: Arc::clone(self), entry: None }, FallBack::NotFound, true);
        std::iter::once(private).chain(proxies).collect()
    }
}

/// One entry of GOPROXY, asked for versions.
pub struct EntryVersions {
    sources: Arc<Sources>,
    entry: Option<usize>,
}

impl EntryVersions {
    fn place(&self) -> Result<Place<'_>, FetchError> {
        let Some(entry) = self.entry else { return Ok(Place::Direct(&self.sources.direct)) };
        match &self.sources.list.entries()[entry].target {
            ProxyTarget::Url(url) => Ok(Place::Proxy(url)),
            ProxyTarget::Direct => Ok(Place::Direct(&self.sources.direct)),
            ProxyTarget::Off => {
                let text = "module lookup disabled by GOPROXY=off";
                Err(FetchError::new(FailKind::Forbidden, Party::Client, text))
            }
        }
    }
}

impl Versions for EntryVersions {
    fn serves(&self, path: &ModulePath) -> bool {
        self.sources.skips_proxy(path.as_str()) == self.entry.is_none()
    }

    fn list<'a>(&'a self, path: &'a ModulePath) -> BoxFuture<'a, Result<VersionList, FetchError>> {
        Box::pin(async move {
            match self.place()? {
                Place::Proxy(url) => self.sources.list_at(url, &path.list_path()).await.map(|(_, list)| list),
                Place::Direct(go) => go.list(path).await,
            }
        })
    }

    fn latest<'a>(&'a self, path: &'a ModulePath) -> BoxFuture<'a, Result<ModInfo, FetchError>> {
        Box::pin(async move {
            match self.place()? {
                Place::Proxy(url) => self.sources.info_at(url, &path.latest_path()).await.map(|(_, info)| info),
                Place::Direct(go) => go.resolve(path, "latest").await,
            }
        })
    }

    fn info<'a>(&'a self, path: &'a ModulePath, rev: &'a str) -> BoxFuture<'a, Result<ModInfo, FetchError>> {
        Box::pin(async move {
            let module = Version::parse(rev).ok().and_then(|version| ModuleVersion::new(path.clone(), version).ok());
            if let Some(cached) = module.and_then(|module| self.sources.cache.read_info(&module)) {
                return ModInfo::parse(&cached).map_err(|error| FetchError::invalid(format!("{path}@{rev}: {error}")));
            }
            match self.place()? {
                Place::Proxy(url) => {
                    let rev = goferry_module::escape::escape_version(rev).map_err(|error| {
                        FetchError::new(FailKind::Forbidden, Party::Client, format!("{path}@{rev}: {error}"))
                    })?;
                    let rest = format!("/{}/@v/{rev}.info", path.escape());
                    self.sources.info_at(url, &rest).await.map(|(_, info)| info)
                }
                Place::Direct(go) => go.resolve(path, rev).await,
            }
        })
    }

    fn go_mod<'a>(&'a self, module: &'a ModuleVersion) -> BoxFuture<'a, Result<Bytes, FetchError>> {
        Box::pin(async move {
            if let Some(cached) = self.sources.cache.read_mod(module) {
                return Ok(cached.into());
            }
            match self.place()? {
                Place::Proxy(url) => {
                    let rest = module.proxy_path(FileKind::Mod);
                    self.sources.client.get_ranked(url, &rest, MAX_GO_MOD, Rank::Query as u64).await
                }
                Place::Direct(go) => go.go_mod(module).await,
            }
        })
    }
}

impl Sources {
    /// A list of a module proxy, as sent and as read.
    async fn list_at(&self, url: &ProxyUrl, rest: &str) -> Result<(Bytes, VersionList), FetchError> {
        let sent = self.client.get_ranked(url, rest, MAX_LIST, Rank::Query as u64).await?;
        let list = VersionList::parse(&sent).map_err(|error| malformed(error, (url, rest), &sent))?;
        Ok((sent, list))
    }

    /// What a module proxy answers to `@latest` or a query, as sent and as read.
    async fn info_at(&self, url: &ProxyUrl, rest: &str) -> Result<(Bytes, ModInfo), FetchError> {
        let sent = self.client.get_ranked(url, rest, MAX_INFO, Rank::Query as u64).await?;
        let read = ModInfo::parse(&sent).map_err(|error| FetchError::invalid(error.to_string()));
        let info = read.map_err(|error| malformed(error, (url, rest), &sent))?;
        Ok((sent, info))
    }
}

/// What a module proxy sent is not of its form: with the URL, credentials masked, and how it begins, as it may be the page
/// of a login or of a firewall.
fn malformed(error: FetchError, (base, rest): (&ProxyUrl, &str), sent: &[u8]) -> FetchError {
    let text = String::from_utf8_lossy(&sent[..sent.len().min(4 * MAX_QUOTE)]);
    let begins: String = text.chars().take(MAX_QUOTE).collect();
    let more = if begins.len() < sent.len() { "…" } else { "" };
    let begins = if sent.is_empty() { "it is empty".to_owned() } else { format!("it begins {begins:?}{more}") };
    let detail = format!("GET {}: {}; {begins}", shown(base, rest), error.detail);
    FetchError { detail, ..error }.asked_of(base)
}
