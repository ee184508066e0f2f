//! `file://` proxies: the same layout, read from a directory.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use goferry_module::ProxyUrl;
use goferry_net::Party;

use crate::error::{FailKind, FetchError};

/// The file behind `base` + `rest`.
pub(crate) fn path(base: &ProxyUrl, rest: &str) -> Result<PathBuf, FetchError> {
    let fail = |text: String| FetchError::new(FailKind::Forbidden, Party::Client, text);
    let directory = base.directory().ok_or_else(|| fail(format!("{base}: not a directory URL")))?;
    let rest = rest.trim_start_matches('/');
    if Path::new(rest).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
        return Err(fail(format!("{base}: {rest:?} leads out of the directory")));
    }
    // Escaping for a URL leaves module paths as they are, but for this one.
    Ok(Path::new(&directory).join(rest.replace("%21", "!")))
}

pub(super) fn read(base: &ProxyUrl, rest: &str, limit: usize) -> Result<Bytes, FetchError> {
    let file = path(base, rest)?;
    let fail = |error: std::io::Error| not_found_or(&file, &error);
    let mut data = Vec::new();
    std::fs::File::open(&file).map_err(fail)?.take(limit as u64 + 1).read_to_end(&mut data).map_err(fail)?;
    if data.len() > limit {
        return Err(FetchError::invalid(format!("{}: more than {limit} bytes", file.display())));
    }
    Ok(data.into())
}

/// A missing file is what 404 is over the network (cmd/go/internal/modfetch/proxy.go, getBody).
pub(crate) fn not_found_or(file: &Path, error: &std::io::Error) -> FetchError {
    let text = format!("{}: {error}", file.display());
    match error.kind() {
        std::io::ErrorKind::NotFound => FetchError::new(FailKind::NotFound(404), Party::Upstream, text),
        kind => FetchError::new(FailKind::Local(Some(kind)), Party::Client, text),
    }
}
