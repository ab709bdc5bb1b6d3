//! The rules of an intact file, by the names they have in `docs/verify.md`.

use crate::defect::rules;

rules! {
    /// A rule of LMDB's file format.
    pub enum Rule {
        L1 "the file begins with a meta page of LMDB 0.9 or 1.0, with a page size such files can have",
        L2 "both meta pages are there, carry their numbers and agree on version and page size",
        L3 "the main tree has plain keys with one value each",
        L4 "pages in use are numbered from 2 to the last page and lie in the file",
        L5 "a tree has 1 to 32 levels and a root, or neither",
        L6 "pages of trees carry their number, one kind, and room between index and nodes",
        L7 "no page in use is of a later transaction than the meta page",
        L8 "nodes lie in their page, with keys and flags that entries have",
        L9 "nodes fill the page from the lowest to the end, without gap or overlap",
        L10 "a run of overflow pages has a header and holds its value",
        L11 "leaves are on the last level, and pages above have at least two children",
        L12 "keys ascend, and lie between the separators that lead to them",
        L13 "the first child of a page has no separator",
        L14 "the meta page counts pages and entries right",
        L15 "a page belongs to one owner only",
        L16 "free pages are listed in order, under transactions that have been",
        L17 "every page is in use or free",
        L18 "the file is as long as its last page says",
    }
}
