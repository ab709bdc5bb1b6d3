//! Tables in database files: a file format plus what Postfix adds to it, which is case folding,
//! trailing NULs, the UTF-8 check and the comparison with the source text's age.

use std::borrow::Cow;
use std::ffi::OsString;
use std::hint::black_box;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bdb::btree::{BtreeBuilder, BtreeReader};
use crate::bdb::hash::{HashBuilder, HashReader};
use crate::cdb::{CdbBuilder, CdbReader};
use crate::entries::{Entries, OnDuplicate};
use crate::error::{Error, ErrorKind, Result, masked};
use crate::file::WriteAt;
use crate::file::replace::{Protocol, Target};
use crate::file::store::{Store, StoreMode};
use crate::key::{Fold, NulForms, strip_nul};
use crate::lmdb::builder::check_key;
use crate::lmdb::{self, Layout, LmdbReader};
use crate::table::lmdb::{LmdbOptions, check_replaceable};
use crate::table::options::OpenOptions;
use crate::table::spec::TableSpec;
use crate::table::traits::{EachAnswer, Listing, Stale, Table};

/// How long a source text may be newer than its table before anybody is told: an editor may still
/// be open.
const STALE_GRACE: Duration = Duration::from_secs(100);

/// Keys up to this length are folded and looked up without an allocation.
const SHORT_KEY_LEN: usize = 254;
/// The room that most keys need at most, with a NUL.
const USUAL_KEY_ROOM: usize = 64;

/// How many lookups are in flight at a time: about as many as a processor has reads of memory in
/// flight, for what a lookup of one key reads.
const GROUP_LEN: usize = 16;

/// Room for a short key and a NUL.
type Room = [u8; SHORT_KEY_LEN + 1];

/// Keys that are looked up together; not those that take another way.
type Group<'p> = [Option<&'p [u8]>; GROUP_LEN];

/// Where a lookup goes on with what it read: that many times it must wait for memory.
const FETCH_STEPS: u8 = 3;

/// The format of a table file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Berkeley DB hash.
    Hash,
    /// Berkeley DB btree.
    Btree,
    /// LMDB.
    Lmdb,
    /// cdb: made as a whole and never changed.
    Cdb,
}

impl FileFormat {
    /// What stands between the table's name and the end of the file's name.
    pub fn suffix(self) -> &'static str {
        match self {
            FileFormat::Hash | FileFormat::Btree => ".db",
            FileFormat::Lmdb => ".lmdb",
            FileFormat::Cdb => ".cdb",
        }
    }

    /// The type, as it is written before the colon.
    pub fn type_name(self) -> &'static str {
        match self {
            FileFormat::Hash => "hash",
            FileFormat::Btree => "btree",
            FileFormat::Lmdb => "lmdb",
            FileFormat::Cdb => "cdb",
        }
    }

    /// A table as messages name it. All but LMDB's have their suffix there.
    pub(crate) fn title(self, spec: &TableSpec) -> String {
        let name = match self {
            FileFormat::Hash | FileFormat::Btree | FileFormat::Cdb => {
                masked(spec.file(self.suffix()))
            }
            FileFormat::Lmdb => masked(spec.name()),
        };
        format!("{}:{name}", self.type_name())
    }

    /// Opens the file of a table for reading, as other programs that use the format do.
    pub(crate) fn open_store(self, path: &Path, mode: StoreMode) -> Result<Store> {
        match self {
            FileFormat::Hash | FileFormat::Btree | FileFormat::Cdb => Store::open(path, mode),
            FileFormat::Lmdb => lmdb::open_store(path, mode),
        }
    }

    /// Whether keys and values of this format end in a NUL unless something else was asked for.
    pub fn customary_nul(self) -> bool {
        match self {
            FileFormat::Hash | FileFormat::Btree | FileFormat::Lmdb => true,
            FileFormat::Cdb => false,
        }
    }

    /// What programs that use such files keep to.
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            FileFormat::Hash | FileFormat::Btree | FileFormat::Cdb => Protocol::Rewritten,
            FileFormat::Lmdb => Protocol::Mapped,
        }
    }

    /// Waits for the lock of the table file `path` that is to be replaced. Makers of cdb tables lock
    /// another file: see [`Staging`](crate::file::staging::Staging).
    pub(crate) fn lock(self, path: &Path) -> Result<Target> {
        let target = Target::lock_as(path, self.protocol());
        match self {
            FileFormat::Hash | FileFormat::Btree | FileFormat::Cdb => target,
            FileFormat::Lmdb => {
                let target = target.map_err(as_open_database)?;
                check_replaceable(&target)?;
                Ok(target)
            }
        }
    }

    /// Refuses a key that a table cannot hold.
    pub(crate) fn check_key(self, lmdb: &LmdbOptions, key: &[u8]) -> Result<()> {
        match self {
            FileFormat::Hash | FileFormat::Btree | FileFormat::Cdb => Ok(()),
            FileFormat::Lmdb => check_key(&Layout::native(lmdb.version), key),
        }
    }

    /// What is done about a key that comes again, in a file of this format: where one key cannot
    /// have several entries, `KeepAll` is `KeepFirst`.
    pub(crate) fn on_duplicate(self, asked: OnDuplicate) -> OnDuplicate {
        match (self, asked) {
            (FileFormat::Cdb, asked) => asked,
            (_, OnDuplicate::KeepAll) => OnDuplicate::KeepFirst,
            (_, asked) => asked,
        }
    }

    /// The table file `path` as warnings name it.
    pub(crate) fn name_in_warnings(self, path: &Path) -> PathBuf {
        let bytes = path.as_os_str().as_bytes();
        let suffix = self.suffix().as_bytes();
        let name = bytes.strip_suffix(suffix).unwrap_or(bytes);
        match self {
            FileFormat::Hash | FileFormat::Btree => path.to_path_buf(),
            FileFormat::Lmdb => OsString::from_vec([b"lmdb:", name].concat()).into(),
            FileFormat::Cdb => OsString::from_vec(name.to_vec()).into(),
        }
    }

    /// Writes the table of `entries` to `out` and returns its length in bytes.
    pub(crate) fn build(
        self,
        lmdb: &LmdbOptions,
        entries: &Entries,
        out: &mut dyn WriteAt,
    ) -> Result<u64> {
        match self {
            FileFormat::Hash => HashBuilder::new().build(entries, out),
            FileFormat::Btree => BtreeBuilder::new().build(entries, out),
            FileFormat::Lmdb => lmdb.builder(None).build(entries, out),
            FileFormat::Cdb => CdbBuilder::new().build(entries, out),
        }
    }
}

