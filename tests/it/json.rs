//! `-j`: a line of JSON for each entry, as the original has it from 3.11 on.

use crate::common::{TestDir, is_stand_in, shout};

#[test]
fn entries_are_lines_of_json() {
    if is_stand_in() {
        return shout("json: Postfix 3.7 has no -j");
    }
    let dir = TestDir::new("json");
    dir.write("t", b"a \"x\"\\y\tz/\xff\nb \x01\x7f\n");
    dir.ours("postmap").args(["-u", "btree:t"]).ok();
    let a = b"\": \"\\\"x\\\"\\\\y\\tz/\xff\"}\n".as_slice();
    let b = b"{\"b\": \"\\u0001\\u007F\"}\n".as_slice();
    let run = |words: &[&str]| dir.ours("postmap").args(["-u"]).args(words);
    run(&["-j", "-s", "btree:t"])
        .ok()
        .stdout_is([b"{\"a", a, b].concat());
    run(&["-jq", "A", "btree:t"])
        .ok()
        .stdout_is([b"{\"A", a].concat());
    let end = run(&["-q-", "-j", "btree:t"]).stdin("b\nnone\nA\n").ok();
    end.stdout_is([b, b"{\"A", a].concat());
    run(&["-jq", "none", "btree:t"])
        .finish()
        .status_is(1)
        .stdout_is("");
    let end = run(&["-j", "-hq", "-", "static:v"])
        .stdin("A: b\n c\n")
        .ok();
    end.stdout_is("{\"A: b\\n c\": \"v\"}\n");
    for words in [&["-j", "btree:t"][..], &["-j"], &["-i", "-j", "btree:t"]] {
        let end = run(words).finish().status_is(1);
        end.stderr_is("postmap: fatal: option -j requires -q or -s\n");
    }
}
