//! The downloader: what `go mod download` would leave, fetched all at once.
//!
//! Everything that is known is asked for at once. In a module at go 1.17 or later the zips of its requirements do not
//! wait for the graph: go.mod lists them. Where the graph then selects other versions, those come on top.

mod go_mod;
mod graph;
mod module;
mod report;
mod shop;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use goferry_env::ProjectFiles;
use goferry_module::gomod::Require;
use goferry_module::graph::{ModuleGraph, Requirements};
use goferry_module::{GoMod, ModuleVersion, ProxyTarget, Version};
use goferry_net::Party;
use tokio::task::JoinSet;

use self::module::Want;
pub use self::report::{Answer, Failed, ModuleReport, Report, Reporter, Silent};
pub use self::shop::{Setup, Shop};
use crate::error::{FailKind, FetchError};
use crate::memo::all;
use crate::query::{self, Argument, Source};
use crate::sums::{Hashed, Keep};

/// What is to be downloaded.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// What the user named; nothing means what `go mod download` without arguments means.
    pub arguments: Vec<Argument>,
    /// Zips only, nothing unpacked.
    pub no_extract: bool,
    /// Say what would be downloaded, and fetch only the go.mod files that this takes.
    pub dry_run: bool,
    /// Write go.sum and go.mod even where something failed, as `go mod download -json` does.
    pub write_on_failure: bool,
    /// A toolchain (`golang.org/toolchain`) to fetch as well.
    pub toolchain: Option<ModuleVersion>,
}

/// Downloads.
pub struct Downloader {
    shop: Arc<Shop>,
    project: Option<ProjectFiles>,
    reporter: Arc<dyn Reporter>,
}

/// What was found to be downloaded, and how.
struct Found {
    graph: Option<ModuleGraph>,
    /// Whether the graph was loaded for go.mod alone, which has to be corrected.
    only_to_correct: bool,
    queries: BTreeMap<ModuleVersion, Option<String>>,
}

impl Downloader {
    /// A downloader for a project, or for none.
    #[must_use]
    pub fn new(shop: Arc<Shop>, project: Option<ProjectFiles>, reporter: Arc<dyn Reporter>) -> Downloader {
        Downloader { shop, project, reporter }
    }

