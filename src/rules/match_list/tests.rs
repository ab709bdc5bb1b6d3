use super::*;
use crate::rules::trace::NoTrace;

fn parse(text: &str, style: Style) -> Result<MatchList> {
    let mut tables = TableSet::default();
    let mut source = ListSource {
        tables: &mut tables,
        fold: Fold::Unicode,
        warn: &mut |_| {},
    };
    MatchList::parse("list", text.as_bytes(), style, &mut source)
}

#[test]
fn texts_match_whole_and_fold_case() {
    for (list, text, expect) in [
        ("a.example b.example", "B.Example", Some(true)),
        ("A.Example", "a.example", Some(true)),
        ("a.example", "x.a.example", Some(false)),
        ("", "a", Some(false)),
        ("!a, static:x", "a", Some(false)),
        ("!a, static:x", "b", Some(true)),
        ("static:x, !a", "a", Some(true)),
        ("!!a", "a", Some(true)),
        ("!!!a, a", "a", Some(false)),
        ("a, fail:x", "a", Some(true)),
        ("fail:x, a", "a", None),
        ("/does/not/exist, a", "a", None),
        ("!/does/not/exist, a", "a", None),
        ("a, #b, c", "c", Some(false)),
        // A value may be empty.
        ("static:{}", "a", Some(true)),
    ] {
        let found = parse(list, Style::Dot).unwrap();
        let found = found.matches_text(text.as_bytes(), &mut NoTrace);
        assert_eq!(
            found.as_ref().ok(),
            expect.as_ref(),
            "{list:?} {text}: {found:?}"
        );
    }
    assert!(parse("a, !", Style::Dot).is_err());
}

#[test]
fn domains_match_by_style() {
    for (list, name, dot, parent) in [
        ("a.example", "a.example", true, true),
        ("a.example", "x.a.example", false, true),
        ("a.example", "xa.example", false, false),
        (".a.example", "x.a.example", true, false),
        (".a.example", "x.y.a.example", true, false),
        (".a.example", "a.example", false, false),
        (".a.example", ".a.example", true, true),
    ] {
        for (style, expect) in [(Style::Dot, dot), (Style::Parent, parent)] {
            let found = parse(list, style).unwrap();
            let found = found.matches_domain(name.as_bytes(), &mut NoTrace).unwrap();
            assert_eq!(found, expect, "{list} {name} {style:?}");
        }
    }
}

#[test]
fn addresses_match_networks_of_their_family() {
    for (list, address, expect) in [
        ("192.0.2.7", "192.0.2.7", Some(true)),
        ("[192.0.2.7]", "192.0.2.7", Some(true)),
        ("192.0.2.0/24", "192.0.2.7", Some(true)),
        ("192.0.2.0/24", "192.0.3.7", Some(false)),
        ("0.0.0.0/0", "192.0.3.7", Some(true)),
        ("192.0.2.7/24", "192.0.2.7", None),
        ("192.0.2.0/33", "192.0.2.7", None),
        ("192.0.2/24", "192.0.2.7", None),
        ("192.0.2.0/", "192.0.2.7", None),
        ("192.0.2.7, 192.0.2.7/24", "192.0.2.7", Some(true)),
        // Another family: not even read.
        ("192.0.2.7/24", "2001:db8::1", Some(false)),
        ("[2001:db8::1]/32", "192.0.2.7", Some(false)),
        ("[2001:db8::]/32", "2001:db8:1::5", Some(true)),
        ("[2001:db8::/32]", "2001:db8:1::5", Some(true)),
        ("[2001:DB8:0::1]", "2001:db8::1", Some(true)),
        ("[2001:db8::1]", "2001:db8::2", Some(false)),
        ("[2001:db8::1]/32", "2001:db8::2", None),
        ("[::]/0", "2001:db8::2", Some(true)),
        ("[2001:db8::]32", "2001:db8::2", None),
        ("[2001:db8::", "2001:db8::2", None),
        ("!192.0.2.7, 192.0.2.0/24", "192.0.2.7", Some(false)),
        ("a.example/24", "192.0.2.7", Some(false)),
        // What is no address is not looked for.
        ("static:x", "client.example", Some(false)),
    ] {
        let found = parse(list, Style::Dot).unwrap();
        let found = found.matches_address(address.as_bytes(), &mut NoTrace);
        assert_eq!(
            found.as_ref().ok(),
            expect.as_ref(),
            "{list} {address}: {found:?}"
        );
    }
}

#[test]
fn a_client_is_sought_by_name_and_address_at_each_element() {
    for (list, expect) in [
        ("trusted.example", true),
        ("!192.0.2.7, trusted.example", false),
        ("trusted.example, !192.0.2.7", true),
        ("example", true),
    ] {
        let found = parse(list, Style::Parent).unwrap();
        let found = found.matches_client(b"Trusted.example", b"192.0.2.7", &mut NoTrace);
        assert_eq!(found.unwrap(), expect, "{list}");
    }
}

#[test]
fn files_take_the_place_of_their_names() {
    let dir = std::env::temp_dir().join(format!("rpostmap-list-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (first, second) = (dir.join("first"), dir.join("second"));
    let text = format!("# comment\na !b\n  c, {}\n", second.display());
    std::fs::write(&first, text).unwrap();
    std::fs::write(&second, "d\n").unwrap();
    let endless = dir.join("endless");
    std::fs::write(&endless, endless.display().to_string()).unwrap();
    for (marks, expect) in [("", ["a", "c", "d"].as_slice()), ("!", &["b"])] {
        let list = parse(&format!("{marks}{}", first.display()), Style::Dot).unwrap();
        for text in ["a", "b", "c", "d", "e"] {
            let found = list.matches_text(text.as_bytes(), &mut NoTrace).unwrap();
            assert_eq!(found, expect.contains(&text), "{marks} {text}");
        }
    }
    assert!(parse(&endless.display().to_string(), Style::Dot).is_err());
    std::fs::remove_dir_all(&dir).unwrap();
}
