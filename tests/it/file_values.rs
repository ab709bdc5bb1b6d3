//! `-F`: values are names of files.

use crate::common::TestDir;

fn with_files(label: &str) -> TestDir {
    let dir = TestDir::new(label);
    dir.write("one", "Hello\n");
    dir.write("two", "World");
    dir.write("nul", "a\0b");
    dir.write("empty", "");
    dir
}

#[test]
fn tables_hold_what_the_files_hold() {
    let dir = with_files("hold");
    dir.write("t", "a one\nb one, two,\nc nul\nd nosuch\ne ,\nf .\n");
    let warnings = "\
postmap: warning: t, line 4: open nosuch: No such file or directory: skipping this entry
postmap: warning: t, line 5: empty pathname list: >>,<<': skipping this entry
postmap: warning: t, line 6: read .: Is a directory: skipping this entry
";
    dir.ours("postmap")
        .args(["-F", "btree:t"])
        .ok()
        .stderr_is(warnings);
    let stored = "a\tSGVsbG8K\nb\tSGVsbG8KCldvcmxk\nc\tYQBi\n";
    dir.ours("postmap")
        .args(["-s", "btree:t"])
        .ok()
        .stdout_is(stored);
    let shown = "a\tHello\n\nb\tHello\n\nWorld\nc\ta\n";
    dir.ours("postmap")
        .args(["-F", "-s", "btree:t"])
        .ok()
        .stdout_is(shown);
    let end = dir.ours("postmap").args(["-F", "-s", "texthash:t"]).ok();
    assert_eq!(
        end.sorted_lines(),
        crate::common::sorted_lines(shown.as_bytes())
    );
    end.stderr_is(warnings);
    for table in ["btree:t", "static:one,two"] {
        let end = dir.ours("postmap").args(["-F", "-q", "b", table]).ok();
        end.stdout_is("Hello\n\nWorld\n").stderr_is("");
    }
    let end = dir
        .ours("postmap")
        .args(["-F", "-i", "btree:t"])
        .stdin("z two\n")
        .ok();
    end.stderr_is("");
    let end = dir
        .ours("postmap")
        .args(["-F", "-q", "-", "btree:t"])
        .stdin("z\ny\na\n");
    end.ok().stdout_is("z\tWorld\na\tHello\n\n");
}

#[test]
fn an_empty_file_is_an_empty_answer() {
    let dir = with_files("empty");
    dir.write("t", "k empty\n");
    dir.ours("postmap").args(["-F", "hash:t"]).ok();
    dir.ours("postmap")
        .args(["-F", "-q", "k", "hash:t"])
        .ok()
        .stdout_is("\n")
        .stderr_is(
            "postmap: warning: table hash:t: key k: empty string result is not allowed\n\
         postmap: warning: table hash:t should return NO RESULT in case of NOT FOUND\n",
        );
}

#[test]
fn a_value_that_is_no_base64_is_an_error_and_not_listed() {
    let dir = TestDir::new("malformed");
    dir.write(
        "t",
        "good SGk=\nbad 0123456789012345678901234567890123456789!\n",
    );
    dir.ours("postmap").args(["btree:t"]).ok();
    let warning = "postmap: warning: table btree:t.db: key bad: malformed BASE64 value: \
                   012345678901234567890123456789\n";
    let end = dir.ours("postmap").args(["-F", "-s", "btree:t"]).ok();
    end.stdout_is("good\tHi\n").stderr_is(warning);
    let fatal = format!("{warning}postmap: fatal: table btree:t.db: query error\n");
    let end = dir
        .ours("postmap")
        .args(["-F", "-q", "bad", "btree:t"])
        .finish();
    end.status_is(1).stdout_is("").stderr_is(&fatal);
    let end = dir
        .ours("postmap")
        .args(["-F", "-q", "-", "btree:t"])
        .stdin("bad\n");
    end.finish().status_is(1).stderr_is(&fatal);
}

#[test]
fn pieces_of_a_message_get_the_base64() {
    let dir = with_files("message");
    let end = dir
        .ours("postmap")
        .args(["-F", "-h", "-q", "-", "static:one"]);
    end.stdin("A: b\n").ok().stdout_is("A: b\tSGVsbG8K\n");
}

#[test]
fn a_static_table_of_files_needs_the_files() {
    let dir = TestDir::new("static");
    for (name, message) in [
        ("nosuch", "open nosuch: No such file or directory"),
        (",", "empty pathname list: >>,<<'"),
        ("{ . }", "read .: Is a directory"),
    ] {
        let table = format!("static:{name}");
        let end = dir.ours("postmap").args(["-F", "-q", "k", &table]).finish();
        end.status_is(1)
            .stderr_is(format!("postmap: fatal: {message}\n"));
    }
}
