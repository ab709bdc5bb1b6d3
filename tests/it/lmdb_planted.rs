//! Every rule of a verification of LMDB files, broken on purpose.

use std::collections::BTreeSet;

use rpostmap::defect::Severity;
use rpostmap::file::store::Store;
use rpostmap::lmdb::verify::Rule::{self, *};
use rpostmap::lmdb::verify::verify;

use crate::lmdb::fixture;

const SIZE: usize = 4096;

/// Where things are in the meta page of a 64-bit file of LMDB 0.9.
const MAIN: usize = 16 + 24 + 48;
const LAST_PAGE: usize = MAIN + 48;

/// A little-endian 64-bit file of LMDB 0.9 whose current meta page is page 0.
#[derive(Clone)]
struct File(Vec<u8>);

impl File {
    fn new() -> File {
        File(fixture("lmdb-0.9.24-64le"))
    }

    fn u16(&self, page: usize, offset: usize) -> usize {
        let at = page * SIZE + offset;
        u16::from_le_bytes(self.0[at..][..2].try_into().unwrap()).into()
    }

    fn u64(&self, page: usize, offset: usize) -> usize {
        let at = page * SIZE + offset;
        let number = u64::from_le_bytes(self.0[at..][..8].try_into().unwrap());
        number.try_into().unwrap()
    }

