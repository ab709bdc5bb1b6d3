//! What routers and credentials are made from.

use std::fs;
use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::gethostname;

use crate::config::Config;
use crate::error::{Error, Result, masked};
use crate::mta::own_addresses::own_addresses;
use crate::mta::{Router, SaslPasswords};
use crate::rules::nexthop::{Agent, Nexthops, Services};
use crate::rules::setup::Setup;
use crate::table::watch::Watched;
use crate::table::{Event, Listener, Reload, Table};

/// The file with the names of services that main.cf does not know.
const SERVICES: &str = "/etc/services";

/// A configuration, to be read from main.cf, written in the program, or both.
///
/// ```
/// use rpostmap::mta::Settings;
///
/// let router = Settings::default()
///     .set("myhostname", "mail.corp.example")
///     .set("relayhost", "[gw.example.net]:587")
///     .set("transport_maps", "inline:{ example.org=smtp:[mx.example.org] }")
///     .router()?;
/// let route = router.route("ann@corp.example", "bob@example.org").expect("a route");
/// assert_eq!(route.nexthop, b"[mx.example.org]");
/// let route = router.route("ann@corp.example", "bob@example.com").expect("a route");
/// assert_eq!(route.nexthop, b"[gw.example.net]:587");
/// # Ok::<(), rpostmap::Error>(())
/// ```
///
/// A table of one's own gets a name, which then may stand in any parameter:
///
/// ```
/// use std::borrow::Cow;
/// use rpostmap::mta::Settings;
/// use rpostmap::table::{Listing, Table};
/// use rpostmap::{Error, Result};
///
/// struct Customers;
///
/// impl Table for Customers {
///     // Keys come in any case.
///     fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
///         let known = key.eq_ignore_ascii_case(b"example.org");
///         Ok(known.then_some(Cow::Borrowed(b"smtp:[10.0.0.7]".as_slice())))
///     }
///     fn iter(&self) -> Result<Listing<'_>> {
///         Ok(Box::new(std::iter::empty()))
///     }
///     fn title(&self) -> String {
///         "customers".to_owned()
///     }
/// }
///
/// let router = Settings::default()
///     .table("my:customers", Customers)
///     .set("transport_maps", "my:customers, static:smtp:[gw.example.net]")
///     .router()?;
/// # let route = router.route("", "a@example.org").expect("a route");
/// # assert_eq!(route.nexthop, b"[gw.example.net]");
/// # Ok::<(), rpostmap::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Settings {
    config: Config,
    main_cf: Option<MainCf>,
    /// What was set besides, in order.
    set: Vec<(String, String)>,
    tables: Vec<(String, Arc<dyn Table>)>,
    own_addresses: Vec<IpAddr>,
    services: Vec<u8>,
    reload: Reload,
}

/// The main.cf that was read.
#[derive(Clone)]
struct MainCf {
    /// As it was named: the file, or the directory it is in.
    path: PathBuf,
    file: PathBuf,
    watched: Watched,
}

impl Settings {
    /// These parameters. Nothing is asked of the system.
    pub fn new(config: Config) -> Settings {
        Settings {
            config,
            ..Settings::default()
        }
    }

    /// Reads main.cf: the file `path`, or the file of that name in the directory `path`.
    ///
    /// What main.cf leaves to the machine is asked of it: its name, its addresses, the ports of its
    /// services. Routers and credentials follow main.cf when it changes, as they follow tables; if
    /// nothing can be made from the new one they go on with the old one.
    ///
    /// # Errors
    ///
    /// `Io` when it cannot be read, `Config` when it cannot be understood.
    pub fn from_main_cf(path: impl AsRef<Path>) -> Result<Settings> {
        Settings::from_main_cf_with(path, Listener::default())
    }

    /// As [`Settings::from_main_cf`]; `listener` hears what is odd about main.cf, and later what
    /// [`Settings::listener`] says.
    ///
    /// # Errors
    ///
    /// As [`Settings::from_main_cf`].
    pub fn from_main_cf_with(path: impl AsRef<Path>, listener: Listener) -> Result<Settings> {
        let mut warn = |text: Vec<u8>| listener.tell(&Event::Warning(text));
        let (main_cf, config) = MainCf::read(path.as_ref(), &mut warn)?;
        Ok(Settings {
            config,
            main_cf: Some(main_cf),
            own_addresses: own_addresses(),
            services: fs::read(SERVICES).unwrap_or_default(),
            reload: Reload {
                listener,
                ..Reload::default()
            },
            ..Settings::default()
        })
    }

