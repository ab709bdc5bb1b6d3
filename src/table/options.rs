//! How tables are opened for reading.

use std::fmt;
use std::sync::Arc;

use crate::file::store::StoreMode;
use crate::key::{Fold, NulPolicy};

/// How a table is opened for reading. The default is what Postfix does with
/// `smtputf8_enable = yes`.
#[derive(Clone, Debug)]
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
    /// Who hears what tables of type `debug` tell.
    pub log: Log,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            fold: Fold::Unicode,
            nul: NulPolicy::Auto,
            utf8: true,
            store: StoreMode::AUTO,
            log: Log::default(),
        }
    }
}

/// Hears what tables of type `debug` tell, from whatever thread. By default nobody does.
#[derive(Clone, Default)]
pub struct Log(Option<Arc<Hear>>);

type Hear = dyn Fn(&[u8]) + Send + Sync;

impl Log {
    /// Gives each line, without its end, to `hear`.
    pub fn new(hear: impl Fn(&[u8]) + Send + Sync + 'static) -> Log {
        Log(Some(Arc::new(hear)))
    }

    pub(crate) fn line(&self, line: &[u8]) {
        if let Some(hear) = &self.0 {
            hear(line);
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.0.is_some() { "heard" } else { "unheard" };
        f.debug_tuple("Log").field(&state).finish()
    }
}
