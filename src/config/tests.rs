use proptest::prelude::*;

use super::*;
use crate::source::testing::{BreaksAtEnd, source_text};

/// Reads `text` as `c/main.cf`.
fn read(text: &[u8]) -> (Result<Config>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut config = Config::without_values();
    let result = config.read(Path::new("c/main.cf"), text, &mut |warning| {
        warnings.push(String::from_utf8(warning).unwrap());
    });
    (result.map(|()| config), warnings)
}

/// The value of `x` or the error, after reading and expanding.
fn value_of_x(text: &str) -> (Result<String, String>, Vec<String>) {
    let (config, mut warnings) = read(text.as_bytes());
    let value = config
        .and_then(|config| config.text("x", &mut |w| warnings.push(String::from_utf8(w).unwrap())));
    let value = value.map(|value| String::from_utf8(value).unwrap());
    (value.map_err(|error| error.to_string()), warnings)
}

#[test]
fn lines_are_name_and_value() {
    type Case<'a> = (&'a str, Result<&'a str, &'a str>, &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        ("", Ok(""), &[]),
        ("x=1", Ok("1"), &[]),
        ("x =  q r \r\n", Ok("q r"), &[]),
        (
            "x =\n# a comment\n\n      cdb\n  # another\n",
            Ok("cdb"),
            &[],
        ),
        ("x\n  = 5\n", Ok("5"), &[]),
        ("x = a\n  b\n\tc\n", Ok("a  b\tc"), &[]),
        ("x = a\r\n  b\r\n\tc\r\n", Ok("a\r  b\r\tc"), &[]),
        ("x = lmdb # fast\n", Ok("lmdb # fast"), &[]),
        ("x = a = b\n", Ok("a = b"), &[]),
        ("X = a\nx = b\n", Ok("b"), &[]),
        ("x-y.z = 1\nx = 2\n", Ok("2"), &[]),
        (
            "y = $x\nx = ${y\nx = ok",
            Ok("ok"),
            &["c/main.cf, line 3: overriding earlier entry: x=${y"],
        ),
        // Set again.
        ("x = a \nx = a\n", Ok("a"), &[]),
        (
            "\n\nx =\n  1\nx = \n   2\nx = 2\nx=1\n",
            Ok("1"),
            &[
                "c/main.cf, line 5: overriding earlier entry: x=1",
                "c/main.cf, line 8: overriding earlier entry: x=2",
            ],
        ),
        (
            "x = 1\n#c\n\nx =\n\n  2\n  3\n",
            Ok("2  3"),
            &["c/main.cf, line 4: overriding earlier entry: x=1"],
        ),
        (
            "x =\nx = 1\n",
            Ok("1"),
            &["c/main.cf, line 2: overriding earlier entry: x="],
        ),
        // Not a parameter.
        (
            "y = 1\nx lmdb\n",
            Err("c/main.cf, line 2: missing '=' after attribute name: \"x lmdb\""),
            &[],
        ),
        (
            "x ",
            Err("c/main.cf, line 1: missing '=' after attribute name: \"x \""),
            &[],
        ),
        (
            "a b = c",
            Err("c/main.cf, line 1: missing '=' after attribute name: \"a b = c\""),
            &[],
        ),
        (
            "x   y  \n   z\n",
            Err("c/main.cf, line 1: missing '=' after attribute name: \"x   y     z\""),
            &[],
        ),
        (
            "=v\nx\n",
            Err("c/main.cf, line 1: missing attribute name: \"=v\""),
            &[],
        ),
        // Indented.
        (
            "   x = 1\n  y = 2\nx = 3\n",
            Ok("3"),
            &["c/main.cf: logical line must not start with whitespace: \"   x = 1  y = 2\""],
        ),
        // NUL.
        (
            "x = a\0b\n",
            Ok("a"),
            &["c/main.cf, line 1: text after null byte may be ignored"],
        ),
        (
            "\0 = 1\n",
            Err("c/main.cf, line 1: missing attribute name: \"\""),
            &["c/main.cf, line 1: text after null byte may be ignored"],
        ),
        // Expansion.
        ("p = lm\nq=db\nx = $p$q\n", Ok("lmdb"), &[]),
        (
            "lvl = 3\nx = ${{$lvl} == {3} ? {lmdb} : {cdb}}",
            Ok("lmdb"),
            &[],
        ),
        (
            "x = ${oops\n",
            Err("dictionary mail_dict: macro processing error"),
            &["truncated macro reference: \"${oops\""],
        ),
        (
            "x = $x\n",
            Err("dictionary mail_dict: macro processing error"),
            &["unreasonable macro call nesting: \"x\""],
        ),
        (
            "x = ${{9223372036854775808}=={1}}\n",
            Err("mac_exp_eval: bad conversion: 9223372036854775808"),
            &[],
        ),
        ("y = ${oops\n", Ok(""), &[]),
    ];
    for (text, value, warnings) in cases {
        let (found, reported) = value_of_x(text);
        let found = found.as_ref().map(String::as_str).map_err(String::as_str);
        assert_eq!(found, *value, "{text:?}");
        assert_eq!(reported, *warnings, "{text:?}");
    }
}

