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

    /// Writes lines that are ready.
    pub(super) fn raw(&mut self, lines: &[u8]) -> Result<(), Broken> {
        self.0.write_all(lines)?;
        Ok(())
    }

    /// Writes a key and its value as a line of JSON.
    pub(super) fn json(&mut self, key: &[u8], value: &[u8]) -> Result<(), Broken> {
        self.0.write_all(b"{\"")?;
        self.escaped(key)?;
        self.0.write_all(b"\": \"")?;
        self.escaped(value)?;
        self.0.write_all(b"\"}\n")?;
        Ok(())
    }

    /// Writes `text` as it stands in a JSON string. What is not UTF-8 stays as it is.
    fn escaped(&mut self, text: &[u8]) -> Result<(), Broken> {
        for run in text.chunk_by(|_, &next| !needs_escape(next)) {
            let Some((&first, rest)) = run.split_first() else {
                continue;
            };
            if needs_escape(first) {
                self.0.write_all(escape(first).as_bytes())?;
                self.0.write_all(rest)?;
            } else {
                self.0.write_all(run)?;
            }
        }
        Ok(())
    }

    /// Writes out what was gathered. To be called before the program ends, whatever the reason.
    pub(super) fn flush(&mut self) -> Result<(), Broken> {
        self.0.flush()?;
        Ok(())
    }
}

fn needs_escape(byte: u8) -> bool {
    byte.is_ascii_control() || byte == b'"' || byte == b'\\'
}

/// A byte as JSON has it in a string.
fn escape(byte: u8) -> String {
    match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        0x08 => "\\b".into(),
        0x0c => "\\f".into(),
        b'\n' => "\\n".into(),
        b'\r' => "\\r".into(),
        b'\t' => "\\t".into(),
        byte => format!("\\u{byte:04X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_read_back_by_a_json_parser() {
        for byte in 0..=0x7f {
            let text = match needs_escape(byte) {
                true => format!("\"{}\"", escape(byte)),
                false => format!("\"{}\"", char::from(byte)),
            };
            let read: String = serde_json::from_str(&text).expect(&text);
            assert_eq!(read.as_bytes(), [byte]);
        }
        assert_eq!(escape(0x1b), "\\u001B");
    }
}
