use regex_automata::nfa::thompson;
use regex_automata::nfa::thompson::pikevm::PikeVM;

use super::{Flags, PatternError, parse};

const ERE: Flags = Flags {
    extended: true,
    ignore_case: true,
    lines: false,
};
const BRE: Flags = Flags {
    extended: false,
    ..ERE
};

fn is_match(text: &[u8], flags: Flags, key: &[u8]) -> bool {
    let hir = parse(text, flags).unwrap().node.hir();
    let nfa = thompson::Compiler::new()
        .configure(thompson::Config::new().utf8(false))
        .build_from_hir(&hir)
        .unwrap();
    let vm = PikeVM::new_from_nfa(nfa).unwrap();
    vm.is_match(&mut vm.create_cache(), key)
}

/// Answers of regcomp(3) in glibc 2.36.
#[test]
fn what_is_wrong_is_told_as_the_c_library_tells_it() {
    use PatternError as E;
    for (text, extended, basic) in [
        ("a{", Some(E::Brace), None),
        ("a{x", Some(E::Brace), None),
        ("a{1,2", Some(E::Brace), None),
        ("a{1x}", Some(E::Interval), None),
        ("a{1\\,2}", None, None),
        ("a{1\\,0}", Some(E::Interval), None),
        ("a{\\0,\\1}", Some(E::Interval), Some(E::Reference)),
        ("a\\{1\\,2\\}", None, None),
        ("a\\{1\\,x", None, Some(E::Brace)),
        ("a\\{1x\\,", None, Some(E::Interval)),
        ("a{}", Some(E::Interval), None),
        ("a{3,1}", Some(E::Interval), None),
        ("a{99999,1}", Some(E::Interval), None),
        ("a{1,,", Some(E::Interval), None),
        ("a{2,1", Some(E::Brace), None),
        ("a{32767}", None, None),
        ("a{32768}", Some(E::Size), None),
        ("(x{1000}){1000}", Some(E::Size), None),
        ("a{,}", None, None),
        ("a{,3}", None, None),
        ("{1}", Some(E::Repeat), None),
        ("{", Some(E::Repeat), None),
        ("*a", Some(E::Repeat), None),
        ("a|*", Some(E::Repeat), None),
        ("(*a)", Some(E::Repeat), None),
        ("(?:a)", Some(E::Repeat), None),
        ("^*", Some(E::Repeat), None),
        ("a$*", Some(E::Repeat), None),
        ("\\b*", Some(E::Repeat), None),
        ("\\<+a", Some(E::Repeat), None),
        ("a**", None, Some(E::Repeat)),
        ("a*+?", None, None),
        ("a)", None, None),
        ("(a", Some(E::Parenthesis), None),
        ("a\\", Some(E::Escape), Some(E::Escape)),
        ("[", Some(E::BadPattern), Some(E::BadPattern)),
        ("[^", Some(E::BadPattern), Some(E::BadPattern)),
        ("[a", Some(E::Bracket), Some(E::Bracket)),
        ("[]", Some(E::Bracket), Some(E::Bracket)),
        ("[b-a]", Some(E::RangeEnd), Some(E::RangeEnd)),
        ("[b-a", Some(E::RangeEnd), Some(E::RangeEnd)),
        ("[Z-a]", Some(E::RangeEnd), Some(E::RangeEnd)),
        ("[a-c-e]", Some(E::RangeEnd), Some(E::RangeEnd)),
        ("[[:digit:]-9]", Some(E::RangeEnd), Some(E::RangeEnd)),
        ("[[:digit:]-", Some(E::RangeEnd), Some(E::RangeEnd)),
        ("[a-[=c=]]", Some(E::RangeEnd), Some(E::RangeEnd)),
        ("[a-", Some(E::Bracket), Some(E::Bracket)),
        ("[[:alpha]]", Some(E::Bracket), Some(E::Bracket)),
        ("[[:foo:]", Some(E::Class), Some(E::Class)),
        ("[[.ab.]]", Some(E::Collation), Some(E::Collation)),
        ("[[.ab.]", Some(E::Bracket), Some(E::Bracket)),
        ("[[=ab=]]", Some(E::Collation), Some(E::Collation)),
        ("[--/]", None, None),
        ("[---]", None, None),
        ("[[.-.]-0]", None, None),
        ("[a-]", None, None),
        ("\\1", Some(E::Reference), Some(E::Reference)),
        ("(a\\1)", Some(E::Reference), Some(E::Reference)),
        ("(a)\\1", Some(E::ReferenceUnsupported), Some(E::Reference)),
        ("(a)|b\\1", Some(E::Reference), Some(E::Reference)),
        ("(a)|b|\\1", Some(E::Reference), Some(E::Reference)),
        (
            "((a)|b)\\2",
            Some(E::ReferenceUnsupported),
            Some(E::Reference),
        ),
        (
            "(a)(b|\\1)",
            Some(E::ReferenceUnsupported),
            Some(E::Reference),
        ),
        ("\\(a", None, Some(E::Parenthesis)),
        ("a\\)", None, Some(E::Parenthesis)),
        ("\\{1\\}", None, Some(E::Repeat)),
        ("^\\{1\\}", Some(E::Repeat), Some(E::Repeat)),
        ("a\\{2", None, Some(E::Brace)),
        ("a\\{1}\\}", None, Some(E::Interval)),
        ("a\\{1\\}\\{2\\}", None, Some(E::Repeat)),
        ("a\\+\\+", None, None),
        ("***", Some(E::Repeat), Some(E::Repeat)),
        ("^**", Some(E::Repeat), None),
    ] {
        // `^\{1\}` in extended syntax is a place and an ordinary brace.
        let extended = if text == "^\\{1\\}" { None } else { extended };
        let found = parse(text.as_bytes(), ERE).err();
        assert_eq!(found, extended, "extended: {text}");
        let found = parse(text.as_bytes(), BRE).err();
        assert_eq!(found, basic, "basic: {text}");
    }
}

