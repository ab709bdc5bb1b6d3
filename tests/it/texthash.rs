//! `texthash:`: a source text as it is.

use crate::common::TestDir;

#[test]
fn a_text_answers_as_the_table_made_of_it() {
    let dir = TestDir::new("answers");
    let text = "Beta 2\nalpha 1\n  more\n\"two words\" 3\n\u{c4}pfel 4\nstra\u{df}e 5\n";
    dir.write("t", text);
    let keys = "BETA\nalpha\n\"Two words\"\n\u{e4}PFEL\nSTRASSE\nnone\n\n";
    for (compile, options) in [("", "-q"), ("-f", "-fq"), ("-u", "-uq")] {
        dir.shell(&format!("postmap {compile} hash:t")).ok();
        let ask = |table: &str| {
            let run = dir.ours("postmap").args([options, "-", table]);
            run.stdin(keys).finish().stderr_is("")
        };
        let (ours, made) = (ask("texthash:t"), ask("hash:t"));
        assert_eq!(ours.stdout, made.stdout, "{options}");
        assert_eq!(ours.status, made.status, "{options}");
    }
}

#[test]
fn duplicates_are_told_with_their_line() {
    let dir = TestDir::new("duplicates");
    dir.write("t", "a 1\nb 2\n\nA 3\n");
    for (options, value, warning) in [
        (
            "-q",
            "1\n",
            "postmap: warning: t, line 4: duplicate entry: \"A\"\n",
        ),
        ("-wq", "1\n", ""),
        ("-rq", "3\n", ""),
    ] {
        let end = dir.ours("postmap").args([options, "a", "texthash:t"]).ok();
        end.stdout_is(value).stderr_is(warning);
    }
}

#[test]
fn what_is_odd_is_told_at_each_open() {
    let dir = TestDir::new("odd");
    dir.write("t", b"bad\n\"open x\nr: v\n\xff v\n  \nlast 1\n");
    let warnings = "\
postmap: warning: t, line 1: expected format: key whitespace value -- ignoring this line
postmap: warning: t, line 2: unbalanced '\"' in '\"open x' -- ignoring this line
postmap: warning: t, line 3: record is in \"key: value\" format; is this an alias file?
postmap: warning: t, line 4: non-UTF-8 input \"? v\" -- ignoring this line
";
    for words in [["-q", "last", "texthash:t"], ["-s", "--", "texthash:t"]] {
        dir.ours("postmap").args(words).ok().stderr_is(warnings);
    }
}

#[test]
fn a_text_that_cannot_be_read_is_an_error() {
    let dir = TestDir::new("unreadable");
    for (name, message) in [
        ("nosuch", "open database nosuch: No such file or directory"),
        (".", "read .: Is a directory"),
        (
            "",
            "open dictionary: expecting \"type:name\" form instead of \"texthash:\"",
        ),
    ] {
        let table = format!("texthash:{name}");
        let end = dir.ours("postmap").args(["-q", "k", &table]).finish();
        end.status_is(1)
            .stderr_is(format!("postmap: fatal: {message}\n"));
    }
}
