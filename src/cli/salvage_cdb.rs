//! `rpostmap salvage cdb:FILE`.

use crate::cdb::salvage::{Salvage, salvage};
use crate::cli::output::Output;
use crate::cli::postmap::Stop;
use crate::cli::report::{Program, failure};
use crate::cli::salvage_text::SalvageText;
use crate::cli::text::{SourceText, shown};
use crate::cli::verb::Call;
use crate::file::store::Store;
use crate::table::FileFormat;

/// How many doubtful or lost entries are named; the rest are counted.
const NAMED_MAX: usize = 10_000;

pub(super) fn run(call: &Call<'_>, store: &Store, output: &mut Output) -> Result<bool, Stop> {
    let found = salvage(store).map_err(|error| failure(&error))?;
    let mut text = SalvageText::new(call, SourceText::of(FileFormat::Cdb), output)?;
    for pair in &found.pairs {
        text.entry(&pair.key, &pair.value)?;
    }
    text.finish(|program| {
        report(program, &found);
        found.sound
    })
}

/// Says what is doubtful and what is missing.
fn report(program: &Program, found: &Salvage) {
    let skipped = found.skipped.iter().map(|skipped| {
        let (offset, len) = (skipped.offset, skipped.len);
        format!("offset {offset}: {len} bytes hold no entry").into_bytes()
    });
    let doubtful = found.pairs.iter().filter(|pair| !pair.confirmed);
    let doubtful = doubtful.map(|pair| {
        let text = format!(": no table confirms the entry at offset {}", pair.offset);
        [&shown(&pair.key), text.as_bytes()].concat()
    });
    let mut warnings = skipped.chain(doubtful);
    for text in warnings.by_ref().take(NAMED_MAX) {
        program.warning(&text);
    }
    let omitted = warnings.count();
    if omitted > 0 {
        program.warning(format!("{omitted} more warnings are not listed").as_bytes());
    }
    if !found.sound {
        program.warning(b"file has defects, so entries may be missing; rpostmap verify lists them");
    }
    program.info(format!("{} entries found", found.pairs.len()).as_bytes());
}