#[test]
fn what_matches_is_what_matches_there() {
    let sensitive = Flags {
        ignore_case: false,
        ..ERE
    };
    let lines = Flags { lines: true, ..ERE };
    for (flags, text, key, expect) in [
        (ERE, "a)", "a)", true),
        (ERE, "a{,2}b", "b", true),
        (ERE, "^a{1\\,2}$", "aa", true),
        (ERE, "^a{1\\,2}$", "aaa", false),
        (ERE, "^a{1\\0}$", "aaaaaaaaaa", true),
        (ERE, "\\n", "n", false),
        (sensitive, "\\n", "n", true),
        (ERE, "\\N", "n", true),
        (ERE, "\\/", "/", true),
        (ERE, "[A-z]", "_", false),
        (sensitive, "[A-z]", "_", true),
        (ERE, "[A-_]", "a", true),
        (ERE, "[[:upper:]]", "a", true),
        (sensitive, "[[:upper:]]", "a", false),
        (ERE, "[^a]", "A", false),
        (ERE, "[a\\]b]", "\\b]", true),
        (ERE, "\\s", "\u{b}", true),
        (ERE, "\\Ba", "a", false),
        (ERE, "\\B", "", true),
        (ERE, "\\b", "", false),
        (ERE, "\\<b\\>", "a b c", true),
        (ERE, "a.b", "a\nb", true),
        (lines, "a.b", "a\nb", false),
        (lines, "a[^x]b", "a\nb", false),
        (lines, "a\\Wb", "a\nb", true),
        (lines, "^b$", "a\nb\nc", true),
        (lines, "\\`b", "a\nb", false),
        (ERE, "^b", "a\nb", false),
        (ERE, "a^b", "ab", false),
        (ERE, "^^a$$", "a", true),
        (BRE, "*a", "*a", true),
        (BRE, "*a", "a", false),
        (BRE, "**a", "a", true),
        (BRE, "^*a", "*a", true),
        (BRE, "\\(*a\\)", "*a", true),
        (BRE, "a\\|*b", "*b", true),
        (BRE, "a^b$c", "a^b$c", true),
        (BRE, "\\(^a$\\)", "a", true),
        (BRE, "a\\|^b", "xb", false),
        (BRE, "\\+a", "+a", true),
        (BRE, "xa\\{2\\}", "xaa", true),
        (BRE, "\\}", "}", true),
        (BRE, "\\b*a", "*a", false),
        (BRE, "a|b+", "a|b+", true),
    ] {
        let found = is_match(text.as_bytes(), flags, key.as_bytes());
        assert_eq!(found, expect, "{text} on {key:?}, {flags:?}");
    }
    assert!(is_match(b"[\xe0-\xff]", ERE, b"\xe4"));
    assert!(!is_match(b"\xe4", ERE, b"\xc4"));
}

#[test]
fn deep_nesting_is_refused_before_it_is_a_danger() {
    let nested = |depth: usize| {
        let text = "(".repeat(depth) + "a" + &"){2}{1}+".repeat(depth);
        parse(text.as_bytes(), ERE).map(|_| ()).err()
    };
    assert_eq!(nested(5), None);
    for depth in [101, 1000, 100_000] {
        assert_eq!(nested(depth), Some(PatternError::Size));
    }
    let stars = "a".to_owned() + &"*".repeat(10_000);
    assert!(is_match(stars.as_bytes(), ERE, b""));
    let chain = "a".to_owned() + &"{1}".repeat(10_000);
    assert_eq!(parse(chain.as_bytes(), ERE).err(), Some(PatternError::Size));
    // The deepest that is allowed can be made an automaton, on the small stack of a thread.
    let deepest = "(".repeat(100) + "a" + &"){1}{1}{1}{1}{1}{1}{1}{1}".repeat(100);
    assert!(is_match(deepest.as_bytes(), ERE, b"xax"));
}
