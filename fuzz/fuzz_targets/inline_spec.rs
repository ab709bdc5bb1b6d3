//! Any bytes as the name of a table without a file: type, colon, name.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use libfuzzer_sys::fuzz_target;
use rpostmap::{OpenOptions, TableSpec, open};

/// Types whose tables read nothing but their names.
const TYPES: [&str; 6] = ["inline", "static", "randmap", "unionmap", "pipemap", "debug"];

fuzz_target!(|data: &[u8]| {
    let Some((choice, name)) = data.split_first() else {
        return;
    };
    // No table of another kind may be named inside: it would be a file.
    let text = String::from_utf8_lossy(name);
    for part in text.split(':').rev().skip(1) {
        let known = TYPES.iter().chain(&["fail", "internal"]);
        if !known.clone().any(|known| part.ends_with(known)) {
            return;
        }
    }
    let kind = TYPES[usize::from(*choice) % TYPES.len()];
    let operand = [kind.as_bytes(), b":", name].concat();
    let spec = TableSpec::parse(OsStr::from_bytes(&operand), "");
    for utf8 in [false, true] {
        let options = OpenOptions {
            utf8,
            ..OpenOptions::default()
        };
        let Ok(table) = open(&spec, &options) else {
            continue;
        };
        // What is listed is found.
        let Ok(pairs) = table.iter() else { continue };
        for pair in pairs {
            let (key, value) = pair.unwrap();
            assert_eq!(table.lookup(&key).unwrap(), Some(value));
        }
    }
});
