//! Files are fetched before they are asked for, where it is all but certain that they will be.
//!
//! What a client asked for tells what it will ask for next: [`Session`] has the rules, one file each, and is pure. This
//! file tells the sessions what happens and starts the fetches, behind everything that someone waits for. Nothing is
//! fetched of modules that are blocked or cloned, and nothing of Go toolchains.

mod clients;
mod graph;
mod guesses;
mod infos;
mod requires;
mod session;
#[cfg(test)]
mod tests;
mod zips;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use goferry_module::pattern::match_prefix_patterns;
use goferry_module::{FileKind, ModulePath, ModuleVersion, ProxyTarget};
use quick_cache::sync::Cache as Recent;

pub use self::requires::Requires;
pub use self::session::{Event, Session, ToFetch};

use self::clients::Clients;
use crate::answer::{Cache, EntityContent};
use crate::config::{Action, ProxyConfig, Rule, SourceMode};
use crate::modules::{Modules, Served};
use crate::route::Route;
use crate::upstream::Upstream;

/// `.mod`s whose requirements are remembered.
const PARSED: usize = 4_096;
/// The module whose zips are whole Go toolchains.
const TOOLCHAIN: &str = "golang.org/toolchain";

/// Fetches ahead.
pub struct FetchAhead {
    on: bool,
    modules: Arc<Modules>,
    upstream: Arc<Upstream>,
    rules: Vec<Rule>,
    clients: Mutex<Clients>,
    parsed: Recent<ModuleVersion, Requires>,
}

impl FetchAhead {
    /// As the settings say.
    #[must_use]
    pub fn new(config: &ProxyConfig, modules: Arc<Modules>, upstream: Arc<Upstream>) -> FetchAhead {
        FetchAhead {
            on: config.ahead && config.source == SourceMode::Fetch,
            modules,
            upstream,
            rules: config.rules.clone(),
            clients: Mutex::default(),
            parsed: Recent::new(PARSED),
        }
    }

    /// A client asks for something; `waiting` where it is not answered yet.
    pub fn asked(self: &Arc<Self>, client: &str, route: &Arc<Route>, waiting: bool) {
        if !self.on || Event::of(route).is_none() {
            return;
        }
        let missing = match &**route {
            Route::File(module, kind) => waiting && !self.modules.store().cache().file(module, *kind).exists(),
            _ => false,
        };
        let (fetch, replay) = self.clients().asked(client, Instant::now(), route, missing);
        self.fetch(client, fetch);
        if replay {
            self.start_replay(client);
        }
    }

    /// A client is given what it asked for.
    pub fn given(self: &Arc<Self>, client: &str, module: &ModuleVersion, kind: FileKind, served: &Served) {
        if !self.on {
            return;
        }
        let go_mod = (kind == FileKind::Mod).then_some(module);
        let then = self.clients().given(client, Instant::now(), go_mod, served.cache == Cache::Hit);
        if then.tell
            && let EntityContent::Memory(bytes) = &served.entity.content
        {
            let requires = self.requires(module, bytes);
            self.tell(client, Event::Given(module, &requires));
        }
        if then.replay {
            self.start_replay(client);
        }
    }

    fn start_replay(self: &Arc<Self>, client: &str) {
        let (this, client) = (Arc::clone(self), client.to_owned());
        tokio::spawn(async move { this.replay(&client).await });
    }

    /// Tells a client's session what it has not heard of.
    async fn replay(self: &Arc<Self>, client: &str) {
        loop {
            let next = self.clients().unheard(client, Instant::now());
            let Some(route) = next else { return };
            if let Some(event) = Event::of(&route) {
                self.tell(client, event);
            }
            // What is not there yet is told of when it is given.
            if let Route::File(module, FileKind::Mod) = &*route
                && let Some(requires) = self.read(module).await
            {
                self.tell(client, Event::Given(module, &requires));
            }
        }
    }

    fn tell(self: &Arc<Self>, client: &str, event: Event<'_>) {
        let fetch = self.clients().tell(client, Instant::now(), event);
        self.fetch(client, fetch);
    }

    fn fetch(self: &Arc<Self>, client: &str, fetch: Vec<ToFetch>) {
        for ToFetch { module, kind, follow } in fetch {
            let allowed = self.allowed(module.path());
            if allowed {
                self.modules.fetch_ahead(&module, kind);
            }
            if follow {
                let (this, client) = (Arc::clone(self), client.to_owned());
                tokio::spawn(async move { this.follow(&client, &module, allowed).await });
            }
        }
    }

    /// Waits for a `.mod`, and tells what it requires.
    fn follow<'a>(
        self: &'a Arc<Self>,
        client: &'a str,
        module: &'a ModuleVersion,
        allowed: bool,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let there = allowed && self.modules.ensure(module, FileKind::Mod).await.is_ok();
            match if there { self.read(module).await } else { None } {
                Some(requires) => self.tell(client, Event::Followed(module, &requires)),
                None => self.tell(client, Event::Failed(module)),
            }
        })
    }

    /// What a `.mod` of the store requires.
    async fn read(&self, module: &ModuleVersion) -> Option<Requires> {
        let judge = self.upstream.judge();
        let entity = self.modules.store().get(module, FileKind::Mod, judge).await.ok().flatten()?;
        match &entity.content {
            EntityContent::Memory(bytes) => Some(self.requires(module, bytes)),
            EntityContent::Disk(..) => None,
        }
    }

    fn requires(&self, module: &ModuleVersion, bytes: &[u8]) -> Requires {
        if let Some(known) = self.parsed.get(module) {
            return known;
        }
        let requires = Requires::parse(bytes);
        self.parsed.insert(module.clone(), requires.clone());
        requires
    }

    /// Whether modules of this path may be fetched that nobody asked for.
    fn allowed(&self, path: &ModulePath) -> bool {
        let rule = self.rules.iter().find(|rule| match_prefix_patterns(&rule.pattern, path.as_str()));
        if path.as_str() == TOOLCHAIN || rule.is_some_and(|rule| !matches!(rule.action, Action::Upstream(_))) {
            return false;
        }
        let sources = &self.upstream.fetcher(path).sources;
        let first = sources.proxies().entries().first();
        !sources.skips_proxy(path.as_str()) && first.is_some_and(|entry| matches!(entry.target, ProxyTarget::Url(_)))
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