    fn with_u16(mut self, page: usize, offset: usize, value: usize) -> File {
        let value = u16::try_from(value).unwrap();
        self.0[page * SIZE + offset..][..2].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn with_u64(mut self, page: usize, offset: usize, value: usize) -> File {
        let value = u64::try_from(value).unwrap();
        self.0[page * SIZE + offset..][..8].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn root(&self) -> usize {
        self.u64(0, MAIN + 40)
    }

    /// The page offset of node `at` of a page.
    fn node(&self, page: usize, at: usize) -> usize {
        self.u16(page, 16 + 2 * at)
    }

    /// The leaf below child 1 of the root.
    fn leaf(&self) -> usize {
        let node = self.node(self.root(), 1);
        self.u16(self.root(), node)
    }

    /// The first page of the only run.
    fn run(&self) -> usize {
        let pages = 2..self.0.len() / SIZE;
        let last = self.u64(0, LAST_PAGE);
        let mut runs = pages.filter(|page| {
            let header = (self.u64(*page, 0), self.u16(*page, 10), self.u16(*page, 12));
            *page <= last && header == (*page, 4, 3)
        });
        runs.next_back().unwrap()
    }

    /// The leaf of the free list, and the page offset of the value of its first node.
    fn free_record(&self) -> (usize, usize) {
        let page = self.u64(0, 16 + 24 + 40);
        (page, self.node(page, 0) + 16)
    }
}

/// A file of LMDB 1.0 in which a page of the tree was written by a later transaction.
fn page_of_the_future() -> (usize, File) {
    let file = File(fixture("lmdb-1.0.1-64le"));
    let root = file.u64(0, 24 + 24 + 48 + 40);
    (root, file.with_u64(root, 8, 99))
}

/// A file whose root has a separator in front of its first child, in what was free space.
fn separator_of_first_child() -> File {
    let file = File::new();
    let root = file.root();
    let (node, upper) = (file.node(root, 0), file.u16(root, 14));
    let child = file.u64(root, node);
    let new = upper - 10;
    file.with_u64(root, new, child)
        .with_u16(root, new + 4, 0)
        .with_u16(root, new + 6, 2)
        .with_u16(root, new + 8, 0)
        .with_u16(root, 16, new)
        .with_u16(root, 14, new)
}

fn planted() -> Vec<(Rule, Option<usize>, File)> {
    let file = File::new();
    let (root, leaf, run) = (file.root(), file.leaf(), file.run());
    let (free, list) = file.free_record();
    let (future, future_file) = page_of_the_future();
    let odd = file.node(leaf, 0) + 1;
    let (node0, node1) = (file.node(leaf, 0), file.node(leaf, 1));
    let entries = file.u64(0, MAIN + 32);
    let count = file.u64(free, list);
    let last = file.u64(0, LAST_PAGE);
    let file = || File::new();
    vec![
        (L1, None, file().with_u64(0, 16, 0)),
        (L1, Some(0), file().with_u16(0, 40, 4097)),
        (L2, Some(1), file().with_u64(1, 16, 0)),
        (L2, Some(1), file().with_u64(1, 0, 7)),
        (L2, Some(1), File(file().0[..SIZE + 100].to_vec())),
        (L3, Some(0), file().with_u16(0, MAIN + 4, 4)),
        (L4, Some(1000), file().with_u64(0, MAIN + 40, 1000)),
        (L4, Some(1), file().with_u64(0, MAIN + 40, 1)),
        (L5, Some(0), file().with_u16(0, MAIN + 6, 33)),
        (L5, Some(0), file().with_u16(0, MAIN + 6, 0)),
        (L6, Some(leaf), file().with_u64(leaf, 0, 5000)),
        (L6, Some(leaf), file().with_u16(leaf, 10, 0x12)),
        (L6, Some(leaf), file().with_u16(leaf, 12, 4000)),
        (L7, Some(future), future_file),
        (L8, Some(leaf), file().with_u16(leaf, 16, odd)),
        (L8, Some(leaf), file().with_u16(leaf, node0 + 6, 0)),
        (L8, Some(leaf), file().with_u16(leaf, node0 + 4, 8)),
        (L9, Some(leaf), file().with_u16(leaf, 18, node0)),
        (L10, Some(run), file().with_u16(run, 10, 2)),
        (L10, Some(run), file().with_u16(run, 12, 1)),
        (L11, Some(leaf), file().with_u16(0, MAIN + 6, 3)),
        (L11, Some(root), file().with_u16(root, 12, 18)),
        (
            L12,
            Some(leaf),
            file().with_u16(leaf, 16, node1).with_u16(leaf, 18, node0),
        ),
        (L13, Some(root), separator_of_first_child()),
        (L14, Some(0), file().with_u64(0, MAIN + 32, entries + 1)),
        (L15, Some(free), file().with_u64(free, list + 8, root)),
        (L16, Some(free), file().with_u64(free, list - 8, 99)),
        (L16, Some(free), file().with_u64(free, list, 10_000)),
        (L16, Some(free), file().with_u64(free, list + 8, 0)),
        (L17, None, file().with_u64(free, list, count - 1)),
        (L18, None, file().with_u64(0, LAST_PAGE, last + 1)),
    ]
}

#[test]
fn every_rule_is_noticed_where_it_is_broken() {
    let mut rules: BTreeSet<Rule> = Rule::ALL.iter().copied().collect();
    for (rule, page, file) in planted() {
        let report = verify(&Store::from_bytes(file.0)).unwrap();
        let page = page.map(|page| u64::try_from(page).unwrap());
        let about = || format!("{rule} on page {page:?}: {:#?}", report.defects);
        let expected = match rule {
            L13 | L17 | L18 => Severity::Warning,
            _ => Severity::Error,
        };
        let is_hit = report.defects.iter().any(|defect| {
            (defect.rule, defect.place.page(), defect.severity) == (rule, page, expected)
        });
        assert!(is_hit, "{}", about());
        let is_warning = expected == Severity::Warning;
        assert_eq!(report.is_clean(), is_warning, "{}", about());
        rules.remove(&rule);
    }
    assert_eq!(rules, BTreeSet::new(), "rules without a planted defect");
}

#[test]
fn room_that_nothing_uses_is_a_warning() {
    let file = File::new();
    let leaf = file.leaf();
    // The lowest node is one higher up than the header says.
    let upper = file.u16(leaf, 14);
    let report = verify(&Store::from_bytes(file.with_u16(leaf, 14, upper - 2).0)).unwrap();
    assert!(report.is_clean());
    assert_eq!(report.defects.len(), 1);
    assert_eq!(report.defects[0].rule, L9);
}
