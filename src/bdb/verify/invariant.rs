//! The rules of an intact file, by the names they have in `docs/verify.md`.

use std::fmt;

/// Whether a violation can lose or hide entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Wasteful or odd, but every entry is found.
    Warning,
    /// Entries can be lost, hidden or wrong, now or at the next update.
    Error,
}

impl Severity {
    /// "warning" or "error".
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

macro_rules! invariants {
    ($($id:ident $rule:literal,)*) => {
        /// What holds in an intact file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $(
                #[doc = concat!("`", stringify!($id), "`: ", $rule, ".")]
                $id,
            )*
        }

        impl Invariant {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Invariant] = &[$(Invariant::$id),*];

            /// The short name: a letter and a number.
            pub fn id(self) -> &'static str {
                match self {
                    $(Invariant::$id => stringify!($id),)*
                }
            }

            /// The rule in words.
            pub fn rule(self) -> &'static str {
                match self {
                    $(Invariant::$id => $rule,)*
                }
            }
        }
    };
}

invariants! {
    F1 "the file has a meta page of 512 bytes or more, and at least two pages",
    F2 "the file is a whole number of pages",
    F3 "the meta page knows the last page of the file",
    F4 "a page in use carries its own number; only bucket pages may be blank",
    F5 "a page belongs to one owner only",
    F6 "the free list names pages of the database that nobody owns, each once",
    F7 "pages of the free list have type 0",
    F8 "no overflow page, and in a btree no page at all, is without an owner",
    F9 "no page of a hash file is without an owner",
    F10 "a page's checksum is right, in files that have them",
    M1 "the meta page carries page number 0",
    M2 "magic number, version and type of the meta page belong together",
    M3 "the page size is a power of two from 512 to 65536",
    M4 "no encryption, partitions or unknown flags",
    P2 "hash pages and leaves have an even number of index entries",
    P3 "items lie between the index and the end of the page, where the method puts them",
    P4 "the header tells where the lowest item begins",
    P5 "item types are those that keys and values may have, and well-formed",
    P6 "no item on a page is longer than the method allows",
    P7 "the items of a btree page fill it without gap or overlap",
    H1 "the hash function is a known one",
    H2 "the highest bucket number is at least 1 and fits in the file",
    H3 "the high mask follows from the highest bucket",
    H4 "the low mask is half the high mask",
    H5 "every group of buckets in use has its pages, inside the file",
    H6 "pages of buckets are hash pages of level 0",
    H7 "links of a bucket's chain lead to pages that link back",
    H8 "no page is in two chains, or twice in one",
    H9 "no page of a chain but the first is empty",
    H10 "every key lies in the bucket that its hash value names",
    H11 "keys on a sorted page are in order",
    H12 "pages of buckets that are not in use hold no entries",
    H13 "no key is twice in a bucket",
    H14 "the element counter is at most 2^31",
    O1 "an overflow chain begins at a page of the file and stays in it",
    O2 "overflow pages have type 7, level 0 and their own number",
    O3 "overflow pages link back to the page before",
    O4 "the reference count of an overflow chain is the number of its references",
    O5 "the parts of an overflow chain add up to the length of the item",
    O6 "no overflow page is in two chains",
    B1 "at least two keys must find room on a page",
    B2 "the root is page 1",
    B3 "no record length is set",
    B4 "children are pages of the file",
    B5 "every page of the tree has one parent",
    B6 "pages of the tree are internal pages or leaves",
    B7 "levels fall by one from page to child, down to leaves of level 1",
    B8 "no item is marked as deleted",
    B9 "internal pages have children",
    B10 "keys on a page ascend",
    B11 "keys of a page lie between the separators that lead to it",
    B12 "leaves are chained in the order of the tree",
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
