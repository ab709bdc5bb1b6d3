//! How much memory this process may still take.

use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};

/// The bytes of memory that are free for this process: those of the machine, of its control groups
/// and of its own limit, whichever is least. `None` when the system tells nothing.
pub(crate) fn available() -> Option<u64> {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    [
        kilobytes(&text("/proc/meminfo"), "MemAvailable:"),
        control_group(&text("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
        address_space(&text("/proc/self/status")),
    ]
    .into_iter()
    .flatten()
    .min()
}

/// What RLIMIT_AS leaves.
fn address_space(status: &str) -> Option<u64> {
    let (limit, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
    // No limit is the largest number.
    let limit = Some(limit).filter(|&limit| limit != nix::libc::RLIM_INFINITY)?;
    Some(limit.saturating_sub(kilobytes(status, "VmSize:")?))
}

/// The number behind `name`, which counts kilobytes, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number = rest.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    number.checked_mul(1024)
}

/// What the groups that `/proc/self/cgroup` names, and those above them, leave.
fn control_group(groups: &str, root: &Path) -> Option<u64> {
    let left = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let version = match controllers {
            "" => &V2,
            _ if controllers.split(',').any(|name| name == "memory") => &V1,
            _ => return None,
        };
        let base = root.join(version.directory);
        let group = base.join(path.trim_start_matches('/'));
        let above = group.ancestors().take_while(|path| path.starts_with(&base));
        above.filter_map(|path| version.left(path)).min()
    });
    left.min()
}

/// The names of files of one version of control groups.
struct Version {
    directory: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// In `memory.stat`: what is taken by files and can be given back.
    file_memory: &'static str,
}

const V1: Version = Version {
    directory: "memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    file_memory: "total_cache ",
};

const V2: Version = Version {
    directory: "",
    limit: "memory.max",
    usage: "memory.current",
    file_memory: "file ",
};

impl Version {
    /// What a group leaves. `None` when it has no limit, or is not there.
    fn left(&self, group: &Path) -> Option<u64> {
        let number = |name: &str| -> Option<u64> {
            let text = fs::read_to_string(group.join(name)).ok()?;
            text.trim().parse().ok()
        };
        let limit = number(self.limit)?;
        let usage = number(self.usage)?;
        let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let mut lines = stat.lines();
        let files = lines.find_map(|line| line.strip_prefix(self.file_memory)?.parse().ok());
        let taken = usage.saturating_sub(files.unwrap_or(0));
        Some(limit.saturating_sub(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::TestDir;

    #[test]
    fn this_machine_has_memory() {
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn the_least_of_a_group_and_those_above_it_counts() {
        let dir = TestDir::new();
        for (group, files) in [
            (
                "a",
                &[("memory.max", "5000\n"), ("memory.current", "1000\n")][..],
            ),
            ("a/b", &[("memory.max", "max\n"), ("memory.current", "9\n")]),
            (
                "a/b/c",
                &[
                    ("memory.max", "9000\n"),
                    ("memory.current", "7000\n"),
                    ("memory.stat", "anon 3000\nfile 2500\n"),
                ],
            ),
            (
                "memory/x",
                &[
                    ("memory.limit_in_bytes", "100\n"),
                    ("memory.usage_in_bytes", "70\n"),
                    ("memory.stat", "cache 1\ntotal_cache 20\n"),
                ],
            ),
        ] {
            fs::create_dir_all(dir.path(group)).unwrap();
            for (name, text) in files {
                fs::write(dir.path(group).join(name), text).unwrap();
            }
        }
        for (groups, expect) in [
            ("0::/a/b/c\n", Some(4000)),
            ("0::/a/b\n", Some(4000)),
            ("0::/\n", None),
            ("0::/gone\n", None),
            ("3:cpuset:/\n4:cpu,memory:/x\n0::/\n", Some(50)),
            ("4:memory:/x\n0::/a\n", Some(50)),
            ("", None),
            ("nonsense", None),
        ] {
            assert_eq!(control_group(groups, dir.root()), expect, "{groups}");
        }
    }

    #[test]
    fn kilobytes_are_counted_in_bytes() {
        let text = "MemFree: 1 kB\nMemAvailable:   23 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(23 * 1024));
        assert_eq!(kilobytes(text, "VmSize:"), None);
    }
}
