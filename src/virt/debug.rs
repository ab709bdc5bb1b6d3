//! `debug:type:name`: another table, and word of everything it is asked.

use std::borrow::Cow;

use crate::error::Result;
use crate::table::options::Log;
use crate::table::traits::{Listing, Stale, Table};

/// A table that passes everything on to another and tells what was asked and answered.
pub struct DebugTable {
    of: Box<dyn Table>,
    title: String,
    log: Log,
}

impl DebugTable {
    /// Wraps `of`, which messages call `title`, and tells `log`.
    pub fn new(of: Box<dyn Table>, title: String, log: Log) -> DebugTable {
        DebugTable { of, title, log }
    }

    fn tell(&self, operation: &str, key: &[u8], answer: &[u8]) {
        let before = format!("{} {operation}: \"", self.title);
        self.log
            .line(&[before.as_bytes(), key, b"\" = \"", answer, b"\""].concat());
    }
}

impl Table for DebugTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let answer = self.of.lookup(key);
        match &answer {
            Ok(Some(value)) => self.tell("lookup", key, value),
            Ok(None) => self.tell("lookup", key, b"not_found"),
            Err(_) => self.tell("lookup", key, b"error"),
        }
        answer
    }

    fn is_pattern(&self) -> bool {
        self.of.is_pattern()
    }

    fn is_settled(&self) -> bool {
        // So that lookups are told in their order.
        false
    }

    fn iter(&self) -> Result<Listing<'_>> {
        let pairs = self.of.iter()?;
        Ok(Box::new(pairs.inspect(|pair| {
            if let Ok((key, value)) = pair {
                self.tell("sequence", key, value);
            }
        })))
    }

    fn title(&self) -> String {
        format!("debug:{}", self.of.title())
    }

    fn stale(&self) -> Option<&Stale> {
        self.of.stale()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::table::options::OpenOptions;
    use crate::virt::{FailTable, InternalTable, StaticTable};

    #[test]
    fn every_answer_is_told() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&lines);
        let log = Log::new(move |line| {
            let line = String::from_utf8_lossy(line).into_owned();
            heard.lock().unwrap().push(line);
        });
        let x = OsStr::new("x");
        let of: [Box<dyn Table>; 3] = [
            Box::new(StaticTable::new(x, &OpenOptions::default()).unwrap()),
            Box::new(InternalTable::new(x)),
            Box::new(FailTable::new(x)),
        ];
        for of in of {
            let title = of.title();
            let _ = DebugTable::new(of, title, log.clone()).lookup(b"a");
        }
        assert_eq!(
            *lines.lock().unwrap(),
            [
                "static:x lookup: \"a\" = \"x\"",
                "internal:x lookup: \"a\" = \"not_found\"",
                "fail:x lookup: \"a\" = \"error\"",
            ]
        );
    }
}
