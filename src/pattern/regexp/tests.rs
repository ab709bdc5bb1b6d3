use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

fn table(text: &str) -> (RegexpTable, Vec<String>) {
    let mut warnings = Vec::new();
    let mut warn = |text: Vec<u8>| warnings.push(String::from_utf8(text).unwrap());
    let options = OpenOptions::default();
    let table = RegexpTable::from_text(OsStr::new("t"), text.as_bytes(), &options, &mut warn);
    (table.unwrap(), warnings)
}

fn answer(table: &RegexpTable, key: &str) -> Option<String> {
    let value = table.lookup(key.as_bytes()).unwrap();
    let scanned = table.lookup_by_scan(key.as_bytes()).unwrap();
    assert_eq!(value, scanned, "{key}");
    value.map(|value| String::from_utf8(value.into_owned()).unwrap())
}

#[test]
fn the_longest_of_the_leftmost_matches_gives_the_groups() {
    for (pattern, result, key, expect) in [
        ("(a|ab)(c|bcd)(d*)", "$1,$2,$3", "abcd", "a,bcd,"),
        ("(foo|foobar)(bar)?", "$1,$2", "foobarbar", "foobar,bar"),
        ("(x*)(x+)", "$1,$2", "xxx", "xx,x"),
        ("((a)|(b))*", "$1,$2,$3", "ab", "b,a,b"),
        ("(a)?(ab)?", "$1,$2", "ab", ",ab"),
        ("(a*)*", "[$1]", "b", "[]"),
        ("a|()", "[$1]", "a", "[]"),
        ("(.*)@(.*)", "$1|$2", "a@b@c", "a@b|c"),
        ("(aa|a)(a*)", "$1,$2", "aaa", "aa,a"),
        ("(^|b)*a", "[$1]", "ba", "[b]"),
        ("x(a|$)*", "[$1]", "xa", "[a]"),
        ("(a){0}b", "[$1]", "ab", "[]"),
        ("\\b(b)", "[$1]", "ab b", "[b]"),
        ("(b+)$", "[$1]", "abbabb", "[bb]"),
    ] {
        let (table, warnings) = table(&format!("/{pattern}/ {result}\n"));
        assert_eq!(warnings, Vec::<String>::new(), "{pattern}");
        assert_eq!(answer(&table, key).as_deref(), Some(expect), "{pattern}");
    }
}

#[test]
fn hostile_expressions_and_keys_take_linear_time() {
    let key = "a".repeat(100_000) + "b";
    for pattern in [
        "^(a+)+$",
        "(a*)*c",
        "(a|a)*c$",
        "(.*)(.*)(.*)(.*)x",
        "(a?){50}a{50}c",
    ] {
        let (table, _) = table(&format!("/{pattern}/ $$\n/({pattern})/ $1\n"));
        let started = std::time::Instant::now();
        assert_eq!(answer(&table, &key), None, "{pattern}");
        assert!(started.elapsed().as_secs() < 20, "{pattern}");
    }
}

#[test]
fn a_lookup_that_takes_too_many_steps_is_an_error() {
    let (mut table, warnings) = table("/none/ first\n/^((a?){200})/ $1\n/b/ last\n");
    assert_eq!(warnings, Vec::<String>::new());
    let key = "a".repeat(10_000);
    assert_eq!(answer(&table, &key), Some("a".repeat(200)));
    table.steps_max = 10_000;
    let error = table.lookup(key.as_bytes()).unwrap_err();
    assert!(error.is_temporary());
    let ErrorKind::Lookup { reason } = error.kind() else {
        panic!("{error}");
    };
    let expect = "regexp map t, line 2: gave up: the key takes too many steps";
    assert_eq!(reason, expect);
    // Other keys are none the worse for it, and a rule that is not asked takes no steps.
    assert_eq!(answer(&table, "aab"), Some("aa".to_owned()));
    let key = "none".to_owned() + &key;
    assert_eq!(answer(&table, &key), Some("first".to_owned()));
}

