//! `POST /-/warm`: the files of a project, named beforehand by its go.mod and go.sum.
//!
//! The body is one JSON object for each module of the project, one after another: [`Part`]. The answer is a stream of JSON
//! objects, one a line: [`Progress`] a few times a second, and a [`Summary`] at the end. It is 200 also where some of the
//! files cannot be had.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use goferry_fetch::{FailKind, FetchError};
use goferry_module::gomod::{Replace, Replacement};
use goferry_module::pattern::match_prefix_patterns;
use goferry_module::{FileKind, GoMod, GoSum, GoWork, ModulePath, ModuleVersion, Version};
use goferry_net::Party;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::answer::{Answer, Content, Request};
use crate::config::{Action, Rule};
use crate::modules::Modules;

/// Most parts of a body: the modules of a workspace.
const PARTS: usize = 4_096;
/// Most files that one body may name.
const FILES: usize = 100_000;
/// Most lines of one go.sum: two for each file.
const LINES: usize = 2 * FILES;
/// Files that are fetched at once.
const AT_ONCE: usize = 256;
/// Failures that are named in the summary.
const FAILURES: usize = 1_000;
/// Between two lines of progress.
const TICK: Duration = Duration::from_millis(250);
/// The module whose zips are whole Go toolchains.
const TOOLCHAIN: &str = "golang.org/toolchain";
/// The files of a version.
const KINDS: [FileKind; 3] = [FileKind::Info, FileKind::Mod, FileKind::Zip];

/// One module of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its go.mod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_mod: Option<String>,
    /// Its go.sum, or the go.work.sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_sum: Option<String>,
    /// The go.work, whose replacements count for all modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_work: Option<String>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Files that are there, or failed.
    pub done: usize,
    /// All files.
    pub files: usize,
    /// Bytes of files that were not there before.
    pub fetched_bytes: u64,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Versions of modules.
    pub modules: usize,
    /// Files of them.
    pub files: usize,
    /// Bytes of files that were not there before.
    pub fetched_bytes: u64,
    /// What could not be had; at most 1,000 are named.
    pub failed: Vec<Failed>,
    /// How many could not be had.
    pub failures: usize,
    /// How long it took.
    pub seconds: f64,
}

/// A file that could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// `MODULE@VERSION.KIND`.
    pub file: String,
    /// Why.
    pub error: String,
}

/// Fetches what projects need.
pub struct Warm {
    modules: Arc<Modules>,
    rules: Vec<Rule>,
    /// Reading a body takes many times its size: one at a time.
    reading: Semaphore,
}

type File = (ModuleVersion, FileKind);

/// The files that a body names. They are kept until the last one is there, those of several bodies at once: in one piece of
/// some 50 bytes a file, not in many small ones, whose memory the C library keeps.
#[derive(Debug)]
struct Named {
    modules: usize,
    files: usize,
    /// Path, version and kind of each, a line each.
    lines: String,
}

impl Named {
    fn new(files: &BTreeSet<File>) -> Named {
        let modules = files.iter().map(|(module, _)| module).collect::<BTreeSet<_>>().len();
        let length = |(module, _): &File| module.path().as_str().len() + module.version().as_str().len() + 7;
        let mut lines = String::with_capacity(files.iter().map(length).sum());
        for (module, kind) in files {
            lines.extend([module.path().as_str(), " ", module.version().as_str(), " ", kind.extension(), "\n"]);
        }
        Named { modules, files: files.len(), lines }
    }

    fn iter(&self) -> impl Iterator<Item = File> + Send {
        self.lines.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let (path, version, kind) = (words.next()?, words.next()?, words.next()?);
            let module = ModuleVersion::new(ModulePath::parse(path).ok()?, Version::parse(version).ok()?).ok()?;
            Some((module, KINDS.into_iter().find(|known| known.extension() == kind)?))
        })
    }
}

impl Warm {
    /// Into the store of `modules`, but for what `rules` block.
    #[must_use]
    pub fn new(modules: Arc<Modules>, rules: Vec<Rule>) -> Warm {
        Warm { modules, rules, reading: Semaphore::new(1) }
    }

    /// The answer to a request.
    pub async fn answer(self: &Arc<Self>, request: &Request) -> Answer {
        let files = match self.read(request.body.clone()).await {
            Ok(files) => files,
            Err(error) => return Answer::text(StatusCode::BAD_REQUEST, error.detail),
        };
        let (sender, receiver) = mpsc::channel(16);
        let this = Arc::clone(self);
        tokio::spawn(async move { this.run(files, &sender).await });
        let mut answer = Answer::text(StatusCode::OK, "").with(CONTENT_TYPE, HeaderValue::from_static(TYPE));
        answer.content = Content::Stream(receiver);
        answer
    }

