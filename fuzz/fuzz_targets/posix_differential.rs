//! Any bytes as a POSIX regular expression and a key, ours next to regcomp(3) and regexec(3) of the C
//! library: errors, whether it matches, and the groups. Input as for `posix_pattern`, but that bytes 1
//! in the key are line feeds.
//!
//! Run it by hand and on glibc: which release has which errors is not for CI to find out.
//!
//! `cargo +nightly fuzz run -s none --features glibc posix_differential fuzz/corpus/posix_pattern fuzz/seeds/posix_pattern`.
#![no_main]

mod shape;

use std::ffi::{CStr, CString, OsStr};
use std::mem::MaybeUninit;

use libfuzzer_sys::fuzz_target;
use rpostmap::Table;
use rpostmap::pattern::RegexpTable;
use rpostmap::pattern::posix::{Flags, PatternError, parse};
use rpostmap::table::OpenOptions;
use shape::Shape;

/// glibc takes minutes for some that are longer.
const PATTERN_LEN_MAX: usize = 40;
const KEY_LEN_MAX: usize = 24;
/// How often something may be repeated, all intervals around it taken together.
const REPEATS_MAX: usize = 50;
/// Groups that are compared: those that have one digit.
const GROUPS_MAX: usize = 9;

/// The text of each group, if the expression matches; empty if the group took no part.
type Groups = Option<Vec<Vec<u8>>>;

/// An expression as the C library has compiled it.
struct Theirs(libc::regex_t);

impl Theirs {
    fn new(pattern: &CStr, flags: Flags) -> Result<Theirs, String> {
        let mut bits = 0;
        if flags.extended {
            bits |= libc::REG_EXTENDED;
        }
        if flags.ignore_case {
            bits |= libc::REG_ICASE;
        }
        if flags.lines {
            bits |= libc::REG_NEWLINE;
        }
        let mut compiled = MaybeUninit::<libc::regex_t>::zeroed();
        // SAFETY: `compiled` may be written to, and the pattern ends in a NUL.
        let code = unsafe { libc::regcomp(compiled.as_mut_ptr(), pattern.as_ptr(), bits) };
        if code != 0 {
            let mut text = [0_u8; 200];
            // SAFETY: the text has that many bytes; an expression that did not compile may be asked
            // about.
            unsafe {
                libc::regerror(
                    code,
                    compiled.as_ptr(),
                    text.as_mut_ptr().cast(),
                    text.len(),
                );
            }
            let text = CStr::from_bytes_until_nul(&text).expect("a text");
            return Err(text.to_string_lossy().into_owned());
        }
        // SAFETY: it has been compiled.
        Ok(Theirs(unsafe { compiled.assume_init() }))
    }

    fn find(&self, key: &CStr, group_count: usize) -> Groups {
        let none = libc::regmatch_t {
            rm_so: -1,
            rm_eo: -1,
        };
        let mut found = [none; GROUPS_MAX + 1];
        // SAFETY: the expression was compiled and not freed, the key ends in a NUL, and there are as
        // many places as is said.
        let code =
            unsafe { libc::regexec(&self.0, key.as_ptr(), found.len(), found.as_mut_ptr(), 0) };
        let text = |of: &libc::regmatch_t| {
            let range = usize::try_from(of.rm_so).ok()?..usize::try_from(of.rm_eo).ok()?;
            key.to_bytes().get(range)
        };
        let groups = found.iter().skip(1).take(group_count);
        (code == 0).then(|| {
            groups
                .map(|of| text(of).unwrap_or_default().to_vec())
                .collect()
        })
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // SAFETY: it was compiled, and is not used any more.
        unsafe { libc::regfree(&mut self.0) }
    }
}