#[test]
fn large_rules_in_use_have_steps_to_spare() {
    // 400 words, as lists of words in headers are filtered, and the longest header that Postfix
    // takes; every word is there but for its last letter.
    let number = |n: usize| format!("{:05}", n * 7919 % 100_000);
    let word = |n: usize| number(n).replace(|c: char| c.is_ascii_digit(), "x") + &number(n);
    let words: Vec<String> = (0..400).map(word).collect();
    let list = words.join("|");
    let mut key = String::from("Subject: ");
    for at in 0.. {
        let cut = &words[at % words.len()][..9];
        key.push_str(&format!("{cut}- {at} "));
        if key.len() > 100_000 {
            break;
        }
    }
    let text = format!(
        "/^Subject:.*({list}).*$/ all\n/({list})( .*)?$/ $1\n/^(.*)(a|b)*({list})(.*)end/ $3\n\
         /(([0-9]{{1,3}} ){{3}}|([a-z]{{1,40}} ){{40}})({list})/ $1\n"
    );
    let (table, warnings) = table(&text);
    assert_eq!(warnings, Vec::<String>::new());
    assert!(Steps::counts(400, key.as_bytes()));
    assert_eq!(answer(&table, &key), None);
    key.push_str(&words[321]);
    assert_eq!(answer(&table, &key).as_deref(), Some("all"));
    let key = &key["Subject: ".len()..];
    assert_eq!(answer(&table, key), Some(words[321].clone()));
}

#[test]
fn rules_that_take_parts_of_the_key_are_left_out_where_that_is_not_allowed() {
    let text = b"/^(a)$/ x$1\n/(b)/ $$ ${1}\n/./ rest\n!/./ $$\n".as_slice();
    let options = OpenOptions {
        substitution: false,
        ..OpenOptions::default()
    };
    let mut warnings = Vec::new();
    let mut warn = |warning| warnings.push(String::from_utf8(warning).unwrap());
    let table = RegexpTable::from_text(OsStr::new("t"), text, &options, &mut warn).unwrap();
    for (key, value) in [("a", "rest"), ("b", "rest"), ("", "$")] {
        assert_eq!(
            table.lookup(key.as_bytes()).unwrap().as_deref(),
            Some(value.as_bytes())
        );
    }
    let what = "regular expression substitution is not allowed: skipping this rule";
    let expect = [1, 2].map(|line| format!("regexp map t, line {line}: {what}"));
    assert_eq!(warnings, expect);
}

#[test]
fn a_value_must_be_utf8_only_when_asked_for() {
    let text = b"/a/ \xff\n/(.)/ $1\n".as_slice();
    let open = |utf8| {
        let options = OpenOptions {
            utf8,
            ..OpenOptions::default()
        };
        RegexpTable::from_text(OsStr::new("t"), text, &options, &mut |_| {}).unwrap()
    };
    let is_invalid = |result: Result<Option<Cow<'_, [u8]>>>| matches!(result, Err(error) if matches!(error.kind(), ErrorKind::InvalidUtf8 { .. }));
    assert!(is_invalid(open(true).lookup(b"a")));
    assert!(is_invalid(open(true).lookup("\u{e4}".as_bytes())));
    assert!(open(true).lookup(b"\xe4").unwrap().is_none());
    assert_eq!(&*open(false).lookup(b"a").unwrap().unwrap(), b"\xff");
    assert_eq!(&*open(false).lookup(b"\xe4").unwrap().unwrap(), b"\xe4");
}

fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => "[abcAB.@-]{1,4}",
        1 => Just(".".to_owned()),
        1 => Just("[ab]".to_owned()),
        1 => Just("[^c]".to_owned()),
        1 => Just("^".to_owned()),
        1 => Just("$".to_owned()),
        1 => Just("\\b".to_owned()),
        1 => Just("\\.".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| parts.concat()),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}|{b})")),
            (
                inner,
                prop::sample::select(vec!["*", "+", "?", "{2}", "{1,2}", "{0}"])
            )
                .prop_map(|(a, times)| format!("({a}){times}")),
        ]
    })
}

fn line() -> impl Strategy<Value = String> {
    let flags = prop::sample::select(vec!["", "i", "m", "x", "ix"]);
    prop_oneof![
        8 => (any::<bool>(), pattern(), flags, prop::sample::select(vec!["v", "$1", "w"]))
            .prop_map(|(negated, pattern, flags, result)| {
                let mark = if negated && result != "$1" { "!" } else { "" };
                format!("{mark}/{pattern}/{flags} {result}")
            }),
        2 => (pattern(), pattern()).prop_map(|(a, b)| format!("/{a}/!/{b}/ x")),
        2 => (any::<bool>(), pattern()).prop_map(|(negated, pattern)| {
            format!("if {}/{pattern}/", if negated { "!" } else { "" })
        }),
        1 => Just("endif".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_index_changes_no_answer(
        lines in prop::collection::vec(line(), 1..12),
        keys in prop::collection::vec("[abcAB.@\n-]{0,10}", 1..8),
    ) {
        let text: String = lines.iter().enumerate().map(|(n, line)| format!("{line}{n}\n")).collect();
        let (table, _) = table(&text);
        for key in &keys {
            answer(&table, key);
        }
    }
}
