//! A module proxy on loopback that serves files from memory, each a moment late, and knows what it gave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use goferry_lab::plain::{PlainServer, Response};

/// How late.
const DELAY: Duration = Duration::from_millis(4);

/// Ends with this handle.
pub(crate) struct Origin {
    server: PlainServer,
    files: Arc<BTreeMap<String, Vec<u8>>>,
}

impl Origin {
    pub(crate) fn start(files: impl Into<Arc<BTreeMap<String, Vec<u8>>>>) -> Origin {
        let files = files.into();
        let serving = Arc::clone(&files);
        let server = PlainServer::start(move |request| match serving.get(&request.path) {
            Some(body) => Response::ok(body.as_slice()),
            None => Response::refused(404, "no such file\n"),
        });
        let server = server.unwrap();
        server.delay(DELAY);
        Origin { server, files }
    }

    /// Another one with the same files.
    pub(crate) fn again(&self) -> Origin {
        Origin::start(Arc::clone(&self.files))
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The paths asked for since the last call, with the bytes given for them.
    pub(crate) fn given(&self) -> Vec<(String, usize)> {
        let bytes = |path: &str| self.files.get(path).map_or(0, Vec::len);
        self.server.asked().into_iter().map(|request| (request.path.clone(), bytes(&request.path))).collect()
    }
}
