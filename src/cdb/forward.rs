//! Reads a file from front to back: borrowed where it is in memory, else in large pieces.

use std::borrow::Cow;

use crate::error::Result;
use crate::file::store::Session;

/// How much is read at once, in bytes.
const PIECE_LEN: u64 = 64 << 10;

/// The piece that was read last.
#[derive(Default)]
pub(super) struct Forward {
    offset: u64,
    piece: Vec<u8>,
}

impl Forward {
    /// The `len` bytes at byte `offset`, or `None` when they do not all lie inside the file.
    #[inline]
    pub(super) fn read<'a>(
        &mut self,
        session: &Session<'a>,
        offset: u64,
        len: u64,
    ) -> Result<Option<Cow<'a, [u8]>>> {
        if let Some(bytes) = self.known(offset, len) {
            return Ok(Some(Cow::Owned(bytes.to_vec())));
        }
        let Some(rest) = session.len().checked_sub(offset) else {
            return Ok(None);
        };
        let (Ok(len), Ok(piece_len)) = (
            usize::try_from(len),
            usize::try_from(rest.min(len.max(PIECE_LEN))),
        ) else {
            return Ok(None);
        };
        Ok(match session.read(offset, piece_len)? {
            Some(Cow::Borrowed(bytes)) => bytes.get(..len).map(Cow::Borrowed),
            Some(Cow::Owned(bytes)) => {
                (self.offset, self.piece) = (offset, bytes);
                self.piece.get(..len).map(|bytes| bytes.to_vec().into())
            }
            None => None,
        })
    }

    /// Bytes of the piece.
    fn known(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.piece
            .get(start..end)
            .filter(|_| !self.piece.is_empty())
    }
}
