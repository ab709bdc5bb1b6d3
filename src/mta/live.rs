//! Something made from a configuration and its tables, made anew when main.cf, the file of a table or
//! a file in a list has changed.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::error::{Error, Result, with_cause};
use crate::mta::settings::Settings;
use crate::rules::setup::Setup;
use crate::rules::tables::TableSet;
use crate::table::Event;
use crate::table::live::{Clock, Listener};

type Build<T> = Box<dyn Fn(&Settings, &mut Setup<'_>) -> Result<T> + Send + Sync>;

/// A `T` of which each is made from a configuration and tables of one moment: who has got one goes on
/// with it, whatever happens to the files.
pub(super) struct Live<T> {
    build: Build<T>,
    clock: Clock,
    listener: Listener,
    current: RwLock<Arc<T>>,
    /// What `current` was made from; held by who looks at the files.
    origin: Mutex<Origin>,
}

struct Origin {
    settings: Settings,
    tables: TableSet,
    /// Why main.cf does not do as it is now.
    main_cf_trouble: Trouble,
    /// Why nothing can be made with the tables and lists as they are now.
    trouble: Trouble,
}

/// What was told to be wrong.
#[derive(Default)]
struct Trouble(Option<String>);

impl<T> Live<T> {
    pub(super) fn open(
        settings: Settings,
        build: impl Fn(&Settings, &mut Setup<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Live<T>> {
        let listener = settings.reload().listener.clone();
        let mut warn = |text: Vec<u8>| listener.tell(&Event::Warning(text));
        let (built, tables) = make(&build, &settings, TableSet::default(), &mut warn)?;
        for (table, reason) in tables.unavailable() {
            listener.tell(&Event::Unavailable { table, reason });
        }
        Ok(Live {
            clock: Clock::new(settings.reload().interval),
            listener,
            build: Box::new(build),
            current: RwLock::new(Arc::new(built)),
            origin: Mutex::new(Origin {
                settings,
                tables,
                main_cf_trouble: Trouble::default(),
                trouble: Trouble::default(),
            }),
        })
    }

    /// What is made from the files as they are, or were at most an interval ago. If another thread
    /// is reading new ones, as they were before.
    pub(super) fn current(&self) -> Arc<T> {
        if self.clock.is_due()
            && let Ok(mut origin) = self.origin.try_lock()
        {
            self.renew(&mut origin);
        }
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files now.
    pub(super) fn refresh(&self) {
        let origin = self.origin.lock();
        self.renew(&mut origin.unwrap_or_else(PoisonError::into_inner));
    }

    fn renew(&self, origin: &mut Origin) {
        let tables = origin.tables.refreshed(&self.listener);
        if self.renew_settings(origin, tables.as_ref()) {
            return;
        }
        let Some(tables) = tables else { return };
        let mut warnings = Vec::new();
        let mut warn = |text: Vec<u8>| warnings.push(text);
        match make(&self.build, &origin.settings, tables, &mut warn) {
            Ok((built, tables)) => {
                origin.tables = tables;
                origin.trouble = Trouble::default();
                self.replace(built, warnings);
            }
            // Tried again next time: the tables are still the old ones.
            Err(error) => {
                let tell = |reason: String| self.listener.tell(&Event::Warning(reason.into()));
                origin.trouble.tell_once(&error, tell);
            }
        }
    }

    /// Reads main.cf again if it has changed; whether something was made from it, with `tables` or
    /// those that there are. If nothing can be, all stays as it is, and it is tried again next time.
    fn renew_settings(&self, origin: &mut Origin, tables: Option<&TableSet>) -> bool {
        let mut warnings = Vec::new();
        let mut warn = |text: Vec<u8>| warnings.push(text);
        let Some((name, read)) = origin.settings.read_again(&mut warn) else {
            return false;
        };
        let made = read.and_then(|settings| {
            if settings.config() == origin.settings.config() {
                return Ok((settings, None));
            }
            let tables = tables.unwrap_or(&origin.tables).clone();
            let made = make(&self.build, &settings, tables, &mut warn)?;
            Ok((settings, Some(made)))
        });
        match made {
            Ok((settings, made)) => {
                origin.settings = settings;
                let was_trouble = origin.main_cf_trouble.0.take().is_some();
                if made.is_some() || was_trouble {
                    self.listener.tell(&Event::Reloaded { table: name });
                }
                let Some((built, tables)) = made else {
                    return false;
                };
                for (table, reason) in tables.unavailable() {
                    let known = |(old, _): (String, String)| old == table;
                    if !origin.tables.unavailable().any(known) {
                        self.listener.tell(&Event::Unavailable { table, reason });
                    }
                }
                origin.tables = tables;
                origin.trouble = Trouble::default();
                self.replace(built, warnings);
                true
            }
            Err(error) => {
                origin.main_cf_trouble.tell_once(&error, |reason| {
                    self.listener.tell(&Event::Kept {
                        table: name,
                        reason,
                    });
                });
                false
            }
        }
    }

    fn replace(&self, built: T, warnings: Vec<Vec<u8>>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(built);
        drop(current);
        for text in warnings {
            self.listener.tell(&Event::Warning(text));
        }
    }
}

impl Trouble {
    /// Tells of an error, unless it was told last time.
    fn tell_once(&mut self, error: &Error, tell: impl FnOnce(String)) {
        let reason = with_cause(error);
        if self.0.as_ref() != Some(&reason) {
            self.0 = Some(reason.clone());
            tell(reason);
        }
    }
}

/// Makes a `T` from `settings`, with what is open in `tables` if it is needed; also returns what is
/// open then.
fn make<T>(
    build: &dyn Fn(&Settings, &mut Setup<'_>) -> Result<T>,
    settings: &Settings,
    tables: TableSet,
    warn: &mut dyn FnMut(Vec<u8>),
) -> Result<(T, TableSet)> {
    let mut setup = settings.setup(warn)?;
    setup.reuse(tables);
    let built = build(settings, &mut setup)?;
    let mut opened = setup.opened().clone();
    opened.close_unused();
    Ok((built, opened))
}
