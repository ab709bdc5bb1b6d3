//! Hostile btree files: whatever the bytes, no panic and no endless walk, and no more is listed than
//! the file holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpostmap::bdb::btree::BtreeReader;
use rpostmap::file::store::Store;

fuzz_target!(|file: &[u8]| {
    let Ok(reader) = BtreeReader::new(Store::from_bytes(file)) else {
        return;
    };
    for key in [&b""[..], b"key", b"user10@example.com", b"\xff\xff"] {
        let _ = reader.get(key);
    }
    let mut total = 0;
    for pair in reader.iter().into_iter().flatten() {
        let Ok((key, value)) = pair else {
            break;
        };
        total += key.len() + value.len();
        // Files with several values for a key repeat keys; the rest cannot list more than they
        // hold.
        if !reader.meta().duplicates {
            assert!(
                total <= file.len(),
                "listed {total} bytes of {}",
                file.len()
            );
        }
    }
});
