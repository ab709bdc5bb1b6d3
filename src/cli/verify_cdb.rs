//! `rpostmap verify cdb:FILE`.

use serde_json::{Value, json};

use crate::cdb::verify::{Statistics, verify};
use crate::cli::postmap::Stop;
use crate::cli::verify::{Printed, failed};
use crate::file::store::Store;

/// Verifies the cdb file that `store` holds.
pub(super) fn check(store: &Store, table: &str) -> Result<Printed, Stop> {
    let report = verify(store).map_err(|error| failed(error, store))?;
    Ok(Printed::new(table, &report, lines, to_json))
}

fn lines(statistics: &Statistics) -> Vec<(&'static str, String)> {
    vec![
        ("format", "cdb".to_string()),
        ("entries", statistics.records.to_string()),
        ("file", format!("{} bytes", statistics.file_len)),
        (
            "tables",
            format!("{} of 256, {} slots", statistics.tables, statistics.slots),
        ),
        ("fill", format!("{:.1} %", statistics.fill_percent())),
        (
            "longest lookup",
            format!("{} slots", statistics.longest_probe),
        ),
    ]
}

fn to_json(statistics: &Statistics) -> Value {
    json!({
        "method": "cdb",
        "entries": statistics.records,
        "file_bytes": statistics.file_len,
        "record_bytes": statistics.record_bytes,
        "tables": statistics.tables,
        "slots": statistics.slots,
        "used_slots": statistics.used_slots,
        "fill_percent": (statistics.fill_percent() * 10.0).round() / 10.0,
        "longest_lookup": statistics.longest_probe,
    })
}
