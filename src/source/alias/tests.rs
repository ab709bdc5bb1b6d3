use super::*;

/// The entries of a source as `name|value` and its warnings as text, in order.
fn read(text: &[u8], utf8: bool) -> Vec<String> {
    let mut source = AliasSource::new("t", text, utf8);
    let mut result: Vec<String> = Vec::new();
    let mut warnings = Vec::new();
    while let Some(entry) = source
        .next_entry(&mut |warning| warnings.push(warning.to_string()))
        .unwrap()
    {
        let text = |bytes| String::from_utf8_lossy(bytes);
        let entry = format!("{}|{}", text(entry.key), text(entry.value));
        result.append(&mut warnings);
        result.push(entry);
    }
    result.append(&mut warnings);
    result
}

#[test]
fn values_are_put_together_again() {
    for (written, stored) in [
        ("b  c", "b c"),
        ("b , c", "b, c"),
        ("b,", "b, "),
        (",", ", "),
        ("a,,b", "a, , b"),
        ("b;  c", "b;c"),
        ("a < b > c", "a <b>c"),
        ("<@x,@y:z@w>", "<@x, @y:z@w>"),
        (",<a", ", <a"),
        ("|<b", "| <b"),
        ("<<a", "< <a"),
        ("\"Q\" <q@n> (c)", "\"Q\" <q@n>(c)"),
        ("a(b)c", "a (b) c"),
        ("x\"y\"z", "x \"y\" z"),
        ("x\\y", "xy"),
        ("b\\,c", "\"b,c\""),
        ("d\\ e", "\"d e\""),
        ("x\\\\y", "\"x\\\\y\""),
        ("a\\\"b", "\"a\\\"b\""),
        ("\"a\\b\\\"c\"", "\"ab\\\"c\""),
        ("y # z", "y # z"),
        ("a : b : c", "a:b:c"),
        (":include:/some/list", ":include:/some/list"),
        ("|\"cmd arg\"", "|\"cmd arg\""),
        ("\"|cmd 'x y' \\\\ z\"", "\"|cmd 'x y' \\\\ z\""),
        ("[1  2", "[1  2]"),
        ("[a\\]b]", "[a]b]"),
        ("[\\\\ \\\"]", "[\\\\ \"]"),
        ("(c (d) e", "(c (d) e"),
        ("(c \\) d) f", "(c \\) d) f"),
        ("(\\", "(\\"),
        ("\"open", "\"open\""),
        ("\"x\\", "\"x\""),
        ("x\\", "x"),
        ("\\", ""),
        ("\"\"", "\"\""),
        ("()", "()"),
        (")]>", ")]>"),
        ("x\x0by", "\"x\x0by\""),
        ("x\ty\rz", "x y z"),
        ("\"a\tb\" [a\tb] (a\tb)", "\"a b\" [a b] (a\tb)"),
        ("\u{e4}", "\u{e4}"),
    ] {
        let text = format!("n:{written}");
        assert_eq!(
            read(text.as_bytes(), true),
            [format!("n|{stored}")],
            "{written}"
        );
    }
}

#[test]
fn names_lose_their_quotes() {
    for (written, stored) in [
        ("\"two words\"", "two words"),
        ("\"at@sign\"", "at@sign"),
        ("plain  words", "plain words"),
        ("back\\:slash", "back:slash"),
        ("b\\,c", "b,c"),
        ("\"\"", ""),
        ("(comment) a", "(comment) a"),
        ("(b, x @ y: z)", "(b, x @ y: z)"),
        ("[c@x]", "[c@x]"),
        ("[a\\\\]", "[a\\]"),
        ("a . b!c|d", "a.b!c|d"),
        ("a<b>", "a <b>"),
        ("\"x \"<c>", "x  <c>"),
        ("\"\" <c>", " <c>"),
        ("\"c\\\"5\"x", "c\"5 x"),
    ] {
        let text = format!("{written}: v");
        assert_eq!(
            read(text.as_bytes(), true),
            [format!("{stored}|v")],
            "{written}"
        );
    }
}

#[test]
fn lines_without_a_local_name_and_a_value_are_dropped() {
    let pair = "t, line 1: need name:value pair";
    let local = "t, line 1: name must be local";
    for (line, warning) in [
        ("no colon", Some(pair)),
        ("\"in:quotes\"", Some(pair)),
        ("(in: comment)", Some(pair)),
        ("back\\:slash", Some(pair)),
        ("empty:", Some(pair)),
        (": value", Some(pair)),
        (":", Some(pair)),
        ("a, b: c", Some(pair)),
        ("a@b, c: d", Some(pair)),
        ("a@b:", Some(pair)),
        ("\\", Some(pair)),
        ("user@dom: x", Some(local)),
        ("user%dom: x", Some(local)),
        ("@: x", Some(local)),
        ("", None),
        ("# comment: x", None),
    ] {
        let warning: Vec<String> = warning.map(String::from).into_iter().collect();
        assert_eq!(read(line.as_bytes(), true), warning, "{line}");
    }
}

#[test]
fn lines_are_logical_lines() {
    let text = b"a: b,\r\n# comment\n   c,\n\n\td\nz: y # no comment\n";
    assert_eq!(read(text, true), ["a|b, c, d", "z|y # no comment"]);
    let text = b"b: c\0d\n\0: x\nc:\xff x\n";
    assert_eq!(
        read(text, true),
        [
            "t, line 1: text after null byte may be ignored",
            "b|c",
            "t, line 2: text after null byte may be ignored",
            "t, line 3: non-UTF-8 input \"c:\u{fffd} x\" -- ignoring this line",
        ]
    );
    assert_eq!(read(b"c:\xff x\n", false), ["c|\u{fffd} x"]);
}

#[test]
fn marks_tell_when_and_where_the_table_was_made() {
    let source = AliasSource::new("t", &b""[..], true);
    assert_eq!(source.marks().len(), 1);
    let source = source.with_nis_marks(UNIX_EPOCH, b"host.example");
    let marks: Vec<(&[u8], &[u8], bool)> = source
        .marks()
        .iter()
        .map(|mark| (&*mark.key, &*mark.value, mark.verbatim))
        .collect();
    assert_eq!(
        marks,
        [
            (&b"@"[..], &b"@"[..], false),
            (b"YP_LAST_MODIFIED", b"0000000000", true),
            (b"YP_MASTER_NAME", b"host.example", true),
        ]
    );
}
