use proptest::prelude::*;

use super::*;

/// The parameters behind [`CASES`].
fn lookup(name: &[u8]) -> Option<&'static [u8]> {
    Some(match name {
        b"n" => b"3",
        b"e" => b"",
        b"a" => b"A",
        b"b" => b"B$a",
        b"abc" => b"Q",
        b"s" => b"$e",
        b"d" => b"$a$a",
        b"t" => b"${oops",
        b"r" => b"$r",
        b"compatibility_level" => b"0",
        b"smtputf8_enable" => b"${{$compatibility_level} <level {1} ? {no} : {yes}}",
        _ => return None,
    })
}

fn result(text: &str) -> Result<String> {
    expand(text.as_bytes(), lookup).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn all_forms_expand_or_fail_as_in_the_original() {
    for &(text, expect) in CASES {
        let expect = match expect {
            Ok(value) => Ok(value.to_owned()),
            Err(warning) => Err(Failure::Syntax(warning.into())),
        };
        assert_eq!(result(text), expect, "{text}");
    }
}

#[test]
fn digits_that_make_no_number_are_fatal() {
    for text in [
        "${{9223372036854775808}=={1}}",
        "${{1}=={9223372036854775808}}",
    ] {
        let digits = b"9223372036854775808".to_vec();
        assert_eq!(result(text), Err(Failure::Number(digits)), "{text}");
    }
}

#[test]
fn a_hundred_levels_are_allowed() {
    let nested = |depth| (0..depth).fold("v".to_owned(), |text, _| format!("${{a?{text}}}"));
    assert_eq!(result(&nested(100)), Ok("v".into()));
    assert_eq!(
        result(&nested(101)),
        Err(quoting("unreasonable macro call nesting", b"v"))
    );
}

#[test]
fn values_may_refer_to_a_hundred_others() {
    let values: Vec<Vec<u8>> = (0..200)
        .map(|n| match n {
            0 => b"p$$q".to_vec(),
            n => format!("$l{}", n - 1).into_bytes(),
        })
        .collect();
    let lookup = |name: &[u8]| {
        let n = name.strip_prefix(b"l")?;
        let n: usize = std::str::from_utf8(n).ok()?.parse().ok()?;
        values.get(n).map(Vec::as_slice)
    };
    assert_eq!(expand(b"X$l99", lookup), Ok(b"Xp$q".to_vec()));
    for (text, piece) in [("$l100", "p$q"), ("$l101", "l0"), ("$l120", "l19")] {
        assert_eq!(
            expand(text.as_bytes(), lookup),
            Err(quoting("unreasonable macro call nesting", piece.as_bytes())),
            "{text}"
        );
    }
}

#[test]
fn doubling_ends() {
    let values: Vec<Vec<u8>> = (0..100)
        .map(|n| format!("$d{0}$d{0}$d{0}", n + 1).into_bytes())
        .collect();
    let lookup = |name: &[u8]| {
        let n = name.strip_prefix(b"d")?;
        let n: usize = std::str::from_utf8(n).ok()?.parse().ok()?;
        values.get(n).map(Vec::as_slice)
    };
    assert!(matches!(expand(b"$d0", lookup), Err(Failure::Syntax(_))));
}

proptest! {
    #[test]
    fn any_text_ends_in_a_value_or_an_error(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "$", "{", "}", "(", ")", "?", ":", " ", "a", "e", "b", "r", "d", "==", "<level",
                "1", "x y", "{a}", "${", "\u{e4}",
            ]),
            0..24,
        ),
    ) {
        let text = pieces.concat();
        if let Ok(value) = result(&text) {
            // Without a reference, text stands for itself.
            prop_assert!(text.contains('$') || value == text);
        }
    }
}

