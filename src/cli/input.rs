//! Keys on standard input.

use std::io::{self, BufRead, BufReader};

use crate::cli::report::{Fatal, failure};
use crate::error::Error;
use crate::key::strip_nul;

/// Bytes read at a time.
const BLOCK_LEN: usize = 256 * 1024;

/// The keys on standard input, one on each line: without the line feed, up to the first NUL.
pub(super) struct KeyLines<R> {
    input: BufReader<R>,
    block: Vec<u8>,
}

impl<R: io::Read> KeyLines<R> {
    pub(super) fn new(input: R) -> KeyLines<R> {
        KeyLines {
            input: BufReader::with_capacity(BLOCK_LEN, input),
            block: Vec::new(),
        }
    }

    /// The keys of the next lines, at least one, as many as can be had without waiting; none at
    /// the end.
    pub(super) fn next_keys(&mut self) -> Result<Vec<&[u8]>, Fatal> {
        let failed = |error| failure(&Error::io("read", "standard input", error));
        self.block.clear();
        self.input
            .read_until(b'\n', &mut self.block)
            .map_err(failed)?;
        let ready = self.input.buffer();
        let len = memchr::memrchr(b'\n', ready).map_or(0, |last| last + 1);
        self.block.extend_from_slice(&ready[..len]);
        self.input.consume(len);
        let lines = self.block.strip_suffix(b"\n").unwrap_or(&self.block);
        if self.block.is_empty() {
            return Ok(Vec::new());
        }
        Ok(lines.split(|&byte| byte == b'\n').map(strip_nul).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_key_however_it_arrives() {
        let text = b"a\n\nb\0c\r\nlast";
        for step in 1..=text.len() {
            let mut lines = KeyLines::new(Steps { rest: text, step });
            let mut keys: Vec<Vec<u8>> = Vec::new();
            loop {
                let block = lines.next_keys().unwrap();
                if block.is_empty() {
                    break;
                }
                keys.extend(block.into_iter().map(<[u8]>::to_vec));
            }
            assert_eq!(
                keys,
                [&b"a"[..], b"", b"b", b"last"],
                "{step} bytes at a time"
            );
        }
    }

    /// Gives a few bytes at a time, as a pipe may.
    struct Steps {
        rest: &'static [u8],
        step: usize,
    }

    impl io::Read for Steps {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.step.min(self.rest.len()).min(buffer.len());
            let (now, rest) = self.rest.split_at(len);
            buffer[..len].copy_from_slice(now);
            self.rest = rest;
            Ok(len)
        }
    }
}
