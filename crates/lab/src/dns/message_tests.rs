use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

/// Transaction id 0x1234, RD, one question: `Ab.lab` A IN.
const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02Ab\x03lab\x00\x00\x01\x00\x01";

fn with_opt(size: u16) -> Vec<u8> {
    let mut query = QUERY.to_vec();
    query[11] = 1;
    query.extend_from_slice(&[0, 0, 41]);
    query.extend_from_slice(&size.to_be_bytes());
    query.extend_from_slice(&[0; 6]);
    query
}

#[test]
fn a_query_is_read_and_answered() {
    let query = Query::decode(QUERY).unwrap();
    assert_eq!((query.name.as_str(), query.kind, query.udp_limit()), ("ab.lab", QueryType::A, 512));
    let answer = query.answer(Code::NoError, &[Ipv4Addr::new(192, 0, 2, 7).into()], 5, 512);
    let mut expected = b"\x12\x34\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00".to_vec();
    expected.extend_from_slice(&QUERY[12..]);
    expected.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\xc0\x00\x02\x07");
    assert_eq!(answer, expected);
    assert_eq!(query.answer(Code::NxDomain, &[], 0, 512)[2..8], *b"\x85\x83\x00\x01\x00\x00");
    assert_eq!(query.truncated()[2..8], *b"\x87\x80\x00\x01\x00\x00");
}

#[test]
fn what_does_not_fit_is_left_out() {
    let addresses: Vec<IpAddr> = (0..100_u16).map(|n| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into()).collect();
    let mut query = QUERY.to_vec();
    query[21] = 28;
    let answer = Query::decode(&query).unwrap().answer(Code::NoError, &addresses, 0, 512);
    assert!(answer.len() <= 512 && answer.len() > 512 - 28, "{}", answer.len());
    assert_eq!(answer[2] & 2, 2, "the TC bit");
    assert_eq!(usize::from(answer[7]), (answer.len() - query.len()) / 28);

    let all = Query::decode(&query).unwrap().answer(Code::NoError, &addresses, 0, usize::MAX);
    assert_eq!((all[2] & 2, all[7]), (0, 100));
}

#[test]
fn edns_widens_the_answer() {
    assert_eq!(Query::decode(&with_opt(900)).unwrap().udp_limit(), 900);
    assert_eq!(Query::decode(&with_opt(0)).unwrap().udp_limit(), 512);
    assert_eq!(Query::decode(&with_opt(65535)).unwrap().udp_limit(), MAX_UDP);
    let answer = Query::decode(&with_opt(900)).unwrap().answer(Code::NoError, &[], 0, 900);
    assert_eq!((answer[11], &answer[answer.len() - 11..]), (1, &OPT[..]));
}

#[test]
fn what_is_no_query_is_told_apart() {
    assert_eq!(Query::decode(&QUERY[..11]), Err(Unreadable::Ignore));
    let change = |at: usize, to: u8| {
        let mut query = QUERY.to_vec();
        query[at] = to;
        Query::decode(&query)
    };
    let code = |decoded: Result<Query, Unreadable>| match decoded {
        Err(Unreadable::Answer(header)) => header[3],
        other => panic!("{other:?}"),
    };
    assert_eq!(change(2, 0x81), Err(Unreadable::Ignore), "an answer");
    assert_eq!(code(change(2, 0x29)), 4, "UPDATE");
    assert_eq!(code(change(5, 0)), 1, "no question");
    assert_eq!(code(change(5, 2)), 1, "two questions");
    assert_eq!(code(change(12, 0xc0)), 1, "a compressed name");
    assert_eq!(code(change(12, 0x40)), 1, "a label too long");
    assert_eq!(code(change(23, 3)), 4, "class CH");
    assert_eq!(code(Query::decode(&QUERY[..QUERY.len() - 1])), 1, "cut");
}

#[test]
fn long_and_odd_names() {
    let mut query = QUERY[..12].to_vec();
    for _ in 0..3 {
        query.push(63);
        query.extend_from_slice(&[b'x'; 63]);
    }
    let name_of = |last: u8| {
        let mut query = query.clone();
        query.push(last);
        query.extend_from_slice(&vec![b'.'; usize::from(last)]);
        query.extend_from_slice(b"\x00\x00\x01\x00\x01");
        Query::decode(&query)
    };
    let longest = name_of(61).unwrap().name;
    assert_eq!(longest, format!("{}{}", format!("{}.", "x".repeat(63)).repeat(3), "\\046".repeat(61)));
    assert!(name_of(62).is_err(), "256 bytes");
    let root = Query::decode(b"\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01").unwrap();
    assert_eq!((root.name.as_str(), root.kind), ("", QueryType::Other(2)));
}

#[test]
fn no_bytes_make_it_panic() {
    let whole = with_opt(1232);
    for cut in 0..=whole.len() {
        for at in 0..cut {
            for value in [0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff] {
                let mut message = whole[..cut].to_vec();
                message[at] = value;
                if let Ok(query) = Query::decode(&message) {
                    let limit = query.udp_limit();
                    assert!(query.answer(Code::NoError, &[Ipv4Addr::LOCALHOST.into()], 0, limit).len() <= limit);
                }
            }
        }
    }
}
