//! Small files: statuses, bounds and patience.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use goferry_fetch::client::{Anonymous, Authorize, ClientConfig, Refusal};
use goferry_fetch::web::Web;
use goferry_fetch::{BoxFuture, FailKind};
use goferry_module::ProxyUrl;

use crate::server::{H1, H2, Server, Text};
use crate::site::{Plan, site};
use crate::{base, client, client_of, config};

#[tokio::test]
async fn what_is_not_there_is_told_at_once() {
    for status in [404, 410] {
        let (server, log) =
            site(move |_, _| Plan::new(status, b"not found: no such\nversion").with("Content-Type: text/plain")).await;
        let error = client(&server).get(&base(&server), "/x", 100).await.unwrap_err();
        assert_eq!((error.kind.clone(), log.lock().unwrap().len()), (FailKind::NotFound(status), 1));
        assert!(error.detail.contains("not found: no such\n\tversion"), "{error}");
    }
    for status in [400, 401, 403, 451, 501, 204, 206, 304] {
        let (server, log) = site(move |_, _| Plan::new(status, b"")).await;
        let error = client(&server).get(&base(&server), "/x", 100).await.unwrap_err();
        assert_eq!((error.kind, log.lock().unwrap().len()), (FailKind::Status(status), 1));
    }
}

