use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;

fn table(text: &str) -> (CidrTable, Vec<String>) {
    let mut warnings = Vec::new();
    let mut warn = |text: Vec<u8>| warnings.push(String::from_utf8(text).unwrap());
    let options = OpenOptions::default();
    let table = CidrTable::from_text(OsStr::new("t"), text.as_bytes(), &options, &mut warn);
    (table.unwrap(), warnings)
}

fn answer(table: &CidrTable, key: &str) -> Option<String> {
    let value = table.lookup(key.as_bytes()).unwrap();
    let scanned = table.lookup_by_scan(key.as_bytes()).unwrap();
    assert_eq!(value, scanned, "{key}");
    value.map(|value| String::from_utf8(value.into_owned()).unwrap())
}

#[test]
fn the_first_rule_wins_whatever_is_narrower() {
    let text = "192.0.2.0/24 net\n192.0.2.77 never\n10.0.0.1 host\n10.0.0.0/8 wide\n\
                0.0.0.0/0 any\n::1 six\n";
    let (table, warnings) = table(text);
    assert_eq!(warnings, Vec::<String>::new());
    for (key, expect) in [
        ("192.0.2.77", Some("net")),
        ("10.0.0.1", Some("host")),
        ("10.0.0.2", Some("wide")),
        ("9.255.255.255", Some("any")),
        ("255.255.255.255", Some("any")),
        ("::1", Some("six")),
        ("0::0001", Some("six")),
        ("::2", None),
        ("::ffff:10.0.0.1", None),
        ("10.0.0.01", None),
        (" 10.0.0.1", None),
        ("", None),
    ] {
        assert_eq!(answer(&table, key).as_deref(), expect, "{key}");
    }
}

#[test]
fn conditions_and_negation_keep_to_their_family() {
    let text = "if 10.0.0.0/8\n!10.1.0.0/16 a\n10.1.1.1 b\nif ! 10.1.2.0/24\n10.1.0.0/16 c\n\
                endif\nendif\nif !fd00::/8\n::/0 d\nendif\n! ! 10.1.2.3 e\n!::1 f\n";
    let (table, warnings) = table(text);
    assert_eq!(warnings, Vec::<String>::new());
    for (key, expect) in [
        ("10.2.0.0", Some("a")),
        ("10.1.1.1", Some("b")),
        ("10.1.9.9", Some("c")),
        ("10.1.2.3", Some("e")),
        ("10.1.2.4", None),
        ("11.0.0.0", None),
        ("fd00::1", Some("f")),
        ("2001:db8::1", Some("d")),
    ] {
        assert_eq!(answer(&table, key).as_deref(), expect, "{key}");
    }
}

fn network() -> impl Strategy<Value = String> {
    // Few bits vary, so that networks nest and keys fall into them.
    prop_oneof![
        (0..4_u32, 0..4_u32, 0..=32_u32).prop_map(|(high, low, len)| {
            let bits = (high << 30 | low) & !u32::MAX.checked_shr(len).unwrap_or(0);
            format!("{}/{len}", std::net::Ipv4Addr::from_bits(bits))
        }),
        (0..4_u128, 0..4_u128, 0..=128_u32).prop_map(|(high, low, len)| {
            let bits = (high << 126 | low) & !u128::MAX.checked_shr(len).unwrap_or(0);
            format!("{}/{len}", std::net::Ipv6Addr::from_bits(bits))
        }),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let mark = prop::sample::select(vec!["", "", "", "!"]);
    (
        prop::sample::select(vec!["", "", "", "if ", "endif"]),
        mark,
        network(),
    )
        .prop_map(|(kind, mark, network)| match kind {
            "endif" => "endif".to_owned(),
            "if " => format!("if {mark}{network}"),
            _ => format!("{mark}{network} "),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_index_changes_no_answer(lines in prop::collection::vec(line(), 1..20)) {
        let mut text = String::new();
        for (number, line) in lines.iter().enumerate() {
            let is_rule = line.ends_with(' ');
            text += &if is_rule { format!("{line}{number}\n") } else { format!("{line}\n") };
        }
        let (table, _) = table(&text);
        for high in 0..4_u32 {
            for low in 0..5_u32 {
                let bits = high << 30 | low;
                answer(&table, &std::net::Ipv4Addr::from_bits(bits).to_string());
                answer(&table, &std::net::Ipv4Addr::from_bits(!bits).to_string());
                let bits = u128::from(high) << 126 | u128::from(low);
                answer(&table, &std::net::Ipv6Addr::from_bits(bits).to_string());
                answer(&table, &std::net::Ipv6Addr::from_bits(!bits).to_string());
            }
        }
    }
}
