//! What a request asks for (<https://go.dev/ref/mod#goproxy-protocol>).

use goferry_module::escape::{EscapedPath, unescape_version};
use goferry_module::sumdb::Tile;
use goferry_module::{FileKind, ModulePath, ModuleVersion, Version};

/// The longest path that is looked at, in bytes.
pub const MAX_PATH: usize = 4096;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `$module/@v/list`: the tagged versions.
    List(ModulePath),
    /// `$module/@latest`.
    Latest(ModulePath),
    /// `$module/@v/$version.{info,mod,zip}`.
    File(ModuleVersion, FileKind),
    /// `$module/@v/$query.info`, where the query is no canonical version: a branch, a hash.
    Query(ModulePath, String),
    /// `sumdb/$name/…`.
    SumDb(String, SumDbRoute),
    /// `/healthz`: the process answers.
    Health,
    /// `/readyz`: it can do its work.
    Ready,
    /// `/metrics`.
    Metrics,
    /// `/-/connections`.
    Connections,
    /// `/-/warm`.
    Warm,
    /// `/`.
    Home,
}

/// What is asked of a checksum database (<https://go.dev/design/25530-sumdb>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SumDbRoute {
    /// Whether this proxy answers for it.
    Supported,
    /// The latest signed tree head.
    Latest,
    /// The record of a module.
    Lookup(ModuleVersion),
    /// A tile.
    Tile(Tile),
}

/// A path that asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// It cannot be read: 400.
    #[error("{0}")]
    Malformed(String),
    /// It can, and there never is such a thing: 404.
    #[error("{0}")]
    Unknown(String),
}

impl Route {
    /// Reads a path as it came, percent-encoded, beginning with `/`, without a query.
    ///
    /// # Errors
    /// [`RouteError::Malformed`] for what is no path, [`RouteError::Unknown`] for what names nothing here.
    pub fn parse(path: &str) -> Result<Route, RouteError> {
        if path.len() > MAX_PATH {
            return Err(malformed(format!("a path of {} bytes; at most {MAX_PATH} are read", path.len())));
        }
        let path = decode(path)?;
        let path = path.strip_prefix('/').ok_or_else(|| malformed("a path begins with /".to_owned()))?;
        match path {
            "" => return Ok(Route::Home),
            "healthz" => return Ok(Route::Health),
            "readyz" => return Ok(Route::Ready),
            "metrics" => return Ok(Route::Metrics),
            "-/connections" => return Ok(Route::Connections),
            "-/warm" => return Ok(Route::Warm),
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("sumdb/") {
            return sumdb(rest);
        }
        if let Some((module, file)) = path.split_once("/@v/") {
            return file_of(&module_path(module)?, file);
        }
        if let Some(module) = path.strip_suffix("/@latest") {
            return Ok(Route::Latest(module_path(module)?));
        }
        Err(unknown(format!(
            "{path:?} is no path of a module proxy: MODULE/@v/list, MODULE/@latest or MODULE/@v/VERSION.{{info,mod,zip}}"
        )))
    }

    /// A word for it, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Route::List(_) => "list",
            Route::Latest(_) => "latest",
            Route::File(_, kind) => kind.extension(),
            Route::Query(..) => "query",
            Route::SumDb(..) => "sumdb",
            Route::Health => "health",
            Route::Ready => "ready",
            Route::Metrics => "metrics",
            Route::Connections => "connections",
            Route::Warm => "warm",
            Route::Home => "home",
        }
    }

    /// The module that it is about.
    #[must_use]
    pub fn module(&self) -> Option<&ModulePath> {
        match self {
            Route::List(path) | Route::Latest(path) | Route::Query(path, _) => Some(path),
            Route::File(module, _) | Route::SumDb(_, SumDbRoute::Lookup(module)) => Some(module.path()),
            _ => None,
        }
    }
}

fn malformed(text: String) -> RouteError {
    RouteError::Malformed(text)
}

fn unknown(text: String) -> RouteError {
    RouteError::Unknown(text)
}

fn module_path(escaped: &str) -> Result<ModulePath, RouteError> {
    EscapedPath::parse(escaped).map(|path| path.unescape()).map_err(|error| unknown(error.to_string()))
}

fn file_of(path: &ModulePath, file: &str) -> Result<Route, RouteError> {
    if file == "list" {
        return Ok(Route::List(path.clone()));
    }
    let Some((escaped, extension)) = file.rsplit_once('.') else {
        return Err(unknown(format!("{file:?} is neither list nor VERSION.info, VERSION.mod or VERSION.zip")));
    };
    let kind = match extension {
        "info" => FileKind::Info,
        "mod" => FileKind::Mod,
        "zip" => FileKind::Zip,
        _ => return Err(unknown(format!("{file:?}: a version has .info, .mod and .zip, no .{extension}"))),
    };
    let text = unescape_version(escaped).map_err(|error| unknown(error.to_string()))?;
    let version = Version::parse(&text).ok().filter(Version::is_canonical);
    match version.map(|version| ModuleVersion::new(path.clone(), version)) {
        Some(Ok(module)) => Ok(Route::File(module, kind)),
        // A version of another major than the path's too: m@v2.0.0 is how people ask for m@v2.0.0+incompatible.
        _ if kind == FileKind::Info => Ok(Route::Query(path.clone(), text)),
        Some(Err(error)) => Err(unknown(format!("{path}@{text}: {error}"))),
        None => Err(unknown(format!("{path}@{text}: not a canonical version; ask for its .info first"))),
    }
}

