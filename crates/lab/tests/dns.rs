//! The DNS server, asked with queries made by hand, and by the system's resolver in a namespace of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use goferry_lab::dns::{Behaviour, DnsServer, QueryType, Zone};

const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long is waited for an answer that must not come.
const IN_VAIN: Duration = Duration::from_millis(300);

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    code: u8,
    truncated: bool,
    addresses: Vec<IpAddr>,
}

fn server(zone: Zone) -> DnsServer {
    DnsServer::bind((Ipv4Addr::LOCALHOST, 0).into(), zone).expect("a server")
}

fn zone() -> Zone {
    Zone::new().record("proxy.lab", V4.into()).record("proxy.lab", V6.into())
}

fn answer(code: u8, addresses: &[IpAddr]) -> Answer {
    Answer { code, truncated: false, addresses: addresses.to_vec() }
}

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut query = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    query.extend_from_slice(&kind.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    query
}

/// Reads an answer to `query`, trusting nothing in it.
fn read(query: &[u8], answer: &[u8]) -> Answer {
    assert_eq!(answer[..2], query[..2], "the id");
    assert_eq!(answer[2] & 0x80, 0x80, "QR");
    assert_eq!(answer[12..query.len()], query[12..], "the question");
    let count = u16::from_be_bytes([answer[6], answer[7]]);
    let mut at = query.len();
    let mut addresses = Vec::new();
    for _ in 0..count {
        assert_eq!(answer[at..at + 2], [0xc0, 12], "a pointer to the question");
        assert_eq!(answer[at + 2..at + 6], query[query.len() - 4..], "type and class");
        let length = usize::from(u16::from_be_bytes([answer[at + 10], answer[at + 11]]));
        let data = &answer[at + 12..at + 12 + length];
        addresses.push(match length {
            4 => IpAddr::from(<[u8; 4]>::try_from(data).unwrap()),
            16 => IpAddr::from(<[u8; 16]>::try_from(data).unwrap()),
            other => panic!("{other} bytes"),
        });
        at += 12 + length;
    }
    assert_eq!(at, answer.len(), "nothing follows");
    Answer { code: answer[3] & 15, truncated: answer[2] & 2 != 0, addresses }
}

/// Asks by UDP. `None`: no answer.
fn ask(server: &DnsServer, name: &str, kind: u16) -> Option<Answer> {
    let query = query(name, kind);
    exchange(server, &query, PATIENCE).map(|answer| read(&query, &answer))
}

fn is_unanswered(server: &DnsServer, name: &str, kind: u16) -> bool {
    exchange(server, &query(name, kind), IN_VAIN).is_none()
}

fn exchange(server: &DnsServer, message: &[u8], patience: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket.connect(server.address()).unwrap();
    socket.send(message).unwrap();
    let mut buffer = [0; 2048];
    match socket.recv(&mut buffer) {
        Ok(length) => Some(buffer[..length].to_vec()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

fn ask_tcp(stream: &mut TcpStream, name: &str, kind: u16) -> Answer {
    let query = query(name, kind);
    let length = u16::try_from(query.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes()[..], &query].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    read(&query, &answer)
}

fn connect(server: &DnsServer) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

#[test]
fn records_are_answered() {
    let server = server(zone().record("v4.lab", V4.into()));
    assert_eq!(ask(&server, "proxy.lab", 1), Some(answer(0, &[V4.into()])));
    assert_eq!(ask(&server, "Proxy.LAB", 28), Some(answer(0, &[V6.into()])));
    assert_eq!(ask(&server, "v4.lab", 28), Some(answer(0, &[])), "NODATA");
    assert_eq!(ask(&server, "proxy.lab", 16), Some(answer(0, &[])), "TXT: NODATA");
    assert_eq!(ask(&server, "other.lab", 1), Some(answer(3, &[])), "NXDOMAIN");
    let counts = server.counts();
    assert_eq!(counts.queries, [(QueryType::A, 2), (QueryType::Aaaa, 2), (QueryType::Other(16), 1)].into());
    assert_eq!(counts.names[&("proxy.lab".to_owned(), QueryType::Aaaa)], 1);
    assert_eq!((counts.udp, counts.tcp, counts.answered, counts.malformed), (5, 0, 5, 0));
}

#[test]
fn names_can_fail() {
    let server = server(
        zone()
            .behaviour("proxy.lab", Behaviour::ServFail)
            .behaviour_for("proxy.lab", QueryType::Aaaa, Behaviour::Refused)
            .behaviour("gone.lab", Behaviour::NxDomain)
            .record("gone.lab", V4.into())
            .default_behaviour(Behaviour::Drop),
    );
    assert_eq!(ask(&server, "proxy.lab", 1), Some(answer(2, &[])));
    assert_eq!(ask(&server, "proxy.lab", 28), Some(answer(5, &[])));
    assert_eq!(ask(&server, "gone.lab", 1), Some(answer(3, &[])));
    assert!(is_unanswered(&server, "other.lab", 1));
    let counts = server.counts();
    assert_eq!((counts.udp, counts.answered, counts.dropped), (4, 3, 1));
}

#[test]
fn aaaa_queries_can_vanish() {
    let server = server(zone().aaaa_black_hole("proxy.lab"));
    assert!(is_unanswered(&server, "proxy.lab", 28));
    assert_eq!(ask(&server, "proxy.lab", 1), Some(answer(0, &[V4.into()])));
}

#[test]
fn one_type_can_be_slow_without_delaying_the_other() {
    let delay = Duration::from_millis(150);
    let server = server(zone().behaviour_for("proxy.lab", QueryType::Aaaa, Behaviour::Delay(delay)));
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| (ask(&server, "proxy.lab", 28), begin.elapsed()));
        while server.counts().queries.is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(5));
            std::thread::yield_now();
        }
        assert_eq!(ask(&server, "proxy.lab", 1), Some(answer(0, &[V4.into()])));
        assert_eq!(server.counts().answered, 1, "the slow one is still pending");
        let (answered, after) = slow.join().unwrap();
        assert_eq!(answered, Some(answer(0, &[V6.into()])));
        assert!(after >= delay, "{after:?}");
    });
}

