//! The entries of one leaf, as many as are well-formed.

use crate::lmdb::layout::Layout;
use crate::lmdb::node::Stored;
use crate::lmdb::page::Page;

/// What a leaf gave.
#[derive(Default)]
pub(super) struct Found {
    /// Node, key, and where the value is.
    pub(super) entries: Vec<(u16, Vec<u8>, Stored)>,
    /// What is wrong with the rest.
    pub(super) skipped: Vec<String>,
}

/// The entries of a leaf.
pub(super) fn entries(page: &Page<'_>) -> Found {
    let mut found = Found::default();
    // Nodes that overlap could give as much as the square of the page.
    let mut left = page.byte_len();
    for at in 0..page.len() {
        let node = match page.node(at) {
            Ok(node) => node,
            Err(error) => {
                found.skipped.push(error.to_string());
                continue;
            }
        };
        let Some(rest) = left.checked_sub(node.extent().len()) else {
            found
                .skipped
                .push(page.corrupt(at, "nodes overlap").to_string());
            break;
        };
        left = rest;
        let number = u16::try_from(at).unwrap_or(u16::MAX);
        found
            .entries
            .push((number, node.key().to_vec(), node.stored()));
    }
    found
}

/// Whether a leaf that nothing leads to looks like one of the free list: every key a word, every
/// value a count and so many words in descending order.
pub(super) fn is_free_list(page: &Page<'_>, layout: &Layout) -> bool {
    (0..page.len()).all(|at| {
        let Ok(node) = page.node(at) else {
            return false;
        };
        if node.key().len() != layout.width.bytes() {
            return false;
        }
        match node.stored() {
            Stored::Inline { start, end } => is_list(&page.slice(start..end), layout),
            // Lists of hundreds of pages.
            Stored::Run(run) => (run.len as usize).is_multiple_of(layout.width.bytes()),
            Stored::Database | Stored::Duplicates => false,
        }
    })
}

fn is_list(value: &[u8], layout: &Layout) -> bool {
    let width = layout.width.bytes();
    let count = layout
        .word(value, 0)
        .and_then(|count| usize::try_from(count).ok());
    let room = (value.len() / width).saturating_sub(1);
    let Some(count) = count.filter(|count| value.len().is_multiple_of(width) && *count <= room)
    else {
        return false;
    };
    let numbers: Vec<_> = (1..=count)
        .map(|at| layout.word(value, at * width))
        .collect();
    numbers.windows(2).all(|pair| pair.first() > pair.last())
}
