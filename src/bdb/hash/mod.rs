//! Hash files: the format behind Postfix's `hash:` tables.
//!
//! | file | job |
//! |---|---|
//! | [`function`] | hash functions, and which one a file uses |
//! | [`bucket`] | hash value to bucket, bucket to page |
//! | [`pairs`] | the key/value pairs of one page and their order |
//! | [`reader`] | the face of reading: look up, list |
//! | `look` | lookups, chains, and the checks that make answers safe |
//! | `known` | what lookups found out about a file so far |
//! | `digest` | which keys of a page can be the wanted one, in a line of memory |
//! | [`iter`] | listing |
//! | `parts` | buckets taken apart for an update |
//! | [`updater`] | put, replace and delete in place; what an interrupted update left is put right |
//! | [`builder`] | write a whole file from its entries |

pub mod bucket;
pub mod builder;
mod digest;
pub mod function;
pub mod iter;
mod known;
mod look;
pub mod pairs;
mod parts;
pub mod reader;
pub mod updater;

pub use builder::HashBuilder;
pub use reader::HashReader;
pub use updater::HashUpdater;
