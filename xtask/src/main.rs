//! Tests, generated documents and evidence tables.

fn main() {}
