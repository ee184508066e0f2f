//! Through a forward proxy.

use goferry_net::connect::{Bounds, Connector, Origin, Via, ViaScheme};
use goferry_net::pool::{Cause, Pool};
use goferry_net::tls::Roots;
use goferry_net::{ErrorKind, Phase};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::server::{BOTH, Conn, Server, Text};
use crate::{ask, config, fetch, until};

fn through(server: &Server, via: Option<Via>, host: &str, bounds: Bounds) -> Pool {
    let origin = Origin { https: server.https, host: host.to_owned(), port: server.address.port() };
    Pool::new(Connector::new(origin, via, Roots::new(vec![server.root.clone()]), bounds), config())
}

/// A proxy that tunnels where the credentials are right, and answers plain requests itself.
async fn forward_proxy() -> Server {
    Server::plain(|_, io| async move {
        let mut text = Text::new(io);
        while let Some(asked) = text.request().await {
            if asked.field("proxy-authorization") != Some("Basic dXNlcjpwYXNz") {
                text.reply(407, "Proxy-Authenticate: Basic realm=x\r\n", b"").await;
                continue;
            }
            if asked.path.starts_with("http://") {
                text.reply(200, "", asked.path.as_bytes()).await;
                continue;
            }
            let mut upstream = TcpStream::connect(asked.path).await.unwrap();
            text.send(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
            let _ = copy_bidirectional(&mut text.io, &mut upstream).await;
            return;
        }
    })
    .await
}

fn via(proxy: &Server, password: &str) -> Option<Via> {
    Some(Via {
        scheme: ViaScheme::Http,
        host: "127.0.0.1".to_owned(),
        port: proxy.address.port(),
        credentials: Some(("user".to_owned(), password.to_owned())),
    })
}

#[tokio::test]
async fn http2_goes_through_a_tunnel() {
    let server = Server::h2(BOTH, |mut conn: Conn| async move {
        conn.settings(None).await;
        conn.serve().await;
    })
    .await;
    let proxy = forward_proxy().await;
    let pool = through(&server, via(&proxy, "pass"), "127.0.0.1", Bounds::default());
    for _ in 0..5 {
        assert_eq!(fetch(&pool, &ask("/x")).await.unwrap().1, b"/x");
    }
    assert_eq!((server.accepted(), proxy.accepted(), pool.summary().protocol), (1, 1, "HTTP/2"));
    drop(pool);
    until("the tunnel is closed", || proxy.open() == 0).await;

    let pool = through(&server, via(&proxy, "wrong"), "127.0.0.1", Bounds::default());
    let failure = fetch(&pool, &ask("/x")).await.unwrap_err();
    assert_eq!((failure.cause, failure.error.phase), (Cause::Dial, Phase::Tunnel));
    assert_eq!(failure.error.kind, ErrorKind::Status(407));
}

#[tokio::test]
async fn plain_http_is_asked_of_the_proxy_itself() {
    let server = Server::plain(|_, io| Text::new(io).serve()).await;
    let proxy = forward_proxy().await;
    let pool = through(&server, via(&proxy, "pass"), "127.0.0.1", Bounds::default());
    let (_, body) = fetch(&pool, &ask("/x?y")).await.unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), format!("http://{}/x?y", server.address));
    assert_eq!(server.accepted(), 0);
}