/// A file of any format, open for reading: bytes as stored, nothing that Postfix adds.
pub(crate) enum Reader {
    Hash(HashReader),
    Btree(BtreeReader),
    Lmdb(LmdbReader),
    Cdb(CdbReader),
}

impl Reader {
    pub(crate) fn new(format: FileFormat, store: Store) -> Result<Reader> {
        match format {
            FileFormat::Hash => HashReader::new(store).map(Reader::Hash),
            FileFormat::Btree => BtreeReader::new(store).map(Reader::Btree),
            FileFormat::Lmdb => LmdbReader::new(store).map(Reader::Lmdb),
            FileFormat::Cdb => CdbReader::new(store).map(Reader::Cdb),
        }
    }

    fn store(&self) -> &Store {
        match self {
            Reader::Hash(reader) => reader.store(),
            Reader::Btree(reader) => reader.store(),
            Reader::Lmdb(reader) => reader.store(),
            Reader::Cdb(reader) => reader.store(),
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        match self {
            Reader::Hash(reader) => reader.get(key),
            Reader::Btree(reader) => reader.get(key),
            Reader::Lmdb(reader) => reader.get(key),
            Reader::Cdb(reader) => reader.get(key),
        }
    }

    /// As [`Reader::get`]; `place` is that of the key.
    fn get_at(&self, key: &[u8], place: usize) -> Result<Option<Cow<'_, [u8]>>> {
        match self {
            Reader::Hash(reader) => reader.get_at(key, place),
            Reader::Btree(_) | Reader::Lmdb(_) | Reader::Cdb(_) => self.get(key),
        }
    }

    /// Where in memory a lookup of each key begins, if it jumps about there.
    fn places(&self, keys: &Group<'_>) -> [Option<usize>; GROUP_LEN] {
        match self {
            Reader::Hash(reader) => reader.places(keys),
            Reader::Cdb(reader) => keys.map(|key| reader.place(key?)),
            // Of a tree most pages on the way are those of all keys.
            Reader::Btree(_) | Reader::Lmdb(_) => [None; GROUP_LEN],
        }
    }

    /// Reads bytes that a lookup from `place` on needs in this step, and returns what must be used.
    fn touch(&self, place: usize, step: u8) -> u8 {
        match self {
            Reader::Hash(reader) => reader.touch(place, step),
            Reader::Cdb(reader) => reader.touch(place, step),
            Reader::Btree(_) | Reader::Lmdb(_) => 0,
        }
    }

    pub(crate) fn iter(&self) -> Result<Listing<'_>> {
        Ok(match self {
            Reader::Hash(reader) => Box::new(reader.iter()?),
            Reader::Btree(reader) => Box::new(reader.iter()?),
            Reader::Lmdb(reader) => Box::new(reader.iter()?),
            Reader::Cdb(reader) => Box::new(reader.iter()?),
        })
    }
}

/// A table in a database file, open for reading.
pub struct FileTable {
    reader: Reader,
    format: FileFormat,
    title: String,
    fold: Fold,
    utf8: bool,
    nul_forms: NulForms,
    stale: Option<Stale>,
}

