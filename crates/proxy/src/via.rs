//! The goferries that a request came through (`Via`, RFC 9110 section 7.6.3), so that a ring of them is found out at once.
//!
//! What is fetched because of a request carries the names that it came with, and then that of this proxy. Who finds its own
//! name among them answers 508 (RFC 5842 section 7.2). Names of other programs are not sent on: a proxy at the edge of a
//! network is not to tell what is behind it.
//!
//! A flight serves many who wait. If A waited for a flight of B, and B for one of A, each begun for a client of its own, no
//! name would ever come round. So a request with names joins only a flight that carries them, until something was fetched
//! for those names: then they are in no ring, as far as anyone can know, and one fetch serves all again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use goferry_fetch::client::on_behalf;
use http::header::VIA;
use http::{HeaderMap, HeaderValue};
use quick_cache::sync::Cache as Recent;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::{Answer, Cache, Request};

/// What every name begins with; 16 hexadecimal digits follow.
const NAME: &str = "goferry-";
/// The most goferries that a request may have come through.
const MEMBERS: usize = 8;
/// Requests, and flights begun for them, that join no others at once. Whoever makes up names gets no more.
const APART: usize = 64;
/// For how long it is believed that names are in no ring, and of how many.
const PASSED: (Duration, usize) = (Duration::from_secs(60), 1024);

tokio::task_local! {
    static CHAIN: Arc<Chain>;
}

/// What is known of those that ask on behalf of others.
pub(crate) struct Chains {
    name: String,
    apart: Arc<Semaphore>,
    passed: Recent<HeaderValue, Instant>,
}

/// How a request came here.
pub(crate) enum Came {
    /// From a client.
    Directly,
    /// Through goferries.
    Through(Arc<Chain>),
    /// Through this proxy, or through too many; in words.
    Round(String),
}

/// Goferries that a request came through, and this one.
pub(crate) struct Chain {
    via: HeaderValue,
    apart: Option<OwnedSemaphorePermit>,
}

impl Chains {
    /// Of the proxy that is called so.
    pub(crate) fn new(name: String) -> Chains {
        Chains { name, apart: Arc::new(Semaphore::new(APART)), passed: Recent::new(PASSED.1) }
    }

    /// How a request came here.
    pub(crate) fn of(&self, request: &Request) -> Came {
        if !request.headers.contains_key(VIA) {
            return Came::Directly;
        }
        let names = names(&request.headers);
        if let Some(at) = names.iter().position(|name| *name == self.name) {
            return Came::Round(ring(&names[at..]));
        }
        if names.len() >= MEMBERS {
            return Came::Round(format!(
                "this request came through {} goferries ({}), and none asks another one after {MEMBERS}: name as upstream \
                 of the first who has the modules (goferry serve --upstream)",
                names.len(),
                names.iter().take(MEMBERS).copied().collect::<Vec<_>>().join(", ")
            ));
        }
        let all: Vec<String> = names.iter().chain([&self.name.as_str()]).map(|name| format!("1.1 {name}")).collect();
        match HeaderValue::try_from(all.join(", ")) {
            Ok(via) if !names.is_empty() => {
                let passed = self.passed.get(&via).is_some_and(|since| since.elapsed() < PASSED.0);
                let apart = if passed { None } else { Arc::clone(&self.apart).try_acquire_owned().ok() };
                Came::Through(Arc::new(Chain { via, apart }))
            }
            _ => Came::Directly,
        }
    }

    /// Remembers what became of a request.
    pub(crate) fn learn(&self, chain: &Chain, answer: &Answer) {
        if answer.status == http::StatusCode::LOOP_DETECTED {
            self.passed.remove(&chain.via);
        } else if answer.status.is_success() && answer.note.cache == Cache::Miss {
            self.passed.insert(chain.via.clone(), Instant::now());
        }
    }
}

impl Chain {
    /// As it is sent on.
    pub(crate) fn via(&self) -> &HeaderValue {
        &self.via
    }

    /// Whether it may wait for a flight that is sent with this.
    pub(crate) fn joins(&self, via: Option<&HeaderValue>) -> bool {
        self.apart.is_none() || via == Some(&self.via)
    }

    /// One of a request that came through `name`.
    #[cfg(test)]
    pub(crate) fn apart(name: &str) -> Arc<Chain> {
        let apart = Arc::new(Semaphore::new(1)).try_acquire_owned().ok();
        Arc::new(Chain { via: HeaderValue::try_from(format!("1.1 {name}")).unwrap(), apart })
    }

    /// Does the work on behalf of those that it names.
    pub(crate) async fn scope<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        let via = self.via.clone();
        CHAIN.scope(self, on_behalf(via, work)).await
    }
}

