//! `-h`, `-b` and `-m`: messages of all kinds, in ours and in the original.

use crate::common::{Outcome, TestDir};
use crate::oracle::{have, original};

/// How many messages are made at random.
const COUNT: usize = 60;

/// Lines that messages are made of, and parts of lines.
const LINES: &[&str] = &[
    "",
    "",
    "\n",
    "A: b",
    "A : b",
    " folded",
    "\tfolded",
    "text",
    "--X",
    "--X",
    "--X--",
    "--Y",
    "--Y--",
    "--X Y",
    "--XY",
    "--",
    "---",
    "--X: y",
    "From a b",
    "nul\0b: c",
    "--X\0--",
    "A: b\r",
    "\r",
    "Content-Type: multipart/mixed; boundary=X",
    "Content-Type: multipart/x;\n boundary=\"Y\"",
    "content-type :multipart/digest; boundary=X",
    "Content-Type: multipart (c) /digest; a=\"b;\\\"\"; boundary = Y z",
    "Content-Type: multipart/x; boundary=\"\"",
    "Content-Type: multipart/x; boundary=X; boundary=Y",
    "Content-Type: multipart/x; boundary=\u{e4}; boundary=-",
    "Content-Type: message/rfc822",
    "Content-Type: message/rfc822\n",
    "Content-Type: message/partial",
    "Content-Type: text/plain",
    "Content-Transfer-Encoding: base64",
];

#[test]
fn messages_fall_into_the_same_pieces() {
    if !have(&["postmap"]) {
        return;
    }
    let dir = TestDir::new("pieces");
    dir.main_cf("compatibility_level = 3.6\nheader_size_limit = 30\nmime_nesting_limit = 2\n");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for number in 0..COUNT {
        let mut message = Vec::new();
        for _ in 0..random.below(40) {
            message.extend_from_slice(LINES[random.below(LINES.len())].as_bytes());
            message.push(b'\n');
        }
        if number % 7 == 0 {
            message.pop();
        }
        for options in ["-hbm", "-hm", ["-h", "-b", "-hb", "-bm"][number % 4]] {
            let words = [options, "-q", "-", "static:%"];
            let ours = dir
                .ours("postmap")
                .args(words)
                .stdin(message.clone())
                .finish();
            let theirs = original(&dir, "postmap")
                .args(words)
                .stdin(message.clone())
                .finish();
            let answer = |end: &Outcome| (end.status, end.stdout.clone());
            assert_eq!(
                answer(&ours),
                answer(&theirs),
                "{}\n{ours}{theirs}",
                message.escape_ascii()
            );
        }
    }
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }
}
