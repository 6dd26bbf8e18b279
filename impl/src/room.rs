//! How much memory there is for a new segment.
//!
//! A file system in memory may have a limit, and then refuses what is beyond it. A memory file has
//! none: the system goes on giving it pages until there are no more, and then kills some process,
//! as a rule another one. So before a segment is given its memory, what it needs is compared with
//! what can be had: of the machine, and within each control group (of either version) that this
//! process is in.
//!
//! It is a look at one moment, and errs on the side of trying: what is cached is counted as
//! free, swap as memory, and what cannot be read is no limit. It refuses what cannot go well.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// What memory can be had, where it is too little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// In bytes.
    pub available: u64,
    /// What says so: a file of the system.
    pub limit: String,
}

/// The tightest limit, if it leaves less than `needed` bytes.
pub(crate) fn shortage(needed: u64) -> Option<Room> {
    // As bytes: a name somewhere in it need not be text.
    let read = |path: &Path| Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned());
    System { read: &read }.shortage(needed)
}

/// The machine, through its files.
struct System<'a> {
    read: &'a dyn Fn(&Path) -> Option<String>,
}

impl System<'_> {
    fn shortage(&self, needed: u64) -> Option<Room> {
        let memory = self.text("/proc/meminfo").unwrap_or_default();
        let swap = value(&memory, "SwapFree:")
            .unwrap_or(0)
            .saturating_mul(1024);
        let machine = value(&memory, "MemAvailable:").map(|available| Room {
            available: available.saturating_mul(1024).saturating_add(swap),
            limit: "MemAvailable and SwapFree in /proc/meminfo".to_owned(),
        });
        let groups = self.groups().into_iter().flat_map(Group::levels);
        let groups = groups.filter_map(|group| self.room_in(&group, needed, swap));
        (machine.into_iter().chain(groups))
            .filter(|room| room.available < needed)
            .min_by_key(|room| room.available)
    }

    fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        (self.read)(path.as_ref())
    }

    /// A file with one number.
    fn number(&self, group: &Group, file: &str) -> Option<u64> {
        self.text(group.place.join(file))?.trim().parse().ok()
    }

    /// The control groups of this process that count memory: one of each version, at most.
    fn groups(&self) -> Vec<Group> {
        let (own, mounts) = ("/proc/self/cgroup", "/proc/self/mountinfo");
        let (Some(own), Some(mounts)) = (self.text(own), self.text(mounts)) else {
            return Vec::new();
        };
        let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::of).collect();
        own.lines()
            .filter_map(|line| {
                let (_, line) = line.split_once(':')?;
                let (controllers, path) = line.split_once(':')?;
                let old = controllers.split(',').any(|name| name == "memory");
                if !old && !controllers.is_empty() {
                    return None;
                }
                let mount = mounts.iter().find(|mount| mount.old == old)?;
                Some(Group {
                    place: mount.place_of(path),
                    top: mount.point.clone(),
                    old,
                })
            })
            .collect()
    }

    /// What a control group has left; `None` if it has no limit.
    fn room_in(&self, group: &Group, needed: u64, swap: u64) -> Option<Room> {
        let (limit_file, used_file) = if group.old {
            ("memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            ("memory.max", "memory.current")
        };
        let mut available = self.left(group, limit_file, used_file)?;
        if group.old {
            // This version counts memory and swap together.
            let (limit, used) = ("memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes");
            let both = self.left(group, limit, used).unwrap_or(u64::MAX);
            available = available.saturating_add(swap).min(both);
        } else {
            let left = self.left(group, "memory.swap.max", "memory.swap.current");
            available = available.saturating_add(left.unwrap_or(swap).min(swap));
        }
        // Asked only where it matters: the kernel adds it up for whoever asks.
        if available < needed {
            available = available.saturating_add(self.cached_in(group));
        }
        Some(Room {
            available,
            limit: format!("{} in {}", limit_file, group.place.display()),
        })
    }

    /// What is left of a limit; `None` if there is none: then the file has another word, or a
    /// number beyond every machine.
    fn left(&self, group: &Group, limit: &str, used: &str) -> Option<u64> {
        let limit = self.number(group, limit)?;
        Some(limit.saturating_sub(self.number(group, used)?))
    }

    /// What a control group uses and would be given back before anybody is killed.
    fn cached_in(&self, group: &Group) -> u64 {
        let fields: &[&str] = if group.old {
            &["total_inactive_file", "total_active_file"]
        } else {
            &["inactive_file", "active_file", "slab_reclaimable"]
        };
        let stat = self.text(group.place.join("memory.stat"));
        let stat = stat.unwrap_or_default();
        let of = |field: &&str| value(&stat, field).unwrap_or(0);
        fields.iter().map(of).fold(0, u64::saturating_add)
    }
}