    /// What a body names. On a thread that ends with it: the C library keeps free memory for each thread that used it, and
    /// gives that of one that ended to the next.
    async fn read(&self, body: Bytes) -> Result<Named, FetchError> {
        let failed = |text: String| FetchError::new(FailKind::Invalid, Party::Goferry, text);
        let _turn = self.reading.acquire().await;
        let (sender, receiver) = oneshot::channel();
        let thread = std::thread::Builder::new().name("warm".to_owned());
        let read = move || {
            let files = files_of(&body);
            drop(body);
            // Who has gone away needs none.
            let _ = sender.send(files);
        };
        thread.spawn(read).map_err(|error| failed(format!("the system gives no thread: {error}")))?;
        receiver.await.unwrap_or_else(|_| Err(failed("a thread ended early".to_owned())))
    }

    /// Fetches all, for as long as someone reads the progress.
    async fn run(self: Arc<Self>, named: Named, lines: &mpsc::Sender<Bytes>) {
        let began = Instant::now();
        let mut progress = Progress { done: 0, files: named.files, fetched_bytes: 0 };
        let (mut failed, mut failures) = (Vec::new(), 0);
        let mut rest = named.iter();
        let mut running = JoinSet::new();
        let mut tick = tokio::time::interval(TICK);
        loop {
            while running.len() < AT_ONCE
                && let Some((module, kind)) = rest.next()
            {
                let this = Arc::clone(&self);
                running.spawn(async move {
                    let outcome = this.one(&module, kind).await;
                    (format!("{module}.{}", kind.extension()), outcome)
                });
            }
            tokio::select! {
                joined = running.join_next() => {
                    let Some(joined) = joined else { break };
                    progress.done += 1;
                    match joined {
                        Ok((_, Ok(bytes))) => progress.fetched_bytes += bytes,
                        Ok((file, Err(error))) => {
                            failures += 1;
                            if failed.len() < FAILURES {
                                failed.push(Failed { file, error: error.to_string() });
                            }
                        }
                        // A panic, which was reported where it happened.
                        Err(_) => failures += 1,
                    }
                }
                _ = tick.tick() => {
                    if lines.send(line(&progress)).await.is_err() {
                        return;
                    }
                }
            }
        }
        failed.sort_by(|a, b| a.file.cmp(&b.file));
        let Progress { files, fetched_bytes, .. } = progress;
        let seconds = began.elapsed().as_secs_f64();
        let summary = Summary { modules: named.modules, files, fetched_bytes, failed, failures, seconds };
        // Who has gone away needs no summary.
        let _ = lines.send(line(&summary)).await;
    }

    /// Has a file in the store. Gives its bytes where it was not there before.
    async fn one(&self, module: &ModuleVersion, kind: FileKind) -> Result<u64, FetchError> {
        let path = module.path().as_str();
        let rule = self.rules.iter().find(|rule| match_prefix_patterns(&rule.pattern, path));
        if let Some(Rule { action: Action::Block(message), .. }) = rule {
            return Err(FetchError::new(FailKind::Forbidden, Party::Client, format!("{path}: {message}")));
        }
        let file = self.modules.store().cache().file(module, kind);
        let there = file.exists();
        self.modules.ensure(module, kind).await?;
        Ok(if there { 0 } else { std::fs::metadata(&file).map_or(0, |meta| meta.len()) })
    }
}

const TYPE: &str = "application/x-ndjson";

