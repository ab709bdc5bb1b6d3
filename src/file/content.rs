//! A file's content in memory.
//!
//! The content of a long file lies in huge pages where the kernel has some to give: lookups jump
//! about in it, and with ordinary pages each jump would cost a walk through the page tables, and each
//! page a fault when it is first written to.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::FileExt;

#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::MmapMut;

use crate::threads::both;

/// Content shorter than this, in bytes, lies in ordinary memory.
const HUGE_MIN: usize = 8 << 20;

/// Content at least this long, in bytes, is read by two threads: to clear the memory and to copy takes
/// longer than to start one.
const TWO_THREADS_MIN: usize = 16 << 20;

/// The length of a huge page where it matters, in bytes.
const HUGE_PAGE_LEN: usize = 2 << 20;

/// The bytes of a file.
pub(crate) struct Content(Memory);

enum Memory {
    Ordinary(Vec<u8>),
    /// Memory of no file, and how many bytes of it are content.
    Huge(MmapMut, usize),
}

impl Content {
    /// Room for `len` bytes of content, all zero; `None` when it is better to grow a vector, or there
    /// is no memory of the other kind.
    fn huge(len: usize) -> Option<MmapMut> {
        if len < HUGE_MIN {
            return None;
        }
        let memory = MmapMut::map_anon(len).ok()?;
        // It serves as it is where the kernel has no huge pages.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(Advice::HugePage);
        Some(memory)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Content {
        Content(Memory::Ordinary(bytes))
    }
}

impl Deref for Content {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::Ordinary(bytes) => bytes,
            Memory::Huge(memory, len) => memory.get(..*len).unwrap_or_default(),
        }
    }
}

impl DerefMut for Content {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Memory::Ordinary(bytes) => bytes,
            Memory::Huge(memory, len) => memory.get_mut(..*len).unwrap_or_default(),
        }
    }
}

/// Everything up to the end of `file`, which was `len` bytes long a moment ago.
///
/// A writer that takes no lock may change the length under our hands, and files of some file
/// systems (procfs) claim to be empty: so what counts is what can be read, up to a limit.
pub(crate) fn read_all(mut file: &File, len: u64) -> io::Result<Content> {
    let limit = len.saturating_mul(2).saturating_add(1 << 20);
    // One byte more, so that the end is seen without growing.
    let room = usize::try_from(len).unwrap_or(usize::MAX).saturating_add(1);
    // A duplicate of the descriptor may have read it before, and shares the position.
    file.rewind()?;
    let mut bytes = Vec::new();
    if let Some(mut memory) = Content::huge(room) {
        let count = fill(file, &mut memory)?;
        if count < room {
            return Ok(Content(Memory::Huge(memory, count)));
        }
        // It has grown.
        bytes.try_reserve_exact(room)?;
        bytes.extend_from_slice(&memory);
        file.seek(SeekFrom::Start(count as u64))?;
    } else {
        // Failure is an error, not an abort.
        bytes.try_reserve_exact(room)?;
    }
    let left = limit.saturating_sub(bytes.len() as u64);
    file.take(left).read_to_end(&mut bytes)?;
    if bytes.len() as u64 >= limit {
        let text = "the file grows while it is read";
        return Err(io::Error::new(ErrorKind::FileTooLarge, text));
    }
    Ok(bytes.into())
}

/// Reads from the beginning on until `bytes` are full or the file ends; how many bytes were read.
fn fill(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    if bytes.len() < TWO_THREADS_MIN {
        return fill_from(file, 0, bytes);
    }
    // No huge page belongs to both.
    let middle = (bytes.len() / 2).next_multiple_of(HUGE_PAGE_LEN);
    let (front, back) = bytes.split_at_mut(middle);
    let (front, back) = both(
        || fill_from(file, 0, front),
        || fill_from(file, middle as u64, back),
    );
    let (front, back) = (front?, back?);
    // What lies behind the end was cut off, or is being written.
    Ok(if front < middle { front } else { middle + back })
}

/// Reads from `offset` on until `bytes` are full or the file ends; how many bytes were read.
fn fill_from(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = bytes.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::TestDir;

    #[test]
    fn content_is_what_can_be_read_whatever_the_length_was_said_to_be() {
        let dir = TestDir::new();
        let path = dir.path("long");
        let long = TWO_THREADS_MIN + HUGE_PAGE_LEN / 2;
        for real in [0, 1, HUGE_MIN - 1, HUGE_MIN, HUGE_MIN + 4096, long] {
            let bytes: Vec<u8> = (0..real).map(|n| (n % 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let file = File::open(&path).unwrap();
            for said in [real.saturating_sub(1), real, real + 1, real + HUGE_MIN] {
                let content = read_all(&file, said as u64).unwrap();
                assert!(*content == *bytes, "{real} bytes, said to be {said}");
            }
        }
        let file = File::open(&path).unwrap();
        for said in [0, HUGE_MIN / 4] {
            let failure = read_all(&file, said as u64).err().map(|error| error.kind());
            assert_eq!(failure, Some(ErrorKind::FileTooLarge), "said to be {said}");
        }
    }
}
