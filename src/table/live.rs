//! Tables that follow their files: when a file has changed it is opened again, and if that cannot
//! be done the old content goes on answering.
//!
//! Postfix's programs look whether a table was changed, and start anew if so. A server that runs on
//! needs this instead.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, with_cause};
use crate::table::notice::Notice;
use crate::table::open::open_with;
use crate::table::options::OpenOptions;
use crate::table::spec::TableSpec;
use crate::table::traits::{KeyValue, Listing, Table};
use crate::table::watch::Watched;

/// What a table, or whatever else follows its files, has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A file has changed, and from now on the new content answers.
    Reloaded {
        /// `type:name` of the table; the path of a main.cf or of a file in a list.
        table: String,
    },
    /// A file has changed, but the new one is damaged or cannot be opened: the old content goes on
    /// answering. Told once for each new reason.
    Kept {
        /// `type:name` of the table; the path of a main.cf or of a file in a list.
        table: String,
        /// Why the new content does not do.
        reason: String,
    },
    /// A table cannot be opened and never could: each lookup fails, as a temporary failure. Told
    /// once for each new reason.
    Unavailable {
        /// `type:name` of the table; the path of a file in a list.
        table: String,
        /// Why.
        reason: String,
    },
    /// Something odd about the configuration, or about the text of a table. May quote either, which
    /// can be any bytes.
    Warning(Vec<u8>),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Reloaded { table } => write!(f, "{table}: reloaded"),
            Event::Kept { table, reason } => {
                write!(f, "{table}: still using the old content: {reason}")
            }
            Event::Unavailable { table, reason } => write!(f, "{table} is unavailable: {reason}"),
            Event::Warning(text) => f.write_str(&String::from_utf8_lossy(text)),
        }
    }
}

/// Hears of events, from whatever thread. By default nobody does.
#[derive(Clone, Default)]
pub struct Listener(Option<Arc<Hear>>);

type Hear = dyn Fn(&Event) + Send + Sync;

impl Listener {
    /// Gives each event to `hear`, which should not take long: a lookup waits for it.
    pub fn new(hear: impl Fn(&Event) + Send + Sync + 'static) -> Listener {
        Listener(Some(Arc::new(hear)))
    }

    pub(crate) fn tell(&self, event: &Event) {
        if let Some(hear) = &self.0 {
            hear(event);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.0.is_some() { "heard" } else { "unheard" };
        f.debug_tuple("Listener").field(&state).finish()
    }
}

/// How tables follow their files.
#[derive(Clone, Debug)]
pub struct Reload {
    /// How long a file is trusted to be what it was: there is at most one `stat` for each file in
    /// this time.
    pub interval: Duration,
    /// Who hears of events.
    pub listener: Listener,
}

impl Default for Reload {
    /// Each second, unheard.
    fn default() -> Reload {
        Reload {
            interval: Duration::from_secs(1),
            listener: Listener::default(),
        }
    }
}

/// When files are to be looked at again.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    interval: Duration,
    /// In nanoseconds since `start`.
    due: AtomicU64,
}

impl Clock {
    pub(crate) fn new(interval: Duration) -> Clock {
        Clock {
            start: Instant::now(),
            interval,
            due: AtomicU64::new(nanoseconds(interval)),
        }
    }

    /// Whether it is time. Of several threads that ask at once one is told so, and the clock is set
    /// for the next time.
    pub(crate) fn is_due(&self) -> bool {
        let now = nanoseconds(self.start.elapsed());
        let due = self.due.load(Ordering::Relaxed);
        let next = now.saturating_add(nanoseconds(self.interval));
        now >= due
            && self
                .due
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A table as it was opened, and the state of its files at that time.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) table: Result<Arc<dyn Table>, Arc<Error>>,
    watched: Watched,
    /// Why the files, as they are, do not do.
    trouble: Option<Trouble>,
}

#[derive(Clone, PartialEq, Eq)]
struct Trouble {
    reason: String,
    /// Whether it may go away while the files stay what they are.
    may_pass: bool,
}

