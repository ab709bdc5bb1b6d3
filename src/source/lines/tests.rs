use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::source::testing::{BreaksAtEnd, Dribble, source_text};

type Line = (Vec<u8>, u64, u64);

/// All logical lines and all warnings.
fn read(reader: impl Read) -> (Vec<Line>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut lines = LogicalLines::new("t", reader);
    let mut found = Vec::new();
    while let Some(line) = lines.next_line(&mut |w| warnings.push(w)).unwrap() {
        found.push((line.text.to_vec(), line.first.0, line.last.0));
    }
    assert_eq!(lines.next_line(&mut |_| {}).unwrap(), None);
    (found, warnings)
}

fn messages(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(Warning::to_string).collect()
}

#[test]
fn the_rules_one_by_one() {
    type Case<'a> = (&'a [u8], &'a [(&'a str, u64, u64)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        // Nothing in it.
        (b"", &[], &[]),
        (b"\n \n", &[], &[]),
        (b"# x", &[], &[]),
        (b"   ", &[], &[]),
        // Comments and blank lines are dropped but counted.
        (
            b"# head\n\na 1\n   \n   # indented\n\t\nb 2\n#tail\n",
            &[("a 1", 3, 3), ("b 2", 7, 7)],
            &[],
        ),
        // Continuations keep their blanks; comments between do not matter.
        (
            b"a 1\n   2\n\t3\nb x\n",
            &[("a 1   2\t3", 1, 3), ("b x", 4, 4)],
            &[],
        ),
        (
            b"a 1\n# c1\n\n   # c2\n     2\n#c3\nb x\n   \n  y\n",
            &[("a 1     2", 1, 5), ("b x  y", 7, 9)],
            &[],
        ),
        // A hash elsewhere is text.
        (b"a #1\nb#c\n", &[("a #1", 1, 1), ("b#c", 2, 2)], &[]),
        // The last line needs no LF.
        (b"a\nb", &[("a", 1, 1), ("b", 2, 2)], &[]),
        (b"a\n  b", &[("a  b", 1, 2)], &[]),
        (b"a\n  ", &[("a", 1, 1)], &[]),
        // CR is a blank and stays in the middle of joined text.
        (
            b"a 1\r\nb 2\r\n\r\n  3\r\nc\r\n",
            &[("a 1\r", 1, 1), ("b 2\r  3\r", 2, 4), ("c\r", 5, 5)],
            &[],
        ),
        // VT and FF are blanks too, a no-break space and BOM are not.
        (
            b"a\n\x0bb\n\x0cc\n\xc2\xa0d\n",
            &[("a\x0bb\x0cc", 1, 3), ("\u{a0}d", 4, 4)],
            &[],
        ),
        (b"\xef\xbb\xbf#a\n", &[("\u{feff}#a", 1, 1)], &[]),
        // Indented without anything to continue.
        (
            b"   a 1\nb 2\n",
            &[("b 2", 2, 2)],
            &["t: logical line must not start with whitespace: \"   a 1\""],
        ),
        (
            b"\n  a 1\n  more\n\n  again\nb 2\n  3\n",
            &[("b 2  3", 6, 7)],
            &["t: logical line must not start with whitespace: \"  a 1  more  again\""],
        ),
        (
            b"# c\n  a",
            &[],
            &["t: logical line must not start with whitespace: \"  a\""],
        ),
        // NUL cuts the logical line, continuations included.
        (
            b"a 1\0 2\n  3\nb 2\n",
            &[("a 1", 1, 2), ("b 2", 3, 3)],
            &["t, line 1-2: text after null byte may be ignored"],
        ),
        (
            b"\0a 1\nb 2\n",
            &[("", 1, 1), ("b 2", 2, 2)],
            &["t, line 1: text after null byte may be ignored"],
        ),
        (
            b"  \0a\nb 2\n",
            &[("b 2", 2, 2)],
            &[
                "t, line 1: text after null byte may be ignored",
                "t: logical line must not start with whitespace: \"  \"",
            ],
        ),
        (
            b"  abc\0ddddddddddddddddddddddddddddddddd\n",
            &[],
            &[
                "t, line 1: text after null byte may be ignored",
                "t: logical line must not start with whitespace: \"  abc...\"",
            ],
        ),
        // In a comment it harms nobody.
        (b"# \0\na 1\nb 2\n", &[("a 1", 2, 2), ("b 2", 3, 3)], &[]),
    ];
    for &(text, lines, warnings) in cases {
        let (found, reported) = read(text);
        let expect: Vec<Line> = lines
            .iter()
            .map(|&(text, first, last)| (text.as_bytes().to_vec(), first, last))
            .collect();
        assert_eq!(found, expect, "{}", text.escape_ascii());
        assert_eq!(messages(&reported), warnings, "{}", text.escape_ascii());
    }
}

