//! The connection pool against servers that misbehave, on loopback: HTTP/2 in frames of `goferry-wire`, HTTP/1.1 as text.

mod closing;
mod ends;
mod http1;
mod limits;
mod queues;
mod routes;
mod server;
mod silence;

use std::time::Duration;

use goferry_net::connect::{Bounds, Connector, Origin};
use goferry_net::pool::{Ask, Class, Failure, Pool, PoolConfig};
use goferry_net::tls::Roots;
use server::Server;

/// Short bounds, so that a test of silence takes no longer than it must.
pub(crate) fn config() -> PoolConfig {
    PoolConfig {
        settings_bound: Duration::from_millis(800),
        quiet: Duration::from_millis(300),
        ping_bound: Duration::from_millis(400),
        ..PoolConfig::default()
    }
}

pub(crate) fn pool(server: &Server, config: PoolConfig) -> Pool {
    let origin = Origin { https: server.https, host: "127.0.0.1".to_owned(), port: server.address.port() };
    Pool::new(Connector::new(origin, None, Roots::new(vec![server.root.clone()]), Bounds::default()), config)
}

/// A small request with bounds of seconds.
pub(crate) fn ask(target: impl Into<String>) -> Ask {
    Ask { head_bound: Duration::from_secs(10), pause_bound: Duration::from_secs(5), ..Ask::new(target, Class::Small) }
}

pub(crate) fn large(target: impl Into<String>) -> Ask {
    Ask { class: Class::Large, ..ask(target) }
}

/// The status and the body.
pub(crate) async fn fetch(pool: &Pool, ask: &Ask) -> Result<(u16, Vec<u8>), Failure> {
    let response = pool.get(ask).await?;
    let status = response.status;
    Ok((status, response.body.collect(64 << 20).await?.to_vec()))
}

/// Sends again what failed, at most `tries` times; the failures on the way.
pub(crate) async fn persist(pool: &Pool, ask: &Ask, tries: usize) -> (Option<Vec<u8>>, Vec<Failure>) {
    let mut failures = Vec::new();
    for _ in 0..tries {
        match fetch(pool, ask).await {
            Ok((_, body)) => return (Some(body), failures),
            Err(failure) => failures.push(failure),
        }
    }
    (None, failures)
}

/// Waits until `done` says so.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 5 s: {what}");
}