impl FileTable {
    /// Opens the table that `spec` names.
    ///
    /// # Errors
    ///
    /// `Io` with action "open database" when the file cannot be opened, `Corrupt` or `Unsupported`
    /// when it is not what its type says.
    pub fn open(format: FileFormat, spec: &TableSpec, options: &OpenOptions) -> Result<FileTable> {
        let path = spec.file(format.suffix());
        let store = format
            .open_store(&path, options.store)
            .map_err(as_open_database)?;
        let stale = stale(
            spec.source(),
            &path,
            store.state().map(|state| state.modified),
        );
        let reader = Reader::new(format, store).map_err(|error| error.in_file(&path))?;
        Ok(FileTable {
            reader,
            format,
            title: format.title(spec),
            fold: options.fold,
            utf8: options.utf8,
            nul_forms: NulForms::new(options.nul),
            stale,
        })
    }

    fn path(&self) -> &Path {
        self.reader.store().path().unwrap_or(Path::new(""))
    }

    /// `key`, folded but for what is not ASCII, with a NUL behind it. The key must be short.
    #[inline]
    fn fold_short<'p>(&self, key: &[u8], room: &'p mut [u8]) -> &'p [u8] {
        let taken = room.get_mut(..=key.len());
        if let Some((nul, place)) = taken.and_then(<[u8]>::split_last_mut) {
            place.copy_from_slice(key);
            *nul = 0;
            if self.fold != Fold::None {
                place.make_ascii_lowercase();
            }
        }
        room.get(..=key.len()).unwrap_or_default()
    }

    /// As [`FileTable::fold_short`] for those of at most [`GROUP_LEN`] keys that are ASCII and short.
    fn fold_group<'p>(&self, keys: &[&[u8]], rooms: &'p mut [Room; GROUP_LEN]) -> Group<'p> {
        let mut group = [None; GROUP_LEN];
        for ((folded, room), key) in group.iter_mut().zip(rooms).zip(keys) {
            if key.len() <= SHORT_KEY_LEN && key.is_ascii() {
                *folded = Some(self.fold_short(key, room));
            }
        }
        group
    }

    /// Looks a group of keys up, each in one form, together as far as that is quicker. `None` for a
    /// key that cannot be looked up so.
    ///
    /// The processor is made to fetch what the lookups read before the first of them: it waits for
    /// the memory of all of them together, not for one after the other. What is fetched for
    /// nothing, or not fetched, costs time alone.
    fn get_group<'t>(
        &'t self,
        group: &Group<'_>,
        with_nul: bool,
    ) -> impl Iterator<Item = Option<Result<Option<Cow<'t, [u8]>>>>> {
        let group = group.map(|key| key.map(|key| without_room(key, with_nul)));
        let places = self.reader.places(&group);
        let mut sum = 0;
        for step in 0..FETCH_STEPS {
            for place in places.iter().flatten() {
                sum ^= self.reader.touch(*place, step);
            }
        }
        // The reads must not be left out.
        black_box(sum);
        group.into_iter().zip(places).map(|(key, place)| {
            let found = match place {
                Some(place) => self.reader.get_at(key?, place),
                None => self.reader.get(key?),
            };
            Some(found.map_err(|error| error.in_file(self.path())))
        })
    }

    /// Gives `key`, folded and with one byte of room behind it for a NUL, to `find`; `None` for a key
    /// that no table can hold.
    #[inline]
    fn with_folded<T>(&self, key: &[u8], find: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let is_ascii = key.is_ascii();
        if self.utf8 && !is_ascii && std::str::from_utf8(key).is_err() {
            return None;
        }
        if key.len() <= SHORT_KEY_LEN && (is_ascii || self.fold != Fold::Unicode) {
            // Most keys are far shorter, and what is cleared for nothing costs time, too.
            return Some(if key.len() < USUAL_KEY_ROOM {
                find(self.fold_short(key, &mut [0; USUAL_KEY_ROOM]))
            } else {
                find(self.fold_short(key, &mut [0; SHORT_KEY_LEN + 1]))
            });
        }
        let mut long = Vec::with_capacity(key.len() + 1);
        self.fold.fold_into(key, &mut long);
        long.push(0);
        Some(find(&long))
    }

    /// Looks `key` up, folded already, in the forms that the table may use. `key` has one byte of
    /// room behind it for a NUL.
    fn lookup_forms(&self, key_and_room: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        for with_nul in self.nul_forms.to_try() {
            if let Some(value) = self.get_form(key_and_room, with_nul)? {
                self.nul_forms.learn(with_nul);
                return self.checked(until_nul(value)).map(Some);
            }
        }
        Ok(None)
    }

    fn get_form(&self, key_and_room: &[u8], with_nul: bool) -> Result<Option<Cow<'_, [u8]>>> {
        let found = self.reader.get(without_room(key_and_room, with_nul));
        found.map_err(|error| error.in_file(self.path()))
    }

    /// Whether the table holds none of the forms of `key`, folded already, that it may use. Nothing is
    /// learned of it.
    fn lacks_forms(&self, key_and_room: &[u8]) -> bool {
        let mut forms = self.nul_forms.to_try();
        forms.all(|with_nul| matches!(self.get_form(key_and_room, with_nul), Ok(None)))
    }

    fn checked<'v>(&self, value: Cow<'v, [u8]>) -> Result<Cow<'v, [u8]>> {
        if self.utf8 && !value.is_ascii() && std::str::from_utf8(&value).is_err() {
            let kind = ErrorKind::InvalidUtf8 {
                value: value.into_owned(),
                member: None,
            };
            return Err(Error::new(kind).in_file(self.path()));
        }
        Ok(value)
    }
}