/// What our table with this expression alone finds.
fn ours(pattern: &[u8], flags: Flags, key: &[u8], group_count: usize) -> Groups {
    let letters = [
        (!flags.extended).then_some('x'),
        (!flags.ignore_case).then_some('i'),
        flags.lines.then_some('m'),
    ];
    let letters: String = letters.into_iter().flatten().collect();
    let groups: Vec<String> = (1..=group_count)
        .map(|group| format!("[${group}]"))
        .collect();
    let result = format!("={}", groups.concat());
    let rule = [
        b"~",
        pattern,
        b"~",
        letters.as_bytes(),
        b" ",
        result.as_bytes(),
        b"\n",
    ]
    .concat();
    let options = OpenOptions {
        utf8: false,
        ..OpenOptions::default()
    };
    let mut warn = |text: Vec<u8>| panic!("{}", text.escape_ascii());
    let table = RegexpTable::from_text(OsStr::new("t"), &*rule, &options, &mut warn).unwrap();
    let found = table.lookup(key).unwrap()?;
    // Keys have no brackets.
    let inside = |group: &[u8]| group.strip_prefix(b"[").unwrap().to_vec();
    let groups = found
        .strip_prefix(b"=")
        .unwrap()
        .split(|&byte| byte == b']');
    Some(groups.take(group_count).map(inside).collect())
}

fuzz_target!(|data: &[u8]| {
    let [flags, rest @ ..] = data else {
        return;
    };
    let mut halves = rest.splitn(2, |&byte| byte == b'\n');
    let (Some(key), Some(pattern)) = (halves.next(), halves.next()) else {
        return;
    };
    if key.len() > KEY_LEN_MAX || pattern.len() > PATTERN_LEN_MAX {
        return;
    }
    let key: Vec<u8> = key
        .iter()
        .map(|&byte| if byte == 1 { b'\n' } else { byte })
        .collect();
    // Neither the delimiter nor what rules cannot hold.
    if pattern.iter().any(|byte| matches!(byte, b'~' | b'\n' | 0))
        || pattern.ends_with(b"\\")
        || key.iter().any(|byte| matches!(byte, b'[' | b']' | 0))
    {
        return;
    }
    let flags = Flags {
        extended: flags & 1 != 0,
        ignore_case: flags & 2 == 0,
        lines: flags & 4 != 0,
    };
    let shape = Shape::of(pattern, flags.extended);
    if shape.repeats > REPEATS_MAX {
        return;
    }
    let shown = pattern.escape_ascii();
    let parsed = parse(pattern, flags);
    // What ours refuses on purpose, see `docs/original-behaviour.md`.
    if let Err(PatternError::ReferenceUnsupported | PatternError::Size) = parsed {
        return;
    }
    let theirs = Theirs::new(&CString::new(pattern).unwrap(), flags);
    let (parsed, theirs) = match (parsed, theirs) {
        (Ok(parsed), Ok(theirs)) => (parsed, theirs),
        (Err(ours), Err(theirs)) => {
            assert_eq!(ours.text(), theirs, "{shown} {flags:?}");
            return;
        }
        (ours, theirs) => {
            panic!(
                "{shown} {flags:?}: ours {:?}, theirs {:?}",
                ours.err(),
                theirs.err()
            );
        }
    };
    let group_count = (parsed.groups as usize).min(GROUPS_MAX);
    let mine = ours(pattern, flags, &key, group_count);
    let found = theirs.find(&CString::new(key.as_slice()).unwrap(), group_count);
    let groups_alone = mine.is_some() == found.is_some();
    let inner_lines = !flags.lines && key.contains(&b'\n');
    if mine == found || shape.has_known_error(groups_alone, inner_lines) {
        return;
    }
    let text = |groups: &Groups| {
        let groups = groups.as_ref()?;
        Some(
            groups
                .iter()
                .map(|group| format!("[{}]", group.escape_ascii()))
                .collect::<String>(),
        )
    };
    panic!(
        "{shown} {flags:?}, key {}: ours {:?}, theirs {:?}",
        key.escape_ascii(),
        text(&mine),
        text(&found)
    );
});
