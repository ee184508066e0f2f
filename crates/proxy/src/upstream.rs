//! Where modules come from: for each rule a list of proxies, and the go command for what only it can fetch.

use std::path::Path;
use std::sync::Arc;

use goferry_env::http_proxy::ProxySettings;
use goferry_env::{Environment, Inputs};
use goferry_fetch::fetcher::Judge;
use goferry_fetch::source::{GoDirect, Sources};
use goferry_fetch::sums::{DatabaseUse, SumFiles};
use goferry_fetch::transfer::{Progress, Splitter};
use goferry_fetch::verify::Verifier;
use goferry_fetch::{Client, Credentials, FailKind, FetchError, Fetcher, SumDbClient, Sums, Web};
use goferry_module::pattern::match_prefix_patterns;
use goferry_module::{ModulePath, ProxyList, Scheme, SumDb};
use goferry_net::Party;
use goferry_net::tls::Roots;
use http::HeaderValue;
use http::header::VIA;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::{Action, ProxyConfig};
use crate::store::{PinJudge, Store};

/// Where modules come from.
pub struct Upstream {
    client: Arc<Client>,
    database: Option<Arc<SumDbClient>>,
    database_use: DatabaseUse,
    /// The first whose pattern fits.
    lanes: Vec<Lane>,
    rest: Arc<Fetcher>,
    splitters: JoinSet<()>,
}

struct Lane {
    pattern: String,
    fetcher: Arc<Fetcher>,
}

/// Nobody is told.
struct Nobody;

impl Progress for Nobody {
    fn bytes(&self, _count: u64) {}
    fn expected(&self, _count: u64) {}
}

impl Upstream {
    /// Sets everything up; nothing is asked of anyone yet. `name` is how this proxy is called in `Via`. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// For settings that cannot be used.
    pub fn open(
        config: &ProxyConfig,
        inputs: &Inputs,
        env: &Environment,
        store: &Store,
        name: &str,
    ) -> Result<Upstream, FetchError> {
        let forbidden = |text: String| FetchError::new(FailKind::Forbidden, Party::Client, text);
        let minor = env.go.as_ref().and_then(goferry_env::GoCommand::minor).unwrap_or(27);
        let for_roots = inputs.clone();
        let load = move || {
            let trusted = goferry_env::roots::load(&for_roots, minor);
            for problem in trusted.problems.iter().filter(|problem| problem.named_by_user) {
                tracing::warn!(path = %problem.path.display(), "{}", problem.what);
            }
            Roots::new(trusted.der)
        };
        let via = HeaderValue::try_from(format!("1.1 {name}")).map_err(|error| forbidden(error.to_string()))?;
        let credentials = Arc::new(Credentials::of(inputs, env)?);
        let client = Client::trusting(ProxySettings::from_inputs(inputs), load, credentials, config.client);
        let client = Arc::new(client.sending(VIA, via));

        let list = config.upstream.clone().unwrap_or_else(|| env.goproxy.clone());
        let private: Vec<&str> = config
            .rules
            .iter()
            .filter(|rule| matches!(rule.action, Action::Private))
            .map(|rule| rule.pattern.as_str())
            .collect();
        let joined = |setting: &Option<String>, variable: &str| {
            let given = setting.clone().unwrap_or_else(|| env.value(variable).to_owned());
            private
                .iter()
                .copied()
                .chain([given.as_str()])
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join(",")
        };
        let no_proxy = joined(&config.direct, "GONOPROXY");
        let no_sum_db = joined(&config.no_sumdb, "GONOSUMDB");
        let gosumdb = config.sumdb.clone().unwrap_or_else(|| env.value("GOSUMDB").to_owned());
        let setting = SumDb::parse(&gosumdb).map_err(|error| forbidden(format!("sumdb: {error}")))?;
        let database_use = DatabaseUse { off: setting == SumDb::Off, no_sum_db: no_sum_db.clone(), file_proxy: false };
        let database = match setting {
            SumDb::Off => None,
            SumDb::On(database) => {
                let web = Arc::clone(&client) as Arc<dyn Web>;
                let (files, latest) = (store.dir().join("sumdb"), store.own().join("sumdb"));
                Some(Arc::new(SumDbClient::new(*database, list.clone(), web, files, latest).lasting()))
            }
        };
        let sums = Sums::load(SumFiles::default(), database_use.clone())?;
        let verifier = Verifier::new(sums, database_use.clone(), database.clone());
        let judge: Arc<dyn Judge> = Arc::new(PinJudge {
            inner: Arc::new(verifier),
            pins: Arc::clone(store.pins()),
            database_use: database_use.clone(),
        });

        let splitter = Arc::new(Splitter::default());
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let turns = Arc::new(Semaphore::new(4 * workers));
        let go = Arc::new(go_direct(config, env, &store.own().join("direct"), &no_proxy, &joined(&None, "GOPRIVATE")));
        let fetcher = |list: &ProxyList| {
            let go = Arc::clone(&go);
            let cache = Arc::clone(store.cache());
            let sources = Sources::new(Arc::clone(&client), Arc::clone(&cache), list.clone(), no_proxy.clone(), go);
            Arc::new(Fetcher {
                sources: Arc::new(sources),
                cache,
                judge: Arc::clone(&judge),
                unpacker: Arc::clone(store.unpacker()),
                splitter: Arc::clone(&splitter),
                progress: Arc::new(Nobody),
                turns: Arc::clone(&turns),
                yields: false,
            })
        };
        let lanes: Vec<Lane> = config
            .rules
            .iter()
            .filter_map(|rule| match &rule.action {
                Action::Upstream(list) => Some(Lane { pattern: rule.pattern.clone(), fetcher: fetcher(list) }),
                _ => None,
            })
            .collect();
        let rest = fetcher(&list);
        let splitters = split(&client, &splitter, lanes.iter().map(|lane| &lane.fetcher).chain([&rest]));
        Ok(Upstream { client, database, database_use, lanes, rest, splitters })
    }

