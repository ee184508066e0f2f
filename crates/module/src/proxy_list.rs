//! GOPROXY (`cmd/go/internal/modfetch/proxy.go`, `proxyList` and `TryProxies`).

use std::fmt;

use crate::pattern::match_prefix_patterns;
use crate::proxy_url::{ProxyUrl, UrlError, mask};

/// When the go command goes on to the next entry of GOPROXY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FallBack {
    /// A comma follows, or nothing: only after status 404 or 410.
    NotFound,
    /// A bar follows: after any error. Private paths then go to servers further down the list.
    AnyError,
}

impl FallBack {
    /// Whether an error of the given kind leads on to the next entry.
    #[must_use]
    pub fn goes_on(self, not_found: bool) -> bool {
        not_found || self == Self::AnyError
    }
}

/// What an entry of GOPROXY names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProxyTarget {
    /// A module proxy.
    Url(ProxyUrl),
    /// The version control systems of the modules themselves.
    Direct,
    /// Nothing: the go command fails.
    Off,
}

impl ProxyTarget {
    /// The module proxy, if it is one.
    #[must_use]
    pub fn url(&self) -> Option<&ProxyUrl> {
        match self {
            Self::Url(url) => Some(url),
            Self::Direct | Self::Off => None,
        }
    }
}

impl fmt::Display for ProxyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Direct => f.write_str("direct"),
            Self::Off => f.write_str("off"),
        }
    }
}

/// One entry of GOPROXY.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProxyEntry {
    /// What it names.
    pub target: ProxyTarget,
    /// When the next entry is tried, from the separator that follows.
    pub on: FallBack,
}

/// A GOPROXY value: at least one entry.
///
/// `Display` writes it back with credentials masked, and so does `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyList {
    entries: Vec<ProxyEntry>,
    unreachable: Vec<String>,
}

/// Where the go command looks for one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleRoute<'a> {
    /// GONOPROXY matches: its own version control system, no proxy.
    NoProxy,
    /// These entries, one after another.
    List(&'a [ProxyEntry]),
}

impl ProxyList {
    /// Parses GOPROXY. Entries without a scheme get `https://`; nothing is read after `direct` or `off`.
    ///
    /// # Errors
    /// Where the go command fails: an entry that is no URL, or no entry at all.
    pub fn parse(goproxy: &str) -> Result<Self, ProxyListError> {
        let mut list = Self { entries: Vec::new(), unreachable: Vec::new() };
        for part in goproxy.split_inclusive([',', '|']) {
            let on = if part.ends_with('|') { FallBack::AnyError } else { FallBack::NotFound };
            let text = part.trim_end_matches([',', '|']).trim();
            if text.is_empty() {
                continue;
            }
            if list.ends() {
                list.unreachable.push(mask(text));
                continue;
            }
            let target = match text {
                "direct" => ProxyTarget::Direct,
                "off" => ProxyTarget::Off,
                url => ProxyTarget::Url(ProxyUrl::parse(&complete(url))?),
            };
            list.entries.push(ProxyEntry { target, on });
        }
        if list.entries.is_empty() {
            return Err(ProxyListError::Empty);
        }
        Ok(list)
    }

    /// The entries that the go command reads, in order; `direct` and `off` can only be the last.
    #[must_use]
    pub fn entries(&self) -> &[ProxyEntry] {
        &self.entries
    }

    /// What is written after `direct` or `off` and therefore never read, masked.
    #[must_use]
    pub fn unreachable(&self) -> &[String] {
        &self.unreachable
    }

    /// The module proxies of the list with their separators.
    pub fn urls(&self) -> impl Iterator<Item = (&ProxyUrl, FallBack)> {
        self.entries.iter().filter_map(|entry| entry.target.url().map(|url| (url, entry.on)))
    }

    /// Where the go command looks for a module, given GONOPROXY (whose default is GOPRIVATE).
    #[must_use]
    pub fn route(&self, gonoproxy: &str, path: &str) -> ModuleRoute<'_> {
        if match_prefix_patterns(gonoproxy, path) { ModuleRoute::NoProxy } else { ModuleRoute::List(&self.entries) }
    }

    fn ends(&self) -> bool {
        self.entries.last().is_some_and(|entry| entry.target.url().is_none())
    }
}

impl fmt::Display for ProxyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, entry) in self.entries.iter().enumerate() {
            if let Some(before) = i.checked_sub(1).and_then(|i| self.entries.get(i)) {
                f.write_str(if before.on == FallBack::AnyError { "|" } else { "," })?;
            }
            entry.target.fmt(f)?;
        }
        Ok(())
    }
}

/// A GOPROXY value that the go command refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyListError {
    /// An entry is not the URL of a module proxy.
    #[error("invalid GOPROXY entry: {0}")]
    Url(#[from] UrlError),
    /// There is no entry.
    #[error("GOPROXY list is not the empty string, but contains no entries")]
    Empty,
}

/// Adds `https://` where the go command does: to everything with a `.`, `:` or `/` that is neither a URL nor an
/// absolute path. Single words are kept for meanings to come, and fail for want of a scheme.
fn complete(text: &str) -> String {
    if text.contains(['.', ':', '/']) && !text.contains(":/") && !text.starts_with('/') {
        format!("https://{text}")
    } else {
        text.to_owned()
    }
}
