//! Changes to any bytes as a hash file, and as a btree file.
//!
//! As a hash file, as in `bdb_open`, the input is used as it is and behind a meta page that is made to fit. The
//! last byte says which changes are made, the one before it is the head of the free list of the
//! second file.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// As in the tests.
#[path = "../../tests/common"]
mod common {
    #[allow(dead_code, reason = "the laws build no files")]
    pub(crate) mod updater;
}
mod fitted;
#[expect(dead_code, reason = "reading has a target of its own")]
#[path = "../../tests/it/laws.rs"]
mod laws;

const FREE_OFFSET: usize = 28;

fuzz_target!(|bytes: &[u8]| {
    let [bytes @ .., free, changes] = bytes else {
        return;
    };
    laws::any_bytes_updated_as_hash_file(bytes, *changes);
    laws::any_bytes_updated_as_btree_file(bytes, *changes);
    if let [choice, buckets, ..] = *bytes {
        let mut file = fitted::fitted(bytes, choice & !4, buckets);
        let big_endian = choice & 1 != 0;
        let head = if big_endian {
            u32::from(*free).to_be_bytes()
        } else {
            u32::from(*free).to_le_bytes()
        };
        file[FREE_OFFSET..FREE_OFFSET + 4].copy_from_slice(&head);
        laws::any_bytes_updated_as_hash_file(&file, *changes);
        let file = fitted::fitted_btree(bytes, choice, u32::from(*free));
        laws::any_bytes_updated_as_btree_file(&file, *changes);
    }
});
