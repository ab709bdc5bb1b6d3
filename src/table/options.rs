//! How tables are opened for reading.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use crate::entries::OnDuplicate;
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
    /// What tables of type `environ` know beside the environment of the process.
    pub environment: Environment,
    /// Which of two entries with one key counts, in a table that is read as text.
    pub on_duplicate: OnDuplicate,
    /// Whether values in a table that is read as text, or from its name, are names of files
    /// (`-F`). Its answers are what the files hold, as base64, as the values of a table in a
    /// database file are that was made with `-F`: see [`crate::source::file_value::decode`].
    pub file_values: bool,
    /// Whether a result in a table of patterns may hold parts of the key (`$1`). Where not, a rule
    /// that asks for it is left out with a warning, as in `transport_maps`: mail must not go where
    /// its recipient says.
    pub substitution: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            fold: Fold::Unicode,
            nul: NulPolicy::Auto,
            utf8: true,
            store: StoreMode::AUTO,
            log: Log::default(),
            environment: Environment::default(),
            on_duplicate: OnDuplicate::KeepFirst,
            file_values: false,
            substitution: true,
        }
    }
}

/// Variables that go before those of the process's environment. By default there are none.
#[derive(Clone, Debug, Default)]
pub struct Environment(Arc<[(Vec<u8>, Vec<u8>)]>);

impl Environment {
    /// Variables by name; of several with one name the last counts.
    pub fn new(variables: Vec<(Vec<u8>, Vec<u8>)>) -> Environment {
        Environment(variables.into())
    }

    /// The value of a variable, here or in the process's environment.
    pub(crate) fn value(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut variables = self.0.iter().rev();
        match variables.find(|(known, _)| known == name) {
            Some((_, value)) => Some(value.clone()),
            None => std::env::var_os(OsStr::from_bytes(name)).map(OsStringExt::into_vec),
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