    /// Who fetches a module.
    #[must_use]
    pub fn fetcher(&self, path: &ModulePath) -> &Arc<Fetcher> {
        let fits = |lane: &&Lane| match_prefix_patterns(&lane.pattern, path.as_str());
        self.lanes.iter().find(fits).map_or(&self.rest, |lane| &lane.fetcher)
    }

    /// Who judges what is fetched.
    #[must_use]
    pub fn judge(&self) -> &Arc<dyn Judge> {
        &self.rest.judge
    }

    /// The HTTP client, for what its pools do.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The checksum database, unless it is off.
    #[must_use]
    pub fn database(&self) -> Option<&Arc<SumDbClient>> {
        self.database.as_ref()
    }

    /// Which modules the checksum database is asked about.
    #[must_use]
    pub fn database_use(&self) -> &DatabaseUse {
        &self.database_use
    }

    /// The list for modules that no rule is about.
    #[must_use]
    pub fn list(&self) -> &ProxyList {
        self.rest.sources.proxies()
    }

    /// Opens the first connection before anything is asked.
    pub fn warm(&self) {
        if let Some((url, _)) = self.list().urls().next() {
            self.client.warm(url);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.splitters.abort_all();
    }
}

/// Gives connections that have no work halves of large zips.
fn split<'a>(
    client: &Arc<Client>,
    splitter: &Arc<Splitter>,
    fetchers: impl Iterator<Item = &'a Arc<Fetcher>>,
) -> JoinSet<()> {
    let mut bases: Vec<_> = fetchers
        .flat_map(|fetcher| fetcher.sources.proxies().urls().map(|(url, _)| url.clone()))
        .filter(|url| url.scheme() != Scheme::File)
        .collect();
    bases.sort_by_key(|url| url.expose().to_owned());
    bases.dedup();
    let mut running = JoinSet::new();
    for base in bases {
        let (client, splitter) = (Arc::clone(client), Arc::clone(splitter));
        running.spawn(async move {
            // Where there can be no connection the fetches say so.
            let _ = splitter.run(&client, &base).await;
        });
    }
    running
}

/// The go command with a module cache of its own. It asks no checksum database: what it brings is judged like the rest.
fn go_direct(config: &ProxyConfig, env: &Environment, root: &Path, no_proxy: &str, private: &str) -> GoDirect {
    let mut variables = vec![
        ("GOMODCACHE".to_owned(), root.display().to_string()),
        ("GOPROXY".to_owned(), "direct".to_owned()),
        ("GONOPROXY".to_owned(), no_proxy.to_owned()),
        ("GOSUMDB".to_owned(), "off".to_owned()),
        // Which version control systems may be used depends on it (GOVCS).
        ("GOPRIVATE".to_owned(), private.to_owned()),
    ];
    for name in ["GOINSECURE", "GOAUTH", "GOVCS"] {
        variables.push((name.to_owned(), env.value(name).to_owned()));
    }
    let go = env.go.as_ref().map(|go| go.path.clone());
    GoDirect::new(go, variables, config.go_commands, config.go_command_time).apart()
}
