//! Tables that are looked up with one key as it is, or with one name and its parents.
//!
//! | parameter | key |
//! |---|---|
//! | `mailbox_transport_maps`, `fallback_transport_maps`, `mailbox_command_maps` | the user without extension |
//! | `smtp_discard_ehlo_keyword_address_maps`, `smtpd_discard_ehlo_keyword_address_maps`, `smtp_pix_workaround_maps`, `smtpd_milter_maps`, ... | the address of the other side |
//! | `rbl_reply_maps` | the name of the DNS list as configured |
//! | `relay_clientcerts` | a fingerprint |
//! | `tls_server_sni_maps` | the name the client asks for, then its parents with a leading dot |
//! | `header_checks`, `body_checks`, `smtp_header_checks`, `*_delivery_status_filter`, `*_dns_reply_filter`, ... | a line of text |
//!
//! All of them are for all tables.

use std::borrow::Cow;

use crate::error::Result;
use crate::rules::setup::Setup;
use crate::rules::suffix::{Style, suffixes};
use crate::rules::tables::{ListOptions, TableList};
use crate::rules::trace::{Scope, Trace};

/// Parameters whose keys are folded. All others get keys that are folded already, addresses, or
/// text whose case matters.
const FOLDED: &[&str] = &["rbl_reply_maps", "relay_clientcerts", "tls_server_sni_maps"];

/// The tables of one such parameter.
pub struct OneKeyMaps {
    list: TableList,
}

impl OneKeyMaps {
    /// The tables in `parameter`, with the case folding that is usual for it.
    ///
    /// # Errors
    ///
    /// `Config` when the parameter cannot be expanded.
    pub fn open(parameter: &str, setup: &mut Setup<'_>) -> Result<OneKeyMaps> {
        let options = ListOptions {
            fold: FOLDED.contains(&parameter),
            ..ListOptions::PLAIN
        };
        Ok(OneKeyMaps {
            list: setup.tables_with(parameter, options)?,
        })
    }

    /// The value of `key`.
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn find(&self, key: &[u8], trace: &mut dyn Trace) -> Result<Option<Cow<'_, [u8]>>> {
        self.list.find(key, Scope::All, trace)
    }

    /// The value of `name` or of the first of its parents, which are written with a leading dot
    /// (`tls_server_sni_maps`).
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn find_name(&self, name: &[u8], trace: &mut dyn Trace) -> Result<Option<Cow<'_, [u8]>>> {
        for key in suffixes(name, Style::Dot) {
            if let Some(value) = self.find(key, trace)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}
