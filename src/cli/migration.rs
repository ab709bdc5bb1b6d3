//! `--follow-migration`: other types in the place of `hash` and `btree`, as Postfix 3.11 and later
//! have it when main.cf says `non_bdb_migration_level = enable-redirect`.
//!
//! Our own programs read and make these types themselves, so without the option the setting means
//! nothing: a table is what its name says.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::cli::report::{Fatal, Program, failure};
use crate::cli::settings::Settings;
use crate::error::{Error, masked};
use crate::source::braces;
use crate::table::open::TableType;
use crate::table::{OpenOptions, TableSpec, open};

/// The types that are to go.
const LEGACY: [&str; 2] = ["hash", "btree"];

/// Gives each table of a legacy type the type that main.cf has for it, and says so.
pub(super) fn redirect(
    program: &Program,
    settings: &Settings,
    specs: &mut [TableSpec],
) -> Result<(), Fatal> {
    let config = &settings.config;
    let mut warn = |text: Vec<u8>| program.warning(&text);
    let mut text = |name: &str| {
        config
            .text(name, &mut warn)
            .map_err(|error| failure(&error))
    };
    match &*text("non_bdb_migration_level")? {
        b"disable" => return Ok(()),
        b"enable-redirect" | b"enable-reindex" => {}
        level => {
            let what = b"invalid non-Berkeley-DB migration level: '";
            return Err([&what[..], level, b"'"].concat().into());
        }
    }
    let mapping = text("non_bdb_custom_mapping")?;
    let cache_type = text("default_cache_db_type")?;
    let silent = text("non_bdb_migration_log_redirect")?.eq_ignore_ascii_case(b"no");
    for spec in specs {
        if !is_legacy(spec.type_name()) {
            continue;
        }
        let new_type = match custom(&mapping, spec)? {
            Some(new_type) => new_type,
            None if spec.type_name() == "hash" => settings.default_type.clone().into(),
            None => OsString::from_vec(cache_type.clone()),
        };
        let new = renamed(spec, &new_type)?;
        if !silent {
            program.info(format!("redirecting {spec} to {new}").as_bytes());
        }
        *spec = new;
    }
    Ok(())
}

fn is_legacy(type_name: &OsStr) -> bool {
    LEGACY.iter().any(|legacy| type_name == *legacy)
}

/// What the tables of `non_bdb_custom_mapping` have for `type:name`, or else for `type`.
fn custom(mapping: &[u8], spec: &TableSpec) -> Result<Option<OsString>, Fatal> {
    for table in braces::items(mapping) {
        let table = TableSpec::parse(OsStr::from_bytes(table), "");
        if is_legacy(table.type_name()) {
            return Err(lookup_error(spec, table.type_name()));
        }
        let failed = |error: Error| failure(&error);
        let table = open(&table, &OpenOptions::default()).map_err(failed)?;
        let full = [spec.type_name().as_bytes(), b":", spec.name().as_bytes()].concat();
        for key in [&*full, spec.type_name().as_bytes()] {
            if let Some(new_type) = table.lookup(key).map_err(failed)? {
                return Ok(Some(OsString::from_vec(new_type.into_owned())));
            }
        }
    }
    Ok(None)
}

fn renamed(spec: &TableSpec, new_type: &OsStr) -> Result<TableSpec, Fatal> {
    if is_legacy(new_type) {
        return Err(lookup_error(spec, new_type));
    }
    if TableType::format_to_make(new_type).is_err() {
        let text = "no 'map create' support for non_bdb mapped type: ";
        return Err(format!("{text}{}", masked(new_type)).into());
    }
    let mut operand = new_type.to_owned();
    operand.push(":");
    operand.push(spec.name());
    Ok(TableSpec::parse(&operand, ""))
}

fn lookup_error(spec: &TableSpec, new_type: &OsStr) -> Fatal {
    let (old, new) = (masked(spec.type_name()), masked(new_type));
    format!(
        "non_bdb migration mapping lookup error for '{old}': \
         mapping from '{old}' to legacy type '{new}'"
    )
    .into()
}
