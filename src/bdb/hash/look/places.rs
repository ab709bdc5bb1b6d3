//! Whether keys lie where a lookup of them would search.

use crate::bdb::hash::function::HashFunction;
use crate::bdb::hash::known::Mark;
use crate::bdb::hash::look::{Chain, Look};
use crate::bdb::hash::pairs::Pairs;
use crate::bdb::item::HashItem;
use crate::bdb::page::{Page, PageKind, PageSet};
use crate::bdb::{BucketNo, PageNo};
use crate::error::{Error, Result};

impl<'a> Look<'a> {
    /// Checks the place of the first key of a page; `false` when the page has none.
    #[inline]
    pub(super) fn check_first_key(
        &self,
        bucket: BucketNo,
        page: &Page<'_>,
        function: HashFunction,
    ) -> Result<bool> {
        let mut pairs = Pairs::new(page)?;
        let Some(pair) = pairs.next_pair()? else {
            return Ok(false);
        };
        let key = self.key(page, pairs.item(pair.slot, pair.key)?)?;
        self.is_in_place(bucket, page, &key, function)?;
        Ok(true)
    }

    /// Whether a key found in `bucket` belongs there. `false` for a copy of a key that is in its
    /// place too, left behind by an interrupted split.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the key is in a wrong place only.
    #[inline]
    pub(in crate::bdb::hash) fn is_in_place(
        &self,
        bucket: BucketNo,
        page: &Page<'_>,
        key: &[u8],
        function: HashFunction,
    ) -> Result<bool> {
        let home = self.addressing().bucket_of(function.hash(key));
        if home == bucket {
            return Ok(true);
        }
        if self.holds(home, key)? {
            return Ok(false);
        }
        let what = format!("key of bucket {} lies in bucket {}", home.0, bucket.0);
        Err(Error::corrupt_page(page.number().0, what))
    }

    /// When `hash` was folded because its bucket is not in use yet, that the page reserved for the
    /// bucket does not hold `key`. Otherwise the table has grown further than the meta page says.
    pub(super) fn check_not_grown(&self, hash: u32, key: &[u8]) -> Result<()> {
        let unfolded = self.addressing().unfolded(hash);
        if unfolded.0 <= self.addressing().max_bucket {
            return Ok(());
        }
        let Some(number) = self.addressing().page_of(unfolded) else {
            return Ok(());
        };
        let known = self.known_pages();
        if known.is_some_and(|known| known.is(number, Mark::Empty)) {
            return Ok(());
        }
        match self.unused_page(unfolded)? {
            Some(page) if self.find_on(&page, key)?.is_some() => Err(self.grown(&page, unfolded)),
            Some(page) if page.entry_count()? != 0 => Ok(()),
            _ => {
                known
                    .into_iter()
                    .for_each(|known| known.set(number, Mark::Empty));
                Ok(())
            }
        }
    }

    /// That no page behind the end of the database holds `key`: an update was interrupted there,
    /// and nobody knows any more whether the key was in the table.
    pub(super) fn check_behind_end(&self, key: &[u8]) -> Result<()> {
        if self.meta.page_count == self.meta.file_page_count {
            return Ok(());
        }
        match self.known_pages() {
            Some(known) => self.check_behind(known.behind(|| self.pages_behind()), key),
            None => self.check_behind(&self.pages_behind(), key),
        }
    }

    /// The pages behind the end of the database that may hold keys.
    fn pages_behind(&self) -> Vec<PageNo> {
        let all = (self.meta.page_count..self.meta.file_page_count).map(PageNo);
        all.filter(|page| self.pages.kind_of(*page).is_ok_and(PageKind::is_hash))
            .collect()
    }

    fn check_behind(&self, pages: &[PageNo], key: &[u8]) -> Result<()> {
        for &number in pages {
            // What is damaged there does not matter.
            if let Ok(Some(page)) = self.pages.any_page(number)
                && matches!(self.find_on(&page, key), Ok(Some(_)))
            {
                let what = "key lies behind the end of the database, left by an interrupted update";
                return Err(Error::corrupt_page(number.0, what));
            }
        }
        Ok(())
    }

