//! `rpostmap verify`: what is wrong with a table file, or what is in it.

use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::bdb::meta::{AccessMethod, wrong_method};
use crate::bdb::verify::{PageCounts, Statistics, verify};
use crate::cli::getopt::Flag;
use crate::cli::output::Output;
use crate::cli::postmap::Stop;
use crate::cli::report::failure;
use crate::cli::text::escaped;
use crate::cli::verb::{Call, HELP, Verb};
use crate::cli::{verify_cdb, verify_lmdb};
use crate::defect::{Defect, Place, Report, Rule};
use crate::error::Error;
use crate::file::store::Store;
use crate::table::file::FileFormat;
use crate::wire::ByteOrder;

pub(super) static VERB: Verb = Verb {
    name: "verify",
    words: &[],
    usage: "[--json] TYPE:FILE",
    help: "Check a whole table file. Prints every defect, or statistics when there is none.\n\
           The numbers of the rules are explained in docs/verify.md, those for cdb tables in\n\
           docs/format-cdb.md. Exit status 1 for errors.",
    flags: &[
        Flag {
            letter: 0,
            long: "json",
            argument: None,
            help: "print one JSON object",
        },
        HELP,
    ],
    run,
};

/// What a verification found, as it is printed.
pub(super) struct Printed {
    pub(super) is_clean: bool,
    pub(super) defects: Vec<String>,
    pub(super) omitted: u64,
    /// Name and value of each statistic.
    pub(super) statistics: Vec<(&'static str, String)>,
    /// The same as one object.
    pub(super) json: Value,
}

impl Printed {
    /// The report on `table`; `lines` and `to_json` say what was counted.
    pub(super) fn new<R: Rule, S>(
        table: &str,
        report: &Report<R, S>,
        lines: impl Fn(&S) -> Vec<(&'static str, String)>,
        to_json: impl Fn(&S) -> Value,
    ) -> Printed {
        let statistics = report.statistics.as_ref();
        let defects = report.defects.iter();
        Printed {
            is_clean: report.is_clean(),
            defects: defects.clone().map(ToString::to_string).collect(),
            omitted: report.omitted,
            statistics: statistics.map(lines).unwrap_or_default(),
            json: json!({
                "table": table,
                "clean": report.is_clean(),
                "statistics": statistics.map(to_json),
                "defects": defects.map(defect_to_json).collect::<Vec<Value>>(),
                "omitted": report.omitted,
            }),
        }
    }
}

fn defect_to_json<R: Rule>(defect: &Defect<R>) -> Value {
    let mut json = json!({
        "invariant": defect.rule.id(),
        "rule": defect.rule.text(),
        "severity": defect.severity.name(),
        "what": defect.what,
    });
    match defect.place {
        Place::Offset(offset) => json["offset"] = offset.into(),
        place => {
            json["page"] = place.page().into();
            json["slot"] = place.slot().into();
        }
    }
    json
}

fn run(call: &Call<'_>, output: &mut Output) -> Result<bool, Stop> {
    let (_, format) = call.table()?;
    let store = call.open()?;
    let table = escaped(call.operand.as_bytes());
    let printed = match format {
        FileFormat::Hash => check_bdb(&store, &table, AccessMethod::Hash)?,
        FileFormat::Btree => check_bdb(&store, &table, AccessMethod::Btree)?,
        FileFormat::Lmdb => verify_lmdb::check(&store, &table)?,
        FileFormat::Cdb => verify_cdb::check(&store, &table)?,
    };
    if call.has("json") {
        output.line(&[printed.json.to_string().as_bytes()])?;
    } else {
        print(&printed, output)?;
    }
    Ok(printed.is_clean)
}

fn print(printed: &Printed, output: &mut Output) -> Result<(), Stop> {
    for defect in &printed.defects {
        output.line(&[defect.as_bytes()])?;
    }
    if printed.omitted > 0 {
        let text = format!("{} more defects are not listed", printed.omitted);
        output.line(&[text.as_bytes()])?;
    }
    if printed.is_clean {
        for (name, value) in &printed.statistics {
            output.line(&[format!("{name:<15} {value}").as_bytes()])?;
        }
    }
    Ok(())
}

fn check_bdb(store: &Store, table: &str, method: AccessMethod) -> Result<Printed, Stop> {
    let report = verify(store).map_err(|error| failed(error, store))?;
    if let Some(statistics) = &report.statistics
        && statistics.method != method
    {
        let error = wrong_method(statistics.method, method);
        let path = store.path().unwrap_or("".as_ref());
        return Err(failure(&error.in_file(path)).into());
    }
    Ok(Printed::new(table, &report, lines, to_json))
}

/// What kept a file from being verified.
pub(super) fn failed(error: Error, store: &Store) -> Stop {
    failure(&match store.path() {
        Some(path) => error.in_file(path),
        None => error,
    })
    .into()
}

pub(super) fn order_name(order: ByteOrder) -> &'static str {
    match order {
        ByteOrder::Little => "little-endian",
        ByteOrder::Big => "big-endian",
    }
}

/// Every kind of page with its name and number.
fn page_kinds(pages: &PageCounts) -> [(&'static str, u32); 11] {
    [
        ("meta", pages.meta),
        ("bucket", pages.bucket),
        ("chain", pages.chain),
        ("leaf", pages.leaf),
        ("internal", pages.internal),
        ("overflow", pages.overflow),
        ("duplicate", pages.duplicate),
        ("free", pages.free),
        ("unused_bucket", pages.unused_bucket),
        ("unowned", pages.unowned),
        ("behind_end", pages.behind_end),
    ]
}

fn lines(statistics: &Statistics) -> Vec<(&'static str, String)> {
    let kinds = page_kinds(&statistics.pages);
    let total: u64 = kinds.iter().map(|(_, count)| u64::from(*count)).sum();
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {}", kind.replace('_', " ")))
        .collect();
    let checksums = if statistics.checksums {
        ", checksums"
    } else {
        ""
    };
    let mut lines = vec![
        (
            "format",
            format!(
                "{} version {}, {}{checksums}",
                statistics.method.name(),
                statistics.version,
                order_name(statistics.order)
            ),
        ),
        ("page size", statistics.page_size.bytes().to_string()),
        ("entries", statistics.entries.to_string()),
        ("pages", format!("{total}: {}", kinds.join(", "))),
        ("fill", format!("{:.1} %", statistics.fill_percent())),
        ("off-page items", statistics.off_page_items.to_string()),
        (
            "longest lookup",
            format!("{} pages", statistics.longest_lookup),
        ),
    ];
    if let Some(height) = statistics.height {
        lines.push(("height", height.to_string()));
    } else {
        let chains = statistics.chain_lengths.iter();
        let chains: Vec<String> = chains
            .map(|(len, count)| format!("{count} of {len}"))
            .collect();
        lines.push(("buckets", statistics.buckets.to_string()));
        lines.push(("pages a bucket", chains.join(", ")));
    }
    lines
}

fn to_json(statistics: &Statistics) -> Value {
    let pages = page_kinds(&statistics.pages);
    let pages = pages.map(|(kind, count)| (kind.to_string(), Value::from(count)));
    let chains = statistics.chain_lengths.iter();
    let chains = chains.map(|(len, count)| (len.to_string(), Value::from(*count)));
    json!({
        "method": statistics.method.name(),
        "version": statistics.version,
        "byte_order": order_name(statistics.order),
        "page_size": statistics.page_size.bytes(),
        "checksums": statistics.checksums,
        "entries": statistics.entries,
        "buckets": statistics.buckets,
        "pages": Value::Object(pages.into_iter().collect()),
        "fill_percent": (statistics.fill_percent() * 10.0).round() / 10.0,
        "chain_lengths": Value::Object(chains.collect()),
        "longest_lookup": statistics.longest_lookup,
        "off_page_items": statistics.off_page_items,
        "height": statistics.height,
    })
}
