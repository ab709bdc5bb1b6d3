//! Files that a fuzzer, or somebody who thought like one, found something with.

use std::fs;

use crate::{fixtures, laws};

#[test]
fn what_was_found_once_stays_fixed() {
    let mut count = 0;
    for entry in fs::read_dir(fixtures::path("fuzzed")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            continue;
        }
        // Names the file when a law breaks.
        println!("{}", path.display());
        let bytes = fs::read(&path).unwrap();
        laws::any_bytes_as_hash_file(&bytes);
        for changes in 0..=u8::MAX {
            laws::any_bytes_updated_as_hash_file(&bytes, changes);
            laws::any_bytes_updated_as_btree_file(&bytes, changes);
        }
        count += 1;
    }
    assert!(count > 0, "there is nothing to replay");
}
