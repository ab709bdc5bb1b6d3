//! The layout of a damaged file.

use crate::error::{Error, Result};
use crate::file::store::Session;
use crate::lmdb::PageNo;
use crate::lmdb::layout::{
    BRANCH, DataVersion, HEAD_LEN, LEAF, Layout, OVERFLOW, PageSize, WordWidth,
};
use crate::lmdb::meta::Meta;
use crate::wire::ByteOrder;

/// How many pages are looked at for each layout that could be.
const PAGES_MAX: u64 = 4096;

/// What is known of a file before its pages are read.
pub(super) struct Known {
    pub(super) layout: Layout,
    /// Whether the layout is a guess.
    pub(super) guessed: bool,
    /// The meta pages that can be read, the newest first.
    pub(super) metas: Vec<Meta>,
}

/// Finds the layout: from meta page 0, else from meta page 1, else by what pages look like.
pub(super) fn find(session: &Session<'_>) -> Result<Known> {
    let (layout, guessed) = match at(session, 0)? {
        Some(layout) => (layout, false),
        None => match second_meta(session)? {
            Some(layout) => (layout, false),
            None => (guess(session)?, true),
        },
    };
    let mut metas = Vec::new();
    for number in [PageNo(0), PageNo(1)] {
        let offset = number.0 * layout.page_size.bytes() as u64;
        let page = session.read(offset, layout.meta_end())?.unwrap_or_default();
        match Meta::parse(&layout, number, &page) {
            Ok(meta) => metas.push(meta),
            Err(error) if matches!(error.kind(), crate::ErrorKind::Unsupported { .. }) => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
    metas.sort_by_key(|meta| std::cmp::Reverse(meta.txn));
    Ok(Known {
        layout,
        guessed,
        metas,
    })
}

/// The layout of the meta page at byte `offset`, if there is one.
fn at(session: &Session<'_>, offset: u64) -> Result<Option<Layout>> {
    let len = session.len().saturating_sub(offset).min(HEAD_LEN as u64);
    let head = session.read(offset, usize::try_from(len).unwrap_or(0))?;
    Ok(head.and_then(|head| Layout::recognise(&head).ok()))
}

fn second_meta(session: &Session<'_>) -> Result<Option<Layout>> {
    for size in (8..=16).map(|log2| 1 << log2) {
        let layout = at(session, size)?;
        if layout.is_some_and(|layout| layout.page_size.bytes() as u64 == size) {
            return Ok(layout);
        }
    }
    Ok(None)
}

/// The layout under which most bytes are in pages that look like pages.
fn guess(session: &Session<'_>) -> Result<Layout> {
    let mut best = None;
    for version in [DataVersion::V1, DataVersion::V3] {
        for width in [WordWidth::Eight, WordWidth::Four] {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                for page_size in (8..=16).filter_map(|log2| PageSize::new(1 << log2, version)) {
                    let layout = Layout {
                        version,
                        width,
                        order,
                        page_size,
                    };
                    let score = plausible_bytes(session, &layout)?;
                    if score > best.map_or(0, |(score, _)| score) {
                        best = Some((score, layout));
                    }
                }
            }
        }
    }
    best.map(|(_, layout)| layout)
        .ok_or_else(|| Error::corrupt("nothing in the file looks like a page of LMDB"))
}

fn plausible_bytes(session: &Session<'_>, layout: &Layout) -> Result<u64> {
    let size = layout.page_size.bytes() as u64;
    let count = (session.len() / size).min(PAGES_MAX);
    let mut found = 0;
    for number in 2..count {
        let Some(header) = session.read(number * size, layout.header_len())? else {
            break;
        };
        let flags = layout.order.u16(&header, layout.page_flags_offset());
        let lower = layout.order.u16(&header, layout.lower_offset());
        let upper = layout.order.u16(&header, layout.upper_offset());
        let kind_fits = match flags {
            Some(BRANCH | LEAF) => {
                let upper = upper.map_or(0, usize::from) + layout.base();
                lower < Some(u16::MAX) && upper >= layout.header_len() && upper as u64 <= size
            }
            Some(OVERFLOW) => true,
            _ => false,
        };
        if kind_fits && layout.word(&header, 0) == Some(number) {
            found += size;
        }
    }
    Ok(found)
}
