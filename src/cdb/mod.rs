//! cdb files (D. J. Bernstein's "constant database"), read and written without any library.
//!
//! This folder knows the file format and nothing else: no Postfix, no locks, no configuration.
//! Keys and values are bytes. The layout, with every offset, is described in `docs/format-cdb.md`.
//!
//! | file | job |
//! |---|---|
//! | [`layout`] | offsets, the hash function, the header |
//! | `forward` | reads from front to back, in large pieces where the file is not in memory |
//! | `reader` | looks a key up |
//! | [`iter`](mod@iter) | lists all records |
//! | `builder` | writes a whole file |
//! | [`verify`] | walks everything once, lists every defect |
//! | [`salvage`] | every plausible record of a damaged file |
//!
//! A file is made once and never changed, so there is no updater: it is replaced as a whole. It
//! cannot have 4 GiB or more. Nothing in it is trusted: each offset and length is checked against
//! the length of the file before it is used, and no lookup takes more steps than a table has slots.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]

pub(crate) mod builder;
mod forward;
pub mod iter;
pub mod layout;
mod reader;
pub mod salvage;
pub mod verify;

#[cfg(test)]
mod tests;

pub use builder::CdbBuilder;
pub use iter::Iter;
pub use reader::CdbReader;
