//! A source on standard input, or in a file.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Bytes read at a time.
const BLOCK_LEN: usize = 128 * 1024;
/// Milliseconds without a byte after which a stream counts as slow.
const PAUSE_MAX: u8 = 100;

/// The bytes of a source. What was read ahead comes first.
pub(super) struct Stream {
    ahead: Vec<u8>,
    /// Where reading goes on.
    at: usize,
    /// What came behind, if that is known.
    end: Option<io::Result<()>>,
    file: File,
}

impl Stream {
    /// Reads ahead up to `max` bytes, as long as they come without a pause. Returns how many there
    /// are, or `None` if there was a pause: then more may come, or may not, at any time.
    pub(super) fn read_ahead(&mut self, max: usize) -> Option<u64> {
        while self.end.is_none() && self.ahead.len() < max {
            let mut files = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            if !poll(&mut files, PollTimeout::from(PAUSE_MAX)).is_ok_and(|ready| ready > 0) {
                return None;
            }
            let len = self.ahead.len();
            self.ahead.resize(len + BLOCK_LEN, 0);
            let read = self
                .file
                .read(self.ahead.get_mut(len..).unwrap_or_default());
            self.ahead
                .truncate(len + read.as_ref().map_or(0, |read| *read));
            match read {
                Ok(0) => self.end = Some(Ok(())),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    self.end = Some(Err(error));
                }
                _ => {}
            }
        }
        Some(self.ahead.len() as u64)
    }
}

impl From<File> for Stream {
    fn from(file: File) -> Stream {
        Stream {
            ahead: Vec::new(),
            at: 0,
            end: None,
            file,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.ahead.get(self.at..).unwrap_or_default();
        if !rest.is_empty() {
            let len = rest.read(buffer)?;
            self.at += len;
            return Ok(len);
        }
        // Not needed any more; what follows may be much longer.
        self.ahead = Vec::new();
        match &mut self.end {
            None => self.file.read(buffer),
            Some(end) => std::mem::replace(end, Ok(())).map(|()| 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};
    use std::os::fd::OwnedFd;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn stream() -> (io::PipeWriter, Stream) {
        let (reader, writer) = pipe().unwrap();
        (writer, Stream::from(File::from(OwnedFd::from(reader))))
    }

    #[test]
    fn a_stream_that_ends_soon_is_known_to_its_end() {
        let (mut writer, mut stream) = stream();
        writer.write_all(b"a 1\n").unwrap();
        drop(writer);
        assert_eq!(stream.read_ahead(1000), Some(4));
        assert_eq!(io::read_to_string(&mut stream).unwrap(), "a 1\n");
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0, "it stays at its end");
    }

    #[test]
    fn a_long_stream_is_read_ahead_for_a_part_only() {
        let (mut writer, mut stream) = stream();
        let text = "key value\n".repeat(100_000);
        thread::scope(|scope| {
            let all = text.as_bytes();
            scope.spawn(move || writer.write_all(all).unwrap());
            let known = stream.read_ahead(300_000);
            // A busy machine may take its time.
            if let Some(len) = known {
                assert!((300_000..500_000).contains(&len), "{len}");
            }
            assert!(io::read_to_string(&mut stream).unwrap() == text);
        });
    }

    #[test]
    fn nobody_waits_for_a_stream_that_pauses() {
        let (mut writer, mut stream) = stream();
        writer.write_all(b"a 1\n").unwrap();
        assert_eq!(stream.read_ahead(1000), None);
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(20));
                writer.write_all(b"b 2\n").unwrap();
            });
            assert_eq!(io::read_to_string(&mut stream).unwrap(), "a 1\nb 2\n");
        });
    }

    #[test]
    fn an_error_comes_in_its_place() {
        let mut stream = Stream::from(File::open("/").unwrap());
        assert_eq!(stream.read_ahead(1000), Some(0));
        assert!(stream.read(&mut [0; 8]).is_err());
    }
}
