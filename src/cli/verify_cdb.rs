//! `rpostmap verify cdb:FILE`.

use serde_json::{Value, json};

use crate::cdb::verify::{Report, Statistics, verify};
use crate::cli::postmap::Stop;
use crate::cli::verify::{Printed, failed};
use crate::file::store::Store;

/// Verifies the cdb file that `store` holds.
pub(super) fn check(store: &Store, table: &str) -> Result<Printed, Stop> {
    let report = verify(store).map_err(|error| failed(error, store))?;
    Ok(Printed {
        is_clean: report.is_clean(),
        defects: report.defects.iter().map(ToString::to_string).collect(),
        omitted: report.omitted,
        statistics: report.statistics.as_ref().map(lines).unwrap_or_default(),
        json: to_json(table, &report),
    })
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

fn to_json(table: &str, report: &Report) -> Value {
    let statistics = report.statistics.as_ref().map(|statistics| {
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
    });
    let defects = report.defects.iter().map(|defect| {
        json!({
            "invariant": defect.rule.id(),
            "rule": defect.rule.text(),
            "severity": if defect.rule.is_warning() { "warning" } else { "error" },
            "offset": defect.offset,
            "what": defect.what,
        })
    });
    json!({
        "table": table,
        "clean": report.is_clean(),
        "statistics": statistics,
        "defects": defects.collect::<Vec<Value>>(),
        "omitted": report.omitted,
    })
}
