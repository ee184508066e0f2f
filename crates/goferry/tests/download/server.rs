//! A module proxy on loopback that serves a folder over HTTP/1.1, slowly or wrongly where told to.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex};

use goferry_lab::plain::{PlainServer, Response};
use goferry_lab::wait::until;

/// How requests are answered that are not served from the folder.
#[derive(Clone, Debug)]
pub(crate) enum Instead {
    Status(u16),
    /// The bytes of another file.
    Body(Vec<u8>),
}

/// Ends with this.
pub(crate) struct Server {
    server: PlainServer,
    /// A part of the path, and what happens.
    instead: Arc<Mutex<Vec<(String, Instead)>>>,
}

impl Server {
    pub(crate) fn start(root: &Path) -> Server {
        let instead = Arc::<Mutex<Vec<(String, Instead)>>>::default();
        let (told, root) = (Arc::clone(&instead), root.to_owned());
        let server = PlainServer::start(move |request| {
            let what = told.lock().unwrap().iter().find(|(part, _)| request.path.contains(part)).cloned();
            match what {
                Some((_, Instead::Status(status))) => refuse(status),
                Some((_, Instead::Body(body))) => Response::file(body, request),
                None => Response::from_folder(&root, request).unwrap_or_else(|| refuse(404)),
            }
        });
        Server { server: server.unwrap(), instead }
    }

    /// Answers paths that contain `part` otherwise.
    pub(crate) fn instead(&self, part: &str, what: Instead) {
        self.instead.lock().unwrap().push((part.to_owned(), what));
    }

    /// Serves everything from the folder again.
    pub(crate) fn heal(&self) {
        self.instead.lock().unwrap().clear();
    }

    /// Waits until so many bytes of bodies were sent.
    #[track_caller]
    pub(crate) fn wait_for(&self, bytes: u64) {
        until("nothing is asked for", || self.sent() >= bytes);
    }
}

impl Deref for Server {
    type Target = PlainServer;

    fn deref(&self) -> &PlainServer {
        &self.server
    }
}

fn refuse(status: u16) -> Response {
    Response::refused(status, "the server's own words\n")
}
