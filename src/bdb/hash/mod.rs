//! Hash files: the format behind Postfix's `hash:` tables.
//!
//! | file | job |
//! |---|---|
//! | [`function`] | hash functions, and which one a file uses |
//! | [`bucket`] | hash value to bucket, bucket to page |
//! | [`pairs`] | the key/value pairs of one page and their order |
//! | [`reader`] | look up, list |
//! | [`updater`] | put, replace and delete in place |
//! | [`builder`] | write a whole file from its entries |

pub mod bucket;
pub mod builder;
pub mod function;
pub mod pairs;
pub mod reader;
pub mod updater;

pub use builder::HashBuilder;
pub use reader::HashReader;
pub use updater::HashUpdater;
