//! Any bytes as a cdb file: looked up in, listed, verified, salvaged.
//!
//! Read as it is, and behind a header that points at tables of two slots each, so that few bytes
//! are enough to reach records and slots.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/cdb_laws.rs"]
mod laws;

const HEADER_LEN: usize = 2048;

fuzz_target!(|bytes: &[u8]| {
    laws::any_bytes_as_cdb_file(bytes);
    if let [tables, rest @ ..] = bytes {
        let mut file = vec![0; HEADER_LEN];
        file.extend_from_slice(rest);
        let table_count = usize::from(*tables).min(rest.len() / 16);
        let start = file.len() - 16 * table_count;
        for table in 0..256 {
            let offset = (start + 16 * table.min(table_count)) as u32;
            let slot_count = if table < table_count { 2u32 } else { 0 };
            file[8 * table..][..4].copy_from_slice(&offset.to_le_bytes());
            file[8 * table + 4..][..4].copy_from_slice(&slot_count.to_le_bytes());
        }
        laws::any_bytes_as_cdb_file(&file);
    }
});
