//! Attempts to change tables that cannot be changed.

use crate::common::TestDir;

#[test]
fn each_type_has_its_own_refusal() {
    let dir = TestDir::new("refusal");
    dir.write("t", "k v\n");
    dir.write("none", "# nothing\n");
    let refused =
        |name| format!("unsupported dictionary type: {name} does not support bulk-mode creation.");
    let (no_texthash, no_static) = (refused("texthash"), refused("static"));
    for (words, stdin, message) in [
        ("texthash:t", "", no_texthash.as_str()),
        ("static:t", "", &no_static),
        // The source is looked at first.
        (
            "static:nosuch",
            "",
            "open nosuch: No such file or directory",
        ),
        ("-i texthash:t", "", &no_texthash),
        ("-i static:nosuch", "", &no_static),
        (
            "-d k texthash:nosuch",
            "",
            "texthash:nosuch map requires O_RDONLY access mode",
        ),
        (
            "-d - texthash:t",
            "",
            "texthash:t map requires O_RDONLY access mode",
        ),
        (
            "-d k static:t",
            "",
            "table static:t: delete operation is not supported",
        ),
        (
            "-d - static:t fail:x",
            "k\n",
            "table static:t: delete operation is not supported",
        ),
        (
            "-s static:t",
            "",
            "table static:t: sequence operation is not supported",
        ),
        ("fail:t", "", "table fail:t: write error: Application error"),
        (
            "-i fail:x",
            "k v\n",
            "table fail:x: write error: Application error",
        ),
        (
            "-d k fail:x",
            "",
            "table fail:x: delete error: Application error",
        ),
        (
            "-d - fail:x static:t",
            "k\n",
            "table fail:x: delete error: Application error",
        ),
        (
            "-q k fail:x",
            "",
            "table fail:x: query error: Application error",
        ),
        (
            "-h -q - fail:x",
            "A: b\n",
            "table fail:x: query error: Application error",
        ),
        (
            "-s fail:x",
            "",
            "table fail:x: sequence error: Application error",
        ),
    ] {
        let end = dir
            .ours("postmap")
            .args(words.split(' '))
            .stdin(stdin)
            .finish();
        end.status_is(1)
            .stdout_is("")
            .stderr_is(format!("postmap: fatal: {message}\n"));
    }
    // Nothing was tried.
    for (words, status) in [
        ("fail:none", 0),
        ("-i fail:x", 0),
        ("-d - fail:x static:t", 1),
    ] {
        let end = dir.ours("postmap").args(words.split(' ')).finish();
        end.status_is(status).stderr_is("");
    }
}

#[test]
fn the_source_of_a_table_that_fails_is_read_up_to_its_first_entry() {
    let dir = TestDir::new("warnings");
    dir.write("t", "bad\nk v\nworse\n");
    dir.ours("postmap")
        .args(["fail:t"])
        .finish()
        .status_is(1)
        .stderr_is(
            "postmap: warning: t, line 1: expected format: key whitespace value\n\
         postmap: fatal: table fail:t: write error: Application error\n",
        );
}
