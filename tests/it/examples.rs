//! The files in `examples/` compile without a word and answer as their comments promise.

use std::fs;

use crate::common::{TestDir, package_file};

#[test]
fn examples_compile_silently_and_answer() {
    for (name, key, value) in [
        (
            "relay_password",
            "[submission.example.org]:587",
            "username:password\n",
        ),
        ("relay_password", "mail.example.com", "username:password\n"),
        ("transport", "example.com", ":\n"),
        ("transport", "FOO.com", "smtp:[mail.foo.com]\n"),
        ("transport", "*", "smtp:10.20.30.40\n"),
        ("virtual", "postmaster@example.com", "postmaster\n"),
        (
            "virtual",
            "sales@example.com",
            "anna,                          ben@example.net\n",
        ),
        ("virtual", "@example.org", "catchall@example.net\n"),
    ] {
        let dir = TestDir::new(name);
        dir.write(
            name,
            fs::read(package_file("examples").join(name)).expect("example"),
        );
        let table = format!("hash:{name}");
        dir.ours("rpostmap")
            .args([&table])
            .ok()
            .stdout_is("")
            .stderr_is("");
        dir.ours("rpostmap")
            .args(["-q", key, &table])
            .ok()
            .stdout_is(value)
            .stderr_is("");
    }
}
