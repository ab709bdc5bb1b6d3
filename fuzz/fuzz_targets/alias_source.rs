//! Any bytes as a postalias source.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use rpostmap::source::{AliasSource, Warning};

type Found = (Vec<u8>, Vec<u8>, u64);

/// Reads at most `len` bytes at a time.
struct Pieces<'a> {
    rest: &'a [u8],
    len: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.len.min(buffer.len());
        self.rest.read(&mut buffer[..len])
    }
}

fn read(reader: impl Read, utf8: bool) -> (Vec<Found>, Vec<Warning>) {
    let mut found = Vec::new();
    let mut warnings = Vec::new();
    let mut source = AliasSource::new("t", reader, utf8);
    while let Some(entry) = source.next_entry(&mut |w| warnings.push(w)).unwrap() {
        found.push((entry.key.to_vec(), entry.value.to_vec(), entry.line.0));
    }
    (found, warnings)
}

fuzz_target!(|data: &[u8]| {
    for utf8 in [false, true] {
        let (found, warnings) = read(data, utf8);

        // The result does not depend on how the text arrives.
        for len in [1, 3] {
            let pieces = Pieces { rest: data, len };
            assert_eq!(read(pieces, utf8), (found.clone(), warnings.clone()));
        }
        for warning in &warnings {
            assert!(warning.message().starts_with(b"t"));
        }

        let mut printed = Vec::new();
        let mut values = Vec::new();
        for (key, value, _) in &found {
            assert!(!key.contains(&0) && !value.contains(&0));
            assert!(!utf8 || std::str::from_utf8(value).is_ok());
            // A literal can hold a bracket that nothing can write, and an empty word is lost.
            if !value.contains(&b'[') && !value.is_empty() && value.first() != Some(&b' ') {
                printed.extend([b"n:".as_slice(), value, b"\n"].concat());
                values.push(value);
            }
        }
        // Values that were put together once stay as they are.
        let (again, _) = read(printed.as_slice(), utf8);
        assert_eq!(again.len(), values.len());
        for (again, value) in again.iter().zip(values) {
            assert_eq!(again.1.trim_ascii_end(), value.trim_ascii_end());
        }
    }
});
