//! Where a server listens, and how that changes while it runs.
//!
//! | an address that | what happens to it |
//! |---|---|
//! | is new | bound before anything changes: where that fails nothing does |
//! | stays | keeps its socket and its connections |
//! | goes | stops accepting; who is connected is told so, and may end within `drain` |

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use super::Stop;
use super::listen::Listener;
use crate::config::Listen;

/// One that is to be accepted from, until told to stop.
pub(super) type Opened = (Arc<Listener>, Stop);

/// The addresses of a server.
pub(super) struct Doors {
    state: Mutex<State>,
    opened: mpsc::UnboundedSender<Opened>,
    to_accept: Mutex<Option<mpsc::UnboundedReceiver<Opened>>>,
}

#[derive(Default)]
struct State {
    open: Vec<Door>,
    /// Nothing is opened any more.
    stopped: bool,
}

struct Door {
    listen: Listen,
    listener: Arc<Listener>,
    close: watch::Sender<bool>,
}

/// What is to be listened on, bound already.
pub(super) struct Bound(Vec<(Listen, Arc<Listener>)>);

impl Bound {
    /// The TCP addresses.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|(_, listener)| listener.address()).collect()
    }
}

impl Doors {
    pub(super) fn new() -> Doors {
        let (opened, to_accept) = mpsc::unbounded_channel();
        Doors { state: Mutex::default(), opened, to_accept: Mutex::new(Some(to_accept)) }
    }

    /// What has been opened and will be, for who accepts; once.
    pub(super) fn to_accept(&self) -> Option<mpsc::UnboundedReceiver<Opened>> {
        self.to_accept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Binds what is new of `wanted`. Nothing else changes, and nothing is accepted yet. Within a tokio runtime.
    pub(super) fn bind(&self, wanted: &[Listen]) -> io::Result<Bound> {
        let state = self.lock();
        let mut open: Vec<&Door> = state.open.iter().collect();
        let stays: Vec<Option<Arc<Listener>>> = wanted
            .iter()
            .map(|listen| {
                let at = open.iter().position(|door| door.is_at(listen))?;
                Some(Arc::clone(&open.swap_remove(at).listener))
            })
            .collect();
        let goes: Vec<&Listener> = open.iter().map(|door| &*door.listener).collect();
        let bound = wanted.iter().zip(stays).map(|(listen, stays)| {
            let listener = match stays {
                Some(listener) => listener,
                None => Arc::new(Listener::bind(listen, &goes)?),
            };
            Ok((listen.clone(), listener))
        });
        bound.collect::<io::Result<_>>().map(Bound)
    }

    /// Listens there, and nowhere else. Gives what was opened and what was closed.
    pub(super) fn open(&self, bound: Bound) -> (Vec<String>, Vec<String>) {
        let mut state = self.lock();
        if state.stopped {
            return (Vec::new(), Vec::new());
        }
        let mut old = std::mem::take(&mut state.open);
        let mut opened = Vec::new();
        for (listen, listener) in bound.0 {
            if let Some(at) = old.iter().position(|door| Arc::ptr_eq(&door.listener, &listener)) {
                state.open.push(Door { listen, ..old.swap_remove(at) });
                continue;
            }
            let (close, closed) = Stop::new();
            opened.push(listener.place());
            // It fails only where nobody accepts any more.
            let _ = self.opened.send((Arc::clone(&listener), closed));
            state.open.push(Door { listen, listener, close });
        }
        (opened, old.into_iter().map(Door::close).collect())
    }

    /// Closes all, for good.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.open.drain(..).for_each(|door| drop(door.close()));
    }

    /// The TCP addresses that are listened on.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.lock().open.iter().filter_map(|door| door.listener.address()).collect()
    }

    /// The Unix sockets that are listened on.
    pub(super) fn sockets(&self) -> Vec<PathBuf> {
        self.lock().open.iter().filter_map(|door| door.listener.path().map(Path::to_owned)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door {
    /// Whether it is what `listen` asks for.
    fn is_at(&self, listen: &Listen) -> bool {
        self.listen == *listen || self.listener.address().is_some_and(|address| *listen == Listen::Tcp(address))
    }

    /// Who accepts from it lets it go.
    fn close(self) -> String {
        let _ = self.close.send(true);
        self.listener.place()
    }
}
