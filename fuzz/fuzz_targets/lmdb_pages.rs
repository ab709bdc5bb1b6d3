//! Any bytes as an LMDB file: looked up in, listed, verified and salvaged.
//!
//! `cargo +nightly fuzz run -s none lmdb_pages fuzz/corpus/lmdb_pages fuzz/seeds/lmdb_pages`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/lmdb_laws.rs"]
mod lmdb_laws;

fuzz_target!(|bytes: &[u8]| lmdb_laws::any_bytes_as_lmdb_file(bytes));
