//! Any bytes as a message.
//!
//! `cargo +nightly fuzz run -s none message_split fuzz/corpus/message_split fuzz/seeds/message_split`
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use rpostmap::source::message::{MessageLimits, MessagePieces, PieceKind};

type Found = Vec<(PieceKind, Vec<u8>)>;

/// Reads at most `len` bytes at a time.
struct Steps<'a> {
    rest: &'a [u8],
    len: usize,
}

impl Read for Steps<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.len.min(buffer.len());
        self.rest.read(&mut buffer[..len])
    }
}

fn read(reader: impl Read, mime: bool, limits: MessageLimits) -> Found {
    let mut found = Vec::new();
    let mut pieces = MessagePieces::new("m", reader, mime, limits);
    while let Some(piece) = pieces.next_piece().unwrap() {
        found.push((piece.kind, piece.text.to_vec()));
    }
    found
}

/// The lines of a message, each up to its first NUL.
fn lines(data: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    if lines.last() == Some(&&b""[..]) {
        lines.pop();
    }
    let until_nul = |line: &mut &[u8]| *line = line.split(|&byte| byte == 0).next().unwrap();
    lines.iter_mut().for_each(until_nul);
    lines
}

/// The first line of a header without the blanks before its colon.
fn without_blanks(line: &[u8]) -> Vec<u8> {
    let colon = line.iter().position(|&byte| byte == b':').unwrap();
    let name = &line[..colon];
    let len = name.iter().rposition(|byte| !b" \t".contains(byte)).unwrap() + 1;
    [&name[..len], &line[colon..]].concat()
}

fuzz_target!(|data: &[u8]| {
    let unlimited = MessageLimits {
        header_len: usize::MAX,
        ..MessageLimits::default()
    };
    for mime in [false, true] {
        let found = read(data, mime, unlimited);
        for len in [1, 2, 7] {
            assert_eq!(read(Steps { rest: data, len }, mime, unlimited), found);
        }

        // Put together, the pieces are the lines of the message.
        let mut lines = lines(data).into_iter();
        let mut body_begun = false;
        for (kind, text) in &found {
            assert!(!text.contains(&0));
            match kind {
                PieceKind::Header => {
                    assert!(mime || !body_begun);
                    let mut joined = text.split(|&byte| byte == b'\n');
                    let first = joined.next().unwrap();
                    assert_eq!(first, without_blanks(lines.next().unwrap()));
                    for line in joined {
                        assert!(matches!(line[0], b' ' | b'\t'));
                        assert_eq!(line, lines.next().unwrap());
                    }
                }
                PieceKind::Body => {
                    assert_eq!(text, lines.next().unwrap());
                    body_begun = true;
                }
                PieceKind::MissingSeparator => {
                    assert!(text.is_empty() && !body_begun);
                    body_begun = true;
                }
            }
        }
        assert_eq!(lines.next(), None);

        // Only one limit makes lines disappear: those that continue a long header.
        let narrow = MessageLimits {
            header_len: 10,
            ..unlimited
        };
        let cut = read(data, mime, narrow);
        let narrow = MessageLimits {
            nesting: 1,
            boundary_len: 2,
            ..unlimited
        };
        let shallow = read(data, mime, narrow);
        if !mime {
            assert_eq!(cut.len(), found.len());
            assert_eq!(shallow, found);
        }
        for (kind, text) in cut {
            let len = text.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
            assert!(kind != PieceKind::Header || len < 10);
        }
        let count = |found: &Found| -> usize {
            let line_count = |text: &[u8]| text.split(|&byte| byte == b'\n').count();
            found.iter().map(|(_, text)| line_count(text)).sum()
        };
        assert_eq!(count(&shallow), count(&found));
    }
});
