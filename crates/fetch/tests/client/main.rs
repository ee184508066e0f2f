//! The HTTP client and the transfer of zips against servers that misbehave, on loopback.

mod answers;
mod redirects;
mod resume;
#[path = "../../../net/tests/pool/server.rs"]
#[expect(dead_code, reason = "the same servers serve the tests of the connection pool")]
mod server;
mod site;
mod split;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use goferry_env::Inputs;
use goferry_env::http_proxy::ProxySettings;
use goferry_fetch::client::{Anonymous, Authorize, Client, ClientConfig};
use goferry_fetch::transfer::{Arrived, Context, Progress};
use goferry_fetch::{FetchError, ModCache, Unpacker};
use goferry_module::zip::create_module_zip;
use goferry_module::{ModulePath, ModuleVersion, ProxyUrl, Version};
use goferry_net::tls::Roots;
use server::Server;

pub(crate) fn config() -> ClientConfig {
    ClientConfig { timeout: Duration::from_secs(10), ..ClientConfig::default() }
}

pub(crate) fn client_of(servers: &[&Server], config: ClientConfig, authorize: Arc<dyn Authorize>) -> Client {
    let roots = servers.iter().map(|server| server.root.clone()).filter(|root| !root.is_empty()).collect();
    let proxies = ProxySettings::from_inputs(&Inputs::empty("/", "/"));
    Client::new(proxies, Roots::new(roots), authorize, config)
}

pub(crate) fn client(server: &Server) -> Client {
    client_of(&[server], config(), Arc::new(Anonymous))
}

pub(crate) fn base(server: &Server) -> ProxyUrl {
    let scheme = if server.https { "https" } else { "http" };
    ProxyUrl::parse(&format!("{scheme}://{}", server.address)).unwrap()
}

pub(crate) fn module() -> ModuleVersion {
    ModuleVersion::new(ModulePath::parse("example.com/m").unwrap(), Version::parse("v1.0.0").unwrap()).unwrap()
}

/// A module's zip of a little more than `size` bytes, which cannot be packed.
pub(crate) fn zip_of(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let content: Vec<u8> = noise.flatten().take(size).collect();
    create_module_zip(&module(), [("noise.bin", content)]).unwrap()
}

/// Told of bytes: the sum must be what was expected.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) bytes: AtomicU64,
    pub(crate) expected: AtomicU64,
}

impl Progress for Counted {
    fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::SeqCst);
    }

    fn expected(&self, count: u64) {
        self.expected.fetch_add(count, Ordering::SeqCst);
    }
}

/// A module cache in a temporary folder, and what fetches into it.
pub(crate) struct Run {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) context: Context,
    pub(crate) counted: Arc<Counted>,
}

impl Run {
    pub(crate) fn new(client: Client) -> Run {
        Run::within(client, tempfile::tempdir().unwrap())
    }

    pub(crate) fn within(client: Client, dir: tempfile::TempDir) -> Run {
        let counted = Arc::new(Counted::default());
        let context = Context {
            client: Arc::new(client),
            cache: Arc::new(ModCache::open(dir.path(), true)),
            splitter: Arc::default(),
            progress: Arc::clone(&counted) as Arc<dyn Progress>,
        };
        Run { dir, context, counted }
    }

    /// Another process a while later, with the same folder.
    pub(crate) fn again(self, client: Client) -> Run {
        let Run { dir, context, .. } = self;
        drop(context);
        Run::within(client, dir)
    }

    pub(crate) async fn zip(&self, server: &Server) -> Result<Arrived, FetchError> {
        self.context.zip(&module(), &base(server), "/m.zip", 0, false).await
    }

    /// Fetches, installs, and compares what is in the cache then.
    pub(crate) async fn expect(&self, server: &Server, zip: &[u8]) -> (u64, bool) {
        let arrived = self.zip(server).await.unwrap();
        self.check(arrived, zip)
    }

    /// Installs what arrived, and compares.
    pub(crate) fn check(&self, arrived: Arrived, zip: &[u8]) -> (u64, bool) {
        let (bytes, assembled) = (arrived.bytes, arrived.assembled);
        let cache = &self.context.cache;
        cache.install(&module(), arrived.zip, |_| Ok(()), false, &Unpacker::new(1)).unwrap();
        let file = cache.file(&module(), goferry_module::FileKind::Zip);
        assert!(std::fs::read(&file).unwrap() == zip, "another zip arrived");
        let left: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().flatten().collect();
        let left = left.iter().filter(|entry| entry.file_name().to_string_lossy().contains("part")).count();
        assert_eq!(left, 0, "pieces are left");
        let told = (self.counted.bytes.load(Ordering::SeqCst), self.counted.expected.load(Ordering::SeqCst));
        assert_eq!(told.0, zip.len() as u64, "progress tells each byte once");
        assert!(told.1 == told.0 || told.1 == 0, "{told:?}");
        (bytes, assembled)
    }
}
