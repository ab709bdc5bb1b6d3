//! Parameters as what they mean: yes or no, a number, a host.

use super::{Config, config_error};
use crate::error::Result;
use crate::find::find;
use crate::source::trim;

impl Config {
    /// Sets `name` as a line of main.cf would: blanks around the value do not count.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = trim(value.as_bytes()).to_vec();
        self.values.insert(name.into(), value);
    }

    /// Says which host this is: the defaults of `myhostname` and `mydomain`, which follow
    /// `host_name` unless main.cf sets them. Without this call the host is `localhost`.
    ///
    /// `mydomain` is `myhostname` without its first label, or `localdomain` if that is a single
    /// one, which is then completed.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when `myhostname` or `mydomain` cannot be
    /// expanded.
    pub fn set_host_name(&mut self, host_name: &str, warn: &mut dyn FnMut(Vec<u8>)) -> Result<()> {
        const LONE_DOMAIN: &str = "localdomain";
        let default = if host_name.contains('.') {
            host_name.to_owned()
        } else if self.is_set("mydomain") {
            format!("{host_name}.$mydomain")
        } else {
            format!("{host_name}.{LONE_DOMAIN}")
        };
        self.set_default("myhostname", &default);
        if !self.is_set("mydomain") {
            let name = self.text("myhostname", warn)?;
            let dot = find(b'.', &name).and_then(|dot| name.get(dot + 1..));
            let domain = dot.unwrap_or(LONE_DOMAIN.as_bytes()).to_vec();
            self.defaults.insert(b"mydomain".to_vec(), domain);
        }
        Ok(())
    }

    /// A parameter that is yes or no; `no` when it is neither set nor has a default.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for anything else.
    pub fn boolean(&self, name: &str, warn: &mut dyn FnMut(Vec<u8>)) -> Result<bool> {
        let text = self.text(name, warn)?;
        if text.eq_ignore_ascii_case(b"yes") {
            Ok(true)
        } else if text.is_empty() && self.raw(name.as_bytes()).is_none()
            || text.eq_ignore_ascii_case(b"no")
        {
            Ok(false)
        } else {
            let what = format!("bad boolean configuration: {name} = ");
            Err(config_error(&[what.as_bytes(), &text].concat(), None))
        }
    }

    /// A parameter that is a number, not negative; 0 when it is neither set nor has a default.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for anything else.
    pub fn number(&self, name: &str, warn: &mut dyn FnMut(Vec<u8>)) -> Result<usize> {
        let text = self.text(name, warn)?;
        if self.raw(name.as_bytes()).is_none() {
            return Ok(0);
        }
        let digits = std::str::from_utf8(&text).ok();
        digits
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| {
                let what = format!("bad numerical configuration: {name} = ");
                config_error(&[what.as_bytes(), &text].concat(), None)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(config: &Config, name: &str) -> String {
        String::from_utf8(config.text(name, &mut |_| {}).unwrap()).unwrap()
    }

    #[test]
    fn defaults_expand_to_what_main_cf_sets() {
        let mut config = Config::default();
        config.set("myhostname", "mail.corp.example");
        config.set_host_name("ignored", &mut |_| {}).unwrap();
        assert_eq!(text(&config, "mydomain"), "corp.example");
        assert_eq!(
            text(&config, "mydestination"),
            "mail.corp.example, localhost.corp.example, localhost"
        );
        config.set("virtual_alias_maps", "hash:/v");
        assert_eq!(text(&config, "virtual_alias_domains"), "hash:/v");
        config.set("virtual_alias_domains", "");
        assert_eq!(text(&config, "virtual_alias_domains"), "");
    }

    #[test]
    fn the_host_name_is_completed() {
        for (host_name, my_domain, expect) in [
            (
                "mail.corp.example",
                None,
                ["mail.corp.example", "corp.example"],
            ),
            ("mail", None, ["mail.localdomain", "localdomain"]),
            ("mail", Some("x.example"), ["mail.x.example", "x.example"]),
        ] {
            let mut config = Config::default();
            if let Some(domain) = my_domain {
                config.set("mydomain", domain);
            }
            config.set_host_name(host_name, &mut |_| {}).unwrap();
            let found = ["myhostname", "mydomain"].map(|name| text(&config, name));
            assert_eq!(found, expect, "{host_name}");
        }
    }

    #[test]
    fn values_are_checked() {
        let mut config = Config::default();
        for (value, yes, number) in [
            ("yes", Some(true), None),
            ("NO", Some(false), None),
            ("1", None, Some(1)),
            ("", None, None),
            ("-1", None, None),
        ] {
            config.set("x", value);
            assert_eq!(config.boolean("x", &mut |_| {}).ok(), yes, "{value}");
            assert_eq!(config.number("x", &mut |_| {}).ok(), number, "{value}");
        }
        assert!(!config.boolean("unknown", &mut |_| {}).unwrap());
        assert!(config.boolean("swap_bangpath", &mut |_| {}).unwrap());
        let limit = config.number("virtual_alias_recursion_limit", &mut |_| {});
        assert_eq!(limit.unwrap(), 1000);
    }
}
