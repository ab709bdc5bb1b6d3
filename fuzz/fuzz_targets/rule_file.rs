//! Any bytes as `regexp:`, `pcre:` and `cidr:` rules and a key, which the first line is.
//!
//! `cargo +nightly fuzz run -s none rule_file fuzz/corpus/rule_file fuzz/seeds/rule_file`.
#![no_main]

use std::ffi::OsStr;

use libfuzzer_sys::fuzz_target;
use rpostmap::Table;
use rpostmap::pattern::{CidrTable, PcreTable, RegexpTable};
use rpostmap::table::OpenOptions;

/// More than this takes time and finds nothing new.
const LEN_MAX: usize = 2048;

fuzz_target!(|data: &[u8]| {
    let mut halves = data.splitn(2, |&byte| byte == b'\n');
    let (Some(key), Some(rules)) = (halves.next(), halves.next()) else {
        return;
    };
    if data.len() > LEN_MAX {
        return;
    }
    for utf8 in [false, true] {
        let options = OpenOptions {
            utf8,
            ..OpenOptions::default()
        };
        let name = OsStr::new("t");
        let mut warn = |text: Vec<u8>| assert!(!text.is_empty());
        let regexp = RegexpTable::from_text(name, rules, &options, &mut warn).unwrap();
        let found = regexp.lookup(key).map_err(|error| error.to_string());
        let scanned = regexp
            .lookup_by_scan(key)
            .map_err(|error| error.to_string());
        assert_eq!(found, scanned, "{}", key.escape_ascii());
        if utf8 && let Ok(Some(value)) = &found {
            assert!(std::str::from_utf8(value).is_ok());
        }
        let cidr = CidrTable::from_text(name, rules, &options, &mut warn).unwrap();
        assert_eq!(cidr.lookup(key).ok(), cidr.lookup_by_scan(key).ok());
        let pcre = PcreTable::from_text(name, rules, &options, &mut warn).unwrap();
        // Asked for all rules the library may give up where the index never asks it.
        if let Ok(scanned) = pcre.lookup_by_scan(key) {
            let found = pcre.lookup(key).unwrap();
            assert_eq!(found, scanned, "{}", key.escape_ascii());
            if utf8 && let Some(value) = &found {
                assert!(std::str::from_utf8(value).is_ok());
            }
        }
        // The same rules, behind a condition that always holds.
        let nested = [b"if /^/\n", rules].concat();
        let nested = RegexpTable::from_text(name, nested.as_slice(), &options, &mut warn).unwrap();
        let unclosed = rules.split(|&byte| byte == b'\n').any(|line| {
            line.get(..5)
                .is_some_and(|word| word.eq_ignore_ascii_case(b"endif"))
        });
        let is_swallowed = rules.first().is_some_and(|byte| {
            byte.is_ascii_whitespace() || *byte == 0x0b || *byte == b'#' || *byte == 0
        });
        if !unclosed && !is_swallowed {
            let found_nested = nested.lookup(key).map_err(|error| error.to_string());
            assert_eq!(found_nested, found);
        }
    }
});
