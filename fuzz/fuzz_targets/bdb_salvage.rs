//! Any bytes as a damaged table file: verified and salvaged.
//!
//! `cargo +nightly fuzz run -s none bdb_salvage fuzz/corpus/bdb_salvage fuzz/seeds/bdb_salvage \
//! fuzz/seeds/bdb_open`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/salvage_laws.rs"]
mod salvage_laws;

fuzz_target!(|bytes: &[u8]| salvage_laws::any_bytes_as_damaged_file(bytes));
