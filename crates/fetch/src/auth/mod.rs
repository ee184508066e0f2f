//! Credentials for module proxies: GOAUTH and netrc (`cmd/go/internal/auth` of Go 1.27.3; the same since 1.24, before
//! which only netrc was read).
//!
//! # What the go command does
//! - Credentials go over https only (`web/http.go`). A URL with user and password is asked with those and no others, and
//!   over plain http it is refused ("refusing to pass credentials to insecure URL").
//! - GOAUTH is a list separated by `;` of `netrc` (the default), `off` (alone), `git DIR` (an absolute directory) and
//!   commands. All run once, before the first https request: commands without arguments, `git` not at all. What they give
//!   is kept by URL prefix; the entry that comes first in the list wins where two name the same prefix
//!   (`auth.go:57`).
//! - A request gets the headers of the longest prefix of its URL at a slash (`auth.go:143`).
//! - After a 4xx over https everything runs again for that URL: a command with the URL as its last argument and the
//!   status line and headers of the response on its standard input, `git credential fill` in DIR with `url=URL`. Then the
//!   request is sent again, whether or not there are other headers now.
//! - A command prints blocks: URLs, one a line; an empty line; headers as `Name: value`; an empty line
//!   (`userauth.go:49`). A block without headers takes its URLs' credentials away. Any error makes all its output void.
//! - Failures are told with `-x` only: the 4xx is the error.
//! - Credentials from git are checked with a HEAD request, and `git credential approve` (200) or `reject` (401) is run.
//!
//! # Where this differs
//! - A request is sent again only where there are other headers than it had ([`Credentials::after_4xx`]).
//! - Commands run one at a time, for at most [`TIME_LIMIT`], and once for each URL; after 404 and 410, which are usual
//!   answers, only where the request had no credentials.
//! - A command is told `HTTP/1.1`, whatever the protocol was.
//! - No HEAD request: what the server says to the request itself decides ([`Credentials::outcome`]); `approve` and `reject`
//!   run in DIR too, while the go command runs them where it was started.
//! - What a command prints is not shown anywhere, not even when it fails: it may hold secrets.

mod format;
mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use goferry_env::auth::{GoAuth, Netrc, parse_goauth, split_command};
use goferry_env::{Environment, Inputs};
use goferry_module::ProxyUrl;
use goferry_net::Party;
use tokio::sync::OnceCell;

use self::run::Program;
use crate::client::{Authorize, Refusal};
use crate::error::{FailKind, FetchError};
use crate::web::BoxFuture;

/// How long one command or `git credential` may take. A person may have to answer a prompt.
pub const TIME_LIMIT: Duration = Duration::from_secs(120);

/// The most URLs that are remembered.
const MAX_URLS: usize = 100_000;

/// Header names and values.
pub type Headers = Vec<(String, String)>;

/// Which credentials go with a request. Shows none of them in `Debug`.
pub struct Credentials {
    methods: Vec<Method>,
    /// The environment and directory of the commands.
    env: BTreeMap<String, String>,
    dir: PathBuf,
    first: OnceCell<()>,
    /// Held while the commands run for a URL.
    running: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Clone)]
enum Method {
    Netrc(Vec<(String, Headers)>),
    Git(PathBuf),
    Command(Vec<String>),
}

#[derive(Default)]
struct State {
    by_prefix: HashMap<String, Headers>,
    /// The URLs that the commands ran for.
    asked: HashSet<String>,
    /// What was given for a URL last, through [`Authorize`].
    given: HashMap<String, Headers>,
    problems: Vec<String>,
    /// What `git credential fill` said and nobody approved or rejected yet, by URL prefix.
    fills: HashMap<String, (PathBuf, Vec<u8>)>,
}

impl Credentials {
    /// Those of an environment. Nothing is run yet.
    ///
    /// # Errors
    /// Where the go command would stop: GOAUTH is malformed, or the directory of `git DIR` is none.
    pub fn of(inputs: &Inputs, env: &Environment) -> Result<Credentials, FetchError> {
        let goauth = match env.value("GOAUTH") {
            "" => "netrc",
            value => value,
        };
        let bad = |what: String| {
            FetchError::new(FailKind::Forbidden, Party::Client, what)
                .with_advice("see 'go help goauth' and 'go env GOAUTH'")
        };
        let entries = parse_goauth(goauth).map_err(|e| bad(e.to_string()))?;
        let mut problems = Vec::new();
        let mut methods = Vec::new();
        for (entry, text) in entries.into_iter().zip(goauth.split(';')) {
            methods.push(match entry {
                GoAuth::Off => return Ok(Credentials::new(inputs, Vec::new(), Vec::new())),
                GoAuth::Netrc => {
                    let netrc = Netrc::read(inputs);
                    problems.extend(netrc.problem.clone());
                    Method::Netrc(netrc_headers(&netrc))
                }
                GoAuth::Git { dir } if dir.is_dir() => Method::Git(dir),
                GoAuth::Git { dir } => return Err(bad(format!("GOAUTH=git {}: it is not a directory", dir.display()))),
                GoAuth::Command { .. } => Method::Command(split_command(text).map_err(|e| bad(e.to_string()))?),
            });
        }
        Ok(Credentials::new(inputs, methods, problems))
    }