/// Opens a table.
pub(crate) type Open<'o> = &'o mut dyn FnMut() -> Result<Box<dyn Table>>;

impl Snapshot {
    /// The table that `open` opens, which is `spec`.
    pub(crate) fn take(spec: &TableSpec, open: Open<'_>) -> Snapshot {
        let watched = Watched::now(spec);
        match open() {
            Ok(table) => Snapshot {
                table: Ok(table.into()),
                watched,
                trouble: None,
            },
            Err(error) => Snapshot {
                trouble: Some(Trouble::of(&error)),
                table: Err(Arc::new(error)),
                watched,
            },
        }
    }

    /// A table that has no files to follow.
    pub(crate) fn fixed(table: Arc<dyn Table>) -> Snapshot {
        Snapshot {
            table: Ok(table),
            watched: Watched::default(),
            trouble: None,
        }
    }

    /// What is there now, if that is not the same; `name` is how events call the table. Content that
    /// does not do leaves the old in place, under the new state of the files.
    pub(crate) fn renewed(
        &self,
        name: &str,
        spec: &TableSpec,
        open: Open<'_>,
        listener: &Listener,
    ) -> Option<Snapshot> {
        if self.watched.is_empty() {
            return None;
        }
        let watched = Watched::now(spec);
        let is_same = watched.is_as(&self.watched);
        let may_pass = self
            .trouble
            .as_ref()
            .is_some_and(|trouble| trouble.may_pass);
        if is_same && !self.watched.is_recent() && !may_pass {
            return None;
        }
        let opened = open().and_then(|table| {
            check(table.as_ref())?;
            Ok(table)
        });
        let table = name.to_owned();
        let error = match opened {
            Ok(new) => {
                if !is_same || self.trouble.is_some() {
                    listener.tell(&Event::Reloaded { table });
                }
                return Some(Snapshot {
                    table: Ok(new.into()),
                    watched,
                    trouble: None,
                });
            }
            Err(error) => error,
        };
        let trouble = Trouble::of(&error);
        if self.trouble.as_ref() != Some(&trouble) {
            let reason = trouble.reason.clone();
            listener.tell(&match self.table {
                Ok(_) => Event::Kept { table, reason },
                Err(_) => Event::Unavailable { table, reason },
            });
        }
        Some(Snapshot {
            table: match &self.table {
                Ok(old) => Ok(Arc::clone(old)),
                Err(_) => Err(Arc::new(error)),
            },
            watched,
            trouble: Some(trouble),
        })
    }
}

impl Trouble {
    fn of(error: &Error) -> Trouble {
        Trouble {
            reason: with_cause(error),
            may_pass: matches!(error.kind(), ErrorKind::Io { .. }),
        }
    }
}

