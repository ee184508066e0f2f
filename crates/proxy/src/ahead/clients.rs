//! The sessions of all clients, bounded.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use goferry_module::ModuleVersion;

use super::session::{Event, Session, ToFetch};

/// A client that asks for nothing so long is forgotten.
const IDLE: Duration = Duration::from_secs(60);
/// Most clients that are remembered.
const CLIENTS: usize = 1_024;
/// Most entries of all sessions together, of some 100 bytes each.
const ENTRIES: usize = 262_144;
/// Most `.mod`s given from the store of which the content was not looked at.
const UNREAD: usize = 4_096;
/// Answers from the store in a row after which a client is taken to find everything there.
const WARM: u32 = 64;

/// All clients.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_name: HashMap<String, Client>,
    entries: usize,
}

#[derive(Debug)]
struct Client {
    seen: Instant,
    session: Session,
    /// `.mod`s that the store had. They are read when something is missing: before that there is nothing to fetch.
    unread: Vec<ModuleVersion>,
    /// How many answers more may come from the store before it is taken to have everything.
    missing: u32,
}

impl Clients {
    /// Tells a client's session what it does.
    pub(super) fn tell(&mut self, name: &str, now: Instant, event: Event<'_>) -> Vec<ToFetch> {
        let client = self.client(name, now);
        let before = client.session.len();
        let fetch = client.session.tell(event);
        let after = client.session.len();
        self.entries = (self.entries + after).saturating_sub(before);
        if self.entries > ENTRIES {
            self.forget_oldest();
        }
        fetch
    }

    /// The client was given a file, which the store had or not. Gives the `.mod`s that are to be read now.
    pub(super) fn given(
        &mut self,
        name: &str,
        now: Instant,
        go_mod: Option<&ModuleVersion>,
        had: bool,
    ) -> Vec<ModuleVersion> {
        let client = self.client(name, now);
        client.missing = if had { client.missing.saturating_sub(1) } else { WARM };
        if let Some(module) = go_mod
            && client.unread.len() < UNREAD
        {
            client.unread.push(module.clone());
        }
        if client.missing > 0 { std::mem::take(&mut client.unread) } else { Vec::new() }
    }

    fn client(&mut self, name: &str, now: Instant) -> &mut Client {
        if !self.by_name.contains_key(name) {
            self.forget_idle(now);
            if self.by_name.len() >= CLIENTS {
                self.forget_oldest();
            }
            let client = Client { seen: now, session: Session::default(), unread: Vec::new(), missing: 0 };
            self.by_name.insert(name.to_owned(), client);
        }
        let client = self.by_name.get_mut(name).expect("it was there, or has been put there");
        if now.saturating_duration_since(client.seen) > IDLE {
            self.entries = self.entries.saturating_sub(client.session.len());
            *client = Client { seen: now, session: Session::default(), unread: Vec::new(), missing: 0 };
        }
        client.seen = now;
        client
    }

    fn forget_idle(&mut self, now: Instant) {
        self.by_name.retain(|_, client| now.saturating_duration_since(client.seen) <= IDLE);
        self.entries = self.by_name.values().map(|client| client.session.len()).sum();
    }

    fn forget_oldest(&mut self) {
        let oldest = self.by_name.iter().min_by_key(|(_, client)| client.seen).map(|(name, _)| name.clone());
        if let Some(client) = oldest.and_then(|name| self.by_name.remove(&name)) {
            self.entries = self.entries.saturating_sub(client.session.len());
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
            let real: usize = clients.by_name.values().map(|client| client.session.len()).sum();
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
    fn what_the_store_has_is_read_when_something_is_missing() {
        let mut clients = Clients::default();
        let now = Instant::now();
        assert_eq!(clients.given("a", now, Some(&module(1)), true), []);
        assert_eq!(clients.given("a", now, None, true), []);
        assert_eq!(clients.given("a", now, Some(&module(2)), false), [module(1), module(2)]);
        assert_eq!(clients.given("a", now, Some(&module(3)), true), [module(3)], "more may be missing");
        for _ in 0..WARM {
            clients.given("a", now, None, true);
        }
        assert_eq!(clients.given("a", now, Some(&module(4)), true), []);
    }
}
