//! `sender_bcc_maps` and `recipient_bcc_maps`: who gets a blind copy.
//!
//! The value is **one** address. It is not parsed: a comma or quotes are part of it.

use std::sync::Arc;

use crate::error::Result;
use crate::rules::address::Internal;
use crate::rules::complete::Completion;
use crate::rules::search::{AddressRules, Search};
use crate::rules::setup::Setup;
use crate::rules::tables::TableList;
use crate::rules::trace::Trace;

/// The tables of blind copies.
pub struct BlindCopies {
    sender: TableList,
    recipient: TableList,
    completion: Completion,
    addresses: Arc<AddressRules>,
}

impl BlindCopies {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<BlindCopies> {
        Ok(BlindCopies {
            sender: setup.tables("sender_bcc_maps")?,
            recipient: setup.tables("recipient_bcc_maps")?,
            completion: Completion::open(setup)?,
            addresses: setup.addresses()?,
        })
    }

    /// Who gets a copy of all mail from `sender`. Bounces are not copied.
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn of_sender(
        &self,
        sender: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Internal<'static>>> {
        match sender.is_null() {
            true => Ok(None),
            false => self.find(&self.sender, sender, trace),
        }
    }

    /// Who gets a copy of all mail for `recipient`.
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn of_recipient(
        &self,
        recipient: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Internal<'static>>> {
        self.find(&self.recipient, recipient, trace)
    }

    fn find(
        &self,
        list: &TableList,
        address: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Internal<'static>>> {
        let found = self
            .addresses
            .find(list, address, &Search::ADDRESS, trace)?;
        Ok(found.map(|found| {
            let copy = Internal::from(&*found.value);
            self.completion.complete(&copy.quote())
        }))
    }
}
