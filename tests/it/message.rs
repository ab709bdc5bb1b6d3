//! `-h`, `-b`, `-m` and `-U`: a message on standard input.

use crate::common::TestDir;

const MESSAGE: &str = "\
Subject : hello
  world
Content-Type: multipart/mixed; boundary=X

--X
A: 1

text
--X--
";

#[test]
fn options_choose_the_pieces() {
    let dir = TestDir::new("pieces");
    for (options, keys) in [
        (
            "-h",
            "Subject: hello\n  world|Content-Type: multipart/mixed; boundary=X",
        ),
        ("-b", "|--X|A: 1||text|--X--"),
        (
            "-hm",
            "Subject: hello\n  world|Content-Type: multipart/mixed; boundary=X|A: 1",
        ),
        ("-bm", "|--X||text|--X--"),
    ] {
        let expect: String = keys.split('|').map(|key| format!("{key}\tHIT\n")).collect();
        let end = dir.ours("postmap").args([options, "-q", "-", "static:HIT"]);
        end.stdin(MESSAGE).ok().stdout_is(expect).stderr_is("");
    }
    let both = |options: &str| {
        let end = dir.ours("postmap").args([options, "-q", "-", "static:HIT"]);
        end.stdin(MESSAGE).ok().stdout
    };
    assert_eq!(both("-hb"), both("-hbm"), "only the order could differ");
}

#[test]
fn the_first_table_with_an_answer_answers() {
    let dir = TestDir::new("tables");
    dir.write("t", "\"A: 1\" no\na:1 table\nb:2 table\n");
    let end = dir
        .ours("postmap")
        .args(["-h", "-q", "-", "texthash:t", "static:other"]);
    end.stdin("A:1\nB :2\nC:3\n")
        .ok()
        .stdout_is("A:1\ttable\nB:2\ttable\nC:3\tother\n");
    // A table that nothing is looked up in is not opened.
    let end = dir.ours("postmap").args(["-h", "-q", "-", "hash:nosuch"]);
    end.stdin("no header\n").finish().status_is(1).stderr_is("");
    let end = dir.ours("postmap").args(["-b", "-q", "-", "hash:nosuch"]);
    end.stdin("no header\n")
        .finish()
        .status_is(1)
        .stderr_is("postmap: fatal: open database nosuch.db: No such file or directory\n");
}

#[test]
fn utf8_is_for_those_who_ask() {
    let dir = TestDir::new("utf8");
    let run = |options: &[&str]| {
        let run = dir.ours("postmap").args(options);
        run.args(["-h", "-q", "-", "static:HIT"])
            .stdin(b"A: \xff\n")
            .finish()
    };
    for options in [&[][..], &["-u"], &["-u", "-U"], &["-U", "-u"]] {
        run(options)
            .status_is(0)
            .stdout_is(b"A: \xff\tHIT\n")
            .stderr_is("");
    }
    run(&["-U"]).status_is(1).stdout_is("").stderr_is(
        "postmap: warning: static:HIT: non-UTF-8 key \"A: ?\": malformed UTF-8 or invalid codepoint\n",
    );
}

#[test]
fn a_message_is_only_read_from_standard_input() {
    let dir = TestDir::new("conflict");
    for words in [
        "-h -q key static:x",
        "-b -s static:x",
        "-m static:x",
        "-h",
        "-h -d - static:x",
    ] {
        let end = dir.ours("postmap").args(words.split(' ')).finish();
        end.status_is(1)
            .stderr_is("postmap: fatal: specify -b -h or -m only with \"-q -\"\n");
    }
    let end = dir
        .ours("postmap")
        .args(["-m", "-q", "-", "static:x"])
        .stdin("k\n")
        .ok();
    end.stdout_is("k\tx\n")
        .stderr_is("postmap: warning: ignoring -m option without -b or -h\n");
}

#[test]
fn limits_come_from_main_cf() {
    const MESSAGE: &str = "\
A: 345678
 b
 c
Content-Type: multipart/x; boundary=A; boundary=B; boundary=C; boundary=XYZ

--XY
B: c

--XYZ
C: d
";
    let dir = TestDir::new("limits");
    let headers = |text: &str| {
        dir.main_cf(&format!("compatibility_level = 3.6\n{text}\n"));
        let end = dir.ours("postmap").args(["-hm", "-q", "-", "static:x"]);
        end.stdin(MESSAGE).finish()
    };
    let all = headers("").status_is(0).stdout;
    for (text, header_count, bytes_less) in [
        ("", 3, 0),
        ("header_size_limit = 10", 3, "\n c".len()),
        ("mime_boundary_length_limit = 2", 4, 0),
        ("mime_nesting_limit = 1", 2, "C: d\tx\n".len()),
    ] {
        let end = headers(text).status_is(0).stderr_is("");
        let count = end.stdout.iter().filter(|&&byte| byte == b'\t').count();
        assert_eq!(count, header_count, "{text}");
        if header_count <= 3 {
            assert_eq!(all.len() - end.stdout.len(), bytes_less, "{text}");
        }
    }
    for (text, message) in [
        (
            "header_size_limit = 10k",
            "bad numerical configuration: header_size_limit = 10k",
        ),
        (
            "mime_nesting_limit = 0",
            "invalid mime_nesting_limit parameter value 0 < 1",
        ),
        (
            "mime_boundary_length_limit = -1",
            "invalid mime_boundary_length_limit parameter value -1 < 1",
        ),
    ] {
        headers(text)
            .status_is(1)
            .stderr_is(format!("postmap: fatal: {message}\n"));
    }
}
