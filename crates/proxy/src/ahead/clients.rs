//! The sessions of all clients, bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use goferry_module::{FileKind, ModuleVersion};

use super::session::{Event, Session, ToFetch};
use crate::route::Route;

/// A client that asks for nothing so long is forgotten.
const IDLE: Duration = Duration::from_secs(60);
/// Most clients that are remembered.
const CLIENTS: usize = 1_024;
/// Most entries of all sessions together, of some 100 bytes each.
const ENTRIES: usize = 262_144;
/// Most requests of a client that are kept for its session to hear of.
const UNHEARD: usize = 8_192;
/// Answers from the store in a row after which a client is taken to find everything there.
const WARM: u32 = 64;

/// All clients.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_name: HashMap<String, Client>,
    entries: usize,
}

/// What follows from what a client was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Then {
    /// Its session is to be told what it did not hear of: see [`Clients::unheard`].
    pub(super) replay: bool,
    /// Its session has heard of the request, and is to be told of the answer.
    pub(super) tell: bool,
}

#[derive(Debug)]
struct Client {
    seen: Instant,
    session: Session,
    /// What its session has not heard of, because the store had everything: then there is nothing to fetch, and no
    /// `.mod` need be read. When something is missing the session hears of all, in the order in which it was asked for.
    unheard: VecDeque<Arc<Route>>,
    /// Whether it is hearing of it now.
    replaying: bool,
    /// How many answers more may come from the store before it is taken to have everything.
    missing: u32,
}

impl Client {
    fn new(now: Instant) -> Client {
        Client { seen: now, session: Session::default(), unheard: VecDeque::new(), replaying: false, missing: 0 }
    }

    fn len(&self) -> usize {
        self.session.len() + self.unheard.len()
    }

    /// Whether its session is to hear now of what it has not heard of.
    fn replay(&mut self) -> bool {
        let replay = self.missing > 0 && !self.replaying && !self.unheard.is_empty();
        self.replaying |= replay;
        replay
    }
}

impl Clients {
    /// A client asks for something, which the store has, or else is `missing`. Gives what to fetch, and whether its
    /// session is to be told what it did not hear of: see [`Clients::unheard`].
    pub(super) fn asked(
        &mut self,
        name: &str,
        now: Instant,
        route: &Arc<Route>,
        missing: bool,
    ) -> (Vec<ToFetch>, bool) {
        self.change(name, now, |client| {
            if missing {
                client.missing = WARM;
            }
            if client.missing > 0 && !client.replaying && client.unheard.is_empty() {
                return (Event::of(route).map(|event| client.session.tell(event)).unwrap_or_default(), false);
            }
            if client.unheard.len() >= UNHEARD {
                client.unheard.clear();
                client.session = Session::default();
            }
            client.unheard.push_back(Arc::clone(route));
            (Vec::new(), client.replay())
        })
    }

    /// A client was given what the store had, or not; `go_mod` where it was a `.mod`.
    pub(super) fn given(&mut self, name: &str, now: Instant, go_mod: Option<&ModuleVersion>, had: bool) -> Then {
        self.change(name, now, |client| {
            client.missing = if had { client.missing.saturating_sub(1) } else { WARM };
            let replay = client.replay();
            let heard = |module: &ModuleVersion| {
                let of = |route: &Arc<Route>| matches!(&**route, Route::File(of, FileKind::Mod) if of == module);
                client.missing > 0 && !client.unheard.iter().any(of)
            };
            Then { replay, tell: go_mod.is_some_and(heard) }
        })
    }

    /// The next request that a client's session has not heard of. At the end it hears of requests as they are made.
    pub(super) fn unheard(&mut self, name: &str, now: Instant) -> Option<Arc<Route>> {
        self.change(name, now, |client| {
            let next = client.unheard.pop_front();
            client.replaying = next.is_some();
            next
        })
    }

    /// Tells a client's session what happened.
    pub(super) fn tell(&mut self, name: &str, now: Instant, event: Event<'_>) -> Vec<ToFetch> {
        self.change(name, now, |client| client.session.tell(event))
    }

    fn change<T>(&mut self, name: &str, now: Instant, change: impl FnOnce(&mut Client) -> T) -> T {
        let client = self.client(name, now);
        let before = client.len();
        let outcome = change(client);
        let after = client.len();
        self.entries = (self.entries + after).saturating_sub(before);
        if self.entries > ENTRIES {
            self.forget_oldest();
        }
        outcome
    }

    fn client(&mut self, name: &str, now: Instant) -> &mut Client {
        if !self.by_name.contains_key(name) {
            self.forget_idle(now);
            if self.by_name.len() >= CLIENTS {
                self.forget_oldest();
            }
            self.by_name.insert(name.to_owned(), Client::new(now));
        }
        let client = self.by_name.get_mut(name).expect("it was there, or has been put there");
        if now.saturating_duration_since(client.seen) > IDLE {
            self.entries = self.entries.saturating_sub(client.len());
            *client = Client::new(now);
        }
        client.seen = now;
        client
    }

