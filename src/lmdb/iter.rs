//! Lists all entries in the order of their keys.

use std::borrow::Cow;

use crate::error::Result;
use crate::lmdb::PageNo;
use crate::lmdb::node::Stored;
use crate::lmdb::page::{Page, PageKind};
use crate::lmdb::reader::{Look, visited_twice};
use crate::lmdb::state::busy;

/// A key and a value.
pub type KeyValue<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// All entries of a file, see [`LmdbReader::iter`](super::LmdbReader::iter).
///
/// Every page is visited once in a sound file. In a damaged one the numbers of visits and of
/// overflow pages are limited to the number of pages, so that a small file cannot be listed without
/// end.
pub struct Iter<'a> {
    look: Look<'a>,
    /// The pages from the root to the leaf, each with the next node to visit.
    path: Vec<(Page<'a>, usize)>,
    /// The last key, borrowed if the store is in memory.
    last_key: Option<Cow<'a, [u8]>>,
    /// How many more pages of the tree may be visited.
    visits_left: u64,
    /// How many more overflow pages may be read.
    overflow_left: u64,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Start,
    Walking,
    Ended,
}

impl<'a> Iter<'a> {
    pub(crate) fn new(look: Look<'a>) -> Iter<'a> {
        let pages = look.pages.last().0.saturating_sub(1);
        Iter {
            look,
            path: Vec::new(),
            last_key: None,
            visits_left: pages,
            overflow_left: pages,
            progress: Progress::Start,
        }
    }

    fn next_entry(&mut self) -> Result<Option<KeyValue<'a>>> {
        if self.progress == Progress::Start {
            self.progress = Progress::Walking;
            match self.look.meta.main.root {
                Some(root) => self.enter(root)?,
                None => return Ok(None),
            }
        }
        while let Some((page, at)) = self.path.last_mut() {
            if *at == page.len() {
                self.path.pop();
                continue;
            }
            *at += 1;
            let at = *at - 1;
            match page.kind() {
                PageKind::Branch => {
                    let child = page.child(at)?;
                    self.enter(child)?;
                }
                PageKind::Leaf => return self.entry(at).map(Some),
            }
        }
        Ok(None)
    }

    /// Goes to page `number`, one level further down.
    fn enter(&mut self, number: PageNo) -> Result<()> {
        let depth = usize::from(self.look.meta.main.depth);
        let kind = match self.path.len() + 1 == depth {
            true => PageKind::Leaf,
            false => PageKind::Branch,
        };
        let left = self.visits_left.checked_sub(1);
        self.visits_left = left.ok_or_else(|| visited_twice(number))?;
        let page = self.look.pages.tree_page(number, kind)?;
        // What is in the page cannot change any more; what is elsewhere is checked when it is read.
        self.check_state()?;
        self.path.push((page, 0));
        Ok(())
    }

    /// Entry `at` of the leaf that the walk is on.
    fn entry(&mut self, at: usize) -> Result<KeyValue<'a>> {
        let Some((leaf, _)) = self.path.last() else {
            return Err(busy());
        };
        let node = leaf.node(at)?;
        let key = leaf.slice(node.key_range());
        if self.last_key.as_ref().is_some_and(|last| *last >= key) {
            return Err(leaf.corrupt(at, "key is not greater than the one before"));
        }
        let left = &mut self.overflow_left;
        let value = self.look.value(leaf, &node, &mut |pages| {
            *left = left
                .checked_sub(pages)
                .ok_or_else(|| leaf.corrupt(at, "overflow pages are used again and again"))?;
            Ok(())
        })?;
        if matches!(node.stored(), Stored::Run(_)) {
            self.check_state()?;
        }
        self.last_key = Some(key.clone());
        Ok((key, value))
    }

    fn check_state(&self) -> Result<()> {
        match self.look.still_holds() {
            true => Ok(()),
            false => Err(busy()),
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<KeyValue<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.progress == Progress::Ended {
            return None;
        }
        let next = self.next_entry().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.progress = Progress::Ended;
            self.path.clear();
        }
        // Damage that is not there when a writer was faster.
        match next {
            Some(Err(_)) if !self.look.still_holds() => Some(Err(busy())),
            next => next,
        }
    }
}