/// The rules once more, on text that is in memory as a whole.
fn model(text: &[u8]) -> (Vec<Line>, usize) {
    let mut physical: Vec<&[u8]> = text.split(|&b| b == b'\n').collect();
    if physical.last().is_some_and(|last| last.is_empty()) {
        physical.pop();
    }
    let mut logical: Vec<Line> = Vec::new();
    for (line, number) in physical.into_iter().zip(1..) {
        match line.iter().find(|&&b| !is_blank(b)) {
            None | Some(b'#') => {}
            Some(_) => match logical.last_mut() {
                Some((text, _, last)) if is_blank(line[0]) => {
                    text.extend(line);
                    *last = number;
                }
                _ => logical.push((line.to_vec(), number, number)),
            },
        }
    }
    let mut dropped = 0;
    if logical.first().is_some_and(|(text, ..)| is_blank(text[0])) {
        logical.remove(0);
        dropped = 1;
    }
    for (text, ..) in &mut logical {
        let len = text.iter().position(|&b| b == 0).unwrap_or(text.len());
        text.truncate(len);
    }
    (logical, dropped)
}

proptest! {
    #[test]
    fn pieces_do_not_matter_and_the_model_agrees(
        text in source_text(),
        lens in prop::collection::vec(1_usize..9, 1..5),
    ) {
        let (lines, warnings) = read(text.as_slice());
        let (same_lines, same_warnings) = read(Dribble::new(&text, &lens));
        prop_assert_eq!(&lines, &same_lines);
        prop_assert_eq!(&warnings, &same_warnings);
        let (expect, dropped) = model(&text);
        prop_assert_eq!(&lines, &expect);
        prop_assert_eq!(dropped, warnings.iter().filter(|w| w.kind.drops_line()).count());
    }

    /// Each physical line is blank, a comment, in one logical line, or in one dropped line.
    #[test]
    fn no_physical_line_is_lost(text in source_text()) {
        let (lines, warnings) = read(text.as_slice());
        let mut seen: Vec<(u64, u64)> = lines.iter().map(|&(_, first, last)| (first, last)).collect();
        seen.extend(warnings.iter().filter(|w| w.kind.drops_line()).map(|w| (w.first.0, w.last.0)));
        for (line, number) in text.split(|&b| b == b'\n').zip(1_u64..) {
            let is_text = line.iter().find(|&&b| !is_blank(b)).is_some_and(|&b| b != b'#');
            let holders = seen.iter().filter(|r| (r.0..=r.1).contains(&number)).count();
            prop_assert!(holders <= 1, "line {}", number);
            prop_assert!(holders == 1 || !is_text, "line {}", number);
        }
    }

    /// What follows text cannot change it unless it continues it.
    #[test]
    fn the_buffer_boundary_is_invisible(fill in BUFFER_LEN - 12..BUFFER_LEN + 4, tail in source_text()) {
        let mut text = b"k ".to_vec();
        text.resize(fill, b'v');
        text.push(b'\n');
        text.extend(&tail);
        prop_assert_eq!(read(text.as_slice()).0, model(&text).0);
    }
}

#[test]
fn a_line_of_ten_megabytes_is_one_line() {
    for pad in [0, 1, BUFFER_LEN - 1, 10 << 20] {
        let mut text = b"k ".to_vec();
        text.resize(text.len() + pad, b'v');
        let long = text.clone();
        text.extend(b"\nx y\n");
        let (lines, warnings) = read(text.as_slice());
        assert_eq!(lines.len(), 2, "{pad}");
        assert!(lines[0].0 == long, "{pad}");
        assert!(warnings.is_empty());
    }
}

#[test]
fn memory_stays_one_buffer_over_comments_of_any_length() {
    let comments = "  # a comment of some length\n\n".repeat(500_000);
    let endless = std::iter::repeat_n(b'#', 20 << 20).collect::<Vec<u8>>();
    let reader = b"a 1\n"
        .chain(comments.as_bytes())
        .chain(endless.as_slice())
        .chain(b"\nb 2\n".as_slice());
    let mut lines = LogicalLines::new("t", reader);
    let mut numbers = Vec::new();
    while let Some(line) = lines.next_line(&mut |_| {}).unwrap() {
        numbers.push((line.text.len(), line.first.0));
    }
    assert_eq!(numbers, [(3, 1), (3, 1_000_003)]);
    assert_eq!(lines.reader.capacity(), BUFFER_LEN);
    assert!(lines.joined.capacity() < 64, "{}", lines.joined.capacity());
}

#[test]
fn a_read_error_is_an_error_and_names_the_file() {
    let mut lines = LogicalLines::new("dir/t", BreaksAtEnd(b"a 1\nb 2\nc 3"));
    for expect in [b"a 1", b"b 2"] {
        let line = lines.next_line(&mut |_| {}).unwrap().unwrap();
        assert_eq!(line.text, expect);
    }
    let error = lines.next_line(&mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "read dir/t");
    assert_eq!(error.io_error().unwrap().raw_os_error(), Some(5));
}

#[test]
fn a_directory_is_an_error() {
    let directory = std::fs::File::open("/").unwrap();
    let mut lines = LogicalLines::new("/", directory);
    let error = lines.next_line(&mut |_| {}).unwrap_err();
    assert_eq!(
        error.io_error().unwrap().kind(),
        io::ErrorKind::IsADirectory
    );
}