fn line(value: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

/// What a body names.
fn files_of(body: &[u8]) -> Result<Named, FetchError> {
    let bad = |text: String| FetchError::new(FailKind::Invalid, Party::Client, text);
    let mut modules: Vec<(Option<GoMod>, GoSum)> = Vec::new();
    let mut replaces: Vec<Replace> = Vec::new();
    for part in serde_json::Deserializer::from_slice(body).into_iter::<Part>().take(PARTS + 1) {
        let part = part.map_err(|error| bad(format!("the body is not JSON with go_mod and go_sum: {error}")))?;
        if modules.len() == PARTS {
            return Err(bad(format!("the body has more than {PARTS} parts")));
        }
        let go_mod = part.go_mod.map(|text| GoMod::parse("go.mod", text.as_bytes())).transpose();
        let go_mod = go_mod.map_err(|error| bad(error.to_string()))?;
        let go_sum = part.go_sum.unwrap_or_default();
        if go_sum.lines().nth(LINES).is_some() {
            return Err(bad(format!(
                "a go.sum has more than {LINES} lines; at most {FILES} files are fetched at once"
            )));
        }
        let go_sum = GoSum::parse("go.sum", go_sum.as_bytes());
        if let Some(text) = part.go_work {
            replaces
                .extend(GoWork::parse("go.work", text.as_bytes()).map_err(|error| bad(error.to_string()))?.replaces);
        }
        modules.push((go_mod, go_sum.map_err(|error| bad(error.to_string()))?));
    }
    if modules.is_empty() {
        return Err(bad("the body is empty: JSON with go_mod and go_sum is needed".to_owned()));
    }
    let files = Project { modules: &modules, replaces: &replaces }.files();
    if files.len() > FILES {
        return Err(bad(format!("{} files are named; at most {FILES} are fetched at once", files.len())));
    }
    Ok(Named::new(&files))
}

struct Project<'a> {
    modules: &'a [(Option<GoMod>, GoSum)],
    /// Those of the go.work, which come first.
    replaces: &'a [Replace],
}

impl Project<'_> {
    fn files(&self) -> BTreeSet<File> {
        let mut files = BTreeSet::new();
        let go_mods = || self.modules.iter().filter_map(|(go_mod, _)| go_mod.as_ref());
        let main: BTreeSet<&str> =
            go_mods().filter_map(|go_mod| go_mod.module.as_ref()).map(|module| module.path.as_str()).collect();
        for (go_mod, go_sum) in self.modules {
            let summed = || go_sum.iter().filter_map(|(path, version, _)| sum_line(path, version));
            files.extend(summed().filter(|(_, zip)| !zip).map(|(module, _)| (module, FileKind::Mod)));
            let Some(go_mod) = go_mod else { continue };
            let whole: Vec<ModuleVersion> = if go_mod.is_pruned() || go_sum.is_empty() {
                let excluded = |path: &str, version: &Version| {
                    go_mods().flat_map(|one| &one.excludes).any(|no| no.path == path && no.version == *version)
                };
                let requires = go_mod.requires.iter().filter(|require| {
                    !main.contains(require.path.as_str()) && !excluded(&require.path, &require.version)
                });
                requires
                    .filter_map(|require| match self.replacement(&require.path, &require.version) {
                        Some(new) => new.module_version(),
                        None => require.module_version(),
                    })
                    .collect()
            } else {
                // Below go 1.17 go.mod does not name everything that is needed.
                summed().filter(|(_, zip)| *zip).map(|(module, _)| module).collect()
            };
            for module in whole {
                for kind in KINDS {
                    files.insert((module.clone(), kind));
                }
            }
        }
        files.retain(|(module, _)| module.path().as_str() != TOOLCHAIN);
        files
    }

    fn replacement(&self, path: &str, version: &Version) -> Option<&Replacement> {
        let of = |wanted: Option<&Version>| {
            self.replaces.iter().rev().find(|line| line.old_path == path && line.old_version.as_ref() == wanted)
        };
        let work = of(Some(version)).or_else(|| of(None));
        let own = || {
            let go_mods = self.modules.iter().filter_map(|(go_mod, _)| go_mod.as_ref());
            go_mods.into_iter().find_map(|go_mod| go_mod.replacement(path, version))
        };
        work.or_else(own).map(|line| &line.new)
    }
}

