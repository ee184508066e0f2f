//! HPACK: the examples of RFC 7541, appendix C, in both directions, round trips, and hostile blocks.

use goferry_wire::hpack::{Decoder, DecoderLimits, Encoder, HeaderField, HpackProblem, HuffmanError, Indexing};
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn fields(list: &[(&str, &str)]) -> Vec<HeaderField> {
    list.iter().map(|(name, value)| HeaderField::new(*name, *value)).collect()
}

fn problem(decoder: &mut Decoder, block: &[u8]) -> (usize, HpackProblem) {
    let error = decoder.decode(block).unwrap_err();
    (error.offset, error.problem)
}

#[test]
fn appendix_c_2_each_representation() {
    let decode = |hex| {
        let mut decoder = Decoder::default();
        (decoder.decode(&bytes(hex)).unwrap(), decoder.table_size())
    };
    let custom = decode("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572");
    assert_eq!(custom, (fields(&[("custom-key", "custom-header")]), 55));
    assert_eq!(decode("040c 2f73 616d 706c 652f 7061 7468"), (fields(&[(":path", "/sample/path")]), 0));
    let (list, size) = decode("1008 7061 7373 776f 7264 0673 6563 7265 74");
    assert_eq!((&list[0].name[..], &list[0].value[..], list[0].sensitive), (&b"password"[..], &b"secret"[..], true));
    assert_eq!(size, 0);
    assert_eq!(format!("{:?}", list[0]), "\"password: (sensitive)\"");
    let mut out = Vec::new();
    Encoder::new().with_huffman(false).encode(&list, &mut out);
    assert_eq!(out, bytes("1008 7061 7373 776f 7264 0673 6563 7265 74"));
    assert_eq!(decode("82"), (fields(&[(":method", "GET")]), 0));
}

/// Each example is a list of fields, its block, and the size of the dynamic table afterwards.
type Example<'a> = (&'a [(&'a str, &'a str)], &'a str, usize);

