//! `unionmap:{type:name, ...}`: the answers of all its members, joined.

use std::borrow::Cow;
use std::ffi::OsStr;

use crate::error::{Result, masked};
use crate::table::traits::Table;

/// A table whose answer is those of its members with commas between.
pub struct UnionTable {
    title: String,
    members: Vec<Box<dyn Table>>,
}

impl UnionTable {
    /// The table `unionmap:name`, with its members in order.
    pub fn new(name: &OsStr, members: Vec<Box<dyn Table>>) -> UnionTable {
        let title = format!("unionmap:{}", masked(name));
        UnionTable { title, members }
    }
}

impl Table for UnionTable {
    /// An empty answer adds nothing in front of the first that is not, and a comma behind it. A
    /// member that cannot tell makes the whole table fail.
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let mut answer = Vec::new();
        for member in &self.members {
            let found = member.lookup(key);
            let found = found.map_err(|error| error.in_member(|| member.title(), key))?;
            if let Some(value) = found {
                if !answer.is_empty() {
                    answer.push(b',');
                }
                answer.extend_from_slice(&value);
            }
        }
        Ok((!answer.is_empty()).then_some(Cow::Owned(answer)))
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
    use crate::virt::{FailTable, InternalTable, StaticTable};

    fn union(answers: &[&str]) -> UnionTable {
        let fixed =
            |name| Box::new(StaticTable::new(OsStr::new(name), &OpenOptions::default()).unwrap());
        let members = answers.iter().map(|answer| -> Box<dyn Table> {
            match *answer {
                "none" => Box::new(InternalTable::new(OsStr::new("x"))),
                "fail" => Box::new(FailTable::new(OsStr::new("x"))),
                "" => fixed("{}"),
                answer => fixed(answer),
            }
        });
        UnionTable::new(OsStr::new("{..}"), members.collect())
    }

    #[test]
    fn answers_are_joined() {
        for (answers, expected) in [
            (&["1", "none", "2", "s"][..], Some("1,2,s")),
            (&["none"], None),
            (&["x", "", "y"], Some("x,,y")),
            (&["", "2", ""], Some("2,")),
            (&["", "2"], Some("2")),
            (&["", ""], None),
        ] {
            let table = union(answers);
            let answer = table.lookup(b"any").unwrap();
            assert_eq!(
                answer.as_deref(),
                expected.map(str::as_bytes),
                "{answers:?}"
            );
        }
        assert!(union(&["1", "fail"]).lookup(b"any").is_err());
    }

    #[test]
    fn it_is_what_its_first_member_is() {
        assert!(union(&["fail", "1"]).is_pattern());
        assert!(!union(&["1", "fail"]).is_pattern());
    }
}
