//! All that downloads share, made from an environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use goferry_env::http_proxy::ProxySettings;
use goferry_env::{Environment, Inputs, ProjectFiles};
use goferry_module::{DirHash, FileKind, ModuleVersion, SumDb};
use goferry_net::Party;
use goferry_net::tls::Roots;
use tokio::sync::Semaphore;

use super::go_mod::LocalGo;
use super::report::Reporter;
use crate::auth::Credentials;
use crate::cache::ModCache;
use crate::client::{Client, ClientConfig};
use crate::error::{FailKind, FetchError};
use crate::fetcher::{Fetcher, Judge};
use crate::memo::Memo;
use crate::source::{GoDirect, Sources};
use crate::sumdb::SumDbClient;
use crate::sums::{DatabaseUse, SumFiles, Sums};
use crate::transfer::Progress;
use crate::unpack::Unpacker;
use crate::verify::Verifier;

/// How many go commands run at once for modules that must be cloned.
const GO_COMMANDS: usize = 4;
/// How long one of them may take: a large repository.
const GO_COMMAND_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What a download is set up with.
pub struct Setup<'a> {
    /// The process.
    pub inputs: &'a Inputs,
    /// Go's settings.
    pub env: &'a Environment,
    /// The project, if any.
    pub project: Option<&'a ProjectFiles>,
    /// Patience and connections.
    pub client: ClientConfig,
    /// Who is told.
    pub reporter: Arc<dyn Reporter>,
}

/// Sources, cache and verifier: what all downloads of a run share.
pub struct Shop {
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) sources: Arc<Sources>,
    pub(super) cache: Arc<ModCache>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) local_go: LocalGo,
    go_mods: Memo<ModuleVersion, Result<DirHash, FetchError>>,
}

impl Shop {
    /// Sets everything up; nothing is asked of anyone yet.
    ///
    /// # Errors
    /// For settings that the go command would refuse, too, and files that cannot be read.
    pub fn open(setup: &Setup<'_>) -> Result<Shop, FetchError> {
        let Setup { inputs, env, project, .. } = setup;
        let forbidden = |text: String| FetchError::new(FailKind::Forbidden, Party::Client, text);
        let root = env.mod_cache().ok_or_else(|| {
            forbidden("there is no module cache: GOMODCACHE is not set, and neither is GOPATH or HOME".to_owned())
        })?;
        if !root.is_absolute() {
            let text = format!("GOMODCACHE is {}; it must be an absolute path", root.display());
            return Err(forbidden(text));
        }
        let writable = env.goflags().iter().any(|flag| is_set(flag, "modcacherw"));
        let told = Arc::clone(&setup.reporter);
        let cache = ModCache::open(root, writable).waiting(Duration::from_secs(600), move |text| told.note(text));
        let cache = Arc::new(cache);
        let minor = env.go.as_ref().and_then(goferry_env::GoCommand::minor).unwrap_or(27);
        let (for_roots, told) = ((*inputs).clone(), Arc::clone(&setup.reporter));
        let load = move || {
            let trusted = goferry_env::roots::load(&for_roots, minor);
            for problem in trusted.problems.iter().filter(|problem| problem.named_by_user) {
                told.note(&format!("{}: {}", problem.path.display(), problem.what));
            }
            Roots::new(trusted.der)
        };
        let credentials = Credentials::of(inputs, env)?;
        let proxies = ProxySettings::from_inputs(inputs);
        let client = Arc::new(Client::trusting(proxies, load, Arc::new(credentials), setup.client));
        let direct = direct(env, root);
        let no_proxy = env.value("GONOPROXY").to_owned();
        let sources =
            Arc::new(Sources::new(Arc::clone(&client), Arc::clone(&cache), env.goproxy.clone(), no_proxy, direct));
        let database_use = DatabaseUse::of(env);
        let files = project.map(SumFiles::of).unwrap_or_default();
        let sums = Sums::load(files, database_use.clone())?;
        let database = database(env, root, &client)?;
        let verifier = Arc::new(Verifier::new(sums, database_use, database));
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(16);
        let fetcher = Arc::new(Fetcher {
            sources: Arc::clone(&sources),
            cache: Arc::clone(&cache),
            judge: Arc::clone(&verifier) as Arc<dyn Judge>,
            unpacker: Arc::new(Unpacker::new(workers)),
            splitter: Arc::default(),
            progress: Arc::new(Told(Arc::clone(&setup.reporter))),
            turns: Arc::new(Semaphore::new(4 * workers)),
            yields: true,
        });
        Ok(Shop { fetcher, sources, cache, verifier, local_go: LocalGo::of(env), go_mods: Memo::default() })
    }

