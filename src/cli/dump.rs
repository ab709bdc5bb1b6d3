//! `rpostmap dump`: everything in a table file, as source text or in the format of `db_load`.

use crate::bdb::page::PageFormat;
use crate::cli::getopt::Flag;
use crate::cli::output::{Broken, Output};
use crate::cli::postmap::Stop;
use crate::cli::report::failure;
use crate::cli::text::{SourceText, shown};
use crate::cli::verb::{Call, HELP, Verb};
use crate::lmdb::LmdbReader;
use crate::table::file::{FileFormat, Reader};

pub(super) static VERB: Verb = Verb {
    name: "dump",
    words: &[],
    usage: "[--format text|db_dump] TYPE:FILE",
    help: "Print a table file: as source text that compiles back to the same table, or in the\n\
           printable format of db_dump and mdb_dump, which cdb tables do not have. Entries that\n\
           cannot be written as source text are named on\n\
           standard error, and the exit status is 1.",
    flags: &[
        Flag {
            letter: 0,
            long: "format",
            argument: Some("FORMAT"),
            help: "text (the default) or db_dump",
        },
        HELP,
    ],
    run,
};

fn run(call: &Call<'_>, output: &mut Output) -> Result<bool, Stop> {
    let for_berkeley_db = match call.value("format").map(|format| format.to_str()) {
        None | Some(Some("text")) => false,
        Some(Some("db_dump")) => true,
        Some(_) => return Err("--format is text or db_dump".into()),
    };
    let (spec, format) = call.table()?;
    if for_berkeley_db && format == FileFormat::Cdb {
        return Err("--format db_dump is for tables of Berkeley DB".into());
    }
    let path = spec.file(format.suffix());
    let failed = |error: crate::Error| call.program.read_failure(&error.in_file(&path));
    let reader = Reader::new(format, call.open()?);
    let reader = reader.map_err(|error| failure(&error.in_file(&path)))?;
    let mut text = SourceText::of(format);
    let mut complete = true;
    let mut last_key = None;
    if for_berkeley_db {
        header(&reader, output)?;
    }
    for pair in reader.iter().map_err(failed)? {
        let (key, value) = pair.map_err(failed)?;
        if for_berkeley_db {
            printable(&key, output)?;
            printable(&value, output)?;
            continue;
        }
        let again = last_key.as_deref() == Some(&*key) && format != FileFormat::Cdb;
        let written = match again {
            true => Err("a key can have one value only"),
            false => text.entry(&key, &value),
        };
        match written {
            Ok((key, value)) => output.line(&[key, b"\t", value])?,
            Err(what) => {
                complete = false;
                let text = [&shown(&key), &b": not written: "[..], what.as_bytes()].concat();
                call.program.warning(&text);
            }
        }
        last_key = Some(key);
    }
    if for_berkeley_db {
        output.line(&[b"DATA=END"])?;
    }
    for option in text.options() {
        call.program
            .info(format!("compile with {option}").as_bytes());
    }
    Ok(complete)
}

/// What the header of a Berkeley DB file tells: the type, the number of elements, whether keys can
/// have several values, and what pages have in common.
type Facts = (&'static str, Option<u32>, bool, PageFormat);

fn header(reader: &Reader, output: &mut Output) -> Result<(), Broken> {
    match reader {
        Reader::Hash(reader) => {
            let meta = reader.meta();
            let count = Some(meta.element_count);
            bdb_header(("hash", count, meta.duplicates, meta.format), output)
        }
        Reader::Btree(reader) => {
            let meta = reader.meta();
            bdb_header(("btree", None, meta.duplicates, meta.format), output)
        }
        Reader::Lmdb(reader) => lmdb_header(reader, output),
        // Nobody prints these so.
        Reader::Cdb(_) => Ok(()),
    }
}

fn bdb_header(facts: Facts, output: &mut Output) -> Result<(), Broken> {
    let (kind, element_count, duplicates, format) = facts;
    output.line(&[b"VERSION=3"])?;
    output.line(&[b"format=print"])?;
    output.line(&[b"type=", kind.as_bytes()])?;
    // Not of one, either: the program of Berkeley DB is like that.
    if let Some(count) = element_count.filter(|count| *count > 1) {
        output.line(&[b"h_nelem=", count.to_string().as_bytes()])?;
    }
    if duplicates {
        output.line(&[b"duplicates=1"])?;
    }
    if format.checksum {
        output.line(&[b"chksum=1"])?;
    }
    let size = format.size.bytes().to_string();
    output.line(&[b"db_pagesize=", size.as_bytes()])?;
    output.line(&[b"HEADER=END"])
}

/// The header that `mdb_dump -p` prints.
fn lmdb_header(reader: &LmdbReader, output: &mut Output) -> Result<(), Broken> {
    let map_size = reader.meta().map_size;
    let page_size = reader.layout().page_size.bytes();
    output.line(&[b"VERSION=3"])?;
    output.line(&[b"format=print"])?;
    output.line(&[b"type=btree"])?;
    output.line(&[format!("mapsize={map_size}").as_bytes()])?;
    // What the library has unless it is told something else; the file does not say.
    output.line(&[b"maxreaders=126"])?;
    output.line(&[format!("db_pagesize={page_size}").as_bytes()])?;
    output.line(&[b"HEADER=END"])
}

/// A key or value on a line: a blank, printable ASCII as it is, a backslash doubled, `\nn` in
/// hexadecimal for the rest.
fn printable(bytes: &[u8], output: &mut Output) -> Result<(), Broken> {
    let mut line = Vec::with_capacity(bytes.len() + 1);
    line.push(b' ');
    for &byte in bytes {
        match byte {
            b'\\' => line.extend(b"\\\\"),
            b' '..=b'~' => line.push(byte),
            _ => line.extend(format!("\\{byte:02x}").as_bytes()),
        }
    }
    output.line(&[&line])
}
