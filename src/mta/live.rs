//! Something made from a configuration and its tables, made anew when one of the tables' files has
//! changed.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::error::{Result, with_cause};
use crate::mta::settings::Settings;
use crate::rules::setup::Setup;
use crate::rules::tables::TableSet;
use crate::table::Event;
use crate::table::live::Clock;

type Build<T> = Box<dyn Fn(&mut Setup<'_>) -> Result<T> + Send + Sync>;

/// A `T` of which each is made from tables of one moment: who has got one goes on with it, whatever
/// happens to the files.
pub(super) struct Live<T> {
    settings: Settings,
    build: Build<T>,
    clock: Clock,
    current: RwLock<Arc<T>>,
    /// The tables of `current`; held by who looks at their files.
    tables: Mutex<TableSet>,
}

impl<T> Live<T> {
    pub(super) fn open(
        settings: Settings,
        build: impl Fn(&mut Setup<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Live<T>> {
        let listener = settings.reload().listener.clone();
        let mut warn = |text: Vec<u8>| listener.tell(&Event::Warning(text));
        let mut setup = settings.setup(&mut warn)?;
        let built = build(&mut setup)?;
        let tables = setup.opened().clone();
        drop(setup);
        for table in tables.tables() {
            if let Some(error) = table.open_error() {
                listener.tell(&Event::Unavailable {
                    table: table.name().to_owned(),
                    reason: with_cause(error),
                });
            }
        }
        Ok(Live {
            clock: Clock::new(settings.reload().interval),
            settings,
            build: Box::new(build),
            current: RwLock::new(Arc::new(built)),
            tables: Mutex::new(tables),
        })
    }

    /// What is made from the tables as they are, or were at most an interval ago. If another thread
    /// is reading a new one, as they were before.
    pub(super) fn current(&self) -> Arc<T> {
        if self.clock.is_due()
            && let Ok(mut tables) = self.tables.try_lock()
        {
            self.renew(&mut tables);
        }
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files now.
    pub(super) fn refresh(&self) {
        let tables = self.tables.lock();
        self.renew(&mut tables.unwrap_or_else(PoisonError::into_inner));
    }

    fn renew(&self, tables: &mut TableSet) {
        let listener = &self.settings.reload().listener;
        let Some(new) = tables.refreshed(listener) else {
            return;
        };
        let mut warn = |text: Vec<u8>| listener.tell(&Event::Warning(text));
        let built = self.settings.setup(&mut warn).and_then(|mut setup| {
            setup.use_tables(new);
            let built = (self.build)(&mut setup)?;
            Ok((built, setup.opened().clone()))
        });
        match built {
            Ok((built, opened)) => {
                *tables = opened;
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(built);
            }
            // Tried again next time: the tables are still the old ones.
            Err(error) => listener.tell(&Event::Warning(with_cause(&error).into_bytes())),
        }
    }
}