/// Reads all of a table in a file: opening one only shows that its first page is sound.
fn check(table: &dyn Table) -> Result<()> {
    match table.iter() {
        Ok(mut entries) => entries.try_for_each(|entry| entry.map(drop)),
        // Rules: these were read when the table was opened.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A table that follows its files.
///
/// At most once in an interval a lookup looks at the files of the table: at the time of change,
/// the inode, the number of links and the length. If one has changed, that lookup opens the table
/// anew and reads it through, while lookups of other threads go on with the old content; then the
/// new content takes its place at once. If it is damaged or cannot be opened, the old one stays, and
/// the [`Listener`] hears why. Files named in `unionmap:`, `pipemap:` and `debug:` count as well; if
/// one of them has changed the whole table is opened anew. Tables of rules and of text are followed
/// like those in database files; `inline:`, `static:` and others without a file never change.
///
/// Several lookups that belong together can see the old content first and then the new; a
/// [`Router`](crate::mta::Router) does not let that happen.
///
/// ```
/// use std::ffi::OsStr;
/// use rpostmap::table::{LiveTable, OpenOptions, Reload, Table, TableSpec};
///
/// # let path = std::env::temp_dir().join(format!("rpostmap-live-{}", std::process::id()));
/// # std::fs::write(&path, "example.com smtp:[mx.example.net]\n").expect("written");
/// # let name = format!("texthash:{}", path.display());
/// let spec = TableSpec::parse(OsStr::new(&name), "hash");
/// let table = LiveTable::open(spec, OpenOptions::default(), Reload::default())?;
/// assert!(table.lookup(b"example.com")?.is_some());
/// # std::fs::remove_file(&path).expect("removed");
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct LiveTable {
    spec: TableSpec,
    name: String,
    options: OpenOptions,
    listener: Listener,
    clock: Clock,
    current: RwLock<Arc<Snapshot>>,
    /// Held by who opens the table anew.
    renewing: Mutex<()>,
}

impl LiveTable {
    /// Opens the table `spec`.
    ///
    /// # Errors
    ///
    /// As [`open`](crate::table::open()): there must be something to begin with.
    pub fn open(spec: TableSpec, options: OpenOptions, reload: Reload) -> Result<LiveTable> {
        let listener = reload.listener;
        let clock = Clock::new(reload.interval);
        let watched = Watched::now(&spec);
        let table = open_telling(&spec, &options, &listener)?;
        Ok(LiveTable {
            name: spec.to_string(),
            spec,
            options,
            listener,
            clock,
            current: RwLock::new(Arc::new(Snapshot {
                table: Ok(table.into()),
                watched,
                trouble: None,
            })),
            renewing: Mutex::new(()),
        })
    }

    /// Looks at the files now, whatever the interval, and opens the table anew if one has changed.
    /// Waits for a thread that does so already.
    pub fn refresh(&self) {
        let guard = self.renewing.lock();
        self.renew();
        drop(guard);
    }

    /// Whoever calls this holds `renewing`.
    fn renew(&self) {
        let old = self.current();
        let mut open = || open_telling(&self.spec, &self.options, &self.listener);
        if let Some(new) = old.renewed(&self.name, &self.spec, &mut open, &self.listener) {
            // Nothing panics while it holds the lock.
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        }
    }

    fn current(&self) -> Arc<Snapshot> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    fn table(&self) -> Result<Arc<dyn Table>> {
        match &self.current().table {
            Ok(table) => Ok(Arc::clone(table)),
            Err(error) => {
                let reason = with_cause(error);
                Err(Error::new(ErrorKind::Lookup { reason }))
            }
        }
    }
}

fn open_telling(
    spec: &TableSpec,
    options: &OpenOptions,
    listener: &Listener,
) -> Result<Box<dyn Table>> {
    let mut notify = |notice: Notice| listener.tell(&Event::Warning(notice.message()));
    open_with(spec, options, &mut notify)
}

impl Table for LiveTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        // A thread that is late finds another at work and goes on with what there is.
        if self.clock.is_due()
            && let Ok(guard) = self.renewing.try_lock()
        {
            self.renew();
            drop(guard);
        }
        let table = self.table()?;
        let value = table.lookup(key)?;
        Ok(value.map(|value| Cow::Owned(value.into_owned())))
    }

    fn is_settled(&self) -> bool {
        self.table().is_ok_and(|table| table.is_settled())
    }

    fn is_pattern(&self) -> bool {
        self.table().is_ok_and(|table| table.is_pattern())
    }

    /// The entries as they are now, copied.
    fn iter(&self) -> Result<Listing<'_>> {
        let table = self.table()?;
        let owned = |(key, value): KeyValue<'_>| -> KeyValue<'static> {
            (Cow::Owned(key.into_owned()), Cow::Owned(value.into_owned()))
        };
        let entries: Vec<_> = table.iter()?.map(|entry| entry.map(owned)).collect();
        Ok(Box::new(entries.into_iter()))
    }

    fn title(&self) -> String {
        self.table()
            .map_or_else(|_| self.name.clone(), |table| table.title())
    }
}

#[cfg(test)]
mod tests;
