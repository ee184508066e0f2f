//! Redirects, by Go's rules.

use std::sync::Arc;

use goferry_fetch::BoxFuture;
use goferry_fetch::client::{Authorize, Refusal};
use goferry_fetch::web::Web;
use goferry_module::ProxyUrl;

use crate::server::{H1, Server, Text};
use crate::site::{Plan, site};
use crate::{base, client, client_of, config};

#[tokio::test]
async fn ten_are_followed_and_no_more() {
    for (count, fine) in [(10, true), (11, false)] {
        let (server, log) = site(move |n, _| match n {
            n if n < count => {
                let status = [301, 302, 303, 307, 308][n % 5];
                Plan::new(status, b"moved").with(&format!("Location: /{n}?q"))
            }
            _ => Plan::new(200, b"ok"),
        })
        .await;
        let outcome = client(&server).get(&base(&server), "/x", 100).await;
        assert_eq!(outcome.is_ok(), fine);
        assert_eq!(log.lock().unwrap().len(), 11);
        if let Err(error) = outcome {
            assert!(error.detail.contains("stopped after 10 redirects"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_an_error() {
    for lines in ["X: y", "Location: ftp://h/", "Location: https://:1/"] {
        let (server, log) = site(move |_, _| Plan::new(302, b"").with(lines)).await;
        assert!(client(&server).get(&base(&server), "/x", 100).await.is_err());
        assert_eq!(log.lock().unwrap().len(), 1);
    }
}

/// The same key for every URL.
struct Key;

impl Authorize for Key {
    fn headers<'a>(&'a self, _url: &'a str) -> BoxFuture<'a, Vec<(String, String)>> {
        Box::pin(async { vec![("Authorization".to_owned(), "key".to_owned())] })
    }

    fn refused<'a>(&'a self, _url: &'a str, _answer: &'a Refusal) -> BoxFuture<'a, bool> {
        Box::pin(async { false })
    }
}

/// Shows what Authorization it was sent; redirects `/to/...`.
async fn mirror() -> Server {
    Server::tls(H1, |_, io| async move {
        let mut text = Text::new(io);
        while let Some(asked) = text.request().await {
            match asked.path.strip_prefix("/to/") {
                Some(location) => text.reply(302, &format!("Location: {location}\r\n"), b"").await,
                None => text.reply(200, "", asked.field("authorization").unwrap_or("none").as_bytes()).await,
            }
        }
    })
    .await
}

#[tokio::test]
async fn from_https_to_http_is_refused() {
    let (plain, log) = site(|_, _| Plan::new(200, b"ok")).await;
    let server = mirror().await;
    let error = client(&server).get(&base(&server), &format!("/to/http://{}/", plain.address), 100).await.unwrap_err();
    assert!(error.detail.contains("redirected from secure URL"), "{error}");
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn credentials_stay_with_their_host() {
    let (one, two) = (mirror().await, mirror().await);
    let get = |url: String, path: String| {
        let client = client_of(&[&one, &two], config(), Arc::new(Key));
        async move { client.get(&ProxyUrl::parse(&url).unwrap(), &path, 100).await.unwrap() }
    };
    let plain = |server: &Server| format!("https://{}", server.address);
    let with = |server: &Server| format!("https://user:pass@{}", server.address);
    assert_eq!(get(plain(&one), "/x".to_owned()).await, "key");
    assert_eq!(get(with(&one), "/x".to_owned()).await, "Basic dXNlcjpwYXNz");
    assert_eq!(get(plain(&one), "/to//x".to_owned()).await, "key");
    for url in [plain(&one), with(&one)] {
        assert_eq!(get(url.clone(), format!("/to/{}/x", plain(&two))).await, "none");
        // Nor do they come back.
        assert_eq!(get(url, format!("/to/{}/to/{}/x", plain(&two), plain(&one))).await, "none");
    }
}
