//! What is negotiated, and what the second handshake saves.

use goferry_net::tls::{GO_ALPN, Root, TlsClient};
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncReadExt;

use crate::server::{Authority, BOTH, HOST, config, serve, shake};

#[tokio::test]
async fn alpn_is_what_the_server_chooses() {
    let authority = Authority::new();
    let identity = authority.good();
    for (spoken, chosen) in
        [(&[][..], None), (&[&b"h2"[..], b"http/1.1"][..], Some("h2")), (&[&b"http/1.1"[..]][..], Some("http/1.1"))]
    {
        let address = serve(config(&identity, BOTH, spoken)).await;
        let (_, info) = shake(&TlsClient::new(&authority.roots(), GO_ALPN), address, HOST).await.unwrap();
        assert_eq!(info.alpn.as_deref(), chosen);
        assert_eq!(info.alpn_offered, ["h2", "http/1.1"]);
    }
}

#[tokio::test]
async fn versions_and_their_round_trips() {
    let authority = Authority::new();
    let identity = authority.good();
    for (version, name, round_trips) in [(&TLS13, "TLSv1.3", 1), (&TLS12, "TLSv1.2", 2)] {
        let address = serve(config(&identity, &[version], GO_ALPN)).await;
        let (_, info) = shake(&TlsClient::new(&authority.roots(), GO_ALPN), address, HOST).await.unwrap();
        assert_eq!((info.version.as_str(), info.round_trips, info.resumed), (name, round_trips, false));
        assert!(info.cipher.starts_with("TLS"), "{}", info.cipher);
        assert!(!info.client_cert_requested && !info.early_data);
    }
}

#[tokio::test]
async fn a_second_handshake_resumes_and_keeps_the_verdict() {
    let authority = Authority::new();
    let identity = authority.good();
    for version in [&TLS13, &TLS12] {
        let address = serve(config(&identity, &[version], GO_ALPN)).await;
        let client = TlsClient::new(&authority.roots(), GO_ALPN);
        let (mut tls, first) = shake(&client, address, HOST).await.unwrap();
        // With TLS 1.3 the ticket comes after the handshake.
        assert_eq!(tls.read_u8().await.unwrap(), b'!');
        let (_, second) = shake(&client, address, HOST).await.unwrap();
        assert!(!first.resumed && second.resumed, "{}", first.version);
        assert_eq!((second.round_trips, second.verified), (1, Ok(Root::Local)));
        // Another client starts anew.
        let (_, other) = shake(&TlsClient::new(&authority.roots(), GO_ALPN), address, HOST).await.unwrap();
        assert!(!other.resumed);
    }
}

#[tokio::test]
async fn a_server_without_tickets_is_not_resumed() {
    let authority = Authority::new();
    let mut config = config(&authority.good(), &[&TLS13], GO_ALPN);
    config.send_tls13_tickets = 0;
    let address = serve(config).await;
    let client = TlsClient::new(&authority.roots(), GO_ALPN);
    for _ in 0..2 {
        let (mut tls, info) = shake(&client, address, HOST).await.unwrap();
        assert_eq!(tls.read_u8().await.unwrap(), b'!');
        assert!(!info.resumed);
    }
}