    fn new(inputs: &Inputs, methods: Vec<Method>, problems: Vec<String>) -> Credentials {
        Credentials {
            methods,
            env: inputs.env.clone(),
            dir: inputs.dir.clone(),
            first: OnceCell::new(),
            running: tokio::sync::Mutex::new(()),
            state: Mutex::new(State { problems, ..State::default() }),
        }
    }

    /// The headers to send with a request. Waits for the commands of GOAUTH before the first https request.
    pub async fn headers_for(&self, url: &str) -> Headers {
        if !url.starts_with("https://") {
            return Headers::new();
        }
        if let Some(header) = in_url(url) {
            return vec![header];
        }
        self.first.get_or_init(|| self.run_all(None)).await;
        self.state().find(url)
    }

    /// After a 4xx to a request that had the headers `sent`: whether to send it again, with the headers that
    /// [`Credentials::headers_for`] gives now. Runs the commands of GOAUTH for this URL, once.
    pub async fn after_4xx(&self, url: &str, sent: &[(String, String)], refusal: &Refusal) -> bool {
        let secret = url.starts_with("https://") && in_url(url).is_none();
        if !secret || !self.may_bring_more() || !(400..500).contains(&refusal.status) {
            return false;
        }
        self.first.get_or_init(|| self.run_all(None)).await;
        if matches!(refusal.status, 404 | 410) && !sent.is_empty() {
            return false;
        }
        let changed = |state: &State| state.find(url) != sent;
        // Where another request has brought credentials meanwhile, those are tried first.
        if changed(&self.state()) {
            return true;
        }
        let _one = self.running.lock().await;
        if changed(&self.state()) {
            return true;
        }
        {
            let mut state = self.state();
            if state.asked.len() >= MAX_URLS || !state.asked.insert(url.to_owned()) {
                return false;
            }
        }
        self.run_all(Some((url, refusal))).await;
        changed(&self.state())
    }

    /// Tells what became of the request after [`Credentials::after_4xx`], so that git's helper learns whether its
    /// credentials are right: 200 and 401 count.
    pub async fn outcome(&self, url: &str, status: u16) {
        let action = match status {
            200 => "approve",
            401 => "reject",
            _ => return,
        };
        let fill = {
            let mut state = self.state();
            let prefix = prefixes(url).find(|prefix| state.fills.contains_key(*prefix)).map(str::to_owned);
            prefix.and_then(|prefix| state.fills.remove(&prefix))
        };
        if let Some((dir, said)) = fill {
            // The go command ignores its failure as well.
            let _ = self.git(&dir, action, said).await;
        }
    }

