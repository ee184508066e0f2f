//! HPACK from any blocks: bounded lists and tables, and what was decoded means the same when encoded again.
#![no_main]

use goferry_wire::hpack::{Decoder, DecoderLimits, Encoder, HeaderField, Indexing};
use libfuzzer_sys::fuzz_target;

const LIMITS: DecoderLimits = DecoderLimits {
    table_size: 1024,
    list_size: 8192,
    fields: 100,
};

fuzz_target!(|blocks: Vec<&[u8]>| {
    let mut decoder = Decoder::new(LIMITS);
    let mut encoder = Encoder::new().with_indexing(Indexing::Incremental);
    encoder.set_table_size(LIMITS.table_size);
    let mut again = Decoder::new(LIMITS);
    for block in blocks {
        let decoded = decoder.decode(block);
        assert!(decoder.table_size() <= LIMITS.table_size as usize);
        let Ok(list) = decoded else { continue };
        assert!(list.len() <= LIMITS.fields);
        assert!(list.iter().map(HeaderField::size).sum::<usize>() <= LIMITS.list_size);
        let mut block = Vec::new();
        encoder.encode(&list, &mut block);
        let same = again.decode(&block).expect("what we encode can be decoded");
        assert!(
            list.iter()
                .zip(&same)
                .all(|(a, b)| a.name == b.name && a.value == b.value)
        );
        assert_eq!(list.len(), same.len());
    }
});
