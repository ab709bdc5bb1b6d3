//! `-h`, `-b` and `-m` with `-q -`: looks up the headers and lines of a message.

use std::io;

use crate::cli::output::Output;
use crate::cli::postmap::{Stop, Work};
use crate::cli::report::failure;
use crate::config::Config;
use crate::error::Error;
use crate::source::message::{MessageLimits, MessagePieces, PieceKind};

/// Which pieces of a message are looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces {
    pub(super) headers: bool,
    pub(super) body: bool,
    /// Whether parts and messages inside the message have headers.
    pub(super) mime: bool,
}

impl Pieces {
    pub(super) fn is_any(self) -> bool {
        self.headers || self.body
    }

    fn has(self, kind: PieceKind) -> bool {
        match kind {
            PieceKind::Header => self.headers,
            PieceKind::Body | PieceKind::MissingSeparator => self.body,
        }
    }
}

impl Work<'_> {
    pub(super) fn query_message(
        &self,
        input: impl io::Read,
        limits: MessageLimits,
        output: &mut Output,
    ) -> Result<bool, Stop> {
        let wanted = self.request.pieces;
        let mut pieces = MessagePieces::new("standard input", input, wanted.mime, limits);
        let tables = self.tables();
        let mut found = false;
        while let Some(piece) = pieces.next_piece().map_err(|error| failure(&error))? {
            if !wanted.has(piece.kind) {
                if !wanted.body && !wanted.mime {
                    // No headers follow.
                    break;
                }
                continue;
            }
            if let Some((table, value)) = self.first_answer(&tables, piece.text, None)? {
                self.print_answer(output, table, piece.text, &value)?;
                found = true;
            }
        }
        Ok(found)
    }
}

/// How much of a message is looked at.
pub(super) fn message_limits(
    config: &Config,
    warn: &mut dyn FnMut(Vec<u8>),
) -> Result<MessageLimits, Error> {
    let len = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(MessageLimits {
        header_len: len(config.header_size_limit(warn)?),
        nesting: len(config.mime_nesting_limit(warn)?),
        boundary_len: len(config.mime_boundary_length_limit(warn)?),
    })
}