#[tokio::test]
async fn what_may_mend_is_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let (server, log) = site(move |n, _| Plan::new(if n < 3 { status } else { 200 }, b"ok")).await;
        let client = client(&server);
        assert_eq!(client.get(&base(&server), "/x", 100).await.unwrap(), "ok");
        assert_eq!((log.lock().unwrap().len(), client.healed()), (4, 1));
        // Not for ever.
        let (server, log) = site(move |_, _| Plan::new(status, b"")).await;
        let few = ClientConfig { retries: 2, ..config() };
        let error = client_of(&[&server], few, Arc::new(Anonymous)).get(&base(&server), "/x", 100).await.unwrap_err();
        assert_eq!((error.kind, log.lock().unwrap().len()), (FailKind::Status(status), 3));
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let (server, log) = site(|n, _| match n {
        0 => Plan::new(429, b"").with("Retry-After: 1"),
        1 => Plan::new(503, b"").with("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"),
        _ => Plan::new(200, b"ok"),
    })
    .await;
    let began = Instant::now();
    assert_eq!(client(&server).get(&base(&server), "/x", 100).await.unwrap(), "ok");
    assert!((1000..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert_eq!(log.lock().unwrap().len(), 3);
    // Longer than the budget: an answer now.
    let (server, log) = site(|_, _| Plan::new(429, b"").with("Retry-After: 100")).await;
    let began = Instant::now();
    let error = client(&server).get(&base(&server), "/x", 100).await.unwrap_err();
    assert_eq!((error.kind, log.lock().unwrap().len()), (FailKind::Status(429), 1));
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn no_retries_means_none() {
    let config = ClientConfig { retries: 0, ..config() };
    let (server, log) = site(|_, _| Plan::new(200, b"longer").cut(2)).await;
    let error = client_of(&[&server], config, Arc::new(Anonymous)).get(&base(&server), "/x", 100).await.unwrap_err();
    assert!(matches!(error.kind, FailKind::Network(Some(_))), "{error}");
    assert_eq!(log.lock().unwrap().len(), 1);
    let (server, log) = site(|_, _| Plan::new(503, b"")).await;
    let error = client_of(&[&server], config, Arc::new(Anonymous)).get(&base(&server), "/x", 100).await.unwrap_err();
    assert_eq!((error.kind, log.lock().unwrap().len()), (FailKind::Status(503), 1));
}

#[tokio::test]
async fn a_body_is_bounded_whatever_it_announces() {
    for announced in [Some(101), None] {
        let (server, log) = site(move |_, _| Plan { announced, ..Plan::new(200, &[b'x'; 101]) }).await;
        let client = client(&server);
        let error = client.get(&base(&server), "/x", 100).await.unwrap_err();
        assert!(error.kind == FailKind::Invalid && error.detail.contains("more than 100 bytes"), "{error}");
        assert_eq!(log.lock().unwrap().len(), 1);
        assert_eq!(client.get(&base(&server), "/x", 101).await.unwrap().len(), 101);
    }
}

#[tokio::test]
async fn silence_ends_with_the_budget() {
    let (server, log) = site(|_, _| Plan { stall: Some(2), ..Plan::new(200, b"longer") }).await;
    let config = ClientConfig { timeout: Duration::from_millis(600), ..config() };
    let began = Instant::now();
    let error = client_of(&[&server], config, Arc::new(Anonymous)).get(&base(&server), "/x", 100).await.unwrap_err();
    assert!(matches!(error.kind, FailKind::Network(_)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(log.lock().unwrap().len() >= 2);
}

#[tokio::test]
async fn credentials_are_not_sent_in_plain_text() {
    let (server, log) = site(|_, _| Plan::new(200, b"")).await;
    let url = ProxyUrl::parse(&format!("http://user:pass@{}", server.address)).unwrap();
    let error = client(&server).get(&url, "/x", 100).await.unwrap_err();
    assert!(error.detail.contains("refusing to pass credentials to insecure URL"), "{error}");
    assert!(!error.detail.contains("pass@") && log.lock().unwrap().is_empty());
}

/// Has a key after it was asked for one.
#[derive(Default)]
struct Locksmith {
    key: Mutex<Option<String>>,
    refused: AtomicUsize,
    outcomes: Mutex<Vec<u16>>,
    useless: bool,
}

impl Authorize for Locksmith {
    fn headers<'a>(&'a self, _url: &'a str) -> BoxFuture<'a, Vec<(String, String)>> {
        let key = self.key.lock().unwrap().clone();
        Box::pin(async move { key.into_iter().map(|key| ("Authorization".to_owned(), key)).collect() })
    }

    fn refused<'a>(&'a self, url: &'a str, answer: &'a Refusal) -> BoxFuture<'a, bool> {
        assert!(url.starts_with("https://127.0.0.1:") && url.ends_with("/x"), "{url}");
        assert!(answer.headers.iter().any(|(name, value)| name == "www-authenticate" && value == "Basic"));
        self.refused.fetch_add(1, Ordering::SeqCst);
        *self.key.lock().unwrap() = Some(if self.useless { "wrong" } else { "right" }.to_owned());
        Box::pin(async { true })
    }

    fn outcome<'a>(&'a self, _url: &'a str, status: u16) -> BoxFuture<'a, ()> {
        self.outcomes.lock().unwrap().push(status);
        Box::pin(async {})
    }
}

#[tokio::test]
async fn after_a_4xx_goauth_is_asked_once_and_told_the_outcome() {
    for (useless, status) in [(false, 200), (true, 401)] {
        let server = Server::tls(H1, |_, io| async move {
            let mut text = Text::new(io);
            while let Some(asked) = text.request().await {
                match asked.field("authorization") {
                    Some("right") => text.reply(200, "", b"ok").await,
                    _ => text.reply(401, "WWW-Authenticate: Basic\r\n", b"").await,
                }
            }
        })
        .await;
        let smith = Arc::new(Locksmith { useless, ..Locksmith::default() });
        let client = client_of(&[&server], config(), Arc::clone(&smith) as Arc<dyn Authorize>);
        let outcome = client.get(&base(&server), "/x", 100).await;
        assert_eq!(outcome.map(|body| body == "ok").unwrap_or(false), !useless);
        assert_eq!(smith.refused.load(Ordering::SeqCst), 1);
        assert_eq!(*smith.outcomes.lock().unwrap(), [status]);
        // What came with the first request is not asked for again.
        if !useless {
            assert_eq!(client.get(&base(&server), "/x", 100).await.unwrap(), "ok");
            assert_eq!(smith.refused.load(Ordering::SeqCst), 1);
        }
    }
}

#[tokio::test]
async fn broken_http2_is_left_for_http1() {
    // HTTP/2 that answers every request with RST_STREAM HTTP_1_1_REQUIRED.
    let server = Server::tls(crate::server::BOTH, |_, io| async move {
        if io.get_ref().1.alpn_protocol() == Some(b"http/1.1") {
            return Text::new(io).serve().await;
        }
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut io = io;
        let _ = io.read(&mut [0; 4096]).await;
        let _ = io.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 13]).await;
        let _ = io.flush().await;
        let _ = io.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let client = client(&server);
    assert_eq!(client.get(&base(&server), "/x", 100).await.unwrap(), "/x");
    let summary = client.summaries().remove(0);
    assert_eq!(summary.protocol, "HTTP/1.1");
    assert!(summary.decisions.iter().any(|decided| decided.text.contains("HTTP_1_1_REQUIRED")));
}

#[tokio::test]
async fn goaway_after_every_tenth_request_loses_none_of_200() {
    let server = Server::h2(H2, |mut conn| async move {
        conn.settings(None).await;
        for n in 1.. {
            let Some(asked) = conn.request().await else { return };
            if n <= 10 {
                conn.answer(asked.stream, asked.path.as_bytes()).await;
            }
            if n == 10 {
                conn.goaway(asked.stream, goferry_wire::h2::ErrorCode::NoError).await;
            }
        }
    })
    .await;
    let client = Arc::new(client(&server));
    let mut running = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (client, base) = (Arc::clone(&client), base(&server));
        running.spawn(async move {
            let path = format!("/{n}");
            assert_eq!(client.get(&base, &path, 100).await.unwrap(), path);
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}