#[test]
fn typed_parameters_follow_the_original() {
    let level = "malformed compatibility level syntax: ";
    let boolean = "bad boolean configuration: smtputf8_enable = ";
    for (text, expect) in [
        ("", Ok(false)),
        ("compatibility_level = 0.9", Ok(false)),
        ("compatibility_level = 1", Ok(true)),
        ("compatibility_level = 3.6", Ok(true)),
        ("l = 3\ncompatibility_level = $l", Ok(true)),
        ("compatibility_level = 3.6\nsmtputf8_enable = No", Ok(false)),
        ("smtputf8_enable = YES", Ok(true)),
        ("smtputf8_enable = ${nope:yes}", Ok(true)),
        ("smtputf8_enable = $y\ny = yes", Ok(true)),
        ("compatibility_level =", Err(format!("{level}\"\""))),
        (
            "compatibility_level = 2\n .5",
            Err(format!("{level}\"2 .5\"")),
        ),
        (
            "compatibility_level = x\nsmtputf8_enable = yes",
            Err(format!("{level}\"x\"")),
        ),
        (
            "smtputf8_enable = perhaps",
            Err(format!("{boolean}perhaps")),
        ),
        ("smtputf8_enable =", Err(boolean.into())),
        ("smtputf8_enable = y", Err(format!("{boolean}y"))),
        ("smtputf8_enable = yes no", Err(format!("{boolean}yes no"))),
    ] {
        let config = read(text.as_bytes()).0.unwrap();
        let found = config.smtputf8_enable(&mut |_| {});
        assert_eq!(found.map_err(|error| error.to_string()), expect, "{text:?}");
    }
    for (text, expect) in [
        ("", Ok("hash")),
        ("default_database_type = cdb", Ok("cdb")),
        ("default_database_type = x$smtputf8_enable", Ok("xno")),
        (
            "default_database_type =",
            Err("bad string length 0 < 1: default_database_type = "),
        ),
        (
            "default_database_type = $u",
            Err("bad string length 0 < 1: default_database_type = "),
        ),
    ] {
        let config = read(text.as_bytes()).0.unwrap();
        let found = config.default_database_type(&mut |_| {});
        let found = found.map_err(|error| error.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expect, "{text:?}");
    }
    let config = read(b"compatibility_level = 3.6").0.unwrap();
    assert_eq!(
        config.compatibility_level(&mut |_| {}).unwrap(),
        CompatibilityLevel::new(3, 6, 0)
    );
}

#[test]
fn bytes_that_are_not_text_become_question_marks_in_errors_only() {
    let mut config = Config::without_values();
    let mut warnings = Vec::new();
    let mut warn = |warning| warnings.push(warning);
    let text = b"x = \xff\xe2\x82\nx = 1\ndefault_database_type = \xffa\n\xc3";
    let error = config
        .read(Path::new("c"), text.as_slice(), &mut warn)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "c, line 4: missing '=' after attribute name: \"?\""
    );
    assert_eq!(
        warnings,
        [b"c, line 2: overriding earlier entry: x=\xff\xe2\x82"]
    );
    assert_eq!(config.default_database_type(&mut |_| {}).unwrap(), "?a");
}

#[test]
fn without_main_cf_the_type_is_hash_and_text_is_utf8() {
    let config = Config::default();
    assert!(config.smtputf8_enable(&mut |_| {}).unwrap());
    assert_eq!(config.default_database_type(&mut |_| {}).unwrap(), "hash");
    assert!(!config.is_set("default_database_type"));
}

#[test]
fn a_missing_file_and_a_directory_are_errors_with_the_path_as_given() {
    let error = Config::load(Path::new("no/where/"), &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "open no/where//main.cf");
    assert_eq!(error.kind(), &ErrorKind::Io { action: "open" });

    let mut config = Config::default();
    let error = config
        .read(Path::new("c/main.cf"), BreaksAtEnd(b"x = 1\n"), &mut |_| {})
        .unwrap_err();
    assert_eq!(error.to_string(), "read c/main.cf");
}

#[test]
fn the_directory_is_a_parameter_from_the_start() {
    let dir = std::env::temp_dir().join(format!("rpostmap-config-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("main.cf"), "x = $config_directory/y\nz =").unwrap();
    let config = Config::load(&dir, &mut |_| {}).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let path = config.text("x", &mut |_| {}).unwrap();
    assert_eq!(path, dir.join("y").as_os_str().as_bytes());
    assert!(config.is_set("z") && !config.is_set("smtputf8_enable"));
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(text in source_text()) {
        let mut config = Config::without_values();
        let _ = config.read(Path::new("c"), text.as_slice(), &mut |_| {});
    }
}

#[test]
fn the_map_size_is_a_number_above_zero() {
    for (text, expect) in [
        ("", Ok(16_777_216)),
        ("lmdb_map_size = 1\n", Ok(1)),
        ("lmdb_map_size = +010\n", Ok(10)),
        ("x = 5\nlmdb_map_size = ${x}000\n", Ok(5000)),
        (
            "lmdb_map_size = 9223372036854775807\n",
            Ok(9_223_372_036_854_775_807),
        ),
        (
            "lmdb_map_size = 0\n",
            Err("invalid lmdb_map_size parameter value 0 < 1"),
        ),
        (
            "lmdb_map_size = -5\n",
            Err("invalid lmdb_map_size parameter value -5 < 1"),
        ),
        (
            "lmdb_map_size = 10M\n",
            Err("bad numerical configuration: lmdb_map_size = 10M"),
        ),
        (
            "lmdb_map_size =\n",
            Err("bad numerical configuration: lmdb_map_size = "),
        ),
        (
            "lmdb_map_size = 9223372036854775808\n",
            Err("bad numerical configuration: lmdb_map_size = 9223372036854775808"),
        ),
    ] {
        let config = read(text.as_bytes()).0.unwrap();
        let size = config.lmdb_map_size(&mut |_| {});
        let size = size.map_err(|error| error.to_string());
        assert_eq!(size, expect.map_err(String::from), "{text}");
    }
}
