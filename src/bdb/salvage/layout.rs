//! Page size and byte order of a file whose meta page may be damaged.

use crate::bdb::hash::bucket::{Addressing, GROUP_COUNT};
use crate::bdb::hash::function::HashFunction;
use crate::bdb::meta::{
    AccessMethod, CHARKEY_OFFSET, ENCRYPTION_OFFSET, Identity, MAX_BUCKET_OFFSET, META_LEN,
    RawMeta, SPARES_OFFSET,
};
use crate::bdb::page::{HEADER_LEN, PGNO_OFFSET, PageFormat, PageKind, Pages, TYPE_OFFSET};
use crate::bdb::{PageNo, PageSize};
use crate::error::{Error, Result};
use crate::file::store::Session;
use crate::wire::ByteOrder;

/// What is needed to look at the pages of a file.
pub(super) struct Layout {
    pub(super) format: PageFormat,
    pub(super) page_count: u32,
    /// Whether the meta page was not believed.
    pub(super) guessed: bool,
    /// What the meta page says, if it is believed or at least fits.
    pub(super) method: Option<AccessMethod>,
    /// The last page of the file by a meta page that is believed.
    pub(super) last_page: Option<u32>,
    /// Bytes behind the last whole page.
    pub(super) trailing_len: u64,
    /// Where the meta page of a hash file says that buckets are. Not checked.
    pub(super) hash: Option<(Addressing, HashFunction)>,
}

/// How many pages look like pages, of how many that are not blank.
#[derive(Clone, Copy, Default)]
struct Score {
    good: u64,
    all: u64,
}

impl Score {
    fn is_better(self, other: Score) -> bool {
        u128::from(self.good) * u128::from(other.all.max(1))
            > u128::from(other.good) * u128::from(self.all.max(1))
    }
}

/// Finds the layout.
pub(super) fn find(session: &Session<'_>, page_size: Option<PageSize>) -> Result<Layout> {
    let page0 = session.read(0, META_LEN)?;
    let raw = page0.and_then(|page0| {
        let identity = Identity::parse(&page0).ok()?;
        Some(RawMeta::new(page0, identity))
    });
    if let Some(raw) = &raw
        && raw.is_known_version()
        && raw.page_types().0 == raw.page_types().1
    {
        let stated = page_size.or(raw.page_size().1);
        if raw.byte(ENCRYPTION_OFFSET) != 0 {
            return Err(Error::unsupported("encrypted Berkeley DB database"));
        }
        let order = raw.identity().order;
        if let Some(size) = stated {
            let score = score(session, size, order)?;
            // Half of the pages agree, or there is no better guess.
            let is_right = 2 * score.good > score.all
                || guess(session, page_size)?.is_none_or(|(best, ..)| !best.is_better(score));
            if is_right {
                let format = PageFormat {
                    size,
                    order,
                    checksum: raw.has_checksums(),
                };
                return layout(session, format, false, Some(raw));
            }
        }
    }
    let Some((_, size, order)) = guess(session, page_size)? else {
        return Err(Error::corrupt(
            "no page of the file looks like one of a Berkeley DB table",
        ));
    };
    let mut format = PageFormat {
        size,
        order,
        checksum: true,
    };
    format.checksum = has_checksums(session, format)?;
    let hints = raw.filter(|raw| raw.identity().order == order);
    layout(session, format, true, hints.as_ref())
}

fn layout(
    session: &Session<'_>,
    format: PageFormat,
    guessed: bool,
    raw: Option<&RawMeta<'_>>,
) -> Result<Layout> {
    let size = format.size.bytes() as u64;
    let page_count = u32::try_from(session.len() / size);
    Ok(Layout {
        format,
        page_count: page_count.map_err(|_| Error::corrupt("file has too many pages"))?,
        guessed,
        method: raw.map(|raw| raw.identity().method),
        last_page: raw.filter(|_| !guessed).and_then(RawMeta::last_page),
        trailing_len: session.len() % size,
        hash: raw.and_then(hash_hints),
    })
}

fn hash_hints(raw: &RawMeta<'_>) -> Option<(Addressing, HashFunction)> {
    if raw.identity().method != AccessMethod::Hash {
        return None;
    }
    let function = HashFunction::from_charkey(raw.method_field(CHARKEY_OFFSET))?;
    let mut addressing = Addressing {
        max_bucket: raw.method_field(MAX_BUCKET_OFFSET),
        spares: [0; GROUP_COUNT],
    };
    for (group, spare) in addressing.spares.iter_mut().enumerate() {
        *spare = raw.method_field(SPARES_OFFSET + 4 * group);
    }
    Some((addressing, function))
}

/// The page size and byte order under which most pages carry their own number; of equals the
/// largest.
fn guess(
    session: &Session<'_>,
    page_size: Option<PageSize>,
) -> Result<Option<(Score, PageSize, ByteOrder)>> {
    let mut best: Option<(Score, PageSize, ByteOrder)> = None;
    for size in (9..=16).rev().filter_map(|log2| PageSize::new(1 << log2)) {
        if page_size.is_some_and(|page_size| page_size != size) {
            continue;
        }
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let score = score(session, size, order)?;
            let is_better = best.is_none_or(|(best, ..)| score.is_better(best));
            if score.good > 0 && is_better {
                best = Some((score, size, order));
            }
        }
    }
    Ok(best)
}

fn score(session: &Session<'_>, size: PageSize, order: ByteOrder) -> Result<Score> {
    let mut score = Score::default();
    let count = u32::try_from(session.len() / size.bytes() as u64).unwrap_or(u32::MAX);
    for number in 1..count {
        let offset = u64::from(number) * size.bytes() as u64;
        let Some(header) = session.read(offset, HEADER_LEN)? else {
            break;
        };
        if header.iter().all(|&byte| byte == 0) {
            continue;
        }
        let kind = PageKind::from_byte(header.get(TYPE_OFFSET).copied().unwrap_or(0));
        let is_numbered = order.u32(&header, PGNO_OFFSET) == Some(number);
        // Free pages carry their number too, but little else that could be checked.
        if kind == PageKind::Free && is_numbered {
            continue;
        }
        score.all += 1;
        if is_numbered && !matches!(kind, PageKind::Free | PageKind::Other(_)) {
            score.good += 1;
        }
    }
    Ok(score)
}

/// Whether most of the first pages carry a right checksum.
fn has_checksums(session: &Session<'_>, format: PageFormat) -> Result<bool> {
    const SAMPLE: u32 = 64;
    let (mut right, mut wrong) = (0, 0);
    let size = format.size.bytes();
    let count = u32::try_from(session.len() / size as u64).unwrap_or(u32::MAX);
    for number in (1..count.min(SAMPLE)).map(PageNo) {
        let Some(page) = Pages::unchecked_in(session, format, number)? else {
            break;
        };
        if page.stated_number()? == number && page.kind() != PageKind::Free {
            match page.has_right_sum()? {
                true => right += 1,
                false => wrong += 1,
            }
        }
    }
    Ok(right > wrong)
}