impl Table for FileTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let found = self.with_folded(key, |folded| self.lookup_forms(folded));
        found.unwrap_or(Ok(None))
    }

    fn lookup_all<'t>(&'t self, keys: &[&[u8]], each: &mut EachAnswer<'_, 't>) {
        let Some(form) = self.nul_forms.settled() else {
            for (number, key) in keys.iter().enumerate() {
                each(number, self.lookup(key));
            }
            return;
        };
        let mut rooms = [[0; SHORT_KEY_LEN + 1]; GROUP_LEN];
        for (number, keys) in keys.chunks(GROUP_LEN).enumerate() {
            let group = self.fold_group(keys, &mut rooms);
            let found = self.get_group(&group, form);
            for (at, (key, found)) in keys.iter().zip(found).enumerate() {
                let answer = match found {
                    Some(Ok(Some(value))) => self.checked(until_nul(value)).map(Some),
                    Some(absent_or_error) => absent_or_error,
                    None => self.lookup(key),
                };
                each(GROUP_LEN * number + at, answer);
            }
        }
    }

    fn lacks_all(&self, keys: &[&[u8]]) -> bool {
        let mut rooms = [[0; SHORT_KEY_LEN + 1]; GROUP_LEN];
        keys.chunks(GROUP_LEN).all(|keys| {
            let group = self.fold_group(keys, &mut rooms);
            self.nul_forms.to_try().all(|form| {
                let mut found = keys.iter().zip(self.get_group(&group, form));
                found.all(|(key, found)| match found {
                    Some(found) => matches!(found, Ok(None)),
                    // Of a key that no table can hold nothing is asked.
                    None => self
                        .with_folded(key, |folded| self.lacks_forms(folded))
                        .unwrap_or(true),
                })
            })
        })
    }

    fn is_settled(&self) -> bool {
        self.nul_forms.settled().is_some()
    }

    fn iter(&self) -> Result<Listing<'_>> {
        let pairs = self
            .reader
            .iter()
            .map_err(|error| error.in_file(self.path()))?;
        // Both forms of keys are listed, whatever form lookups are limited to.
        Ok(Box::new(pairs.map(move |pair| {
            let (key, value) = pair.map_err(|error| error.in_file(self.path()))?;
            Ok((until_nul(key), until_nul(value)))
        })))
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn stale(&self) -> Option<&Stale> {
        self.stale.as_ref()
    }
}

impl FileTable {
    /// The format of the file.
    pub fn format(&self) -> FileFormat {
        self.format
    }
}

/// A key that has one byte of room behind it, with a NUL there or without.
#[inline]
fn without_room(key_and_room: &[u8], with_nul: bool) -> &[u8] {
    let len = key_and_room.len() - usize::from(!with_nul);
    key_and_room.get(..len).unwrap_or_default()
}

/// What keeps a file from being opened, as the original words it.
pub(crate) fn as_open_database(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Io { action: "open" } => error.with_action("open database"),
        _ => error,
    }
}

/// `bytes` up to their first NUL, borrowed if they were.
fn until_nul(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(strip_nul(bytes)),
        Cow::Owned(mut bytes) => {
            bytes.truncate(strip_nul(&bytes).len());
            Cow::Owned(bytes)
        }
    }
}

/// Whether the source was changed after its table was made, in whole seconds, and longer ago than
/// the grace. A source that cannot be looked at is no reason for a word.
fn stale(source: &Path, table: &Path, table_modified: Option<SystemTime>) -> Option<Stale> {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let changed = seconds(source.metadata().ok()?.modified().ok()?);
    let ended = || seconds(SystemTime::now()).saturating_sub(STALE_GRACE.as_secs());
    let is_stale = changed > seconds(table_modified?) && changed < ended();
    is_stale.then(|| Stale {
        table: table.to_path_buf(),
        source: source.to_path_buf(),
    })
}
