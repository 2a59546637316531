//! How much memory this process may use.

use std::fs;
use std::path::{Path, PathBuf};

/// What is assumed where nothing can be found out.
const UNKNOWN_BYTES: u64 = 4 << 30;

/// The smaller of the machine's memory and of what the control groups of this process allow.
///
/// `root` is the root of the file system, which tests put elsewhere.
pub(super) fn memory_bytes(root: &Path) -> u64 {
    let limits = machine_bytes(root).into_iter().chain(cgroup_bytes(root));
    limits.min().unwrap_or(UNKNOWN_BYTES)
}

/// `MemTotal` of `/proc/meminfo`.
fn machine_bytes(root: &Path) -> Option<u64> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The tightest limit of the control groups, version 2 or 1, that this process is in.
fn cgroup_bytes(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        // A limit of a parent group binds too; a container may see only its own group as the root.
        let parents = Path::new(path.trim_start_matches('/')).ancestors();
        files.extend(parents.map(|group| root.join(mount).join(group).join(file)));
    }
    files.iter().filter_map(limit_of).min()
}

/// The number in the file; version 2 says `max` for none, which is no number.
fn limit_of(file: &PathBuf) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_files(files: &[(&str, &str)]) -> u64 {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        memory_bytes(root.path())
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:  1000 kB\nMemFree:  10 kB\n");

    #[test]
    fn the_smallest_limit_counts() {
        assert_eq!(with_files(&[MEMINFO]), 1_024_000);
        let group = ("proc/self/cgroup", "0::/a/b\n");
        let max = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(with_files(&[MEMINFO, group, max]), 1_024_000);
        let parent = ("sys/fs/cgroup/a/memory.max", "5000\n");
        assert_eq!(with_files(&[MEMINFO, group, max, parent]), 5000);
    }

    #[test]
    fn version_1_is_read_too() {
        let group = ("proc/self/cgroup", "3:cpu:/x\n2:memory:/docker/y\n");
        let limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "7000\n");
        assert_eq!(with_files(&[MEMINFO, group, limit]), 7000);
        let none = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(with_files(&[MEMINFO, group, none]), 1_024_000);
    }

    #[test]
    fn nothing_known_is_no_error() {
        assert_eq!(with_files(&[]), UNKNOWN_BYTES);
    }
}
