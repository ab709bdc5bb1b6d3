use proptest::prelude::*;

use super::*;
use crate::source::testing::{Dribble, source_text};

type Found = (Vec<u8>, Vec<u8>, u64);

fn read(reader: impl Read, utf8: bool) -> (Vec<Found>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut source = MapSource::new("t", reader, utf8);
    let mut found = Vec::new();
    while let Some(entry) = source.next_entry(&mut |w| warnings.push(w)).unwrap() {
        found.push((entry.key.to_vec(), entry.value.to_vec(), entry.line.0));
    }
    (found, warnings)
}

/// Text, the entries as key and value, the warnings with `t, line ` in front left out.
type Case<'a> = (&'a [u8], &'a [(&'a str, &'a str)], &'a [&'a str]);

const FORMAT: &str = "expected format: key whitespace value";
const ALIAS: &str = "record is in \"key: value\" format; is this an alias file?";

#[test]
fn the_rules_one_by_one() {
    let cases: &[Case<'_>] = &[
        (
            b"alpha   one\nbeta\t two  words \t \nGamma three\n",
            &[("alpha", "one"), ("beta", "two  words"), ("Gamma", "three")],
            &[],
        ),
        (
            b"alpha\n   one\nbeta\n# c\n\ttwo\n",
            &[("alpha", "one"), ("beta", "two")],
            &[],
        ),
        (
            b"alpha one\n   two\n\tthree\nbeta x\n",
            &[("alpha", "one   two\tthree"), ("beta", "x")],
            &[],
        ),
        (
            b"alpha one\r\nbeta two\r\n\r\n  three\r\ngamma\r\n",
            &[("alpha", "one"), ("beta", "two\r  three")],
            &["5: expected format: key whitespace value"],
        ),
        // NUL.
        (
            b"alpha one\0two\nbeta three\nga\0mma four\ndelta five\n",
            &[("alpha", "one"), ("beta", "three"), ("delta", "five")],
            &[
                "1: text after null byte may be ignored",
                "3: text after null byte may be ignored",
                "3: expected format: key whitespace value",
            ],
        ),
        (
            b"\0a b\n",
            &[],
            &[
                "1: text after null byte may be ignored",
                "1: expected format: key whitespace value",
            ],
        ),
        // What follows the NUL is not checked either.
        (
            b"\xc3\xa4 y\0\xff\n",
            &[("\u{e4}", "y")],
            &["1: text after null byte may be ignored"],
        ),
        // No value.
        (
            b"alpha\nbeta   \ngamma three\n",
            &[("gamma", "three")],
            &[
                "1: expected format: key whitespace value",
                "2: expected format: key whitespace value",
            ],
        ),
        // Alias format.
        (
            b"root: admin\nother:thing\nkey:\n: v\nk\\: v\n\"b c\": v\n\"b c:\" v\n",
            &[
                ("root:", "admin"),
                (":", "v"),
                ("k\\:", "v"),
                ("\"b c\":", "v"),
                ("\"b c:\"", "v"),
            ],
            &[
                &format!("1: {ALIAS}"),
                &format!("2: {FORMAT}"),
                &format!("3: {FORMAT}"),
                &format!("4: {ALIAS}"),
                &format!("5: {ALIAS}"),
                &format!("6: {ALIAS}"),
            ],
        ),
        // Quotes.
        (
            b"\"two words\" 1\n\"say \\\"hi\\\"\" 2\nmid\"dle par\"t 3\n\"\" 4\n",
            &[
                ("\"two words\"", "1"),
                ("\"say \\\"hi\\\"\"", "2"),
                ("mid\"dle par\"t", "3"),
                ("\"\"", "4"),
            ],
            &[],
        ),
        (
            b"alpha \"one two\"\nbeta it\"s\n\"a\" b\"\n",
            &[
                ("alpha", "\"one two\""),
                ("beta", "it\"s"),
                ("\"a\"", "b\""),
            ],
            &[],
        ),
        (
            b"\"two words 1\nalpha one\nbe\"ta two\n\"open   \n\"abc\\\n",
            &[("alpha", "one")],
            &[
                "1: unbalanced '\"' in '\"two words 1' -- ignoring this line",
                "3: unbalanced '\"' in 'be\"ta two' -- ignoring this line",
                "4: unbalanced '\"' in '\"open   ' -- ignoring this line",
                "5: unbalanced '\"' in '\"abc\\' -- ignoring this line",
            ],
        ),
        // Backslashes.
        (
            b"a\\ b one\nc\\\\ two\n\\\"d e\n\"f\\\"g h\" i\n",
            &[
                ("a\\ b", "one"),
                ("c\\\\", "two"),
                ("\\\"d", "e"),
                ("\"f\\\"g h\"", "i"),
            ],
            &[],
        ),
        (
            b"alpha\\\nbeta \\\n",
            &[("beta", "\\")],
            &["1: expected format: key whitespace value"],
        ),
        // Blanks and what only looks like one.
        (
            b"alpha\x0bone\nbeta\x0ctwo\ngamma\rthree\n",
            &[("alpha", "one"), ("beta", "two"), ("gamma", "three")],
            &[],
        ),
        (
            b"al\xc2\xa0pha one\n\xc2\xa0beta two\n\xef\xbb\xbfc three\n\x1cd x\n",
            &[
                ("al\u{a0}pha", "one"),
                ("\u{a0}beta", "two"),
                ("\u{feff}c", "three"),
                ("\x1cd", "x"),
            ],
            &[],
        ),
        (
            b"alpha #one\nbe#ta two # three\n",
            &[("alpha", "#one"), ("be#ta", "two # three")],
            &[],
        ),
        // The line named is the one the logical line starts on.
        (
            b"alpha one\n\n# c\nbad1\n   \nbeta two\n  three\n\n\"open\n  more\nbad2\n",
            &[("alpha", "one"), ("beta", "two  three")],
            &[
                "4: expected format: key whitespace value",
                "9: unbalanced '\"' in '\"open  more' -- ignoring this line",
                "11: expected format: key whitespace value",
            ],
        ),
    ];
    for &(text, entries, warnings) in cases {
        for pieces in [&[usize::MAX][..], &[1], &[3, 1]] {
            let (found, reported) = read(Dribble::new(text, pieces), true);
            let found: Vec<_> = found
                .iter()
                .map(|(key, value, _)| {
                    let text = |bytes| std::str::from_utf8(bytes).unwrap();
                    (text(key), text(value))
                })
                .collect();
            assert_eq!(found, entries, "{}", text.escape_ascii());
            let reported: Vec<_> = reported.iter().map(Warning::to_string).collect();
            let reported: Vec<_> = reported
                .iter()
                .map(|text| text.strip_prefix("t, line ").unwrap())
                .collect();
            assert_eq!(reported, warnings, "{}", text.escape_ascii());
        }
    }
}

#[test]
fn malformed_utf8_is_refused_only_when_asked_for() {
    let lines: [(&[u8], bool); 10] = [
        (b"beta \xff", false),
        (b"\xc3( x", false),
        (b"surrogate \xed\xa0\x80", false),
        (b"beyond \xf4\x90\x80\x80", false),
        (b"overlong \xc0\xaf", false),
        (b"cut \xe2\x82", false),
        (b"open \"\xff", false),
        (b"euro \xe2\x82\xac", true),
        (b"noncharacter \xef\xbf\xbe", true),
        (b"last \xf4\x8f\xbf\xbf", true),
    ];
    for (text, valid) in lines {
        let (found, reported) = read(text, true);
        assert_eq!(found.len(), usize::from(valid), "{}", text.escape_ascii());
        if !valid {
            let message = [b"t, line 1: non-UTF-8 input \"", text].concat();
            let message = [message.as_slice(), b"\" -- ignoring this line"].concat();
            assert_eq!(reported[0].message(), message);
        }
        let (found, reported) = read(text, false);
        assert_eq!((found.len(), reported.len()), (1, 0));
    }
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        text in source_text(),
        lens in prop::collection::vec(1_usize..9, 1..5),
        utf8: bool,
    ) {
        prop_assert_eq!(
            read(text.as_slice(), utf8),
            read(Dribble::new(&text, &lens), utf8)
        );
    }

    /// Each logical line is an entry or in a warning that says it was dropped, never both.
    #[test]
    fn no_line_is_lost_silently(text in source_text(), utf8: bool) {
        let (found, warnings) = read(text.as_slice(), utf8);
        let mut outcome: Vec<u64> = found.iter().map(|found| found.2).collect();
        outcome.extend(warnings.iter().filter(|w| w.kind.drops_line()).map(|w| w.first.0));
        outcome.sort_unstable();
        let mut lines = LogicalLines::new("t", text.as_slice());
        let mut expect = Vec::new();
        let mut dropped = Vec::new();
        while let Some(line) = lines.next_line(&mut |w| dropped.push(w)).unwrap() {
            expect.push(line.first.0);
        }
        expect.extend(dropped.iter().filter(|w| w.kind.drops_line()).map(|w| w.first.0));
        expect.sort_unstable();
        prop_assert_eq!(outcome, expect);
    }

    /// What is printed as `key<TAB>value` on one line reads back the same.
    #[test]
    fn printed_entries_read_back(text in source_text()) {
        let (found, _) = read(text.as_slice(), false);
        for (key, value, _) in found {
            prop_assert!(!key.is_empty() && !value.is_empty());
            let line = [key.as_slice(), b"\t", &value].concat();
            prop_assert_eq!(read(line.as_slice(), false).0, vec![(key, value, 1)]);
        }
    }
}

