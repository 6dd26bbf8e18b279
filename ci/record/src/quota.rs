//! How much CPU time the control groups of this process let it have.
//!
//! A quota is set on any level of the path from the root of a hierarchy to the group of the process,
//! in the files of cgroup v1 or of v2, and the lowest one counts. What cannot be looked at is said to
//! be not known: that there is no quota is said only where every level was seen and has none.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The namespace in which paths of control groups begin at the root of their hierarchy. The number is
/// part of the kernel's interface.
const INITIAL_NAMESPACE: &str = "cgroup:[4026531835]";

/// What the control groups of a process let it have.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    lowest: Option<Limit>,
    /// Which levels could not be looked at, and why, if there are any.
    unseen: Option<String>,
}

/// The quota of one group.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limit {
    /// How many CPUs' time it is.
    cpus: f64,
    /// How many levels above the process's own group.
    above: usize,
}

impl Quota {
    /// That of this process.
    pub fn look() -> Self {
        Quota::below(Path::new("/"))
    }

    /// That of the process whose `/proc` and `/sys` lie below `root`.
    pub fn below(root: &Path) -> Self {
        match Place::find(root) {
            Ok(Some(place)) => place.lowest(),
            Ok(None) => Quota {
                lowest: None,
                unseen: None,
            },
            Err(why) => Quota {
                lowest: None,
                unseen: Some(why),
            },
        }
    }

    /// How many CPUs' time this process gets at most, if a limit was found.
    pub fn cpus(&self) -> Option<f64> {
        self.lowest.map(|limit| limit.cpus)
    }
}

/// Says nothing that would name the machine, as the paths of groups may.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.lowest, &self.unseen) {
            (None, None) => write!(f, "none"),
            (None, Some(why)) => write!(f, "not known ({why})"),
            (Some(limit), None) => write!(f, "{limit}"),
            (Some(limit), Some(why)) => write!(f, "{limit}, if not less ({why})"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A quota may be a thousandth of its period.
        let cpus = (self.cpus * 1000.0).round() / 1000.0;
        write!(f, "{cpus} CPUs, by ")?;
        match self.above {
            0 => write!(f, "its own control group"),
            1 => write!(f, "the control group above its own"),
            levels => write!(f, "the control group {levels} levels above its own"),
        }
    }
}

/// Which files say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// `cpu.cfs_quota_us` and `cpu.cfs_period_us`.
    One,
    /// `cpu.max`.
    Two,
}

/// Where the group of the process lies.
struct Place {
    version: Version,
    /// Where the hierarchy is mounted, or the part of it that is.
    mounted: PathBuf,
    /// The group's path from there.
    path: PathBuf,
    /// Why there may be levels above what is mounted.
    hidden: Option<&'static str>,
}

impl Place {
    /// `None` if no control group has the CPU controller.
    fn find(root: &Path) -> Result<Option<Self>, String> {
        let groups = text(&root.join("proc/self/cgroup"))?;
        if groups.is_empty() {
            return Err("`/proc/self/cgroup` is empty".to_owned());
        }
        let Some((version, group)) = group(&groups) else {
            return Ok(None);
        };
        let mounts = text(&root.join("proc/self/mountinfo"))?;
        let mounts: Vec<Mount> = lines(&mounts).filter_map(Mount::parse).collect();
        let all = || mounts.iter().filter(|mount| mount.version == version);
        if all().next().is_none() {
            return Err("the hierarchy of its control group is not mounted here".to_owned());
        }
        // The one that shows most levels.
        let shown = all().filter_map(|mount| Some((mount, below(&group, &mount.root)?)));
        let most = shown.max_by_key(|(_, path)| path.components().count());
        let Some((mount, path)) = most else {
            return Err("its control group is not in the part that is mounted here".to_owned());
        };
        let whole = mount.root == Path::new("/");
        let hidden = if !whole {
            Some("the levels above what is mounted here cannot be seen")
        } else if !is_initial(root)? {
            Some("the levels above its namespace of control groups cannot be seen")
        } else {
            None
        };
        let from_root = mount.point.strip_prefix("/").unwrap_or(&mount.point);
        Ok(Some(Place {
            version,
            mounted: root.join(from_root),
            path,
            hidden,
        }))
    }

