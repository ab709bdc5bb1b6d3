//! Answers on standard output: gathered in large blocks, since there may be millions of them.

use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

use crate::cli::report::Fatal;
use crate::error::system_text;

/// Bytes gathered before they are written.
const BLOCK_LEN: usize = 64 * 1024;

/// What a shell shows for a program that SIGPIPE ended, as it ends the original.
pub(super) const CLOSED_PIPE_STATUS: u8 = 128 + 13;

/// Why nothing more can be written.
#[derive(Debug)]
pub(super) enum Broken {
    /// Nobody reads any more, which is no failure to speak of.
    ClosedPipe,
    /// Anything else.
    Failed(Fatal),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        if error.kind() == ErrorKind::BrokenPipe {
            return Broken::ClosedPipe;
        }
        Broken::Failed(format!("write standard output: {}", system_text(&error)).into())
    }
}

/// Standard output.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn new() -> Output {
        Output(BufWriter::with_capacity(BLOCK_LEN, io::stdout().lock()))
    }

    /// Writes `parts` and a line feed.
    #[inline]
    pub(super) fn line(&mut self, parts: &[&[u8]]) -> Result<(), Broken> {
        for part in parts {
            self.0.write_all(part)?;
        }
        self.0.write_all(b"\n")?;
        Ok(())
    }

    /// Writes out what was gathered. To be called before the program ends, whatever the reason.
    pub(super) fn flush(&mut self) -> Result<(), Broken> {
        self.0.flush()?;
        Ok(())
    }
}
