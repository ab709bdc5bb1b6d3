//! Any bytes as `cidr:` rules and an address, which the first line is.
//!
//! `cargo +nightly fuzz run -s none cidr_rule fuzz/corpus/cidr_rule fuzz/seeds/cidr_rule`.
#![no_main]

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use rpostmap::Table;
use rpostmap::pattern::CidrTable;
use rpostmap::table::OpenOptions;

fuzz_target!(|data: &[u8]| {
    let mut halves = data.splitn(2, |&byte| byte == b'\n');
    let (Some(key), Some(rules)) = (halves.next(), halves.next()) else {
        return;
    };
    let options = OpenOptions {
        utf8: false,
        ..OpenOptions::default()
    };
    let table = CidrTable::from_text(OsStr::new("t"), rules, &options, &mut |_| {}).unwrap();
    let same = |key: &[u8]| {
        let (found, scanned) = (
            table.lookup(key).unwrap(),
            table.lookup_by_scan(key).unwrap(),
        );
        assert_eq!(found, scanned, "{}", key.escape_ascii());
    };
    same(key);
    // The first and the last address of every network, and their neighbours.
    let words = rules.split(|byte| !(byte.is_ascii_hexdigit() || b".:".contains(byte)));
    for word in words {
        let Some(address) = std::str::from_utf8(word)
            .ok()
            .and_then(|word| word.parse().ok())
        else {
            continue;
        };
        match address {
            IpAddr::V4(address) => {
                for len in 0..=32 {
                    let last = address.to_bits() | u32::MAX.checked_shr(len).unwrap_or(0);
                    for bits in [address.to_bits(), last, last.wrapping_add(1)] {
                        same(Ipv4Addr::from_bits(bits).to_string().as_bytes());
                    }
                }
            }
            IpAddr::V6(address) => {
                for len in (0..=128).step_by(7) {
                    let last = address.to_bits() | u128::MAX.checked_shr(len).unwrap_or(0);
                    for bits in [address.to_bits(), last, last.wrapping_add(1)] {
                        same(Ipv6Addr::from_bits(bits).to_string().as_bytes());
                    }
                }
            }
        }
    }
});