proptest! {
    #[test]
    fn what_is_called_writable_reads_back(
        key in prop::collection::vec(prop::sample::select(&b"ab\"\\ \t#:\n\0\xff"[..]), 0..7),
        value in prop::collection::vec(prop::sample::select(&b"ab\"\\ \t#\n\r\0\xff"[..]), 0..7),
    ) {
        let text = [b"before b\n", &key[..], b"\t", &value, b"\nbehind b\n"].concat();
        let mut source = MapSource::new("t", text.as_slice(), false);
        let mut found = Vec::new();
        while let Some(entry) = source.next_entry(&mut |_| ()).unwrap() {
            found.push((entry.key.to_vec(), entry.value.to_vec()));
        }
        let is_same = found.len() == 3 && found[1] == (key.clone(), value.clone());
        prop_assert_eq!(unwritable(&key, &value).is_none(), is_same);
    }
}

proptest! {
    #[test]
    fn the_next_special_byte_is_the_first_one(
        text in prop::collection::vec(
            prop_oneof![8 => any::<u8>(), 2 => 0x1f..0x24u8, 1 => b'['..b'^', 20 => Just(b'x')],
            0..60,
        ),
        at in 0..70usize,
    ) {
        let is_special = |(_, byte): &(usize, &u8)| ENDS_PLAIN_KEY_RUN[usize::from(**byte)];
        let expect = text.iter().enumerate().skip(at).find(is_special);
        prop_assert_eq!(next_special(&text, at), expect.map(|(at, byte)| (at, *byte)));
    }
}
