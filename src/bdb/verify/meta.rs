//! Page 0, as far as all access methods share it.

use crate::bdb::meta::RawMeta;
use crate::bdb::page::PageFormat;
use crate::bdb::verify::Invariant;
use crate::bdb::verify::report::Defects;
use crate::defect::{Place, Severity};

/// What the walk relies on.
pub(super) struct Known {
    pub(super) format: PageFormat,
    /// Pages that belong to the database, the meta page included.
    pub(super) page_count: u32,
    /// Pages of the file.
    pub(super) file_page_count: u32,
}

/// Checks the meta page; `None` when there is no use in going on.
pub(super) fn check(raw: &RawMeta<'_>, file_len: u64, defects: &mut Defects) -> Option<Known> {
    let identity = raw.identity();
    if !raw.is_known_version() {
        let what = format!("no such version: {}", identity.version);
        defects.page(Invariant::M2, 0_u32, what);
        return None;
    }
    let (page_type, expected) = raw.page_types();
    if page_type != expected {
        let what = format!("meta page has type {page_type}, not {expected}");
        defects.page(Invariant::M2, 0_u32, what);
    }
    if raw.number() != 0 {
        let what = format!("page carries the number {}", raw.number());
        defects.page(Invariant::M1, 0_u32, what);
    }
    let refused = raw.refused_features();
    for feature in &refused {
        let what = format!("the file says that it uses {feature}");
        defects.page(Invariant::M4, 0_u32, what);
    }
    let (size, page_size) = raw.page_size();
    let Some(page_size) = page_size else {
        defects.page(Invariant::M3, 0_u32, format!("page size is {size}"));
        return None;
    };
    if !raw.has_right_sum() {
        defects.page(Invariant::F10, 0_u32, "checksum is wrong");
    }
    let rest = file_len % u64::from(size);
    if rest != 0 {
        let what = format!("{rest} bytes follow the last whole page");
        defects.file(Invariant::F2, what);
    }
    let Ok(file_page_count) = u32::try_from(file_len / u64::from(size)) else {
        defects.file(Invariant::F3, "file has more pages than can be numbered");
        return None;
    };
    if file_page_count < 2 {
        let what = format!("file has {file_page_count} pages");
        defects.file(Invariant::F1, what);
        return None;
    }
    let page_count = known_pages(raw.last_page(), file_page_count, defects);
    // What pages hold then is not what we know.
    if !refused.is_empty() {
        return None;
    }
    Some(Known {
        format: PageFormat {
            size: page_size,
            order: identity.order,
            checksum: raw.has_checksums(),
        },
        page_count,
        file_page_count,
    })
}

fn known_pages(last_page: Option<u32>, file_page_count: u32, defects: &mut Defects) -> u32 {
    let Some(last_page) = last_page else {
        return file_page_count;
    };
    if last_page.checked_add(1) == Some(file_page_count) {
        return file_page_count;
    }
    let what =
        format!("last page is said to be {last_page}, but the file has {file_page_count} pages");
    // Files that went through Berkeley DB's upgrade program say one too many.
    let severity = if last_page == file_page_count {
        Severity::Warning
    } else {
        Severity::Error
    };
    defects.add(Invariant::F3, severity, Place::Page(0), what);
    match last_page {
        // Nonsense, so everything that is there counts.
        0 => file_page_count,
        last_page => file_page_count.min(last_page.saturating_add(1)),
    }
}
