//! Which server answers for the database (`cmd/go/internal/modfetch`, `sumdb.go`, `initBase`; `proxy.go`, `TryProxies`).

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use goferry_module::sumdb::Database;
use goferry_module::{ProxyList, ProxyTarget, ProxyUrl};
use tokio::sync::OnceCell;

use crate::error::{FailKind, FetchError};
use crate::web::Web;

/// The longest answer to `/supported` that is read, in bytes. What it says does not matter.
const MAX_SUPPORTED: usize = 64 << 10;

/// The server, once it is known.
pub(super) struct Remote {
    web: Arc<dyn Web>,
    proxies: ProxyList,
    /// The URL in GOSUMDB, with which module proxies are not asked.
    explicit: bool,
    direct: ProxyUrl,
    /// What stands between the URL of a module proxy and the path of a file: `/sumdb/NAME`.
    prefix: String,
    name: String,
    base: OnceCell<Result<Base, FetchError>>,
}

#[derive(Clone)]
struct Base {
    url: ProxyUrl,
    prefix: String,
}

impl Remote {
    pub(super) fn new(db: &Database, proxies: ProxyList, web: Arc<dyn Web>) -> Self {
        let (explicit, direct) = (db.url.is_some(), db.direct_url());
        let (name, prefix) = (db.name.clone(), format!("/sumdb/{}", percent_encode(&db.name)));
        Self { web, proxies, explicit, direct, prefix, name, base: OnceCell::new() }
    }

    /// The file at a path that begins with `/lookup/` or `/tile/`, at most `limit` bytes.
    ///
    /// That it is not found is no [`FailKind::NotFound`] here: it must not lead on to the next module proxy.
    pub(super) async fn get(&self, path: &str, limit: usize) -> Result<Bytes, FetchError> {
        let base = self.base.get_or_init(|| self.find_base()).await.as_ref();
        let base = base.map_err(|error| error.clone().of_database(&self.name))?;
        let got = self.web.get(&base.url, &format!("{}{path}", base.prefix), limit).await;
        got.map_err(|mut error| {
            if let FailKind::NotFound(status) = error.kind {
                error.kind = FailKind::Status(status);
            }
            error.of_database(&self.name)
        })
    }

    /// The first module proxy that answers for the database; the database itself if all say no, or `direct` or `off`
    /// is reached. An error after which `|` led on is still an error if what follows says no or is `off`.
    async fn find_base(&self) -> Result<Base, FetchError> {
        let direct = Base { url: self.direct.clone(), prefix: String::new() };
        if self.explicit {
            return Ok(direct);
        }
        let supported = format!("{}/supported", self.prefix);
        let mut failed = None;
        for entry in self.proxies.entries() {
            let url = match &entry.target {
                ProxyTarget::Url(url) => url,
                ProxyTarget::Direct => return Ok(direct),
                ProxyTarget::Off => break,
            };
            match self.web.get(url, &supported, MAX_SUPPORTED).await {
                Ok(_) => return Ok(Base { url: url.clone(), prefix: self.prefix.clone() }),
                Err(error) => {
                    let not_found = error.is_not_found();
                    if !not_found {
                        failed = Some(error);
                    }
                    if !entry.on.goes_on(not_found) {
                        break;
                    }
                }
            }
        }
        failed.map_or(Ok(direct), Err)
    }
}

/// Encodes what may not stand in the path of a URL (RFC 3986 section 3.3). Names have no `%`, `?` or `#`.
fn percent_encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    encoded
}
