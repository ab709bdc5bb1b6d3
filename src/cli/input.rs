//! Keys on standard input.

use std::io::{self, BufRead, BufReader};

use crate::cli::report::{Fatal, failure};
use crate::error::Error;
use crate::key::strip_nul;

/// The keys on standard input, one on each line: without the line feed, up to the first NUL.
pub(super) struct KeyLines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
}

impl<R: io::Read> KeyLines<R> {
    pub(super) fn new(input: R) -> KeyLines<R> {
        KeyLines {
            input: BufReader::with_capacity(64 * 1024, input),
            line: Vec::new(),
        }
    }

    pub(super) fn next_key(&mut self) -> Result<Option<&[u8]>, Fatal> {
        self.line.clear();
        match self.input.read_until(b'\n', &mut self.line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(strip_nul(
                self.line.strip_suffix(b"\n").unwrap_or(&self.line),
            ))),
            Err(error) => Err(failure(&Error::io("read", "standard input", error))),
        }
    }
}
