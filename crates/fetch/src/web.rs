//! Small files over the network, whoever brings them.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use goferry_module::ProxyUrl;

use crate::error::FetchError;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// GETs small files. The implementation follows redirects, adds credentials, retries and shares connections;
/// `file://` URLs are read from disk.
///
/// Many calls may be in flight at once: a caller with ten files to get starts ten calls and awaits them together.
pub trait Web: Send + Sync {
    /// The body of `base` + `rest`, at most `limit` octets. `rest` begins with `/` and is already escaped.
    ///
    /// # Errors
    /// [`FailKind::NotFound`](crate::FailKind::NotFound) for 404 and 410, [`FailKind::Status`](crate::FailKind::Status)
    /// for any other status but 200, [`FailKind::Invalid`](crate::FailKind::Invalid) when the body is longer than `limit`.
    fn get<'a>(&'a self, base: &'a ProxyUrl, rest: &'a str, limit: usize) -> BoxFuture<'a, Result<Bytes, FetchError>>;
}