fn sumdb(rest: &str) -> Result<Route, RouteError> {
    let bad = || unknown(format!("sumdb/{rest}: not supported, latest, lookup/MODULE@VERSION or tile/… of a database"));
    let (at, what) = ["/supported", "/latest", "/lookup/", "/tile/"]
        .into_iter()
        .filter_map(|word| rest.find(word).map(|at| (at, word)))
        .min()
        .ok_or_else(bad)?;
    let (name, tail) = (&rest[..at], &rest[at + what.len()..]);
    if name.is_empty()
        || !name.bytes().all(|byte| byte.is_ascii_graphic())
        || name.split('/').any(|part| part.starts_with('.'))
    {
        return Err(bad());
    }
    let route = match what {
        "/supported" if tail.is_empty() => SumDbRoute::Supported,
        "/latest" if tail.is_empty() => SumDbRoute::Latest,
        "/lookup/" => {
            let (module, version) = tail.rsplit_once('@').ok_or_else(bad)?;
            let path = module_path(module)?;
            let version = unescape_version(version).map_err(|error| unknown(error.to_string()))?;
            let parsed = Version::parse(&version).map_err(|error| unknown(error.to_string()))?;
            SumDbRoute::Lookup(ModuleVersion::new(path, parsed).map_err(|error| unknown(error.to_string()))?)
        }
        "/tile/" => SumDbRoute::Tile(Tile::parse(&rest[at + 1..]).map_err(|error| unknown(error.to_string()))?),
        _ => return Err(bad()),
    };
    Ok(Route::SumDb(name.to_owned(), route))
}

/// Percent-decodes. An encoded slash or zero byte is refused: nobody who means well sends one.
fn decode(path: &str) -> Result<String, RouteError> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let decoded = digits
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
            .ok_or_else(|| malformed("% is followed by two hexadecimal digits".to_owned()))?;
        if matches!(decoded, b'/' | b'\\' | 0) {
            return Err(malformed("an encoded slash, backslash or zero byte".to_owned()));
        }
        bytes.push(decoded);
        rest = &tail[2..];
    }
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(malformed("a control character".to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| malformed("not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> String {
        match Route::parse(path) {
            Ok(Route::File(module, kind)) => format!("{module} {}", kind.extension()),
            Ok(Route::Query(path, query)) => format!("{path} ? {query}"),
            Ok(Route::List(path)) => format!("{path} list"),
            Ok(Route::Latest(path)) => format!("{path} latest"),
            Ok(Route::SumDb(name, what)) => format!("{name} {what:?}"),
            Ok(other) => other.name().to_owned(),
            Err(RouteError::Malformed(_)) => "400".to_owned(),
            Err(RouteError::Unknown(_)) => "404".to_owned(),
        }
    }

    #[test]
    fn paths_of_the_protocol() {
        assert_eq!(name("/example.com/m/@v/list"), "example.com/m list");
        assert_eq!(name("/example.com/m/@latest"), "example.com/m latest");
        assert_eq!(name("/example.com/m/@v/v1.2.3.zip"), "example.com/m@v1.2.3 zip");
        // As the go command writes it: url.PathEscape.
        assert_eq!(name("/github.com/%21burnt%21sushi/toml/@v/v1.0.0.mod"), "github.com/BurntSushi/toml@v1.0.0 mod");
        assert_eq!(name("/example.com/m/@v/v2.0.0+incompatible.info"), "example.com/m@v2.0.0+incompatible info");
        assert_eq!(name("/example.com/m/@v/v2.0.0%2Bincompatible.info"), "example.com/m@v2.0.0+incompatible info");
        assert_eq!(name("/example.com/m/@v/main.info"), "example.com/m ? main");
        assert_eq!(name("/example.com/m/@v/v1.info"), "example.com/m ? v1");
        assert_eq!(name("/example.com/m/@v/0123456789ab.info"), "example.com/m ? 0123456789ab");
        assert_eq!(name("/example.com/m/@v/v2.0.0.info"), "example.com/m ? v2.0.0");
        assert_eq!(name("/sumdb/sum.golang.org/supported"), "sum.golang.org Supported");
        assert!(name("/sumdb/sum.golang.org/lookup/example.com/m@v1.0.0").contains("Lookup"));
        assert!(name("/sumdb/sum.golang.org/tile/8/0/x001/234.p/5").contains("Tile"));
        assert_eq!(name("/healthz"), "health");
    }

    #[test]
    fn what_is_none() {
        for path in [
            "/example.com/m/@v/main.zip",
            "/example.com/m/@v/v1.2.mod",
            "/example.com/m/@v/v2.0.0.mod",
            "/example.com/m/@v/v1.0.0.lock",
            "/example.com/m/@v/v1.0.0.ziphash",
            "/example.com/m/@v/v1.0.0.zip.goferry-part-0",
            "/example.com/BURNT/@v/list",
            "/../etc/passwd",
            "/example.com/../../@v/list",
            "/example.com/m/@v/../../x.info",
            "/.goferry/pins/@v/list",
            "/sumdb/../lookup/example.com/m@v1.0.0",
            "/sumdb/sum.golang.org/tile/8/0/1",
            "/sumdb/x",
            "/nothing",
            "/@latest",
        ] {
            assert_eq!(name(path), "404", "{path}");
        }
        let long = format!("/{}/@v/list", "a".repeat(5000));
        for path in
            ["", "x", "/%zz", "/%2e%2e%2fx", "/a%00b/@v/list", "/%ff/@v/list", "/a%0d%0ab/@v/list", long.as_str()]
        {
            assert_eq!(name(path), "400", "{path}");
        }
    }
}