/// The number after a word at the beginning of a line.
fn value(text: &str, word: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(word)).then(|| words.next()?.parse().ok())?
    })
}

/// A control group, or one that it is in.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    /// Its directory.
    place: PathBuf,
    /// The directory of the outermost one that can be seen.
    top: PathBuf,
    /// Whether it is of the first version.
    old: bool,
}

impl Group {
    /// It and all that it is in.
    fn levels(self) -> Vec<Group> {
        let inside = |place: &&Path| place.starts_with(&self.top);
        let level = |place: &Path| Group {
            place: place.to_owned(),
            top: self.top.clone(),
            old: self.old,
        };
        self.place
            .ancestors()
            .take_while(inside)
            .map(level)
            .collect()
    }
}

/// Where control groups that count memory are mounted.
struct Mount {
    point: PathBuf,
    /// The control group that is found there.
    root: PathBuf,
    old: bool,
}

impl Mount {
    /// Of a line of `/proc/self/mountinfo`.
    fn of(line: &str) -> Option<Mount> {
        let (mount, system) = line.split_once(" - ")?;
        let system: Vec<_> = system.split(' ').collect();
        let old = match system[..] {
            ["cgroup2", ..] => false,
            ["cgroup", _, options, ..] if options.split(',').any(|word| word == "memory") => true,
            _ => return None,
        };
        let mut words = mount.split(' ').skip(3);
        Some(Mount {
            root: words.next()?.into(),
            point: words.next()?.into(),
            old,
        })
    }

