//! `rpostmap salvage` of an LMDB file.

use crate::cli::output::Output;
use crate::cli::postmap::Stop;
use crate::cli::report::Program;
use crate::cli::salvage::tell_unsound;
use crate::cli::salvage_text::SalvageText;
use crate::cli::text::{SourceText, shown};
use crate::cli::verb::Call;
use crate::cli::verify::{failed, order_name};
use crate::file::store::Store;
use crate::lmdb::salvage::{Pair, Salvage, salvage};
use crate::lmdb::verify::verify;

/// Stands before what the tree does not lead to although it should lead to everything.
const DELETED_MARK: &[u8] = b"# old and deleted entries:";
/// Stands before what the tree does not lead to when it is damaged.
const ORPHANS_MARK: &[u8] =
    b"# entries the damaged tree does not lead to, old and deleted ones among them:";

/// Prints what can be found in `store`; `true` when nothing is missing.
pub(super) fn run(call: &Call<'_>, store: &Store, output: &mut Output) -> Result<bool, Stop> {
    let found = salvage(store).map_err(|error| failed(error, store))?;
    let report = verify(store);
    let is_sound = found.complete && report.as_ref().is_ok_and(|report| report.is_clean());
    let mut text = SalvageText::new(call, SourceText::default(), output)?;
    write(&mut text, &found.pairs)?;
    if !found.orphans.is_empty() && (call.has("deleted") || !is_sound) {
        let mark = if is_sound { DELETED_MARK } else { ORPHANS_MARK };
        text.mark(mark)?;
        write(&mut text, &found.orphans)?;
    }
    text.finish(|program| {
        tell_skipped(program, &found);
        if !is_sound {
            let defect_count = report.map_or(1, |report| report.defect_count());
            tell_unsound(program, defect_count);
        }
        is_sound
    })
}

fn write(text: &mut SalvageText<'_>, pairs: &[Pair]) -> Result<(), Stop> {
    pairs
        .iter()
        .try_for_each(|pair| text.entry(&pair.key, &pair.value))
}

/// Says what was not found.
fn tell_skipped(program: &Program, found: &Salvage) {
    if found.guessed {
        let layout = &found.layout;
        let text = format!(
            "meta pages are damaged; pages look like LMDB {}, {}-bit, {}, {} bytes",
            layout.version.release(),
            8 * layout.width.bytes(),
            order_name(layout.order),
            layout.page_size.bytes()
        );
        program.warning(text.as_bytes());
    }
    for skipped in &found.skipped {
        let mut text = Vec::new();
        if let Some(key) = &skipped.key {
            text.extend(shown(key));
            text.extend(b": ");
        }
        text.extend(skipped.what.as_bytes());
        program.warning(&text);
    }
    if found.omitted > 0 {
        program.warning(format!("{} more warnings are not listed", found.omitted).as_bytes());
    }
    let (pairs, orphans) = (found.pairs.len(), found.orphans.len());
    let text = format!("{pairs} entries found, and {orphans} the tree does not lead to");
    program.info(text.as_bytes());
}
