//! Any bytes as a postmap source.
//!
//! `cargo +nightly fuzz run -s none source_text fuzz/corpus/source_text fuzz/seeds/source_text`.
//! The code has nothing unsafe, and without the address sanitizer it runs seven times as fast.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use rpostmap::key::Fold;
use rpostmap::source::{LogicalLines, MapSource, Warning};

/// The size of the library's read buffer; being off costs coverage only.
const BUFFER_LEN: usize = 256 * 1024;

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
    let mut source = MapSource::new("t", reader, utf8);
    while let Some(entry) = source.next_entry(&mut |w| warnings.push(w)).unwrap() {
        found.push((entry.key.to_vec(), entry.value.to_vec(), entry.line.0));
    }
    (found, warnings)
}

fuzz_target!(|data: &[u8]| {
    for utf8 in [false, true] {
        let (found, warnings) = read(data, utf8);

        // The result does not depend on how the text arrives.
        for len in [1, 2, 7] {
            let pieces = Pieces { rest: data, len };
            assert_eq!(read(pieces, utf8), (found.clone(), warnings.clone()));
        }

        // Nor on where the buffer ends: a comment in front only shifts the line numbers.
        let mut comment = vec![b'#'; BUFFER_LEN - 1 - data.len() / 2 % BUFFER_LEN];
        comment.push(b'\n');
        let (shifted, _) = read(comment.chain(data), utf8);
        assert_eq!(shifted.len(), found.len());
        for (shifted, (key, value, line)) in shifted.iter().zip(&found) {
            assert_eq!((&shifted.0, &shifted.1, shifted.2), (key, value, line + 1));
        }

        // A logical line is an entry or is said to be dropped.
        let mut outcome: Vec<u64> = found.iter().map(|found| found.2).collect();
        let drops = warnings.iter().filter(|warning| warning.kind.drops_line());
        outcome.extend(drops.map(|warning| warning.first.0));
        outcome.sort_unstable();
        let mut expect = Vec::new();
        let mut dropped = Vec::new();
        let mut lines = LogicalLines::new("t", data);
        while let Some(line) = lines.next_line(&mut |w| dropped.push(w)).unwrap() {
            assert!(line.first <= line.last);
            expect.push(line.first.0);
        }
        let drops = dropped.iter().filter(|warning| warning.kind.drops_line());
        expect.extend(drops.map(|warning| warning.first.0));
        expect.sort_unstable();
        assert_eq!(outcome, expect);

        for warning in &warnings {
            assert!(warning.message().starts_with(b"t"));
        }
        let mut printed = Vec::new();
        for (key, value, _) in &found {
            assert!(!key.is_empty() && !value.is_empty());
            assert!(!key.contains(&0) && !value.contains(&0));
            assert!(!utf8 || std::str::from_utf8(key).is_ok());
            for fold in [Fold::None, Fold::Ascii, Fold::Unicode] {
                let once = fold.fold(key);
                assert_eq!(fold.fold(&once), once);
            }
            // A logical line that starts so would be a comment.
            assert_ne!(key[0], b'#');
            printed.extend([key, b"\t".as_slice(), value, b"\n"].concat());
        }
        // Printed, entries read back.
        let (again, warnings) = read(printed.as_slice(), utf8);
        assert!(warnings.iter().all(|warning| !warning.kind.drops_line()));
        assert_eq!(again.len(), found.len());
        for ((again, found), line) in again.iter().zip(&found).zip(1..) {
            assert_eq!((&again.0, &again.1, again.2), (&found.0, &found.1, line));
        }
    }
});