/// The one of the request that this task answers, if it came through others.
pub(crate) fn current() -> Option<Arc<Chain>> {
    CHAIN.try_with(Arc::clone).ok()
}

/// The goferries in `Via`, the first one that was asked first.
fn names(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(VIA).into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|member| {
            let name = member.split_ascii_whitespace().nth(1)?;
            let digits = name.strip_prefix(NAME)?;
            (digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(name)
        })
        .collect()
}

/// The words for a ring that begins, and ends, with this proxy.
fn ring(names: &[&str]) -> String {
    let [own, others @ ..] = names else { return String::new() };
    if others.is_empty() {
        return "this proxy is its own upstream: its GOPROXY, or --upstream, leads back to it".to_owned();
    }
    let others: String = others.iter().map(|name| format!("{name}, which fetches from ")).collect();
    format!(
        "a ring of proxies: {own} fetches from {others}{own} again, so none of them can fetch it: give one of them another \
         upstream (goferry serve --upstream)"
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::answer::Peer;

    fn request(via: &[&str]) -> Request {
        let peer = Peer { connection: 1, address: "unix".to_owned(), protocol: "HTTP/1.1", tls: false, tcp: None };
        let mut headers = HeaderMap::new();
        for value in via {
            headers.append(VIA, HeaderValue::from_str(value).unwrap());
        }
        let path = "/example.com/m/@v/list".to_owned();
        Request { peer: Arc::new(peer), stream: 1, method: Method::GET, path, headers, body: Bytes::new() }
    }

    fn name(number: usize) -> String {
        format!("goferry-{number:016x}")
    }

    fn through(came: Came) -> Arc<Chain> {
        match came {
            Came::Through(chain) => chain,
            Came::Directly => panic!("directly"),
            Came::Round(text) => panic!("{text}"),
        }
    }

    #[test]
    fn names_of_goferries_go_on_and_no_others() {
        let chains = Chains::new(name(0));
        let (one, two) = (name(1), name(2));
        let came = chains
            .of(&request(&[&format!("1.1 squid.example.com:3128 (squid, 6), 2.0 {one}"), &format!("1.1 {two} (x)")]));
        assert_eq!(through(came).via().to_str().unwrap(), format!("1.1 {one}, 1.1 {two}, 1.1 {}", name(0)));
        for none in ["1.1 proxy.example.com", "1.1 goferry-x", "", ",,,", "1.1 goferry-00000000000000zz", &one] {
            assert!(matches!(chains.of(&request(&[none])), Came::Directly), "{none}");
        }
        assert!(matches!(chains.of(&request(&[])), Came::Directly));
    }

    #[test]
    fn what_has_been_here_is_told_so() {
        let chains = Chains::new(name(0));
        let round = |via: &str| match chains.of(&request(&[via])) {
            Came::Round(text) => text,
            _ => panic!("it goes on"),
        };
        assert!(round(&format!("1.1 {}", name(0))).starts_with("this proxy is its own upstream"));
        let text = round(&format!("1.1 {}, 1.1 {}, 1.1 {}, 1.1 {}", name(9), name(0), name(1), name(2)));
        let (zero, one, two) = (name(0), name(1), name(2));
        let begin = format!(
            "a ring of proxies: {zero} fetches from {one}, which fetches from {two}, which fetches from {zero} again, so"
        );
        assert!(text.starts_with(&begin), "{text}");
        let long = |count: usize| (1..=count).map(|n| format!("1.1 {}", name(n))).collect::<Vec<_>>().join(", ");
        assert!(round(&long(MEMBERS)).contains("came through 8 goferries"));
        through(chains.of(&request(&[&long(MEMBERS - 1)])));
    }

    #[test]
    fn who_is_known_to_be_in_no_ring_joins_others() {
        let chains = Chains::new(name(0));
        let ask = || through(chains.of(&request(&[&format!("1.1 {}", name(1))])));
        let chain = ask();
        assert!(!chain.joins(None) && chain.joins(Some(chain.via())));
        let mut answer = Answer::text(http::StatusCode::OK, "");
        chains.learn(&chain, &answer);
        assert!(!ask().joins(None), "what the store had says nothing");
        answer.note.cache = Cache::Miss;
        chains.learn(&chain, &answer);
        assert!(ask().joins(None));
        answer.status = http::StatusCode::LOOP_DETECTED;
        chains.learn(&chain, &answer);
        assert!(!ask().joins(None));
        // Not without bound.
        let many: Vec<_> = (0..APART).map(|_| ask()).collect();
        assert!(many.last().is_some_and(|last| last.joins(None)));
    }
}