    /// That no page behind the end of the database holds a key that is not in the table.
    pub(in crate::bdb::hash) fn check_nothing_behind_end(
        &self,
        function: HashFunction,
    ) -> Result<()> {
        for number in (self.meta.page_count..self.meta.file_page_count).map(PageNo) {
            // What is damaged there does not matter.
            if let Ok(Some(page)) = self.pages.any_page(number)
                && page.kind().is_hash()
                && let Ok(mut pairs) = Pairs::new(&page)
            {
                while let Ok(Some(pair)) = pairs.next_pair() {
                    let Ok(item) = pairs.item(pair.slot, pair.key) else {
                        continue;
                    };
                    let Ok(key) = self.key(&page, item) else {
                        continue;
                    };
                    if !self.holds(self.addressing().bucket_of(function.hash(&key)), &key)? {
                        let what = "an interrupted update left keys behind the end of the \
                                    database; build the table again from its source";
                        return Err(Error::corrupt_page(number.0, what));
                    }
                }
            }
        }
        Ok(())
    }

    /// The first page of a bucket above the highest, if there is anything on it.
    pub(in crate::bdb::hash) fn unused_page(&self, bucket: BucketNo) -> Result<Option<Page<'a>>> {
        let Some(number) = self.addressing().page_of(bucket) else {
            return Ok(None);
        };
        let page = self.pages.page_or_blank(number)?;
        Ok(page.filter(|page| page.kind() != PageKind::Free))
    }

    #[cold]
    fn grown(&self, page: &Page<'_>, bucket: BucketNo) -> Error {
        let (bucket, highest) = (bucket.0, self.addressing().max_bucket);
        let what = format!("page of bucket {bucket} is in use, but {highest} is the highest");
        Error::corrupt_page(page.number().0, what)
    }

    /// That every key of the file is in its bucket, or a copy of one that is.
    pub(super) fn check_places(&self, function: HashFunction) -> Result<()> {
        let mut seen = PageSet::new(self.pages.count());
        for bucket in (0..=self.addressing().max_bucket).map(BucketNo) {
            let mut chain = Chain::new(self.addressing(), bucket)?;
            while let Some(page) = self.next_page(&mut chain)? {
                self.check_places_on(bucket, &page, function, &mut seen)?;
            }
        }
        self.check_unused(function, &mut seen)
    }

    /// That the pages of buckets that are not in use hold nothing but copies of keys that are in
    /// their place. Anything else is an entry that the table lost, or one that an interrupted
    /// update was about to add.
    pub(in crate::bdb::hash) fn check_unused(
        &self,
        function: HashFunction,
        seen: &mut PageSet,
    ) -> Result<()> {
        let max_bucket = self.addressing().max_bucket;
        for bucket in (max_bucket + 1..=self.addressing().high_mask()).map(BucketNo) {
            if let Some(page) = self.unused_page(bucket)? {
                self.check_places_on(bucket, &page, function, seen)
                    .map_err(|_| self.grown(&page, bucket))?;
            }
        }
        Ok(())
    }

    /// `seen` as for [`Look::off_page_key`]: keys that share pages are not read over and over.
    fn check_places_on(
        &self,
        bucket: BucketNo,
        page: &Page<'_>,
        function: HashFunction,
        seen: &mut PageSet,
    ) -> Result<()> {
        let mut pairs = Pairs::new(page)?;
        while let Some(pair) = pairs.next_pair()? {
            match pairs.item(pair.slot, pair.key)? {
                HashItem::OffPage(item) => {
                    self.off_page_key(bucket, page, item, seen)?;
                }
                item => {
                    let key = self.key(page, item)?;
                    self.is_in_place(bucket, page, &key, function)?;
                }
            }
        }
        Ok(())
    }
}
