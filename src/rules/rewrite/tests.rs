use super::*;
use crate::config::Config;
use crate::rules::testing::list;
use crate::rules::trace::{NoTrace, Recorder, Scope};

fn with_setup<T>(parameters: &[(&str, &str)], test: impl FnOnce(&mut Setup<'_>) -> T) -> T {
    let mut config = Config::default();
    config.set("myhostname", "mail.corp.example");
    config.set("mydomain", "corp.example");
    config.set("append_dot_mydomain", "no");
    config.set("recipient_delimiter", "+");
    for (name, value) in parameters {
        config.set(name, value);
    }
    let mut warn = |_| {};
    test(&mut Setup::new(&config, &mut warn).unwrap())
}

fn virtual_aliases(parameters: &[(&str, &str)], pairs: &[(&str, &str)]) -> VirtualAliases {
    let mut aliases = with_setup(parameters, |setup| VirtualAliases::open(setup).unwrap());
    aliases.map.list = list("virtual_alias_maps", pairs);
    aliases
}

fn texts(addresses: &[Internal<'_>]) -> Vec<String> {
    let text = |address: &Internal<'_>| String::from_utf8(address.as_bytes().to_vec()).unwrap();
    addresses.iter().map(text).collect()
}

#[test]
fn recipients_are_expanded_in_order() {
    for (pairs, recipient, expect) in [
        (
            &[("a@d", "b@d, c@d"), ("b@d", "e@d f@d")][..],
            "a@d",
            Some(&["e@d", "c@d", "f@d"][..]),
        ),
        (&[("a@d", "b@d, b@d")], "a@d", Some(&["b@d"])),
        // Equal but for case: the first stays.
        (&[("a@d", "b@d, B@d")], "a@d", Some(&["b@d"])),
        (&[("a@d", "A@d, b@d")], "a@d", Some(&["A@d", "b@d"])),
        (&[("a@d", "b@d, a@d")], "a@d", Some(&["b@d", "a@d"])),
        (&[("a@d", "b@d"), ("b@d", "a@d")], "a@d", None),
        (&[("a@d", ",")], "a@d", None),
        // Extensions add up.
        (
            &[("a@d", "b+y@d"), ("b@d", "c@d")],
            "a+x@d",
            Some(&["c+y+x@d"]),
        ),
        // The local part is kept, with an extension that was not stripped.
        (&[("@d", "@e")], "a+x@d", Some(&["a+x@e"])),
        (&[("a@d", "@e")], "a+x@d", Some(&["a+x@e"])),
        (
            &[("@d", "@e.example, @f.example")],
            "a@d",
            Some(&["a@e.example, @f.example"]),
        ),
        (&[("a@d", "b")], "a@d", Some(&["b@mail.corp.example"])),
        (&[("bob", "b@d")], "bob@localhost", Some(&["b@d"])),
        (&[("bob", "b@d")], "bob@d", Some(&["bob@d"])),
    ] {
        let aliases = virtual_aliases(&[], pairs);
        let found = aliases.expand(&Internal::from(recipient), &mut NoTrace);
        let found = found.ok().map(|found| texts(&found));
        let expect = expect.map(|expect| expect.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(found, expect, "{pairs:?} {recipient}");
    }
}

#[test]
fn limits_are_kept() {
    let pairs = [("a@d", "b@d"), ("b@d", "c@d"), ("x@d", "1@d, 2@d, 3@d")];
    for (parameter, recipient, expect) in [
        (("virtual_alias_recursion_limit", "3"), "a@d", true),
        (("virtual_alias_recursion_limit", "2"), "a@d", false),
        (("virtual_alias_expansion_limit", "3"), "x@d", true),
        (("virtual_alias_expansion_limit", "2"), "x@d", false),
        (("virtual_alias_address_length_limit", "3"), "a@d", true),
        (("virtual_alias_address_length_limit", "2"), "a@d", false),
    ] {
        let aliases = virtual_aliases(&[parameter], &pairs);
        let found = aliases.expand(&Internal::from(recipient), &mut NoTrace);
        assert_eq!(found.is_ok(), expect, "{parameter:?}");
    }
}

#[test]
fn extensions_are_only_put_back_where_they_are_asked_for() {
    for (listed, expect) in [("virtual", "b+x@d"), ("canonical", "b@d"), ("", "b@d")] {
        let parameter = ("propagate_unmatched_extensions", listed);
        let aliases = virtual_aliases(&[parameter], &[("a@d", "b@d")]);
        let found = aliases
            .expand(&Internal::from("a+x@d"), &mut NoTrace)
            .unwrap();
        assert_eq!(texts(&found), [expect]);
    }
}

#[test]
fn canonical_maps_are_for_their_classes_and_end_in_circles() {
    let parameters = [("canonical_classes", "header_sender, envelope_recipient")];
    let mut canonical = with_setup(&parameters, |setup| Canonical::open(setup).unwrap());
    canonical.sender.map.list = list("sender_canonical_maps", &[("\"\"", "nobody@d")]);
    canonical.both.map.list = list(
        "canonical_maps",
        &[("a@d", "b@d, c@d"), ("b@d", "a@d"), ("x@d", "X@d")],
    );
    for (side, place, address, expect) in [
        (Side::Sender, Place::Envelope, "", "nobody@d"),
        (Side::Recipient, Place::Envelope, "", ""),
        // Ten rounds bring it back to where it was.
        (Side::Recipient, Place::Envelope, "a@d", "a@d"),
        (Side::Recipient, Place::Envelope, "x@d", "X@d"),
        (Side::Sender, Place::Envelope, "x@d", "x@d"),
        (Side::Sender, Place::Header, "x@d", "X@d"),
        (Side::Recipient, Place::Header, "x@d", "x@d"),
    ] {
        let found = canonical
            .map(side, place, &Internal::from(address), &mut NoTrace)
            .unwrap();
        assert_eq!(texts(&[found]), [expect], "{side:?} {place:?} {address}");
    }
    let mut trace = Recorder::default();
    let circle = Internal::from("a@d");
    canonical
        .map(Side::Recipient, Place::Envelope, &circle, &mut trace)
        .unwrap();
    assert_eq!(trace.keys("canonical_maps").len(), 10);
}

#[test]
fn generic_maps_are_applied_once_and_not_to_bounces() {
    let mut generic = with_setup(&[], |setup| Generic::open(Agent::Smtp, setup).unwrap());
    generic.map.list = list(
        "smtp_generic_maps",
        &[("a@d", "b@d"), ("b@d", "c@d"), ("\"\"", "x@d")],
    );
    for (address, expect) in [("a@d", "b@d"), ("a+x@d", "b@d"), ("", ""), ("z@d", "z@d")] {
        let found = generic.map(&Internal::from(address), &mut NoTrace).unwrap();
        assert_eq!(texts(&[found]), [expect], "{address}");
    }
    let mut trace = Recorder::default();
    generic.map(&Internal::from(""), &mut trace).unwrap();
    assert_eq!(trace.keys("smtp_generic_maps"), [] as [(Scope, &[u8]); 0]);
}
