//! The original programs.

use crate::common::{Run, TestDir, find_program, is_ci, is_root, shout};

/// Whether all these programs are installed; says so when not, and fails when CI forgot one.
#[track_caller]
pub(crate) fn have(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|name| find_program(name).is_none())
        .collect();
    if missing.is_empty() {
        return true;
    }
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    assert!(!is_ci(), "{test}: not installed: {}", missing.join(", "));
    shout(format_args!(
        "{test}: not installed: {}",
        missing.join(", ")
    ));
    false
}

/// Whether we are root; says so when not.
pub(crate) fn are_we_root() -> bool {
    if !is_root() {
        shout(format_args!(
            "{}: needs root",
            std::thread::current().name().unwrap_or("test")
        ));
    }
    is_root()
}

/// The original program `name`, run in `dir`.
pub(crate) fn original<'a>(dir: &'a TestDir, name: &str) -> Run<'a> {
    dir.run(find_program(name).unwrap_or_else(|| panic!("{name}: ask `have` first")))
}

/// Requires that `db5.3_verify` finds nothing wrong with the file.
#[track_caller]
pub(crate) fn assert_clean(dir: &TestDir, file: &str) {
    original(dir, "db5.3_verify").args(["-q", file]).ok();
}
