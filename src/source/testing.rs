//! What the tests of this folder share: readers with odd habits, and a text strategy.

use std::io::{self, Read};

use proptest::prelude::*;

/// Hands out its text in pieces of the given lengths, over and over, with an interruption
/// before each.
pub(crate) struct Dribble<'a> {
    rest: &'a [u8],
    lens: Vec<usize>,
    reads: usize,
}

impl<'a> Dribble<'a> {
    pub(crate) fn new(text: &'a [u8], lens: &[usize]) -> Self {
        Dribble {
            rest: text,
            lens: lens.to_vec(),
            reads: 0,
        }
    }
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads % 2 == 1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = self.lens[self.reads / 2 % self.lens.len()].max(1);
        let len = len.min(buffer.len()).min(self.rest.len());
        buffer[..len].copy_from_slice(&self.rest[..len]);
        self.rest = &self.rest[len..];
        Ok(len)
    }
}

/// A reader that fails once its text is used up.
pub(crate) struct BreaksAtEnd<'a>(pub(crate) &'a [u8]);

impl Read for BreaksAtEnd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::from_raw_os_error(5)),
            len => Ok(len),
        }
    }
}

/// Text made of what the rules are about.
pub(crate) fn source_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        b"\n".as_slice(),
        b"\n",
        b"\n ",
        b"\n#",
        b"\r\n",
        b" ",
        b"\t",
        b"\x0b",
        b"#",
        b"\"",
        b"\\",
        b":",
        b"\0",
        b"a",
        b"key value",
        "\u{e4}".as_bytes(),
        b"\xff",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}