fn both_ways(examples: &[Example<'_>], huffman: bool, table_size: u32) {
    let mut decoder = Decoder::new(DecoderLimits { table_size, ..DecoderLimits::default() });
    let mut encoder = Encoder::new().with_huffman(huffman).with_indexing(Indexing::Incremental);
    if table_size != 4096 {
        // The examples take the size as agreed upon: the update does not show in their blocks.
        encoder.set_table_size(table_size);
        encoder.encode(&[], &mut Vec::new());
    }
    for (list, block, size) in examples {
        let list = fields(list);
        assert_eq!(decoder.decode(&bytes(block)), Ok(list.clone()));
        assert_eq!(decoder.table_size(), *size);
        let mut out = Vec::new();
        encoder.encode(&list, &mut out);
        assert_eq!(out, bytes(block));
    }
}

const REQUESTS: [&[(&str, &str)]; 3] = [
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
];

#[test]
fn appendix_c_3_requests_without_huffman() {
    let blocks = [
        ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", 57),
        ("8286 84be 5808 6e6f 2d63 6163 6865", 110),
        ("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", 164),
    ];
    let examples: Vec<Example<'_>> = REQUESTS.iter().zip(blocks).map(|(l, (b, s))| (*l, b, s)).collect();
    both_ways(&examples, false, 4096);
}

#[test]
fn appendix_c_4_requests_with_huffman() {
    let blocks = [
        ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", 57),
        ("8286 84be 5886 a8eb 1064 9cbf", 110),
        ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", 164),
    ];
    let examples: Vec<Example<'_>> = REQUESTS.iter().zip(blocks).map(|(l, (b, s))| (*l, b, s)).collect();
    both_ways(&examples, true, 4096);
}

const RESPONSES: [&[(&str, &str)]; 3] = [
    &[
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "307"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "200"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ("location", "https://www.example.com"),
        ("content-encoding", "gzip"),
        ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ],
];

#[test]
fn appendix_c_5_responses_without_huffman_and_with_evictions() {
    let blocks = [
        (
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 \
             3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            222,
        ),
        ("4803 3330 37c1 c0bf", 222),
        (
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 \
             7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 \
             6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
            215,
        ),
    ];
    let examples: Vec<Example<'_>> = RESPONSES.iter().zip(blocks).map(|(l, (b, s))| (*l, b, s)).collect();
    both_ways(&examples, false, 256);
}

#[test]
fn appendix_c_6_responses_with_huffman_and_with_evictions() {
    let blocks = [
        (
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad \
             1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            222,
        ),
        ("4883 640e ffc1 c0bf", 222),
        (
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 \
             e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
            215,
        ),
    ];
    let examples: Vec<Example<'_>> = RESPONSES.iter().zip(blocks).map(|(l, (b, s))| (*l, b, s)).collect();
    both_ways(&examples, true, 256);
}

#[test]
fn broken_blocks_are_named() {
    for (hex, offset, expected) in [
        ("80", 0, HpackProblem::Index { index: 0, dynamic: 0 }),
        ("82be", 1, HpackProblem::Index { index: 62, dynamic: 0 }),
        ("82ff ffff ffff ff7f", 1, HpackProblem::IntegerTooLarge),
        ("8200 05 6162", 1, HpackProblem::Truncated),
        ("823f e21f", 1, HpackProblem::LateTableSize),
        ("3fe2 1f", 0, HpackProblem::TableSize { size: 4097, limit: 4096 }),
        ("2020 20", 2, HpackProblem::ManyTableSizes),
        ("0481 ff", 0, HpackProblem::Huffman(HuffmanError::LongPadding)),
        ("0481 00", 0, HpackProblem::Huffman(HuffmanError::WrongPadding)),
        ("0484 ffff ffff", 0, HpackProblem::Huffman(HuffmanError::Eos)),
    ] {
        let mut decoder = Decoder::default();
        let got = problem(&mut decoder, &bytes(hex));
        assert_eq!(got, (offset, expected), "{hex}");
        assert_eq!(problem(&mut decoder, &[0x82]), (0, HpackProblem::Poisoned));
    }
}

#[test]
fn a_small_block_cannot_become_a_large_list() {
    // One field of 4,000 octets in the dynamic table, then references to it of one octet each.
    let mut block = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
    block.extend(vec![b'x'; 127 + 0x21 + (0x1e << 7)]);
    block.extend([0xbe; 10_000]);
    let limits = DecoderLimits { list_size: 50_000, ..DecoderLimits::default() };
    let (_, got) = problem(&mut Decoder::new(limits), &block);
    assert_eq!(got, HpackProblem::ListSize { limit: 50_000 });
    assert!(got.is_limit());
    let (offset, got) = problem(&mut Decoder::new(DecoderLimits { fields: 3, ..limits }), &[0x82; 4]);
    assert_eq!((offset, got), (3, HpackProblem::Fields { limit: 3 }));
    assert_eq!(
        problem(&mut Decoder::new(limits), &bytes("00 7f ff ff 7f")).1,
        HpackProblem::ListSize { limit: 50_000 }
    );
}

#[test]
fn a_lowered_limit_has_to_be_followed() {
    let mut decoder = Decoder::default();
    decoder.set_table_size_limit(100);
    assert_eq!(problem(&mut decoder, &[0x82]), (0, HpackProblem::MissingTableSize { limit: 100 }));

    let mut decoder = Decoder::default();
    let mut encoder = Encoder::new().with_indexing(Indexing::Incremental);
    let list = fields(&[("a", "b"), ("c", "d"), ("e", "f")]);
    let mut block = Vec::new();
    encoder.encode(&list, &mut block);
    assert_eq!(decoder.decode(&block), Ok(list.clone()));
    assert_eq!((decoder.table_len(), decoder.table_size()), (3, 102));
    decoder.set_table_size_limit(80);
    encoder.set_table_size(0);
    encoder.set_table_size(80);
    block.clear();
    encoder.encode(&list, &mut block);
    assert_eq!(&block[..3], bytes("20 3f31"));
    assert_eq!(decoder.decode(&block), Ok(list));
    assert_eq!((decoder.table_len(), decoder.table_size()), (2, 68));
}

fn field() -> impl Strategy<Value = HeaderField> {
    let name = prop_oneof![
        prop::sample::select(vec![":method", ":status", ":path", "accept", "x-request-id", "a"])
            .prop_map(|name| name.as_bytes().to_vec()),
        vec(any::<u8>(), 0..30),
    ];
    let value = prop_oneof![
        prop::sample::select(vec!["GET", "200", "/", "", "gzip"]).prop_map(|value| value.as_bytes().to_vec()),
        vec(any::<u8>(), 0..200),
        "[ -~]{0,40}".prop_map(String::into_bytes),
    ];
    (name, value, any::<bool>()).prop_map(|(name, value, sensitive)| HeaderField { name, value, sensitive })
}

fn encoder() -> impl Strategy<Value = Encoder> {
    (prop::sample::select(vec![Indexing::Incremental, Indexing::Without, Indexing::Never]), any::<bool>())
        .prop_map(|(indexing, huffman)| Encoder::new().with_indexing(indexing).with_huffman(huffman))
}

proptest! {
    #[test]
    fn lists_go_there_and_back(
        mut encoder in encoder(),
        blocks in vec((proptest::option::of(0..=4096_u32), vec(field(), 0..12)), 1..5),
    ) {
        let mut decoder = Decoder::default();
        for (size, list) in blocks {
            if let Some(size) = size {
                encoder.set_table_size(size);
            }
            let mut block = Vec::new();
            encoder.encode(&list, &mut block);
            let plain = |list: &[HeaderField]| -> Vec<_> {
                list.iter().map(|field| (field.name.clone(), field.value.clone())).collect()
            };
            let got = decoder.decode(&block).unwrap();
            prop_assert_eq!(plain(&got), plain(&list));
            // What was sensitive stays so.
            prop_assert!(list.iter().zip(&got).all(|(sent, got)| got.sensitive || !sent.sensitive));
        }
    }

    #[test]
    fn any_block_gives_a_bounded_list_or_an_error(blocks in vec(vec(any::<u8>(), 0..300), 1..6)) {
        let limits = DecoderLimits { table_size: 512, list_size: 2000, fields: 20 };
        let mut decoder = Decoder::new(limits);
        for block in blocks {
            if let Ok(list) = decoder.decode(&block) {
                prop_assert!(list.len() <= 20);
                prop_assert!(list.iter().map(HeaderField::size).sum::<usize>() <= 2000);
            }
            prop_assert!(decoder.table_size() <= 512);
        }
    }
}
