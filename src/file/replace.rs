//! Replaces a table so that readers see the old one or the new one, never half of one.
//!
//! ```text
//! Target::lock    wait for the exclusive lock of the table the name stands for now
//! Target::start   hold signals; make and lock a hidden file beside it, give it owner and mode
//! write_at ...    a signal, an error or a drop removes that file again; the old table is untouched
//! commit          fsync, rename over the table, fsync the directory, release the locks
//! ```
//!
//! The original rewrites `hash:` and `btree:` tables in place under the same lock, so both kinds
//! of program wait for each other. Its daemons notice a renamed-over table by its link count.
//!
//! Where a new file cannot take the place of the old one, the new content is collected in memory
//! and the old file rewritten at the end, still under its lock: see [`InPlaceReason`]. Files that
//! programs map into memory are never overwritten so: see [`Protocol`].
//!
//! | file | what |
//! |------|------|
//! | `target` | the old table: found, locked, asked |
//! | `start` | the new file beside it, with its owner and mode |
//! | `replacement` | the new table while it is written, and how it gets the name |
//! | `overwrite` | the old file overwritten, when there is no other way |
//! | `reason` | why there is no other way |

mod overwrite;
mod reason;
mod replacement;
mod start;
mod target;

pub use self::reason::InPlaceReason;
pub use self::replacement::Replacement;
pub use self::target::{Protocol, Target};

pub(super) use self::overwrite::sync_directory;
pub(super) use self::replacement::check;
pub(crate) use self::start::NotStarted;
pub(super) use self::start::is_refused;

#[cfg(test)]
mod tests;