    /// The same settings with what main.cf says now, and its path as events name it; `None` while it
    /// has not changed, and if there is none.
    pub(super) fn read_again(
        &self,
        warn: &mut dyn FnMut(Vec<u8>),
    ) -> Option<(String, Result<Settings>)> {
        let main_cf = self.main_cf.as_ref()?;
        if !main_cf.may_have_changed() {
            return None;
        }
        let read = MainCf::read(&main_cf.path, warn).map(|(main_cf, mut config)| {
            for (name, value) in &self.set {
                config.set(name, value);
            }
            Settings {
                config,
                main_cf: Some(main_cf),
                ..self.clone()
            }
        });
        Some((masked(&main_cf.file), read))
    }

    /// Sets a parameter as a line of main.cf would.
    pub fn set(mut self, name: &str, value: &str) -> Settings {
        self.config.set(name, value);
        self.set.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says that `spec`, which has the form `type:name` with a type of one's own, is this table in
    /// each parameter that names it. It is asked with keys in any case, and must itself tell when
    /// what it knows changes.
    pub fn table(mut self, spec: &str, table: impl Table + 'static) -> Settings {
        self.tables.push((spec.to_owned(), Arc::new(table)));
        self
    }

    /// The addresses that `inet_interfaces = all` stands for: `user@[192.0.2.1]` is local mail if
    /// `192.0.2.1` is among them.
    pub fn own_addresses(mut self, addresses: Vec<IpAddr>) -> Settings {
        self.own_addresses = addresses;
        self
    }

    /// How long a file is trusted to be what it was; a second unless set.
    /// [`Duration::MAX`]: for ever, unless asked to look.
    pub fn reload_interval(mut self, interval: Duration) -> Settings {
        self.reload.interval = interval;
        self
    }

    /// Who hears which tables were reloaded or could not be, and what is odd about parameters.
    pub fn listener(mut self, listener: Listener) -> Settings {
        self.reload.listener = listener;
        self
    }

    /// Opens the tables that decide about routes.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood. A table that cannot be opened is no error
    /// yet: lookups that need it fail, until it can be.
    pub fn router(self) -> Result<Router> {
        Router::open(self)
    }

    /// Opens the tables with credentials of the SMTP client.
    ///
    /// # Errors
    ///
    /// As [`Settings::router`].
    pub fn sasl_passwords(self) -> Result<SaslPasswords> {
        SaslPasswords::open(Agent::Smtp, self)
    }

    /// Opens the tables with credentials of `agent`.
    ///
    /// # Errors
    ///
    /// As [`Settings::router`].
    pub fn sasl_passwords_of(self, agent: Agent) -> Result<SaslPasswords> {
        SaslPasswords::open(agent, self)
    }

    /// What reads parameters and opens tables; `warn` hears what is odd about them.
    pub(super) fn setup<'s>(&'s self, warn: &'s mut dyn FnMut(Vec<u8>)) -> Result<Setup<'s>> {
        let mut setup = Setup::new(&self.config, warn)?;
        setup.set_own_addresses(self.own_addresses.clone());
        for (spec, table) in &self.tables {
            setup.give(spec, Arc::clone(table));
        }
        Ok(setup)
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn reload(&self) -> &Reload {
        &self.reload
    }

    /// What reads nexthops, with the services that main.cf and the system know.
    pub(super) fn nexthops(&self, agent: Agent) -> Result<Nexthops> {
        let mut services = Services::from_config(&self.config, &mut |_| {})?;
        services.add_system(&self.services);
        Nexthops::from_config(agent, services, &self.config, &mut |_| {})
    }
}

impl MainCf {
    /// Reads it, and asks the system for the name of this machine.
    fn read(path: &Path, warn: &mut dyn FnMut(Vec<u8>)) -> Result<(MainCf, Config)> {
        let is_dir = path.is_dir();
        let file = match is_dir {
            true => path.join("main.cf"),
            false => path.to_owned(),
        };
        // What is looked at before it is read cannot be newer than what is read.
        let main_cf = MainCf {
            path: path.to_owned(),
            watched: Watched::of(vec![file.clone()]),
            file,
        };
        let mut config = if is_dir {
            Config::load(path, warn)?
        } else {
            let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
            let mut config = Config::from_reader(path, file, warn)?;
            if let Some(dir) = path.parent()
                && !config.is_set("config_directory")
            {
                config.set_default("config_directory", &dir.to_string_lossy());
            }
            config
        };
        let host_name = gethostname().unwrap_or_default();
        config.set_host_name(&host_name.to_string_lossy(), warn)?;
        Ok((main_cf, config))
    }

    fn may_have_changed(&self) -> bool {
        let now = Watched::of(vec![self.file.clone()]);
        !now.is_as(&self.watched) || self.watched.is_recent()
    }
}
