//! Handshakes that fail, and what is said of them.

use std::time::Duration;

use goferry_net::h2::H2;
use goferry_net::tls::{GO_ALPN, TlsClient};
use goferry_net::{ErrorKind, NetError, Party, Phase};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Authority, BOTH, HOST, config, demanding, serve, shake};

fn alert(name: &str) -> ErrorKind {
    ErrorKind::Alert(name.to_owned())
}

/// A handshake with a server that reads the hello, writes `bytes` and then closes, or stays.
async fn answered_with(bytes: &'static [u8], closes: bool) -> (NetError, Duration) {
    let (client, mut server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let _ = server.read(&mut [0; 4096]).await;
        let _ = server.write_all(bytes).await;
        if !closes {
            let _ = server.read_to_end(&mut Vec::new()).await;
        }
    });
    let tls = TlsClient::new(&Authority::new().roots(), GO_ALPN);
    let (outcome, took) = tls.handshake(Box::new(client), HOST, Duration::from_secs(3)).await;
    (outcome.err().expect("the handshake cannot succeed"), took)
}

#[tokio::test(start_paused = true)]
async fn silence_is_bounded() {
    // Nothing; half a record; and a record that goes on for ever is never complete.
    for bytes in [&b""[..], &[0x16, 3, 3, 0x40, 0, 2, 0, 0, 70]] {
        let (error, took) = answered_with(bytes, false).await;
        assert_eq!((error.phase, error.kind, error.party), (Phase::Tls, ErrorKind::TimedOut, Party::Upstream));
        assert_eq!(took.as_secs(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_octet_is_bounded() {
    let (client, server) = tokio::io::duplex(16);
    let tls = TlsClient::new(&Authority::new().roots(), GO_ALPN);
    let (outcome, took) = tls.handshake(Box::new(client), HOST, Duration::from_secs(3)).await;
    assert_eq!((outcome.err().unwrap().kind, took.as_secs()), (ErrorKind::TimedOut, 3));
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_tls_is_a_protocol_error() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &[0xff; 100],
    ] {
        let (error, _) = answered_with(bytes, false).await;
        assert_eq!(error.kind, ErrorKind::Protocol, "{}", error.detail);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_inside_the_handshake() {
    let (error, _) = answered_with(b"", true).await;
    assert_eq!(error.kind, ErrorKind::Closed, "{}", error.detail);
}

#[tokio::test(start_paused = true)]
async fn alerts_have_their_names() {
    for (number, name) in [
        (40u8, "handshake_failure"),
        (48, "unknown_ca"),
        (70, "protocol_version"),
        (112, "unrecognized_name"),
        (116, "certificate_required"),
        (120, "no_application_protocol"),
        (200, "alert 200"),
    ] {
        let bytes: &'static [u8] = vec![0x15, 3, 3, 0, 2, 2, number].leak();
        assert_eq!(answered_with(bytes, true).await.0.kind, alert(name));
    }
}

#[tokio::test]
async fn no_protocol_in_common_is_the_server_s_alert() {
    let authority = Authority::new();
    let address = serve(config(&authority.good(), BOTH, &[b"spdy/3"])).await;
    let error = shake(&TlsClient::new(&authority.roots(), GO_ALPN), address, HOST).await.err().unwrap();
    assert_eq!(error.kind, alert("no_application_protocol"));
}

#[tokio::test]
async fn a_name_that_is_none() {
    let authority = Authority::new();
    let address = serve(config(&authority.good(), BOTH, GO_ALPN)).await;
    let error = shake(&TlsClient::new(&authority.roots(), GO_ALPN), address, "not a name").await.err().unwrap();
    assert_eq!((error.kind, error.party), (ErrorKind::Other, Party::Client));
}

#[tokio::test]
async fn a_demanded_client_certificate_is_noticed() {
    let authority = Authority::new();
    // TLS 1.2: the handshake itself fails.
    let address = serve(demanding(&authority.good(), &[&TLS12], &authority)).await;
    let client = TlsClient::new(&authority.roots(), GO_ALPN);
    let error = shake(&client, address, HOST).await.err().unwrap();
    assert!(client.client_cert_requested());
    assert!(matches!(error.kind, ErrorKind::Alert(_) | ErrorKind::Closed | ErrorKind::Reset), "{error:?}");

    // TLS 1.3: the client is done before the server has judged; the first read brings the alert.
    let address = serve(demanding(&authority.good(), &[&TLS13], &authority)).await;
    let client = TlsClient::new(&authority.roots(), GO_ALPN);
    let (tls, info) = shake(&client, address, HOST).await.unwrap();
    assert!(info.client_cert_requested && client.client_cert_requested());
    let kind = match H2::start(Box::new(tls), HOST).await {
        Ok(mut h2) => {
            h2.wait_settings(Duration::from_secs(5)).await;
            h2.death().cloned().expect("the server refuses").kind
        }
        Err(error) => error.kind,
    };
    assert!(kind == alert("certificate_required") || kind == ErrorKind::Reset, "{kind:?}");
}
