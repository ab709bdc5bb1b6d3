//! How tables are opened for reading.

use crate::file::store::StoreMode;
use crate::key::{Fold, NulPolicy};

/// How a table is opened for reading. The default is what Postfix does with
/// `smtputf8_enable = yes`.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// How keys are folded before they are looked up.
    pub fold: Fold,
    /// Which forms of a key are looked for.
    pub nul: NulPolicy,
    /// Whether keys and values must be UTF-8. A key that is not is not found; a value that is not
    /// is an error.
    pub utf8: bool,
    /// How the bytes of the file are held.
    pub store: StoreMode,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            fold: Fold::Unicode,
            nul: NulPolicy::Auto,
            utf8: true,
            store: StoreMode::AUTO,
        }
    }
}
