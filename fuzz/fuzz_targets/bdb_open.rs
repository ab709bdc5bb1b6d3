//! Any bytes as a hash file.
//!
//! The meta page must agree with the file's length, which few mutations leave alone. So the input
//! is read twice: as it is, and behind a meta page that is made to fit. What that page says is
//! chosen by the first two bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// As in the tests.
#[path = "../../tests/common"]
mod common {
    #[allow(dead_code, reason = "the laws build no files")]
    pub(crate) mod updater;
}
mod fitted;
#[expect(dead_code, reason = "updating has a target of its own")]
#[path = "../../tests/it/laws.rs"]
mod laws;

fuzz_target!(|bytes: &[u8]| {
    laws::any_bytes_as_hash_file(bytes);
    if let [choice, buckets, ..] = *bytes {
        laws::any_bytes_as_hash_file(&fitted::fitted(bytes, choice, buckets));
    }
});
