//! Btree files: the format behind Postfix's `btree:` tables.
//!
//! | file | job |
//! |---|---|
//! | `node` | one page of the tree, checked as a whole |
//! | [`reader`] | look up |
//! | [`iter`] | list in key order |
//! | `parts` | pages taken apart for an update |
//! | [`updater`] | put, replace and delete in place |
//! | [`builder`] | write a whole file from its entries |

pub mod builder;
pub mod iter;
mod node;
mod parts;
pub mod reader;
pub mod updater;

use crate::bdb::page::PageFormat;
pub(crate) use node::LEAF_LEVEL;

pub use builder::BtreeBuilder;
pub use reader::BtreeReader;
pub use updater::BtreeUpdater;

/// The longest key or value that stays on a page, for a file whose pages must have room for
/// `min_keys` keys.
pub(crate) fn threshold(format: PageFormat, min_keys: u32) -> usize {
    let pairs = 2usize.saturating_mul(usize::try_from(min_keys).unwrap_or(usize::MAX));
    (format.room() / pairs.max(1)).saturating_sub(10)
}
