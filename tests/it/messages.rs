//! What messages look like when the system or the user comes up with something unusual.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use crate::common::{TestDir, is_stand_in, shout};

#[test]
fn errors_of_the_system_are_worded_as_the_c_library_does() {
    let dir = TestDir::new("loop");
    symlink("t", dir.file("t")).expect("a link to itself");
    let end = dir.ours("postmap").args(["hash:t"]).finish();
    end.status_is(1)
        .stderr_is("postmap: fatal: open t: Too many levels of symbolic links\n");
}

#[test]
fn a_letter_that_is_no_option_is_shown_as_it_is() {
    let dir = TestDir::new("letter");
    for (word, shown) in [
        (&b"-Z"[..], "Z"),
        (b"-'", "'"),
        (b"-\\", "\\"),
        (b"-\x01", "?"),
        (b"-\xff", "?"),
    ] {
        if is_stand_in() && shown == "?" {
            shout("unprintable letters: the original prints them as they are");
            continue;
        }
        let end = dir.ours("postmap").args([OsStr::from_bytes(word)]).finish();
        let first = end.stderr.split(|&byte| byte == b'\n').next();
        let first = String::from_utf8_lossy(first.unwrap_or_default());
        assert!(
            first.ends_with(&format!("invalid option -- '{shown}'")),
            "{first}"
        );
    }
}

#[test]
fn mail_verbose_in_the_environment_is_one_v() {
    let dir = TestDir::new("verbose");
    dir.write("t", "k v\n");
    dir.shell("postmap hash:t").ok().stderr_is("");
    for script in [
        "postmap -v hash:t",
        "MAIL_VERBOSE= postmap hash:t",
        "MAIL_VERBOSE=0 postmap hash:t",
    ] {
        let end = dir.shell(script).ok();
        assert!(!end.stderr.is_empty(), "{script}: nothing more\n{end}");
    }
}

#[test]
fn each_byte_of_a_path_that_is_no_text_is_a_question_mark() {
    let dir = TestDir::new("bytes");
    let end = |words: &[&[u8]]| {
        let words = words.iter().map(|word| OsStr::from_bytes(word));
        dir.ours("postmap").args(words).finish()
    };
    // Well-formed UTF-8 is not touched.
    for (operand, shown) in [
        (&b"hash:t\xff"[..], "t?"),
        (b"hash:\xff\xfft\xc3\xa4", "??t\u{e4}"),
    ] {
        end(&[operand]).status_is(1).stderr_is(format!(
            "postmap: fatal: open {shown}: No such file or directory\n"
        ));
        end(&[b"-q", b"k", operand]).status_is(1).stderr_is(format!(
            "postmap: fatal: open database {shown}.db: No such file or directory\n"
        ));
    }
    end(&[b"-q", b"k", b"a\xffb:t"])
        .status_is(1)
        .stderr_is("postmap: fatal: unsupported dictionary type: a?b\n");
}