    /// What failed so far, without secrets: one line each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.state().problems.clone()
    }

    /// Whether a 4xx can lead to other credentials.
    fn may_bring_more(&self) -> bool {
        self.methods.iter().any(|method| !matches!(method, Method::Netrc(_)))
    }

    /// `runGoAuth`: the last first, so that the first in the list has the last word.
    async fn run_all(&self, url: Option<(&str, &Refusal)>) {
        for method in self.methods.iter().rev() {
            let result = match (method, url) {
                (Method::Netrc(lines), _) => {
                    let mut state = self.state();
                    lines.iter().rev().for_each(|(machine, headers)| state.store(machine, headers.clone()));
                    Ok(())
                }
                (Method::Git(_), None) => Ok(()),
                (Method::Git(dir), Some((url, _))) => self.run_git(dir, url).await,
                (Method::Command(words), _) => self.run_command(words, url).await,
            };
            if let Err(problem) = result {
                tracing::warn!(%problem, "GOAUTH");
                let mut state = self.state();
                if !state.problems.contains(&problem) && state.problems.len() < 100 {
                    state.problems.push(problem);
                }
            }
        }
    }

    async fn run_command(&self, words: &[String], url: Option<(&str, &Refusal)>) -> Result<(), String> {
        let name = words.first().map(String::as_str).unwrap_or_default();
        let mut args: Vec<String> = words.iter().skip(1).cloned().collect();
        let mut input = Vec::new();
        if let Some((url, refusal)) = url {
            args.push(url.to_owned());
            input = format::response(refusal).into_bytes();
        }
        let tell = |problem: String| format!("GOAUTH command {name}: {problem}");
        let said = self.run(name, args, self.dir.clone(), input).await.map_err(tell)?;
        let blocks = String::from_utf8(said).map_err(|_| tell("its output is not text".to_owned()))?;
        let blocks = format::parse_blocks(&blocks).map_err(tell)?;
        let mut state = self.state();
        for (prefix, headers) in blocks {
            state.store(&prefix, headers);
        }
        Ok(())
    }

    async fn run_git(&self, dir: &std::path::Path, url: &str) -> Result<(), String> {
        let tell = |problem: String| format!("GOAUTH=git {}: {problem}", dir.display());
        let said = self.git(dir, "fill", format!("url={url}\n").into_bytes()).await.map_err(tell)?;
        let fill = format::parse_git(&String::from_utf8_lossy(&said));
        if !url.starts_with(&fill.prefix) || fill.prefix.is_empty() {
            return Err(tell("git credential fill gave a credential for another URL".to_owned()));
        }
        let mut state = self.state();
        state.store(&fill.prefix, vec![basic(&fill.username, &fill.password)]);
        state.fills.insert(key(&fill.prefix).to_owned(), (dir.to_owned(), said));
        Ok(())
    }

    async fn git(&self, dir: &std::path::Path, action: &str, input: Vec<u8>) -> Result<Vec<u8>, String> {
        self.run("git", vec!["credential".to_owned(), action.to_owned()], dir.to_owned(), input).await
    }

    async fn run(&self, name: &str, args: Vec<String>, dir: PathBuf, input: Vec<u8>) -> Result<Vec<u8>, String> {
        let program = Program { name: name.to_owned(), args, env: self.env.clone(), dir, input };
        let run = tokio::task::spawn_blocking(move || program.run(TIME_LIMIT));
        run.await.unwrap_or_else(|_| Err("it could not be run".to_owned()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorize for Credentials {
    fn headers<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Headers> {
        Box::pin(async move {
            let headers = self.headers_for(url).await;
            if self.may_bring_more() {
                let mut state = self.state();
                if state.given.len() < MAX_URLS || state.given.contains_key(url) {
                    state.given.insert(url.to_owned(), headers.clone());
                }
            }
            headers
        })
    }

    fn refused<'a>(&'a self, url: &'a str, answer: &'a Refusal) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            if !self.may_bring_more() {
                return false;
            }
            let sent = self.state().given.get(url).cloned().unwrap_or_default();
            self.after_4xx(url, &sent, answer).await
        })
    }

    fn outcome<'a>(&'a self, url: &'a str, status: u16) -> BoxFuture<'a, ()> {
        Box::pin(Credentials::outcome(self, url, status))
    }
}

impl State {
    /// `storeCredential`.
    fn store(&mut self, prefix: &str, headers: Headers) {
        let prefix = key(prefix);
        if headers.is_empty() {
            self.by_prefix.remove(prefix);
        } else {
            self.by_prefix.insert(prefix.to_owned(), headers);
        }
    }

    /// `loadCredential`.
    fn find(&self, url: &str) -> Headers {
        prefixes(url).find_map(|prefix| self.by_prefix.get(prefix)).cloned().unwrap_or_default()
    }
}

/// `host/path`, as prefixes are kept.
fn key(url: &str) -> &str {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    rest.strip_suffix('/').unwrap_or(rest)
}

/// A URL and everything above it, the longest first.
fn prefixes(url: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(key(url)), |prefix| prefix.rfind('/').map(|slash| &prefix[..slash]))
}

fn netrc_headers(netrc: &Netrc) -> Vec<(String, Headers)> {
    let header = |line: &goferry_env::auth::NetrcLine| {
        let (login, password) = line.credentials();
        (line.machine.clone(), vec![basic(login, password)])
    };
    netrc.lines.iter().map(header).collect()
}

/// The credentials in a URL itself; `net/http` sends them where no other Authorization is given.
fn in_url(url: &str) -> Option<(String, String)> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    if !authority.contains('@') {
        return None;
    }
    let url = ProxyUrl::parse(url).ok()?;
    let (user, password) = url.credentials()?;
    Some(basic(user, password.unwrap_or_default()))
}

/// The header field of Basic credentials.
fn basic(user: &str, password: &str) -> (String, String) {
    ("Authorization".to_owned(), goferry_net::connect::basic(user, password))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .methods
            .iter()
            .map(|method| match method {
                Method::Netrc(_) => "netrc",
                Method::Git(_) => "git",
                Method::Command(_) => "command",
            })
            .collect();
        f.debug_struct("Credentials").field("methods", &names).finish_non_exhaustive()
    }
}
