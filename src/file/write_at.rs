//! Where a file in the making is written to.

use crate::error::Result;

/// Takes the bytes of a new file, piece by piece, in any order.
pub trait WriteAt {
    /// Writes all of `bytes` at byte `offset` of the file.
    ///
    /// # Errors
    ///
    /// Whatever keeps the bytes from being written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// As [`write_at`](WriteAt::write_at), but may keep the buffer, and leave another one with any
    /// bytes in it: for what would have to copy them.
    ///
    /// # Errors
    ///
    /// As [`write_at`](WriteAt::write_at).
    fn write_buffer(&mut self, offset: u64, buffer: &mut Vec<u8>) -> Result<()> {
        self.write_at(offset, buffer)
    }
}

/// A file that is updated in place, in an order that matters.
pub trait UpdateAt: WriteAt {
    /// Sets the length of the file in bytes; what is new reads as zeros.
    ///
    /// # Errors
    ///
    /// Whatever keeps the length from being set.
    fn set_file_len(&mut self, len: u64) -> Result<()>;

    /// Returns when everything written so far would survive a crash of the machine.
    ///
    /// # Errors
    ///
    /// Whatever keeps the bytes from being safe.
    fn sync(&mut self) -> Result<()>;
}

/// A file in memory. Bytes that were skipped are zero.
impl WriteAt for Vec<u8> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let start = usize::try_from(offset).expect("offsets in memory fit in memory");
        if self.len() < start + bytes.len() {
            self.resize(start + bytes.len(), 0);
        }
        let place = self
            .get_mut(start..start + bytes.len())
            .expect("resized just now");
        place.copy_from_slice(bytes);
        Ok(())
    }
}

impl UpdateAt for Vec<u8> {
    fn set_file_len(&mut self, len: u64) -> Result<()> {
        self.resize(
            usize::try_from(len).expect("lengths in memory fit in memory"),
            0,
        );
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}
