//! TLS records and hellos: real handshakes of rustls under the tap, hand-made ones, and streams cut anywhere.

use std::sync::Arc;

use goferry_wire::tls::{
    Alert, AlertDescription, AlertLevel, ClientHello, ContentType, HandshakeType, ProtocolVersion, RecordError,
    RecordHeader, RecordTap, ServerHello, TapEvent,
};
use proptest::collection::vec;
use proptest::prelude::*;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Both directions of a connection, and what the taps saw of them.
struct Seen {
    client: (RecordTap, Vec<TapEvent>, Vec<u8>),
    server: (RecordTap, Vec<TapEvent>, Vec<u8>),
}

impl Seen {
    fn client_hello(&self) -> &ClientHello {
        self.client.1.iter().find_map(|e| if let TapEvent::ClientHello(h) = e { Some(&**h) } else { None }).unwrap()
    }

    fn server_hello(&self) -> &ServerHello {
        self.server.1.iter().find_map(|e| if let TapEvent::ServerHello(h) = e { Some(&**h) } else { None }).unwrap()
    }
}

/// A handshake between two rustls ends, with one octet of application data each way.
fn handshake(
    version: &'static rustls::SupportedProtocolVersion,
    server_groups: &[rustls::NamedGroup],
    server_alpn: &[&str],
) -> Seen {
    let key = rcgen::generate_simple_self_signed(["modules.test".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let mut server_provider = provider.clone();
    server_provider.kx_groups.retain(|group| server_groups.contains(&group.name()));
    let mut client = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut server = rustls::ServerConfig::builder_with_provider(Arc::new(server_provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der())),
        )
        .unwrap();
    server.alpn_protocols = server_alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let mut client = rustls::ClientConnection::new(Arc::new(client), "modules.test".try_into().unwrap()).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::new(server)).unwrap();

    let side = || (RecordTap::new(), Vec::new(), Vec::new());
    let mut seen = Seen { client: side(), server: side() };
    let mut failed = false;
    for round in 0..8 {
        if round == 6 && !failed {
            std::io::Write::write_all(&mut client.writer(), b"x").unwrap();
            std::io::Write::write_all(&mut server.writer(), b"y").unwrap();
        }
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        seen.client.0.push(&bytes, |event| seen.client.1.push(event));
        seen.client.2.extend_from_slice(&bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() && !failed {
            server.read_tls(&mut rest).unwrap();
            failed |= server.process_new_packets().is_err();
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        seen.server.0.push(&bytes, |event| seen.server.1.push(event));
        seen.server.2.extend_from_slice(&bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() && !failed {
            client.read_tls(&mut rest).unwrap();
            failed |= client.process_new_packets().is_err();
        }
    }
    seen
}

const ALL_GROUPS: &[rustls::NamedGroup] = &[rustls::NamedGroup::X25519, rustls::NamedGroup::secp256r1];

#[test]
fn a_tls_1_2_handshake_is_followed_and_a_hello_request_after_it_is_noticed() {
    let mut seen = handshake(&rustls::version::TLS12, ALL_GROUPS, &["h2"]);
    let hello = seen.client_hello();
    assert_eq!(hello.server_name.as_deref(), Some("modules.test"));
    assert!(hello.offers("h2") && hello.offers("http/1.1") && !hello.offers("h3"));
    assert_eq!(hello.newest_version(), ProtocolVersion::TLS_1_2);
    assert!(!hello.cipher_suites.is_empty() && hello.supported_groups.contains(&29));
    let hello = seen.server_hello();
    assert_eq!(hello.version(), ProtocolVersion::TLS_1_2);
    assert_eq!(hello.alpn.as_deref(), Some(&b"h2"[..]));
    assert!(!hello.is_hello_retry_request());
    assert_eq!(seen.server.0.version(), Some(ProtocolVersion::TLS_1_2));
    for tap in [&seen.client.0, &seen.server.0] {
        assert_eq!(tap.records_of(ContentType::ChangeCipherSpec), 1);
        assert_eq!(tap.records_of(ContentType::ApplicationData), 1);
        assert_eq!(tap.renegotiations(), 0);
        assert!(tap.is_between_records());
    }
    // Type handshake, and encrypted.
    let request = [&[22, 3, 3, 0, 28][..], &[0xaa; 28]].concat();
    let events = seen.server.0.events(&request);
    assert!(matches!(events[..], [TapEvent::Record { renegotiation: true, .. }]), "{events:?}");
    assert_eq!(seen.server.0.renegotiations(), 1);
}

#[test]
fn a_tls_1_3_handshake_is_followed_with_and_without_a_retry() {
    let seen = handshake(&rustls::version::TLS13, ALL_GROUPS, &["h2"]);
    assert_eq!(seen.client_hello().newest_version(), ProtocolVersion::TLS_1_3);
    assert_eq!(seen.client_hello().key_shares, [29]);
    let hello = seen.server_hello();
    assert_eq!((hello.version(), hello.key_share), (ProtocolVersion::TLS_1_3, Some(29)));
    assert_eq!(hello.alpn, None);
    assert_eq!(seen.server.0.renegotiations(), 0);

    let seen = handshake(&rustls::version::TLS13, &[rustls::NamedGroup::secp256r1], &["h2"]);
    assert!(seen.server_hello().is_hello_retry_request());
    let hellos = seen.server.1.iter().filter(|event| matches!(event, TapEvent::ServerHello(_))).count();
    assert_eq!(hellos, 2);
    assert_eq!((seen.client.0.renegotiations(), seen.server.0.renegotiations()), (0, 0));
}

#[test]
fn an_alert_in_the_clear_is_read() {
    let seen = handshake(&rustls::version::TLS12, ALL_GROUPS, &["h3"]);
    let alert = seen.server.1.iter().find_map(|e| if let TapEvent::Record { alert, .. } = e { *alert } else { None });
    let alert = alert.expect("an alert");
    assert_eq!(alert, Alert { level: AlertLevel::FATAL, description: AlertDescription::NO_APPLICATION_PROTOCOL });
    assert_eq!(alert.to_string(), "fatal alert no_application_protocol (120)");
    assert_eq!(Alert::decode(alert.encode()), alert);
    assert_eq!(AlertDescription(200).to_string(), "(200)");
}

#[test]
fn plain_http_is_not_tls() {
    let events = RecordTap::new().events(b"HTTP/1.1 400 Bad Request\r\n");
    assert_eq!(events, [TapEvent::NotTls(RecordError::ContentType(*b"HTTP/"))]);
    let TapEvent::NotTls(error) = events[0] else { panic!("{events:?}") };
    assert_eq!(error.to_string(), "not a TLS record: content type 72 in \"HTTP/\" (RFC 8446, section 5.1)");
    assert_eq!(RecordHeader::decode(&[22, 2, 0, 0, 0]), Err(RecordError::Version([22, 2, 0, 0, 0])));
    assert_eq!(RecordHeader::decode(&[23, 3, 3, 0x48, 1]), Err(RecordError::Length(0x4801)));
    assert!(RecordHeader::decode(&[23, 3, 3, 0x48, 0]).is_ok());
}

/// A ServerHello of TLS 1.2 with these extensions.
fn server_hello(extensions: &[u8]) -> Vec<u8> {
    let length = (extensions.len() as u16).to_be_bytes();
    [&[3, 3][..], &[7; 32], &[0], &[0xc0, 0x2f], &[0], &length, extensions].concat()
}

#[test]
fn broken_hellos_are_named_with_their_place() {
    let hello = ServerHello::decode(&server_hello(&[0xff, 1, 0, 1, 0, 0, 16, 0, 5, 0, 3, 2, b'h', b'2'])).unwrap();
    assert!(hello.secure_renegotiation);
    assert_eq!(hello.alpn.as_deref(), Some(&b"h2"[..]));
    assert_eq!(hello.extensions, [0xff01, 16]);
    // Without extensions, as servers of old.
    assert_eq!(ServerHello::decode(&server_hello(&[])[..38]).unwrap().version(), ProtocolVersion::TLS_1_2);
    for (body, text) in [
        (vec![3], "TLS hello, octet 0: it ends inside: version"),
        (server_hello(&[])[..20].to_vec(), "TLS hello, octet 2: it ends inside: random"),
        (server_hello(&[0, 16, 0, 9]), "TLS hello, octet 44: it ends inside: extension"),
        ([server_hello(&[]), vec![1]].concat(), "TLS hello, octet 40: octets are left after: extensions"),
        (server_hello(&[0, 16, 0, 2, 0, 0]), "TLS hello, octet 44: a server has to choose exactly one protocol: ALPN"),
        ([&[3, 3][..], &[7; 32], &[33], &[0; 33]].concat(), "TLS hello, octet 35: more than 32 octets: session id"),
    ] {
        assert_eq!(ServerHello::decode(&body).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_client_certificate_request_of_tls_1_2_is_seen() {
    let record = [22, 3, 3, 0, 9, 13, 0, 0, 1, 0, 14, 0, 0, 0];
    let events = RecordTap::new().events(&record);
    let kind = HandshakeType::CERTIFICATE_REQUEST;
    assert!(events.contains(&TapEvent::Handshake { kind, length: 1 }), "{events:?}");
    assert_eq!(kind.to_string(), "certificate_request");
}

fn content_type() -> impl Strategy<Value = ContentType> {
    prop::sample::select(vec![
        ContentType::ChangeCipherSpec,
        ContentType::Alert,
        ContentType::Handshake,
        ContentType::ApplicationData,
        ContentType::Heartbeat,
    ])
}

/// Records of any content, handshake messages among them.
fn records() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        vec(any::<u8>(), 0..60),
        (prop::sample::select(vec![1, 2]), vec(any::<u8>(), 0..60))
            .prop_map(|(kind, body)| { [&[kind, 0, 0, body.len() as u8][..], &body].concat() }),
        Just([&[2, 0, 0, 40][..], &server_hello(&[])].concat()),
    ];
    (vec((content_type(), payload), 0..8), vec(any::<u8>(), 0..10)).prop_map(|(records, tail)| {
        let mut bytes = Vec::new();
        for (content_type, payload) in records {
            let length = payload.len() as u16;
            bytes.extend(RecordHeader { content_type, version: ProtocolVersion::TLS_1_2, length }.encode());
            bytes.extend(payload);
        }
        bytes.extend(tail);
        bytes
    })
}

proptest! {
    #[test]
    fn record_headers_go_there_and_back(content_type in content_type(), minor in any::<u8>(), length in 0..=18_432_u16) {
        let version = ProtocolVersion(0x0300 | u16::from(minor));
        let header = RecordHeader { content_type, version, length };
        prop_assert_eq!(RecordHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn a_tap_does_not_care_how_bytes_arrive(bytes in records(), length in 1..40_usize) {
        let expected = RecordTap::new().events(&bytes);
        let mut tap = RecordTap::new();
        let mut got = Vec::new();
        for piece in bytes.chunks(length) {
            tap.push(piece, |event| got.push(event));
        }
        prop_assert_eq!(got, expected);
        prop_assert_eq!(tap.bytes(), bytes.len() as u64);
    }

    #[test]
    fn any_bytes_are_a_hello_or_an_error(bytes in vec(any::<u8>(), 0..300), extensions in vec(any::<u8>(), 0..200)) {
        let _ = ClientHello::decode(&bytes);
        let _ = ServerHello::decode(&bytes);
        if let Ok(hello) = ServerHello::decode(&server_hello(&extensions)) {
            prop_assert!(hello.extensions.len() * 4 <= extensions.len());
        }
    }
}

/// A real hello that is cut off anywhere, or has one wrong octet, never does more than fail.
#[test]
fn damaged_real_hellos_never_panic() {
    let seen = handshake(&rustls::version::TLS13, ALL_GROUPS, &["h2"]);
    let first = &seen.client.2;
    let length = usize::from(u16::from_be_bytes([first[3], first[4]]));
    let body = &first[9..5 + length];
    let hello = ClientHello::decode(body).unwrap();
    // Version, random, session id, cipher suites, compression methods (one of them).
    let without_extensions = 2 + 32 + 1 + hello.session_id.len() + 2 + 2 * hello.cipher_suites.len() + 2;
    for end in 0..body.len() {
        // A hello may end before its extensions (RFC 5246, section 7.4.1.2): there is one place for that.
        let whole = ClientHello::decode(&body[..end]).is_ok_and(|hello| hello.extensions.is_empty());
        assert_eq!(whole, end == without_extensions, "cut at {end}");
        assert!(whole || ClientHello::decode(&body[..end]).is_err(), "cut at {end}");
    }
    for place in 0..body.len() {
        let mut damaged = body.to_vec();
        damaged[place] ^= 0xff;
        let _ = ClientHello::decode(&damaged);
    }
}