/// Captured from postmap 3.7.11; of several warnings the first.
#[rustfmt::skip]
const CASES: &[(&str, std::result::Result<&str, &str>)] = &[
    ("x", Ok("x")),
    ("{$a}", Ok("{A}")),
    ("}", Ok("}")),
    ("$$", Ok("$")),
    ("$$a", Ok("$a")),
    ("$$$a", Ok("$A")),
    ("$", Err("empty macro name: \"$\"")),
    ("x$", Err("empty macro name: \"x$\"")),
    ("$ a", Err("empty macro name: \"$ a\"")),
    ("$-", Err("empty macro name: \"$-\"")),
    ("$a$", Err("empty macro name: \"$a$\"")),
    ("$a", Ok("A")),
    ("$b", Ok("BA")),
    ("$d", Ok("AA")),
    ("$s", Ok("")),
    ("$nope", Ok("")),
    ("$1", Ok("")),
    ("$_", Ok("")),
    ("${a}", Ok("A")),
    ("$(a)", Ok("A")),
    ("${ a }", Ok("A")),
    ("$( a )", Ok("A")),
    ("${ }", Ok("")),
    ("${a", Err("truncated macro reference: \"${a\"")),
    ("$(a", Err("truncated macro reference: \"$(a\"")),
    ("${a)", Err("truncated macro reference: \"${a)\"")),
    ("$(a}", Err("truncated macro reference: \"$(a}\"")),
    ("${}", Err("empty macro name: \"${}\"")),
    ("$()", Err("empty macro name: \"$()\"")),
    ("$a-b", Ok("A-b")),
    ("$a.b", Ok("A.b")),
    ("$abc", Ok("Q")),
    ("${a}bc", Ok("Abc")),
    ("$a:b", Ok("A:b")),
    ("$a?{b}", Ok("A?{b}")),
    ("$t", Err("truncated macro reference: \"${oops\"")),
    ("${t?x}", Ok("x")),
    ("${a?$t}", Err("truncated macro reference: \"${oops\"")),
    ("${a b}", Err("attribute name syntax error at: \"...a>>> b\"")),
    ("${a-b}", Err("attribute name syntax error at: \"...a>>>-b\"")),
    ("$(abc-d)", Err("attribute name syntax error at: \"...abc>>>-d\"")),
    ("${  abc  -d}", Err("attribute name syntax error at: \"...  abc>>>  -d\"")),
    ("${-}", Err("attribute name syntax error at: \"...>>>-\"")),
    ("${ -}", Err("attribute name syntax error at: \"... >>>-\"")),
    ("${a!x}", Err("attribute name syntax error at: \"...a>>>!x\"")),
    ("${(a)}", Err("attribute name syntax error at: \"...>>>(a)\"")),
    ("${$a}", Err("attribute name syntax error at: \"...>>>$a\"")),
    ("${${a}}", Err("attribute name syntax error at: \"...>>>${a}\"")),
    ("${a$b}", Err("attribute name syntax error at: \"...a>>>$b\"")),
    ("${a {x}}", Err("attribute name syntax error at: \"...a>>> {x}\"")),
    ("${abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz}", Err("attribute name syntax error at: \"...abcdefghijklmnopqrstuvwxyz>>>-abcdefghijklmnopqrs\"")),
    ("${a?}", Ok("")),
    ("${a:}", Ok("")),
    ("${a?x}", Ok("x")),
    ("${a:x}", Ok("")),
    ("${e?x}", Ok("")),
    ("${e:x}", Ok("x")),
    ("${nope?x}", Ok("")),
    ("${nope:x}", Ok("x")),
    ("${s?x}", Ok("x")),
    ("${s:x}", Ok("")),
    ("${?x}", Ok("")),
    ("${:x}", Ok("x")),
    ("${  ?x}", Ok("")),
    ("${a?$b}", Ok("BA")),
    ("${a?${b}}", Ok("BA")),
    ("${a?(}", Ok("(")),
    ("${a?)}", Ok(")")),
    ("${a?{}}", Ok("")),
    ("${a?{}", Err("truncated macro reference: \"${a?{}\"")),
    ("${a?}}", Ok("}")),
    ("${a?x:y}", Ok("x:y")),
    ("${e?x:y}", Ok("")),
    ("${e:x?y}", Ok("x?y")),
    ("${a??x}", Ok("?x")),
    ("${a?:x}", Ok(":x")),
    ("${a ? x}", Ok(" x")),
    ("${a ?x}", Ok("x")),
    ("${a? x }", Ok(" x ")),
    ("${e  :  }", Ok("  ")),
    ("${a?{x}}", Ok("x")),
    ("${a? {x} }", Ok("x")),
    ("${a?{ x }}", Ok(" x ")),
    ("${a?{{x}}}", Ok("{x}")),
    ("${a?{x}:{y}}", Ok("x")),
    ("${e?{x}:{y}}", Ok("y")),
    ("${s?{x}:{y}}", Ok("x")),
    ("${a ? {x} : {y} }", Ok("x")),
    ("${e ? {x} : {y} }", Ok("y")),
    ("${a?{x}:y}", Ok("x")),
    ("${e?{x}:y}", Ok("y")),
    ("${e?{x}: y }", Ok(" y ")),
    ("${e?{x}: {y} }", Ok("y")),
    ("${e?{x}:}", Ok("")),
    ("${a?{x} :{y}}", Ok("x")),
    ("${a?{x{y}z}:{w}}", Ok("x{y}z")),
    ("${a?x{y}z}", Ok("x{y}z")),
    ("${a?x(y}", Ok("x(y")),
    ("$(a?{x}:{y})", Ok("x")),
    ("$(a?(x):(y))", Ok("(x):(y)")),
    ("$(a?x(y)z)", Ok("x(y)z")),
    ("${a:{x}}", Ok("")),
    ("${e:{x}}", Ok("x")),
    ("${e:  {x} }", Ok("x")),
    ("${a	?	{x}	:	{y}	}", Ok("x")),
    ("${a?{hello world}zz}", Err("\":\" expected at: \"...hello world}>>>zz\"")),
    ("${a?{x} z}", Err("\":\" expected at: \"...x}>>>z\"")),
    ("${a?{x}{y}}", Err("\":\" expected at: \"...x}>>>{y}\"")),
    ("${e?{x}?{y}}", Err("\":\" expected at: \"...x}>>>?{y}\"")),
    ("${a?{x} yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy}", Err("\":\" expected at: \"...x}>>>yyyyyyyyyyyyyyyyyyyy\"")),
    ("${a?  {x}  z  }", Err("\":\" expected at: \"...x}>>>z  \"")),
    ("${a?{x}:{y}z}", Err("unexpected input at: \"...y}>>>z\"")),
    ("${e?{x}:{y} z}", Err("unexpected input at: \"...y}>>>z\"")),
    ("${e?{x}: {y}{z} }", Err("unexpected input at: \"...y}>>>{z} \"")),
    ("${e:{x}?{y}}", Err("unexpected input at: \"...x}>>>?{y}\"")),
    ("${a:{x}  zz  }", Err("unexpected input at: \"...x}>>>zz  \"")),
    ("${a?{{x}y{z}} zz}", Err("\":\" expected at: \"...{x}y{z}}>>>zz\"")),
    ("${a?{x", Err("truncated macro reference: \"${a?{x\"")),
    ("${a?{x}:{y", Err("truncated macro reference: \"${a?{x}:{y\"")),
    ("$(a?{x)", Err("unbalanced {} in attribute expression: \"{x\"")),
    ("$(nope?{x}:{y)", Err("unbalanced {} in attribute expression: \"{y\"")),
    ("$(a:{y)", Err("unbalanced {} in attribute expression: \"{y\"")),
    ("${e?${}}", Ok("")),
    ("${a?${}}", Err("empty macro name: \"${}\"")),
    ("${a?{${}}}", Err("empty macro name: \"${}\"")),
    ("${a:${oops}", Err("truncated macro reference: \"${a:${oops}\"")),
    ("${{a} == {a} ? {yes} : {no}}", Ok("yes")),
    ("${{a}=={a}?{yes}:{no}}", Ok("yes")),
    ("${{a}=={b}?{yes}:{no}}", Ok("no")),
    ("${{a}=={a}}", Ok("true")),
    ("${{a}=={b}}", Ok("")),
    ("${{a}=={a}?{yes}}", Ok("yes")),
    ("${{a}=={b}?{yes}}", Ok("")),
    ("${{a}=={a}:{no}}", Ok("")),
    ("${{a}=={b}:{no}}", Ok("no")),
    ("${{a}=={a}?yes}", Ok("yes")),
    ("${{a}=={a}?yes:no}", Ok("yes:no")),
    ("${{a}=={b}? {y} : no }", Ok(" no ")),
    ("${{a}!={b}}", Ok("true")),
    ("${{a}!={a}}", Ok("")),
    ("${{a}<{b}}", Ok("true")),
    ("${{a}<={b}}", Ok("true")),
    ("${{a}<={a}}", Ok("true")),
    ("${{a}>{b}}", Ok("")),
    ("${{a}>={b}}", Ok("")),
    ("${{b}>={a}}", Ok("true")),
    ("${{}=={}}", Ok("true")),
    ("${{$a}=={A}}", Ok("true")),
    ("${{${a}}=={A}}", Ok("true")),
    ("${{$d}=={AA}}", Ok("true")),
    ("${{ a}=={a}}", Ok("")),
    ("${{9}<{10}}", Ok("true")),
    ("${{9}<{10a}}", Ok("")),
    ("${{9}<{1}}", Ok("")),
    ("${{09}=={9}}", Ok("true")),
    ("${{-9}<{-10}}", Ok("")),
    ("${{ 10}<{9}}", Ok("true")),
    ("${{10 }<{9}}", Ok("true")),
    ("${{}<{10}}", Ok("true")),
    ("$({a} == {a} ? {yes} : {no})", Ok("yes")),
    ("${ {a} == {a} ? {yes} : {no} }", Ok("yes")),
    ("${{9223372036854775807}=={9223372036854775807}}", Ok("true")),
    ("${{a}=={9223372036854775808}}", Ok("")),
    ("${{a}={b}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>={b}\"")),
    ("${{a}<>{b}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>><>{b}\"")),
    ("${{a} ===  {a}? {yes} : {no}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>===  {a}? {yes} : {n\"")),
    ("${{a} ~ {a}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>~ {a}\"")),
    ("${{foo bar} a {a}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...foo bar}>>>a {a}\"")),
    ("${{a}! ={b}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>! ={b}\"")),
    ("${{a}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>\"")),
    ("${{a} }", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>\"")),
    ("${{a}==b}", Err("bad operator suffix at: \"...==>>>b\"")),
    ("${{foo}==level1{1}}", Err("bad operator suffix at: \"...==>>>level1\"")),
    ("${{a}==-{b}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>==-{b}\"")),
    ("${{a}==?{b}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>==?{b}\"")),
    ("${{a}==:{b}}", Err("\"{expression}\" expected at: \"...{a} ==>>>:{b}\"")),
    ("${{a}:={b}}", Err("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>:={b}\"")),
    ("${{foo}==_x{1}}", Err("\"{expression}\" expected at: \"...{foo} ==>>>_x{1}\"")),
    ("${{foo}==}", Err("\"{expression}\" expected at: \"...{foo} ==>>>\"")),
    ("${{foo}== }", Err("\"{expression}\" expected at: \"...{foo} ==>>> \"")),
    ("${{foo bar}  ==level  zz{1}}", Err("\"{expression}\" expected at: \"...{foo bar} ==>>>  zz{1}\"")),
    ("${{foo}  <  =  {1}}", Err("\"{expression}\" expected at: \"...{foo} <>>>  =  {1}\"")),
    ("${{1}<=levelx{1}}", Err("bad operator suffix at: \"...<=>>>levelx\"")),
    ("${{1}<= level {1}}", Err("\"{expression}\" expected at: \"...{1} <=>>> level {1}\"")),
    ("${a == {b}}", Err("attribute name syntax error at: \"...a>>> == {b}\"")),
    ("${{a} == {a}z}", Err("\"?\" or \":\" expected at: \"...}>>>z\"")),
    ("${{a} == { hello }  zz}", Err("\"?\" or \":\" expected at: \"...}>>>zz\"")),
    ("${{a} == {a} {yes} : {no}}", Err("\"?\" or \":\" expected at: \"...}>>>{yes} : {no}\"")),
    ("${{a} == {a} ? {yes} : {no} z}", Err("unexpected input at: \"...no}>>>z\"")),
    ("${{a}=={b}:{x} y}", Err("unexpected input at: \"...x}>>>y\"")),
    ("$((a) == (a) ? (yes) : (no))", Err("attribute name syntax error at: \"...>>>(a) == (a) ? (yes) :\"")),
    ("${{a", Err("truncated macro reference: \"${{a\"")),
    ("${{a} == {b}", Err("truncated macro reference: \"${{a} == {b}\"")),
    ("$({a == b)", Err("unbalanced {} in attribute expression: \"{a == b\"")),
    ("$({a} == {b)", Err("unbalanced {} in attribute expression: \"{b\"")),
    ("$({a} == {b} ? {x)", Err("unbalanced {} in attribute expression: \"{x\"")),
    ("${{a} == {${}} ? x}", Err("empty macro name: \"${}\"")),
    ("${{1} ==level {1}}", Ok("true")),
    ("${{1.2} <level {1.10}}", Ok("true")),
    ("${{1.2} < {1.10}}", Ok("")),
    ("${{1.2} ==level {1.2.0}}", Ok("true")),
    ("${{1.2} !=level {1.2.0}}", Ok("")),
    ("${{1}<=level{1}?{y}:{n}}", Ok("y")),
    ("${{x} >=level {1}}", Err("malformed compatibility level syntax: \"x\"")),
    ("${{1} >level {x}}", Err("malformed compatibility level syntax: \"x\"")),
    ("${{} >level {1}}", Err("malformed compatibility level syntax: \"\"")),
    ("${{$compatibility_level} <level {1} ? {y} : {n}}", Ok("y")),
    ("$smtputf8_enable", Ok("no")),
    ("$r", Err("unreasonable macro call nesting: \"r\"")),
];