    fn forget_idle(&mut self, now: Instant) {
        self.by_name.retain(|_, client| now.saturating_duration_since(client.seen) <= IDLE);
        self.entries = self.by_name.values().map(Client::len).sum();
    }

    fn forget_oldest(&mut self) {
        let oldest = self.by_name.iter().min_by_key(|(_, client)| client.seen).map(|(name, _)| name.clone());
        if let Some(client) = oldest.and_then(|name| self.by_name.remove(&name)) {
            self.entries = self.entries.saturating_sub(client.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use goferry_module::{ModulePath, Version};

    use super::*;

    fn module(number: usize) -> ModuleVersion {
        let path = ModulePath::parse(&format!("example.com/m{number}")).unwrap();
        ModuleVersion::new(path, Version::parse("v1.0.0").unwrap()).unwrap()
    }

    #[test]
    fn memory_is_bounded() {
        let mut clients = Clients::default();
        let now = Instant::now();
        for client in 0..12 {
            for number in 0..9_000 {
                let event = Event::Ask(&module(number), goferry_module::FileKind::Mod);
                clients.tell(&format!("client {client}"), now + Duration::from_millis(client), event);
            }
            let real: usize = clients.by_name.values().map(Client::len).sum();
            assert_eq!(clients.entries, real);
            assert!(real <= ENTRIES);
        }
        assert!(clients.by_name.contains_key("client 11") && !clients.by_name.contains_key("client 0"));
        for client in 0..2_000 {
            clients.given(&format!("other {client}"), now, None, true);
        }
        assert!(clients.by_name.len() <= CLIENTS);
    }

    #[test]
    fn who_is_idle_is_forgotten() {
        let mut clients = Clients::default();
        let now = Instant::now();
        let look = |clients: &mut Clients, name: &str, now| {
            clients.tell(name, now, Event::Look(module(1).path()));
            clients.by_name[name].session.len()
        };
        assert_eq!(look(&mut clients, "a", now), 1);
        clients.tell("a", now, Event::Look(module(2).path()));
        assert_eq!(look(&mut clients, "a", now + IDLE), 2);
        assert_eq!(look(&mut clients, "a", now + IDLE * 2 + Duration::from_millis(1)), 1);
        assert_eq!(clients.entries, 1);
        look(&mut clients, "b", now + IDLE * 4);
        assert!(!clients.by_name.contains_key("a"));
        assert_eq!(clients.entries, 1);
    }

    #[test]
    fn what_the_store_has_is_heard_of_when_something_is_missing() {
        let mut clients = Clients::default();
        let now = Instant::now();
        let asked = |number| Arc::new(Route::File(module(number), FileKind::Mod));
        let look = Arc::new(Route::List(module(9).path().clone()));
        let nothing = Then { replay: false, tell: false };
        for number in [1, 2] {
            assert_eq!(clients.asked("a", now, &asked(number), false), (Vec::new(), false));
            assert_eq!(clients.given("a", now, Some(&module(number)), true), nothing);
        }
        clients.asked("a", now, &asked(3), false);
        clients.asked("a", now, &look, false);
        let then = clients.given("a", now, Some(&module(3)), false);
        assert_eq!(then, Then { replay: true, tell: false }, "it is among what was not heard of");
        assert_eq!(clients.unheard("a", now), Some(asked(1)));
        // What is asked for meanwhile waits its turn.
        clients.asked("a", now, &asked(4), false);
        assert_eq!(clients.given("a", now, Some(&module(4)), false), nothing);
        assert_eq!(clients.given("a", now, Some(&module(1)), false), Then { replay: false, tell: true }, "heard of");
        assert_eq!(clients.unheard("a", now), Some(asked(2)));
        assert_eq!(clients.unheard("a", now), Some(asked(3)));
        assert_eq!(clients.unheard("a", now), Some(look));
        assert_eq!(clients.unheard("a", now), Some(asked(4)));
        assert_eq!(clients.unheard("a", now), None);
        clients.asked("a", now, &asked(5), false);
        assert_eq!(
            clients.given("a", now, Some(&module(5)), true),
            Then { replay: false, tell: true },
            "more may be missing"
        );
        for _ in 0..WARM {
            clients.given("a", now, None, true);
        }
        clients.asked("a", now, &asked(6), false);
        assert_eq!(clients.given("a", now, Some(&module(6)), true), nothing);
        assert_eq!(clients.asked("a", now, &asked(7), true), (Vec::new(), true), "not there: now");
        clients.asked("b", now, &asked(8), true);
        assert!(clients.by_name["b"].unheard.is_empty(), "there was nothing that it had not heard of");
    }

    #[test]
    fn what_is_not_heard_of_is_bounded() {
        let mut clients = Clients::default();
        let now = Instant::now();
        for number in 0..=UNHEARD {
            clients.asked("a", now, &Arc::new(Route::File(module(number), FileKind::Zip)), false);
        }
        assert_eq!((clients.entries, clients.by_name["a"].unheard.len()), (1, 1));
    }
}