#[test]
fn truncated_answers_are_whole_over_tcp() {
    let mut zone = zone().behaviour("proxy.lab", Behaviour::Truncate);
    for last in 0..100 {
        zone = zone.record("many.lab", Ipv4Addr::new(198, 51, 100, last).into());
    }
    let server = server(zone);
    let cut = Answer { code: 0, truncated: true, addresses: Vec::new() };
    assert_eq!(ask(&server, "proxy.lab", 1), Some(cut));
    let many = ask(&server, "many.lab", 1).unwrap();
    assert!(many.truncated && many.addresses.len() == 30, "{many:?}");

    let mut stream = connect(&server);
    assert_eq!(ask_tcp(&mut stream, "proxy.lab", 1), answer(0, &[V4.into()]));
    let many = ask_tcp(&mut stream, "many.lab", 1);
    assert!(!many.truncated && many.addresses.len() == 100, "{many:?}");
    let counts = server.counts();
    assert_eq!((counts.udp, counts.tcp), (2, 2));
}

#[test]
fn hostile_messages_are_survived() {
    let server = server(zone());
    assert_eq!(exchange(&server, b"short", IN_VAIN), None);
    let mut two_questions = query("proxy.lab", 1);
    two_questions[5] = 2;
    assert_eq!(exchange(&server, &two_questions, PATIENCE).unwrap()[3] & 15, 1, "FORMERR");
    let mut looping = query("proxy.lab", 1);
    looping[12..14].copy_from_slice(&[0xc0, 12]);
    assert_eq!(exchange(&server, &looping, PATIENCE).unwrap()[3] & 15, 1, "FORMERR");

    let mut stream = connect(&server);
    stream.write_all(&[0xff, 0xff]).unwrap();
    let mut byte = [0];
    let end = stream.read(&mut byte).map_err(|error| error.kind());
    assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "a query of 65,535 bytes ends it: {end:?}");
    assert_eq!(ask(&server, "proxy.lab", 1), Some(answer(0, &[V4.into()])));
    assert_eq!(server.counts().malformed, 3);
}

#[test]
fn dropping_the_server_frees_its_port() {
    let zone = zone().behaviour("proxy.lab", Behaviour::Delay(Duration::from_secs(600)));
    // An address of its own, so that no other test takes the port when it is free.
    let server = DnsServer::bind((Ipv4Addr::new(127, 0, 0, 2), 0).into(), zone).unwrap();
    let address = server.address();
    assert!(is_unanswered(&server, "proxy.lab", 1));
    let begin = Instant::now();
    drop(server);
    assert!(begin.elapsed() < Duration::from_secs(5), "a pending answer does not hold it");
    UdpSocket::bind(address).expect("the port is free");
}

/// Needs root, as every [`Link`] does: the port is 53, where resolvers ask.
#[test]
fn the_systems_resolver_asks_it_across_a_link() {
    use goferry_lab::link::Link;
    use std::process::Command;

    let link = Link::builder()
        .rtt(Duration::from_millis(20))
        .client_resolv_conf("nameserver 10.66.2.1\noptions timeout:1 attempts:1\n")
        .build()
        .expect("a link");
    let zone = zone()
        .record("cut.lab", V4.into())
        .behaviour("cut.lab", Behaviour::Truncate)
        .behaviour("silent.lab", Behaviour::Drop);
    let server = link
        .in_server(|| DnsServer::bind((link.server_addr(), 53).into(), zone))
        .expect("a namespace")
        .expect("a server");
    let getent = |name: &str| {
        let output = link.client_output(Command::new("getent").args(["ahostsv4", name])).expect("getent");
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), text.split_whitespace().next().unwrap_or_default().to_owned())
    };
    assert_eq!(getent("proxy.lab"), (Some(0), V4.to_string()));
    assert_eq!(server.counts().tcp, 0);
    assert_eq!(getent("cut.lab"), (Some(0), V4.to_string()));
    assert_eq!(server.counts().tcp, 1);
    let begin = Instant::now();
    assert_eq!(getent("silent.lab"), (Some(2), String::new()));
    assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());
    assert_eq!(server.counts().dropped, 1);
}
