//! What messages look like when the system or the user comes up with something unusual.

use std::os::unix::fs::symlink;

use crate::common::TestDir;

#[test]
fn errors_of_the_system_are_worded_as_the_c_library_does() {
    let dir = TestDir::new("loop");
    symlink("t", dir.file("t")).expect("a link to itself");
    let end = dir.ours("postmap").args(["hash:t"]).finish();
    end.status_is(1)
        .stderr_is("postmap: fatal: open t: Too many levels of symbolic links\n");
}
