//! What updates of hash and btree files have in common, for the tests and fuzz targets that make
//! both.

use std::borrow::Cow;

use rpostmap::Result;
use rpostmap::bdb::btree::{BtreeBuilder, BtreeReader, BtreeUpdater};
use rpostmap::bdb::hash::{HashBuilder, HashReader, HashUpdater};
use rpostmap::bdb::{OnExisting, PageSize, Put};
use rpostmap::entries::Entries;
use rpostmap::file::UpdateAt;
use rpostmap::file::store::Store;
use rpostmap::table::KeyValue;
use rpostmap::wire::ByteOrder;

type Pairs<'r> = Box<dyn Iterator<Item = Result<KeyValue<'r>>> + 'r>;

/// An update of a file of one access method, which also names that method.
pub(crate) trait Updater: Sized {
    type Reader: Reader;
    /// Whether a listing of a file may fail because of entries that an interrupted update was about
    /// to add.
    const LISTING_MAY_FAIL: bool;

    fn open(store: Store) -> Result<Self>;
    fn put(&mut self, key: &[u8], value: &[u8], on_existing: OnExisting) -> Result<Put>;
    fn delete(&mut self, key: &[u8]) -> Result<bool>;
    fn commit(self, out: &mut dyn UpdateAt) -> Result<()>;
    fn page_len(&self) -> usize;
    fn build(entries: &Entries, size: PageSize, order: ByteOrder, out: &mut Vec<u8>)
    -> Result<u64>;
}

pub(crate) trait Reader: Sized {
    fn open(store: Store) -> Result<Self>;
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>>;
    fn pairs(&self) -> Result<Pairs<'_>>;
}

impl Updater for HashUpdater {
    type Reader = HashReader;
    const LISTING_MAY_FAIL: bool = true;

    fn open(store: Store) -> Result<Self> {
        HashUpdater::new(store)
    }

    fn put(&mut self, key: &[u8], value: &[u8], on_existing: OnExisting) -> Result<Put> {
        self.put(key, value, on_existing)
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool> {
        self.delete(key)
    }

    fn commit(self, out: &mut dyn UpdateAt) -> Result<()> {
        self.commit(out)
    }

    fn page_len(&self) -> usize {
        self.old().meta().format.size.bytes()
    }

    fn build(
        entries: &Entries,
        size: PageSize,
        order: ByteOrder,
        out: &mut Vec<u8>,
    ) -> Result<u64> {
        let builder = HashBuilder::new().page_size(size).byte_order(order);
        builder.build(entries, out)
    }
}

impl Reader for HashReader {
    fn open(store: Store) -> Result<Self> {
        HashReader::new(store)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.get(key)
    }

    fn pairs(&self) -> Result<Pairs<'_>> {
        Ok(Box::new(self.iter()?))
    }
}

impl Updater for BtreeUpdater {
    type Reader = BtreeReader;
    const LISTING_MAY_FAIL: bool = false;

    fn open(store: Store) -> Result<Self> {
        BtreeUpdater::new(store)
    }

    fn put(&mut self, key: &[u8], value: &[u8], on_existing: OnExisting) -> Result<Put> {
        self.put(key, value, on_existing)
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool> {
        self.delete(key)
    }

    fn commit(self, out: &mut dyn UpdateAt) -> Result<()> {
        self.commit(out)
    }

    fn page_len(&self) -> usize {
        self.old().meta().format.size.bytes()
    }

    fn build(
        entries: &Entries,
        size: PageSize,
        order: ByteOrder,
        out: &mut Vec<u8>,
    ) -> Result<u64> {
        let builder = BtreeBuilder::new().page_size(size).byte_order(order);
        builder.build(entries, out)
    }
}

impl Reader for BtreeReader {
    fn open(store: Store) -> Result<Self> {
        BtreeReader::new(store)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.get(key)
    }

    fn pairs(&self) -> Result<Pairs<'_>> {
        Ok(Box::new(self.iter()?))
    }
}
