//! The calls into PCRE2, wrapped: the only unsafe code of the tables of rules.

#![expect(unsafe_code, reason = "PCRE2 is a library in C")]

use std::ptr::{self, NonNull};

use pcre2_sys as c;

/// Memory that one match may take, in KiB.
const HEAP_LIMIT_KIB: u32 = 128 * 1024;
/// How deep the interpreter may go back; without a compiler for the machine only.
const DEPTH_LIMIT: u32 = 1_000_000;
/// How often it may try: the library's own default, and so the original's.
const MATCH_LIMIT: u32 = 10_000_000;

/// A compiled pattern. It does not change any more.
#[derive(Debug)]
pub(super) struct Code(NonNull<c::pcre2_code_8>);

// SAFETY: compiled code, with the code for the machine that `compile` adds before anybody else
// sees it, is only read by `pcre2_match`: "the code can be used by several threads at the same
// time" (pcre2api(3), MULTITHREADING). It is freed once, by its only owner.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

/// Why a pattern cannot be compiled, or a match not be told.
#[derive(Debug)]
pub(super) struct Failure {
    /// Where in the pattern, in bytes; 0 for matches.
    pub(super) offset: usize,
    /// The library's text.
    pub(super) text: String,
}

impl Code {
    /// Compiles `pattern` with the options `PCRE2_...`.
    pub(super) fn compile(pattern: &[u8], options: u32) -> Result<Code, Failure> {
        let (mut error, mut offset) = (0, 0);
        // SAFETY: the pointer and the length are those of a slice that lives until the call ends;
        // the two places for results are valid for writes; no context is allowed.
        let code = unsafe {
            c::pcre2_compile_8(
                pattern.as_ptr(),
                pattern.len(),
                options,
                &mut error,
                &mut offset,
                ptr::null_mut(),
            )
        };
        let Some(code) = NonNull::new(code) else {
            let text = error_text(error);
            return Err(Failure { offset, text });
        };
        // Without a compiler for this machine, or for this pattern, the interpreter matches.
        // SAFETY: `code` is compiled code, and nobody else has it yet.
        unsafe { c::pcre2_jit_compile_8(code.as_ptr(), c::PCRE2_JIT_COMPLETE) };
        Ok(Code(code))
    }

    /// How many groups the pattern has.
    pub(super) fn group_count(&self) -> u32 {
        let mut count: u32 = 0;
        // SAFETY: `self.0` is compiled code, and `PCRE2_INFO_CAPTURECOUNT` writes a `uint32_t`
        // (pcre2api(3)).
        unsafe {
            c::pcre2_pattern_info_8(
                self.0.as_ptr(),
                c::PCRE2_INFO_CAPTURECOUNT,
                ptr::from_mut(&mut count).cast(),
            );
        }
        count
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: `self.0` came from `pcre2_compile`, and is freed here only.
        unsafe { c::pcre2_code_free_8(self.0.as_ptr()) };
    }
}

/// What a match writes to: for one match at a time, of patterns up to some number of groups.
#[derive(Debug)]
pub(super) struct Workspace {
    data: NonNull<c::pcre2_match_data_8>,
    context: NonNull<c::pcre2_match_context_8>,
}

// SAFETY: both are memory without any tie to the thread that made them, and used by the owner
// only: every method that lets the library write takes `&mut self`.
unsafe impl Send for Workspace {}

impl Workspace {
    /// For patterns of up to `group_max` groups.
    pub(super) fn new(group_max: u32) -> Workspace {
        // SAFETY: a null context means the default one. The library limits the number of pairs to
        // 65535, which is as many as a pattern can have.
        let (data, context) = unsafe {
            (
                c::pcre2_match_data_create_8(group_max.saturating_add(1), ptr::null_mut()),
                c::pcre2_match_context_create_8(ptr::null_mut()),
            )
        };
        let data = NonNull::new(data).expect("memory for a match");
        let context = NonNull::new(context).expect("memory for limits");
        // SAFETY: `context` was made above, and nobody else has it.
        unsafe {
            c::pcre2_set_match_limit_8(context.as_ptr(), MATCH_LIMIT);
            c::pcre2_set_depth_limit_8(context.as_ptr(), DEPTH_LIMIT);
            c::pcre2_set_heap_limit_8(context.as_ptr(), HEAP_LIMIT_KIB);
        }
        Workspace { data, context }
    }

    /// Whether `code` matches somewhere in `key`.
    pub(super) fn matches(&mut self, code: &Code, key: &[u8]) -> Result<bool, Failure> {
        let result = match self.run(code, key, 0) {
            // Machine code has a small stack of its own; the interpreter takes memory up to the limit.
            c::PCRE2_ERROR_JIT_STACKLIMIT => self.run(code, key, c::PCRE2_NO_JIT),
            result => result,
        };
        match result {
            0.. => Ok(true),
            c::PCRE2_ERROR_NOMATCH => Ok(false),
            error => Err(Failure {
                offset: 0,
                text: error_text(error),
            }),
        }
    }

    /// What the library says of `code` and `key`.
    fn run(&mut self, code: &Code, key: &[u8], options: u32) -> i32 {
        // SAFETY: `code` is compiled code; the pointer and the length are those of a slice that
        // lives until the call ends; `data` and `context` are ours, and `&mut self` keeps others
        // away. More groups than `data` has room for are left out by the library.
        unsafe {
            c::pcre2_match_8(
                code.0.as_ptr(),
                key.as_ptr(),
                key.len(),
                0,
                options,
                self.data.as_ptr(),
                self.context.as_ptr(),
            )
        }
    }

    /// Where group `number` of the match that was found last begins and ends; `None` when it is
    /// not set. `number` must not be larger than the number of groups of that pattern.
    pub(super) fn group(&self, number: usize) -> Option<(usize, usize)> {
        // SAFETY: `data` is ours.
        let count = unsafe { c::pcre2_get_ovector_count_8(self.data.as_ptr()) };
        if number >= usize::try_from(count).unwrap_or(0) {
            return None;
        }
        // SAFETY: the vector belongs to `data`, which outlives this call, and has `2 * count`
        // elements; the library sets all of those that the pattern has groups for, and the caller
        // asks for no other.
        let (start, end) = unsafe {
            let vector = c::pcre2_get_ovector_pointer_8(self.data.as_ptr());
            (*vector.add(2 * number), *vector.add(2 * number + 1))
        };
        // `PCRE2_UNSET` is the largest number.
        (start != usize::MAX && start <= end).then_some((start, end))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // SAFETY: both came from the functions that make them, and are freed here only.
        unsafe {
            c::pcre2_match_data_free_8(self.data.as_ptr());
            c::pcre2_match_context_free_8(self.context.as_ptr());
        }
    }
}

fn error_text(error: i32) -> String {
    let mut buffer = [0_u8; 256];
    // SAFETY: the pointer and the length are those of the array; the library ends what it writes
    // with a NUL.
    unsafe { c::pcre2_get_error_message_8(error, buffer.as_mut_ptr(), buffer.len()) };
    String::from_utf8_lossy(crate::key::strip_nul(&buffer)).into_owned()
}