    /// The directory of a control group. What lies outside of all that is mounted is looked for at
    /// the outermost one that is.
    fn place_of(&self, group: &str) -> PathBuf {
        let group = Path::new(group);
        match group.strip_prefix(&self.root) {
            Ok(below)
                if below
                    .components()
                    .all(|c| matches!(c, Component::Normal(_))) =>
            {
                self.point.join(below)
            }
            _ => self.point.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MEMINFO: &str = "MemTotal:       25165824 kB\n\
                           MemAvailable:   16777216 kB\n\
                           SwapTotal:       2097152 kB\n\
                           SwapFree:        1048576 kB\n";
    const NEW: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
    const OLD: &str = "22 1 0:5 / /proc rw - proc proc rw\n\
                       33 25 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                       34 25 0:31 /docker/1 /sys/fs/cgroup/memory rw shared:9 - cgroup none rw,memory\n";

    fn shortage(files: &[(&str, &str)], needed: u64) -> Option<(u64, String)> {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        let room = System { read: &read }.shortage(needed)?;
        Some((room.available, room.limit))
    }

    #[track_caller]
    fn assert_room(files: &[(&str, &str)], available: u64, limit: &str) {
        assert_eq!(shortage(files, available), None);
        let expected = Some((available, limit.to_owned()));
        assert_eq!(shortage(files, available + 1), expected);
        // However much it is.
        assert_eq!(shortage(files, u64::MAX), expected);
    }

    #[test]
    fn a_machine_has_what_is_available_and_can_be_swapped_out() {
        let limit = "MemAvailable and SwapFree in /proc/meminfo";
        assert_room(&[("/proc/meminfo", MEMINFO)], 17 * GIB, limit);
        let without_swap = [("/proc/meminfo", "MemAvailable: 1024 kB\n")];
        assert_room(&without_swap, 1 << 20, limit);
    }

    #[test]
    fn what_cannot_be_read_is_no_limit() {
        for files in [
            &[][..],
            &[("/proc/meminfo", "")],
            &[("/proc/meminfo", "MemAvailable: a lot\nMemAvailable")],
            &[("/proc/self/cgroup", "0::/a\n")],
            &[
                ("/proc/self/cgroup", "nonsense\n0:\n:::\n"),
                ("/proc/self/mountinfo", NEW),
            ],
            &[
                ("/proc/self/cgroup", "0::/a\n"),
                ("/proc/self/mountinfo", "- cgroup2\n1 2 - cgroup2"),
            ],
            &[
                ("/proc/self/cgroup", "0::/a\n"),
                ("/proc/self/mountinfo", NEW),
                ("/sys/fs/cgroup/a/memory.max", "1000\n"),
            ],
        ] {
            assert_eq!(shortage(files, u64::MAX), None, "{files:?}");
        }
    }

    #[test]
    fn a_control_group_has_what_it_has_left_and_can_give_back() {
        let files = [
            ("/proc/meminfo", MEMINFO),
            ("/proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n"),
            ("/proc/self/mountinfo", NEW),
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/b/memory.current", "5000\n"),
            // The one above it has the limit.
            ("/sys/fs/cgroup/a/memory.max", "10000\n"),
            ("/sys/fs/cgroup/a/memory.current", "9000\n"),
            ("/sys/fs/cgroup/a/memory.swap.max", "700\n"),
            ("/sys/fs/cgroup/a/memory.swap.current", "650\n"),
            (
                "/sys/fs/cgroup/a/memory.stat",
                "anon 7000\nfile 2000\ninactive_file 300\nactive_file 200\nslab_reclaimable 7\n",
            ),
        ];
        let limit = "memory.max in /sys/fs/cgroup/a";
        assert_room(&files, 1000 + 50 + 507, limit);
        // Without a limit on swap there is the machine's.
        let unlimited: Vec<_> = (files.iter().copied())
            .filter(|(name, _)| !name.contains("swap"))
            .collect();
        assert_room(&unlimited, 1000 + GIB + 507, limit);
    }

    #[test]
    fn the_tightest_of_all_levels_is_told() {
        let group = |path: &str, max: &str| {
            [
                (format!("/sys/fs/cgroup{path}/memory.max"), max.to_owned()),
                (
                    format!("/sys/fs/cgroup{path}/memory.current"),
                    "0".to_owned(),
                ),
            ]
        };
        for tight in 0..3 {
            let limits = ["300", "300", "300"].map(str::to_owned);
            let mut limits = limits;
            limits[tight] = "100".to_owned();
            let paths = ["/a/b/c", "/a/b", "/a"];
            let groups = (0..3).flat_map(|level| group(paths[level], &limits[level]));
            let groups: Vec<_> = groups.collect();
            let mut files = vec![
                ("/proc/self/cgroup", "0::/a/b/c\n"),
                ("/proc/self/mountinfo", NEW),
            ];
            files.extend(groups.iter().map(|(name, text)| (&**name, &**text)));
            let limit = format!("memory.max in /sys/fs/cgroup{}", paths[tight]);
            assert_room(&files, 100, &limit);
        }
    }

    #[test]
    fn control_groups_of_the_first_version_count() {
        // Seen from within a container: its group is what is mounted.
        let files = [
            ("/proc/meminfo", MEMINFO),
            (
                "/proc/self/cgroup",
                "9:cpu,cpuacct:/docker/1\n4:memory:/docker/1/job\n0::/\n",
            ),
            ("/proc/self/mountinfo", OLD),
            (
                "/sys/fs/cgroup/memory/job/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "100\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "10000\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "4000\n"),
            (
                "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes",
                "10500\n",
            ),
            (
                "/sys/fs/cgroup/memory/memory.memsw.usage_in_bytes",
                "4100\n",
            ),
            (
                "/sys/fs/cgroup/memory/memory.stat",
                "inactive_file 1\ntotal_inactive_file 30\ntotal_active_file 40\n",
            ),
        ];
        let limit = "memory.limit_in_bytes in /sys/fs/cgroup/memory";
        assert_room(&files, 6000 + 400 + 70, limit);
        // What is swapped out counts as well.
        let mut swapped = files.to_vec();
        let place = swapped
            .iter()
            .position(|(name, _)| name.ends_with("memsw.usage_in_bytes"));
        swapped[place.expect("the file")].1 = "10100\n";
        assert_room(&swapped, 400 + 70, limit);
        // A group that cannot be seen from here is looked for where one can.
        for outside in ["4:memory:/elsewhere\n", "4:memory:/docker/1/../2\n"] {
            let mut files = files.to_vec();
            files[1].1 = outside;
            files.extend([
                ("/sys/fs/cgroup/memory/../2/memory.limit_in_bytes", "7\n"),
                ("/sys/fs/cgroup/memory/../2/memory.usage_in_bytes", "7\n"),
                (
                    "/sys/fs/cgroup/memory/../2/memory.memsw.limit_in_bytes",
                    "7\n",
                ),
                (
                    "/sys/fs/cgroup/memory/../2/memory.memsw.usage_in_bytes",
                    "7\n",
                ),
            ]);
            assert_room(&files, 6000 + 400 + 70, limit);
        }
    }

    #[test]
    fn this_machine_has_room_for_a_little_and_not_for_everything() {
        assert_eq!(super::shortage(0), None);
        let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        if value(&text, "MemAvailable:").is_none() {
            println!("not run: this machine does not tell what memory it has");
            return;
        }
        assert!(super::shortage(u64::MAX).is_some());
    }
}
