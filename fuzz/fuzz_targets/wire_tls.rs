//! TLS records and hellos from any bytes, cut anywhere: same events, no panic.
#![no_main]

use goferry_wire::tls::{ClientHello, RecordTap, ServerHello};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = (usize::from(input.0) + 1, input.1);

    let mut whole = RecordTap::new();
    let expected = whole.events(bytes);
    let mut cut = RecordTap::new();
    let mut got = Vec::new();
    for piece in bytes.chunks(piece) {
        cut.push(piece, |event| got.push(event));
    }
    assert_eq!(got, expected);
    assert_eq!(cut.bytes(), bytes.len() as u64);
    assert_eq!(
        (cut.version(), cut.renegotiations()),
        (whole.version(), whole.renegotiations())
    );

    if let Ok(hello) = ClientHello::decode(bytes) {
        let _ = hello.newest_version();
        assert!(hello.extensions.len() * 4 <= bytes.len());
    }
    if let Ok(hello) = ServerHello::decode(bytes) {
        let _ = (hello.version(), hello.is_hello_retry_request());
        assert!(hello.extensions.len() * 4 <= bytes.len());
    }
});