    /// Does it all. Whatever fails is in the report; the rest is finished.
    pub async fn run(&self, job: &Job) -> Report {
        let began = Instant::now();
        let mut report = Report::default();
        let splitters = self.start_splitters();
        let mut running: JoinSet<ModuleReport> = JoinSet::new();
        let mut started = BTreeSet::new();
        let mut rank = 1 << 20;
        let mut start = |module: &ModuleVersion, zip_only: bool, running: &mut JoinSet<ModuleReport>| {
            if !job.dry_run && started.insert(module.clone()) {
                rank -= 1;
                let want = Want { extract: !job.no_extract, zip_only, rank };
                running.spawn(module::download(Arc::clone(&self.shop), module.clone(), want));
            }
        };
        if let Some(toolchain) = &job.toolchain {
            start(toolchain, true, &mut running);
        }
        let found = {
            let early = self.known_early(job);
            self.warm(&early);
            for module in &early {
                start(module, false, &mut running);
            }
            self.reporter.planned(early.len().max(1));
            self.find(job, &mut report).await
        };
        let wanted: BTreeSet<ModuleVersion> = found.queries.keys().cloned().collect();
        self.reporter.planned(wanted.len() + usize::from(job.toolchain.is_some()));
        for module in &wanted {
            start(module, false, &mut running);
        }
        // Without arguments, and outside a workspace, the go command writes its files before it fetches zips.
        let early = job.arguments.is_empty() && self.project.as_ref().is_some_and(|project| project.go_work.is_none());
        if early && !job.dry_run && found.graph.is_some() {
            self.write(job, &found, &mut report);
        }
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(mut module) => {
                    module.query = found.queries.get(&module.module).cloned().flatten();
                    self.reporter.done(&module);
                    report.bytes += module.bytes;
                    report.modules.push(module);
                }
                Err(error) => report.failed.push(Failed {
                    what: "goferry".to_owned(),
                    error: FetchError::new(FailKind::Invalid, Party::Goferry, format!("a task ended: {error}")),
                }),
            }
        }
        let mismatch =
            |module: &ModuleReport| module.error.as_ref().is_some_and(|error| error.kind == FailKind::Mismatch);
        let may = report.ok() || (job.write_on_failure && !report.modules.iter().any(mismatch));
        if !early && !job.dry_run && may {
            self.write(job, &found, &mut report);
        }
        drop(splitters);
        self.finish(&mut report, job, &wanted, began);
        report
    }

    /// The modules that are certain before the graph is known.
    fn known_early(&self, job: &Job) -> Vec<ModuleVersion> {
        let Some(project) = self.project.as_ref().filter(|_| job.arguments.is_empty()) else { return Vec::new() };
        let [(_, go_mod)] = project.modules.as_slice() else { return Vec::new() };
        if project.go_work.is_some() || !go_mod.is_pruned() {
            return Vec::new();
        }
        let mut highest: BTreeMap<&str, &Require> = BTreeMap::new();
        for require in &go_mod.requires {
            // A line that the go command would change is not certain.
            if !require.version.is_canonical() && !require.version.is_incompatible() {
                return Vec::new();
            }
            if highest.insert(&require.path, require).is_some() {
                return Vec::new();
            }
        }
        let excluded = |path: &str, version: &Version| {
            go_mod.excludes.iter().any(|exclude| exclude.path == path && exclude.version == *version)
        };
        if go_mod.requires.iter().any(|require| excluded(&require.path, &require.version)) {
            return Vec::new();
        }
        highest
            .values()
            .filter_map(|require| match go_mod.replacement(&require.path, &require.version) {
                Some(replace) => replace.new.module_version(),
                None => require.module_version(),
            })
            .collect()
    }

    /// Opens the first connection while go.mod files are read and the cache is looked at.
    fn warm(&self, early: &[ModuleVersion]) {
        let cached = !early.is_empty() && early.iter().all(|module| self.shop.cache.state(module).zip().is_some());
        if cached {
            return;
        }
        if let Some(ProxyTarget::Url(first)) = self.shop.sources.proxies().entries().first().map(|entry| &entry.target)
        {
            self.shop.sources.client().warm(first);
        }
    }

    /// Finds out what is to be downloaded.
    async fn find(&self, job: &Job, report: &mut Report) -> Found {
        let mut found = Found { graph: None, only_to_correct: false, queries: BTreeMap::new() };
        let outcome = if job.arguments.is_empty() {
            self.find_default(&mut found, report).await
        } else {
            self.find_arguments(job, &mut found, report).await
        };
        if let Err(error) = outcome {
            report.failed.push(Failed { what: String::new(), error });
        }
        report.go_mods = found.graph.as_ref().map_or(0, |graph| graph.go_mods_read().count());
        found
    }

    async fn find_default(&self, found: &mut Found, report: &mut Report) -> Result<(), FetchError> {
        let Some(project) = &self.project else {
            let text = "there is no go.mod or go.work here or in any folder above";
            return Err(FetchError::new(FailKind::Forbidden, Party::Client, text)
                .with_advice("go to the folder of a module, or name modules: goferry download MODULE@VERSION"));
        };
        let graph = graph::load(&self.shop, graph::loader(project)?).await?;
        for refused in &graph.download_default().refused {
            let error = FetchError::new(FailKind::Forbidden, Party::Client, refused.to_string());
            report.failed.push(Failed { what: refused.path.clone(), error });
        }
        for module in &graph.download_default().modules {
            found.queries.insert(module.clone(), None);
        }
        found.graph = Some(graph);
        Ok(())
    }

    async fn find_arguments(&self, job: &Job, found: &mut Found, report: &mut Report) -> Result<(), FetchError> {
        let project = self.query_project(job, found).await?;
        let entries = self.shop.sources.entries();
        let sources: Vec<Source<'_>> = entries
            .iter()
            .map(|(versions, on, direct)| Source {
                versions,
                fall_back_on_error: *on == goferry_module::FallBack::AnyError,
                direct: *direct,
            })
            .collect();
        let context = query::Context::new(sources, project);
        // All at once: each is several round trips.
        let resolutions = all(job.arguments.iter().map(|argument| query::resolve(argument, &context))).await;
        for (argument, outcome) in job.arguments.iter().zip(resolutions) {
            match outcome {
                Ok(resolution) => {
                    report.notes.extend(resolution.notes);
                    for resolved in resolution.modules {
                        report.answers.push(Answer::Module {
                            module: resolved.module.clone(),
                            query: resolved.query.clone(),
                            stated: is_stated(argument),
                        });
                        let query = found.queries.entry(resolved.module).or_default();
                        *query = query.take().or(resolved.query);
                    }
                }
                Err(error) => {
                    report.answers.push(Answer::Failed(report.failed.len()));
                    report.failed.push(Failed { what: argument.text(), error });
                }
            }
        }
        Ok(())
    }

    /// What go.mod or go.work says of modules, with the graph where an argument needs it.
    async fn query_project(&self, job: &Job, found: &mut Found) -> Result<Option<query::Project>, FetchError> {
        let Some(files) = &self.project else { return Ok(None) };
        let main_paths: Vec<String> =
            files.modules.iter().filter_map(|(_, go_mod)| Some(go_mod.module.as_ref()?.path.clone())).collect();
        let mut roots: BTreeMap<String, Version> = BTreeMap::new();
        for require in files.modules.iter().flat_map(|(_, go_mod)| required(go_mod)) {
            let highest = roots.entry(require.path.clone()).or_insert_with(|| require.version.clone());
            if *highest < require.version {
                *highest = require.version.clone();
            }
        }
        let pruned = is_pruned(files);
        let needs = job.arguments.iter().any(|argument| argument.needs_graph(&roots, &main_paths, pruned));
        // A go.mod that has to be corrected is, whatever is asked for; that takes the graph.
        let corrects = files.go_work.is_none()
            && files.modules.iter().any(|(_, go_mod)| Requirements::without_graph(go_mod).is_none());
        found.only_to_correct = corrects && !needs;
        let selected = if needs || corrects {
            let graph = graph::load(&self.shop, graph::loader(files)?).await?;
            let selected = graph
                .build_list()
                .iter()
                .map(|one| (one.path.clone(), one.version.clone()))
                .collect::<BTreeMap<_, _>>();
            found.graph = Some(graph);
            selected
        } else {
            roots
        };
        let head = files.go_work.as_ref().map(|(file, _)| file).or(files.modules.first().map(|(file, _)| file));
        Ok(Some(query::Project {
            directory: head.and_then(|file| file.parent()).map(std::path::Path::to_owned).unwrap_or_default(),
            main_paths,
            selected,
            excludes: files.modules.iter().flat_map(|(_, go_mod)| go_mod.excludes.clone()).collect(),
            replaces: files.modules.iter().flat_map(|(_, go_mod)| go_mod.replaces.clone()).collect(),
            work_replaces: files.go_work.as_ref().map(|(_, work)| work.replaces.clone()).unwrap_or_default(),
        }))
    }

    /// Writes go.mod, then go.sum or go.work.sum, as the go command would.
    fn write(&self, job: &Job, found: &Found, report: &mut Report) {
        let Some(project) = &self.project else { return };
        let lock = self.shop.cache.root().join("cache/lock");
        let requirements = self.requirements(job, found);
        if let Some(requirements) = &requirements {
            match go_mod::write(project, requirements, &self.shop.local_go, &lock) {
                Ok(written) => report.go_mod_written = written,
                Err(error) => {
                    report.failed.push(Failed { what: "go.mod".to_owned(), error });
                    return;
                }
            }
        }
        match self.shop.verifier.sums().write(&self.keep(job, found, requirements.as_ref()), &lock) {
            Ok(written) => report.written = written.or(report.written.take()),
            Err(error) => report.failed.push(Failed { what: "go.sum".to_owned(), error }),
        }
    }

    /// What go.mod is to require; `None` in a workspace and outside a module.
    fn requirements(&self, job: &Job, found: &Found) -> Option<Requirements> {
        let project = self.project.as_ref().filter(|project| project.go_work.is_none())?;
        let (_, go_mod) = project.modules.first()?;
        match &found.graph {
            // Without requirements there is no graph to speak of; without arguments there is nothing to do then.
            Some(graph) if job.arguments.is_empty() || !go_mod.requires.is_empty() => graph.requirements().cloned(),
            _ => Requirements::without_graph(go_mod),
        }
    }

    /// The hashes that go.sum may keep (`keepSums`).
    fn keep(&self, job: &Job, found: &Found, requirements: Option<&Requirements>) -> Keep {
        let mut keep = Keep::nothing();
        let Some(project) = &self.project else { return keep };
        // A correction keeps no graph but where it was to choose between versions.
        let graph = found.graph.as_ref().filter(|_| !found.only_to_correct || is_pruned(project));
        if let Some(graph) = graph {
            graph.go_mods_in_graph().for_each(|module| keep.in_graph(module));
            // Without arguments go.sum is written before the zips, outside a workspace.
            let zips = !job.arguments.is_empty() || project.go_work.is_some();
            for module in graph.build_list().iter().filter_map(|one| one.module_version().ok().flatten()) {
                if zips {
                    keep.selected(&module);
                } else {
                    keep.in_graph(&module);
                }
            }
        } else if let (Some(requirements), [(_, go_mod)]) = (requirements, project.modules.as_slice()) {
            for require in &requirements.requires {
                let module = match go_mod.replacement(&require.path, &require.version) {
                    Some(replace) => replace.new.module_version(),
                    None => require.module_version(),
                };
                module.iter().for_each(|module| keep.selected(module));
            }
        }
        keep
    }

    fn start_splitters(&self) -> JoinSet<()> {
        let mut running = JoinSet::new();
        for (url, _) in self.shop.sources.proxies().urls() {
            if url.scheme() == goferry_module::Scheme::File {
                continue;
            }
            let (shop, url) = (Arc::clone(&self.shop), url.clone());
            running.spawn(async move {
                // Where there can be no connection the downloads say so.
                let _ = shop.fetcher.splitter.run(shop.sources.client(), &url).await;
            });
        }
        running
    }

    fn finish(&self, report: &mut Report, job: &Job, wanted: &BTreeSet<ModuleVersion>, began: Instant) {
        self.shop.cache.flush_lists();
        report.modules.sort_by(|a, b| a.module.cmp(&b.module));
        report.notes.extend(self.shop.verifier.warnings());
        report.pools = self.shop.sources.client().summaries();
        report.healed = self.shop.sources.client().healed();
        if job.dry_run {
            let missing = |module: &&ModuleVersion| {
                let state = self.shop.cache.state(module);
                state.zip().is_none() || !(state.extracted || job.no_extract)
            };
            report.would = wanted.iter().chain(&job.toolchain).filter(missing).cloned().collect();
        } else if self.project.is_some() && job.arguments.is_empty() {
            let listed = |module: &&ModuleVersion| !self.shop.verifier.sums().lists(module, Hashed::Zip);
            report.not_in_sum = wanted.iter().filter(listed).cloned().collect();
        }
        report.took = began.elapsed();
    }
}

/// Whether this is a module, no workspace, that lists all that its packages need.
fn is_pruned(project: &ProjectFiles) -> bool {
    project.go_work.is_none() && project.modules.iter().all(|(_, go_mod)| go_mod.is_pruned())
}

/// The lines of a go.mod that require something: not what it excludes.
fn required(go_mod: &GoMod) -> impl Iterator<Item = &Require> {
    let excludes: HashSet<_> = go_mod.excludes.iter().map(|line| (&line.path, &line.version)).collect();
    go_mod.requires.iter().filter(move |line| !excludes.contains(&(&line.path, &line.version)))
}

/// Whether an argument names one version, branch or commit, which the source is asked for as it is
/// (modload/query.go, `queryProxy`: `repo.Stat`), and no choice between versions.
fn is_stated(argument: &Argument) -> bool {
    let Argument::Query { query, .. } = argument else { return false };
    let is_prefix = query
        .strip_prefix('v')
        .is_some_and(|rest| rest.split('.').count() < 3 && rest.chars().all(|c| c.is_ascii_digit() || c == '.'));
    !matches!(query.as_str(), "latest" | "upgrade" | "patch") && !query.starts_with(['<', '>']) && !is_prefix
}