    /// The lowest quota of all levels that can be seen.
    fn lowest(&self) -> Quota {
        let mut found = Quota {
            lowest: None,
            unseen: self.hidden.map(str::to_owned),
        };
        for (above, level) in self.path.ancestors().enumerate() {
            match self.version.limit(&self.mounted.join(level)) {
                Ok(Some(cpus)) if found.cpus().is_none_or(|lowest| cpus < lowest) => {
                    found.lowest = Some(Limit { cpus, above });
                }
                Ok(_) => {}
                Err(why) => found.unseen = Some(why),
            }
        }
        found
    }
}

impl Version {
    /// The quota of the group in this folder, in CPUs; `None` if it has none.
    fn limit(self, group: &Path) -> Result<Option<f64>, String> {
        // Every control group has it, whatever its controllers: another folder says nothing.
        if !group.join("cgroup.procs").exists() {
            return Err("a level of its control group is not where it should be".to_owned());
        }
        let read = |file: &str| match fs::read_to_string(group.join(file)) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            // The controller is not enabled on this level, which then limits nothing.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("`{file}` of a level cannot be read: {error}")),
        };
        let said = match self {
            Version::One => (read("cpu.cfs_quota_us")?).zip(read("cpu.cfs_period_us")?),
            Version::Two => read("cpu.max")?.map(|both| {
                let (quota, period) = both.split_once(' ').unwrap_or((&both, ""));
                (quota.to_owned(), period.to_owned())
            }),
        };
        let Some((quota, period)) = said else {
            return Ok(None);
        };
        if quota == "max" || quota == "-1" {
            return Ok(None);
        }
        let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
        match (number(&quota), number(&period)) {
            (Some(quota), Some(period)) => Ok(Some(quota as f64 / period as f64)),
            _ => Err(format!("a level has a quota of `{quota}` in `{period}`")),
        }
    }
}

/// A hierarchy of control groups that may have the CPU controller, mounted.
struct Mount {
    version: Version,
    /// Which group is at the mount point.
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// A line of `/proc/self/mountinfo`; `None` if it is about something else.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        // Optional fields end with a dash.
        fields.find(|field| *field == b"-")?;
        let (kind, options) = (fields.next()?, fields.nth(1)?);
        let version = match kind {
            b"cgroup2" => Version::Two,
            b"cgroup" if has_cpu(options) => Version::One,
            _ => return None,
        };
        Some(Mount {
            version,
            root: unescaped(root),
            point: unescaped(point),
        })
    }
}

/// The group of the process in the hierarchy that has the CPU controller, from the lines of
/// `/proc/self/cgroup`.
fn group(text: &[u8]) -> Option<(Version, PathBuf)> {
    let mut two = None;
    for line in lines(text) {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (number, controllers) = (fields.next()?, fields.next()?);
        let path = PathBuf::from(OsStr::from_bytes(fields.next()?));
        if has_cpu(controllers) {
            // Whatever else there is: a controller is in one hierarchy.
            return Some((Version::One, path));
        }
        if number == b"0" && controllers.is_empty() {
            two = Some((Version::Two, path));
        }
    }
    two
}

/// Whether this list, with commas, names the CPU controller.
fn has_cpu(list: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|name| name == b"cpu")
}

/// A group's path from the group `root`, if it is there or below.
fn below(group: &Path, root: &Path) -> Option<PathBuf> {
    let path = group.strip_prefix(root).ok()?;
    // Groups above the root of a namespace cannot be named from inside it.
    let down = |part: Component<'_>| matches!(part, Component::Normal(_));
    path.components().all(down).then(|| path.to_owned())
}

/// Whether paths of groups are shown from the root of the hierarchy on.
fn is_initial(root: &Path) -> Result<bool, String> {
    match fs::read_link(root.join("proc/self/ns/cgroup")) {
        Ok(name) => Ok(name == Path::new(INITIAL_NAMESPACE)),
        // This kernel has no other one.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(format!("`/proc/self/ns/cgroup` cannot be read: {error}")),
    }
}

fn text(file: &Path) -> Result<Vec<u8>, String> {
    let name = || {
        format!(
            "/proc/self/{}",
            file.file_name().unwrap_or_default().display()
        )
    };
    let said = |error: io::Error| format!("`{}` cannot be read: {error}", name());
    fs::read(file).map_err(said)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// A path of `mountinfo`, in which blanks and backslashes are three digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests;
