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
        laws::any_bytes_as_hash_file(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "there is nothing to replay");
}
