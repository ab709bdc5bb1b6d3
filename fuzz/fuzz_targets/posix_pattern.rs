//! Any bytes as a POSIX regular expression and a key: the first byte has the flags, the first line
//! behind it is the key.
//!
//! `cargo +nightly fuzz run -s none posix_pattern fuzz/corpus/posix_pattern fuzz/seeds/posix_pattern`.
#![no_main]

use std::ffi::OsStr;

use libfuzzer_sys::fuzz_target;
use rpostmap::Table;
use rpostmap::pattern::RegexpTable;
use rpostmap::pattern::posix::{Flags, parse};
use rpostmap::table::OpenOptions;

/// More than this takes time and finds nothing new.
const LEN_MAX: usize = 512;

fuzz_target!(|data: &[u8]| {
    let [flags, rest @ ..] = data else {
        return;
    };
    let mut halves = rest.splitn(2, |&byte| byte == b'\n');
    let (Some(key), Some(pattern)) = (halves.next(), halves.next()) else {
        return;
    };
    if data.len() > LEN_MAX {
        return;
    }
    let parsed = parse(
        pattern,
        Flags {
            extended: flags & 1 != 0,
            ignore_case: flags & 2 == 0,
            lines: flags & 4 != 0,
        },
    );
    // The same as a rule, with and without a group in the result, unless it has a delimiter.
    if pattern.iter().any(|byte| matches!(byte, b'~' | b'\n' | 0)) || pattern.ends_with(b"\\") {
        return;
    }
    let letters = [
        if flags & 1 != 0 { "" } else { "x" },
        if flags & 2 == 0 { "" } else { "i" },
        if flags & 4 != 0 { "m" } else { "" },
    ]
    .concat();
    let options = OpenOptions {
        utf8: false,
        ..OpenOptions::default()
    };
    let answer = |pattern: &[u8], result: &str| {
        let mark = b"~".as_slice();
        let rule = [
            mark,
            pattern,
            mark,
            letters.as_bytes(),
            b" ",
            result.as_bytes(),
            b"\n",
        ]
        .concat();
        let mut warnings = 0;
        let mut warn = |_| warnings += 1;
        let table = RegexpTable::from_text(OsStr::new("t"), &*rule, &options, &mut warn).unwrap();
        let found = table.lookup(key).unwrap();
        assert_eq!(found, table.lookup_by_scan(key).unwrap());
        (found.map(|value| value.into_owned()), warnings)
    };
    let (plain, warnings) = answer(pattern, "x");
    assert_eq!(warnings == 0, parsed.is_ok());
    if let Ok(parsed) = parsed
        && parsed.groups > 0
    {
        let (grouped, _) = answer(pattern, "$1");
        assert_eq!(plain.is_some(), grouped.is_some());
        // A group is a part of the key.
        let group = grouped.unwrap_or_default();
        assert!(group.is_empty() || key.windows(group.len()).any(|part| part == group));
    }
});
