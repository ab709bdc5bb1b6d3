//! `pipemap:{type:name, ...}`: the answer of each member is looked up in the next.

use std::borrow::Cow;
use std::ffi::OsStr;

use crate::error::{Result, masked};
use crate::table::traits::Table;

/// A table whose answer is that of its last member to the answer of the one before, and so on.
pub struct PipeTable {
    title: String,
    members: Vec<Box<dyn Table>>,
}

impl PipeTable {
    /// The table `pipemap:name`, with its members in order.
    pub fn new(name: &OsStr, members: Vec<Box<dyn Table>>) -> PipeTable {
        let title = format!("pipemap:{}", masked(name));
        PipeTable { title, members }
    }
}

impl Table for PipeTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let mut answer: Option<Cow<'_, [u8]>> = None;
        for member in &self.members {
            let key = answer.as_deref().unwrap_or(key);
            let found = member.lookup(key);
            let found = found.map_err(|error| error.in_member(|| member.title(), key))?;
            if found.is_none() {
                return Ok(None);
            }
            answer = found;
        }
        Ok(answer)
    }

    fn is_pattern(&self) -> bool {
        self.members.first().is_some_and(|first| first.is_pattern())
    }

    fn is_settled(&self) -> bool {
        self.members.iter().all(|member| member.is_settled())
    }

    fn title(&self) -> String {
        self.title.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::options::OpenOptions;
    use crate::virt::{FailTable, InlineTable};

    fn pipe(members: &[&str]) -> PipeTable {
        let members = members.iter().map(|name| -> Box<dyn Table> {
            match *name {
                "fail" => Box::new(FailTable::new(OsStr::new("x"))),
                name => {
                    Box::new(InlineTable::new(OsStr::new(name), &OpenOptions::default()).unwrap())
                }
            }
        });
        PipeTable::new(OsStr::new("{..}"), members.collect())
    }

    #[test]
    fn each_answer_is_the_next_key() {
        for (members, key, expected) in [
            (&["{a=B}", "{b=c}"][..], "a", Some("c")),
            (&["{a=b}", "{b=c}"], "x", None),
            (&["{a=b}", "{a=c}"], "a", None),
            (&["{a=}", "{=x}"], "a", Some("x")),
            (&["{a=}"], "a", Some("")),
            // Not asked: there is nothing to ask.
            (&["{a=b}", "fail"], "x", None),
        ] {
            let table = pipe(members);
            let answer = table.lookup(key.as_bytes()).unwrap();
            assert_eq!(
                answer.as_deref(),
                expected.map(str::as_bytes),
                "{members:?}"
            );
        }
        assert!(pipe(&["{a=b}", "fail"]).lookup(b"a").is_err());
    }
}
