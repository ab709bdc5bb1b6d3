//! `parent_domain_matches_subdomains`: which parameters take a domain for its subdomains as well.

use crate::error::Result;
use crate::rules::match_list::MatchList;
use crate::rules::suffix::Style;
use crate::rules::trace::NoTrace;

/// The style of each parameter whose keys or elements are domains.
pub struct ParentDomains {
    list: MatchList,
}

impl ParentDomains {
    /// Names of parameters, and `smtpd_access_maps` for all access tables.
    pub fn new(list: MatchList) -> ParentDomains {
        ParentDomains { list }
    }

    /// The style of `feature`: `transport_maps`, `relay_domains`, `smtpd_access_maps`, ...
    ///
    /// # Errors
    ///
    /// When a table in the list fails.
    pub fn style(&self, feature: &str) -> Result<Style> {
        let listed = self.list.matches_text(feature.as_bytes(), &mut NoTrace)?;
        Ok(if listed { Style::Parent } else { Style::Dot })
    }
}
