//! POSIX regular expressions, basic and extended, as glibc understands them in the C locale.
//!
//! | file | job |
//! |---|---|
//! | `parse` | text to tree, with the error texts of regerror(3) |
//! | `bracket` | `[...]` |
//! | `ast` | the tree, and sets of bytes |
//! | `hir` | tree to what `regex_automata` makes automata of |

pub(crate) mod ast;
mod bracket;
mod hir;
pub(crate) mod parse;

pub use parse::{Flags, Parsed, PatternError, parse};

#[cfg(test)]
mod tests;