    /// The module cache.
    #[must_use]
    pub fn cache(&self) -> &ModCache {
        &self.cache
    }

    /// The HTTP client, for its timelines.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        self.sources.client()
    }

    /// A go.mod, verified; it is in the cache then. Asked for once, however many need it.
    ///
    /// # Errors
    /// Whatever kept it from being fetched, verified or written.
    pub(super) async fn go_mod(&self, module: &ModuleVersion) -> Result<DirHash, FetchError> {
        self.go_mods.get(module.clone(), async || Ok(self.fetcher.go_mod(module, 0).await?.1)).await
    }

    /// The bytes of a go.mod, verified.
    pub(super) async fn go_mod_bytes(&self, module: &ModuleVersion) -> Result<Vec<u8>, FetchError> {
        self.go_mod(module).await?;
        self.cache.read_mod(module).ok_or_else(|| {
            let file = self.cache.file(module, FileKind::Mod);
            FetchError::new(FailKind::Local(None), Party::Client, format!("{} is gone again", file.display()))
        })
    }
}

/// A [`Reporter`] as what it is to a transfer.
struct Told(Arc<dyn Reporter>);

impl Progress for Told {
    fn bytes(&self, count: u64) {
        self.0.bytes(count);
    }

    fn expected(&self, count: u64) {
        self.0.expected(count);
    }
}

fn direct(env: &Environment, root: &Path) -> GoDirect {
    let go = env.go.as_ref().map(|go| go.path.clone());
    // The cache is ours, and what the go command would ask of proxies we have asked already.
    let mut variables =
        vec![("GOMODCACHE".to_owned(), root.display().to_string()), ("GOPROXY".to_owned(), "direct".to_owned())];
    for name in ["GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB", "GOINSECURE", "GOAUTH", "GOVCS"] {
        variables.push((name.to_owned(), env.value(name).to_owned()));
    }
    GoDirect::new(go, variables, GO_COMMANDS, GO_COMMAND_LIMIT)
}

fn database(env: &Environment, root: &Path, client: &Arc<Client>) -> Result<Option<Arc<SumDbClient>>, FetchError> {
    let setting = SumDb::parse(env.value("GOSUMDB"))
        .map_err(|error| FetchError::new(FailKind::Forbidden, Party::Client, format!("GOSUMDB: {error}")))?;
    let SumDb::On(database) = setting else { return Ok(None) };
    let gopath = env.value("GOPATH").split(':').next().map(PathBuf::from).unwrap_or_default();
    let (cache, config) = (root.join("cache/download/sumdb"), gopath.join("pkg/sumdb"));
    let web: Arc<dyn crate::web::Web> = Arc::clone(client) as Arc<dyn crate::web::Web>;
    Ok(Some(Arc::new(SumDbClient::new(*database, env.goproxy.clone(), web, cache, config))))
}

/// Whether a boolean flag of GOFLAGS is on.
fn is_set(flag: &str, name: &str) -> bool {
    let flag = flag.trim_start_matches('-');
    flag == name
        || flag
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
            .is_some_and(|v| matches!(v, "1" | "t" | "T" | "true" | "TRUE" | "True"))
}
