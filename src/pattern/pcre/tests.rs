use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;

fn table(text: &str) -> (PcreTable, Vec<String>) {
    let mut warnings = Vec::new();
    let mut warn = |text: Vec<u8>| warnings.push(String::from_utf8(text).unwrap());
    let options = OpenOptions::default();
    let table = PcreTable::from_text(OsStr::new("t"), text.as_bytes(), &options, &mut warn);
    (table.unwrap(), warnings)
}

fn answer(text: &str, key: &str) -> Option<String> {
    let (table, warnings) = table(text);
    assert_eq!(warnings, Vec::<String>::new(), "{text}");
    let value = table.lookup(key.as_bytes()).unwrap();
    value.map(|value| String::from_utf8(value.into_owned()).unwrap())
}

#[test]
fn groups_and_flags_are_those_of_perl() {
    for (text, key, expect) in [
        ("/^([a-z]+)(\\d+)$/ $2-$1", "abc123", Some("123-abc")),
        ("/(a)(b)?(c)?/ [$1$2$3]", "ac", Some("[ac]")),
        ("/(a)|b/ [$1]", "b", Some("[]")),
        ("/abc/i v", "ABC", None),
        ("/abc/ii v", "ABC", Some("v")),
        ("/a.b/s v", "a\nb", None),
        ("/^b/m v", "a\nb", Some("v")),
        ("/ab/A v", "xab", None),
        ("/a b # c/x v", "ab", Some("v")),
        ("/(b.*)/U $1", "abb", Some("b")),
        ("/a$/E v", "a\n", None),
        ("/a$/ v", "a\n", Some("v")),
        ("/(?|(a)|(b))/ $1", "b", Some("b")),
        ("/a\\Kb/ v", "ab", Some("v")),
        ("!/a/ v", "b", Some("v")),
        ("if /a/\n/b/ v\nendif\n/./ w", "b", Some("w")),
    ] {
        assert_eq!(answer(text, key).as_deref(), expect, "{text}");
    }
}

#[test]
fn giving_up_is_a_temporary_error_and_not_another_answer() {
    let (table, _) = table("/^(a+)+$/ x\n/a/ y\n");
    let key = "a".repeat(40) + "b";
    let error = table.lookup(key.as_bytes()).unwrap_err();
    assert!(error.is_temporary());
    assert_eq!(
        error.to_string(),
        "pcre map t, line 1: match limit exceeded"
    );
    assert_eq!(&*table.lookup(b"ab").unwrap().unwrap(), b"y");
}

#[test]
fn long_keys_get_an_answer_where_machine_code_has_no_stack_left() {
    for text in ["/^(.|\\n)*foo$/ x", "/^(a|a)*foo$/ x", "/^((a)|b)*foo$/ x"] {
        for len in [1_000, 1_500, 5_000, 50_000] {
            let key = "a".repeat(len) + "foo";
            assert_eq!(
                answer(text, &key).as_deref(),
                Some("x"),
                "{text}, {len} bytes"
            );
        }
    }
}

#[test]
fn what_cannot_be_compiled_is_skipped_with_its_place() {
    let (table, warnings) = table("/a(/ x\n/a/X y\n/b/q z\n");
    assert_eq!(
        warnings,
        [
            "pcre map t, line 1: error in regex at offset 2: missing closing parenthesis",
            "pcre map t, line 2: ignoring obsolete regexp option \"X\"",
            "pcre map t, line 3: unknown regexp option \"q\": skipping this rule",
        ]
    );
    assert_eq!(&*table.lookup(b"a").unwrap().unwrap(), b"y");
}

#[test]
fn a_table_is_shared_between_threads() {
    let (table, _) = table("/^(.)(.*)$/ $2$1\n");
    std::thread::scope(|scope| {
        for n in 0..4 {
            let table = &table;
            scope.spawn(move || {
                for m in 0..200 {
                    let key = format!("{n}-{m}");
                    let expect = format!("-{m}{n}");
                    let value = table.lookup(key.as_bytes()).unwrap().unwrap();
                    assert_eq!(&*value, expect.as_bytes());
                }
            });
        }
    });
}

fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => "[abcAB@-]{1,4}",
        3 => prop::sample::select(vec![
            ".", "[ab]", "[^]c]", "^", "$", "\\b", "\\.", "(?i)", "(?-i)", "(?!c)", "\\Qa.\\E", "\\x61",
            "[[:alpha:]]", "(?<=a)b", "a{2}", "(?x) a # b\n", "\\K", "b{,2}", "c{0}", "[\\]a]",
        ]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| parts.concat()),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}|{b})")),
            (
                inner,
                prop::sample::select(vec!["*", "+", "?", "{2}", "{1,2}", "{0}", "*?", "++"])
            )
                .prop_map(|(a, times)| format!("(?:{a}){times}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_index_changes_no_answer(
        rules in prop::collection::vec((pattern(), "[ixsmA]{0,2}"), 1..8),
        keys in prop::collection::vec("[abcAB@.\n-]{0,10}", 1..8),
    ) {
        let lines = rules.iter().enumerate();
        let text: String = lines.map(|(n, (rule, flags))| format!("/{rule}/{flags} {n}\n")).collect();
        let (table, _) = table(&text);
        for key in &keys {
            let found = table.lookup(key.as_bytes()).unwrap();
            let scanned = table.lookup_by_scan(key.as_bytes()).unwrap();
            prop_assert_eq!(found, scanned, "{} {:?}", text, key);
        }
    }
}