/// A line of a go.sum: the version, and whether the line is about its zip.
fn sum_line(path: &str, version: &str) -> Option<(ModuleVersion, bool)> {
    let (version, zip) = match version.strip_suffix("/go.mod") {
        Some(version) => (version, false),
        None => (version, true),
    };
    let module = ModuleVersion::new(ModulePath::parse(path).ok()?, Version::parse(version).ok()?).ok()?;
    Some((module, zip))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "example.com/a v1.0.0 h1:x\nexample.com/a v1.0.0/go.mod h1:x\nexample.com/old v1.0.0/go.mod h1:x\n\
        golang.org/toolchain v0.0.1-go1.22.0.linux-amd64 h1:x\n";

    fn names(parts: &[Part]) -> Result<Vec<String>, String> {
        let body: String = parts.iter().map(|part| serde_json::to_string(part).unwrap()).collect();
        let files = files_of(body.as_bytes()).map_err(|error| error.detail)?;
        let short = |(module, kind): File| format!("{module}.{}", kind.extension()).replace("example.com/", "");
        let names: Vec<String> = files.iter().map(short).collect();
        assert_eq!(names.len(), files.files, "each is read again");
        Ok(names)
    }

    fn part(go_mod: &str, go_sum: &str) -> Part {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Part { go_mod: text(go_mod), go_sum: text(go_sum), go_work: None }
    }

    #[test]
    fn what_a_pruned_project_needs() {
        let go_mod = "module example.com/main\ngo 1.21\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.0.0\n\t\
            example.com/c v1.0.0\n\texample.com/d v1.0.0\n\tlocal v1.0.0\n)\nreplace example.com/b => example.com/fork v1.2.0\n\
            replace example.com/c v1.0.0 => ../c\nexclude example.com/d v1.0.0\n";
        let all =
            ["a@v1.0.0.info", "a@v1.0.0.mod", "a@v1.0.0.zip", "fork@v1.2.0.info", "fork@v1.2.0.mod", "fork@v1.2.0.zip"];
        assert_eq!(names(&[part(go_mod, "")]).unwrap(), all);
        let mut with_sum: Vec<&str> = all.to_vec();
        with_sum.push("old@v1.0.0.mod");
        assert_eq!(names(&[part(go_mod, SUM)]).unwrap(), with_sum);
    }

    #[test]
    fn what_an_older_one_needs() {
        let go_mod = "module example.com/main\ngo 1.16\nrequire example.com/b v1.0.0\n";
        let sum = ["a@v1.0.0.info", "a@v1.0.0.mod", "a@v1.0.0.zip", "old@v1.0.0.mod"];
        assert_eq!(names(&[part(go_mod, SUM)]).unwrap(), sum);
        let requires = ["b@v1.0.0.info", "b@v1.0.0.mod", "b@v1.0.0.zip"];
        assert_eq!(names(&[part(go_mod, "")]).unwrap(), requires);
    }

    #[test]
    fn versions_of_every_form() {
        let go_mod = "module example.com/main\ngo 1.21\nrequire (\n\texample.com/a v2.0.0+incompatible\n\t\
            example.com/b/v3 v3.0.0-rc.1\n\tgopkg.in/c.v2 v2.0.0-20200102030405-0123456789ab\n)\n";
        let named = names(&[part(go_mod, "")]).unwrap();
        let zips: Vec<&str> = named.iter().filter_map(|name| name.strip_suffix(".zip")).collect();
        let all = ["a@v2.0.0+incompatible", "b/v3@v3.0.0-rc.1", "gopkg.in/c.v2@v2.0.0-20200102030405-0123456789ab"];
        assert_eq!((zips, named.len()), (all.to_vec(), 9));
    }

    #[test]
    fn a_workspace() {
        let one =
            part("module example.com/one\ngo 1.21\nrequire example.com/two v1.0.0\nrequire example.com/a v1.0.0\n", "");
        let two = part("module example.com/two\ngo 1.21\n", "");
        let work = Part {
            go_work: Some("go 1.21\nuse ./one\nreplace example.com/a => example.com/z v1.0.0\n".to_owned()),
            ..part("", SUM)
        };
        let mods = ["a@v1.0.0.mod", "old@v1.0.0.mod", "z@v1.0.0.info", "z@v1.0.0.mod", "z@v1.0.0.zip"];
        assert_eq!(names(&[one, two, work]).unwrap(), mods);
    }

    #[test]
    fn what_is_refused() {
        assert!(names(&[]).unwrap_err().contains("empty"));
        assert!(names(&[part("modul x", "")]).unwrap_err().contains("go.mod:1"));
        assert!(names(&[part("", "a b")]).unwrap_err().contains("go.sum:1"));
        let misspelt = files_of(br#"{"gomod":"module m"}"#).unwrap_err().detail;
        assert!(misspelt.contains("`gomod`") && misspelt.contains("`go_mod`"), "{misspelt}");
        assert!(files_of(b"[1]").unwrap_err().detail.contains("not JSON with go_mod"));
        let sum: String = (0..=FILES).map(|i| format!("example.com/a v1.0.{i}/go.mod h1:x\n")).collect();
        assert!(names(&[part("", &sum)]).unwrap_err().contains("at most"));
        let sum = SUM.lines().next().unwrap().to_owned() + "\n";
        assert!(names(&[part("", &sum.repeat(LINES))]).is_ok());
        assert!(names(&[part("", &sum.repeat(LINES + 1))]).unwrap_err().contains("lines"));
        assert!(names(&vec![Part::default(); PARTS + 1]).unwrap_err().contains("parts"));
    }
}
