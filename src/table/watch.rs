//! Which files a table comes from, and whether they are still what they were.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::table::open::files_of;
use crate::table::spec::TableSpec;

/// A file changed this recently may change again without another time of change: file systems count
/// time in steps, the coarsest common one in steps of two seconds.
const RECENT: Duration = Duration::from_secs(2);

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileState {
    device: u64,
    inode: u64,
    links: u64,
    len: u64,
    /// Time of change of the content and of the inode, in nanoseconds since 1970.
    modified: i128,
    changed: i128,
}

impl FileState {
    fn of(metadata: &Metadata) -> FileState {
        let time = |seconds: i64, nanoseconds: i64| {
            i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
        };
        FileState {
            device: metadata.dev(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            len: metadata.len(),
            modified: time(metadata.mtime(), metadata.mtime_nsec()),
            changed: time(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file was changed just before `now`. A time to come says nothing.
    fn is_recent(&self, now: i128) -> bool {
        let limit = now - i128::try_from(RECENT.as_nanos()).unwrap_or(0);
        [self.modified, self.changed]
            .iter()
            .any(|time| (limit..=now).contains(time))
    }
}

/// The files of one table, or of a configuration, as they were at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// `None` for a file that is not there or cannot be looked at.
    files: Vec<(PathBuf, Option<FileState>)>,
    is_recent: bool,
}

impl Watched {
    /// The files of `spec` as they are now. What is looked at before a table is opened cannot be
    /// newer than the table.
    pub(crate) fn now(spec: &TableSpec) -> Watched {
        Watched::of(files_of(spec))
    }

    /// These files as they are now.
    pub(crate) fn of(files: Vec<PathBuf>) -> Watched {
        let files: Vec<_> = files
            .into_iter()
            .map(|path| {
                let state = fs::metadata(&path).ok().map(|found| FileState::of(&found));
                (path, state)
            })
            .collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i128::try_from(now.as_nanos()).unwrap_or(0));
        let is_recent = files
            .iter()
            .any(|(_, state)| state.is_some_and(|state| state.is_recent(now)));
        Watched { files, is_recent }
    }

    /// Whether there are no files: nothing ever changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether the files were what they were at the time of `earlier`.
    pub(crate) fn is_as(&self, earlier: &Watched) -> bool {
        self.files == earlier.files
    }

    /// Whether a change may have been missed: a file had been changed just before.
    pub(crate) fn is_recent(&self) -> bool {
        self.is_recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::TestDir;
    use std::ffi::OsStr;

    #[test]
    fn every_change_shows_and_old_files_are_settled() {
        let dir = TestDir::new();
        let path = dir.path("t");
        let spec = TableSpec::parse(OsStr::new(&format!("texthash:{}", path.display())), "");
        let missing = Watched::now(&spec);
        assert!(!missing.is_empty() && !missing.is_recent());

        fs::write(&path, "a 1\n").unwrap();
        let first = Watched::now(&spec);
        assert!(!first.is_as(&missing) && first.is_recent());
        assert!(Watched::now(&spec).is_as(&first));

        fs::hard_link(&path, dir.path("other")).unwrap();
        let linked = Watched::now(&spec);
        assert!(!linked.is_as(&first), "link count");

        fs::write(dir.path("new"), "a 1\n").unwrap();
        fs::rename(dir.path("new"), &path).unwrap();
        let replaced = Watched::now(&spec);
        assert!(!replaced.is_as(&linked), "inode");
    }

    #[test]
    fn only_the_last_moments_are_recent() {
        let at = |time: i128| FileState {
            device: 1,
            inode: 1,
            links: 1,
            len: 1,
            modified: time,
            changed: 0,
        };
        let now = 1_000_000_000_000;
        for (time, expect) in [
            (now, true),
            (now - 1_999_999_999, true),
            (now - 2_000_000_001, false),
            (now + 1, false),
        ] {
            assert_eq!(at(time).is_recent(now), expect, "{time}");
        }
    }
}
