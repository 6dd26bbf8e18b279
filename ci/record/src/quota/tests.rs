//! Other machines' control groups, as files.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A machine of which nothing exists but the files that are looked at.
struct Machine(TempDir);

impl Machine {
    fn new(cgroup: &str, mountinfo: &str) -> Self {
        let machine = Machine(TempDir::new().unwrap());
        machine.write("proc/self/cgroup", cgroup);
        machine.write("proc/self/mountinfo", mountinfo);
        machine.namespace(4_026_531_835)
    }

    /// In the namespace of this number; it is the initial one unless this says another one.
    fn namespace(self, number: u64) -> Self {
        let folder = self.0.path().join("proc/self/ns");
        fs::create_dir_all(&folder).unwrap();
        let link = folder.join("cgroup");
        let _ = fs::remove_file(&link);
        symlink(format!("cgroup:[{number}]"), link).unwrap();
        self
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A group with these files.
    fn group<const N: usize>(self, folder: &str, files: [(&str, &str); N]) -> Self {
        self.write(&format!("{folder}/cgroup.procs"), "");
        for (name, text) in files {
            self.write(&format!("{folder}/{name}"), text);
        }
        self
    }

    fn quota(&self) -> Quota {
        Quota::below(self.0.path())
    }

    fn said(&self) -> String {
        self.quota().to_string()
    }

    /// What is said of it begins with the first of these and has all others.
    #[track_caller]
    fn assert_said(&self, begins: &str, parts: &[&str]) {
        let said = self.said();
        assert!(said.starts_with(begins), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}

/// Files of cgroup v1 for this quota.
fn one<'a>(quota: &'a str, period: &'a str) -> [(&'static str, &'a str); 2] {
    [("cpu.cfs_quota_us", quota), ("cpu.cfs_period_us", period)]
}

const TWO: &str =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

const ONE: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct
";

/// Both: the controllers belong to v1, and v2 is there for names only.
const BOTH: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
34 31 0:31 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
";

const SESSION: &str = "0::/user.slice/user-1000.slice/session-3.scope\n";

/// A session on a machine with v2, without any quota yet.
fn session() -> Machine {
    Machine::new(SESSION, TWO)
        .group("sys/fs/cgroup", [])
        .group("sys/fs/cgroup/user.slice", [("cpu.max", "max 100000\n")])
        .group(SLICE, [("cpu.max", "max 100000\n")])
        // The controller is not enabled for the scope: there is no file.
        .group(SCOPE, [])
}

const SLICE: &str = "sys/fs/cgroup/user.slice/user-1000.slice";
const SCOPE: &str = "sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope";

#[test]
fn a_path_without_any_quota_has_none() {
    assert_eq!(session().said(), "none");
    let v1 = Machine::new("4:cpu,cpuacct:/a\n0::/\n", ONE)
        .group("sys/fs/cgroup/cpu,cpuacct", one("-1", "100000"))
        .group("sys/fs/cgroup/cpu,cpuacct/a", one("-1\n", "100000\n"));
    assert_eq!(v1.said(), "none");
    // No control group has the controller.
    assert_eq!(Machine::new("2:memory:/a\n", ONE).said(), "none");
}

#[test]
fn every_level_of_v2_counts_and_the_lowest_decides() {
    let own = session().group(SCOPE, [("cpu.max", "50000 100000")]);
    assert_eq!(own.said(), "0.5 CPUs, by its own control group");
    let parent = session().group(SLICE, [("cpu.max", "150000 100000\n")]);
    assert_eq!(
        parent.said(),
        "1.5 CPUs, by the control group above its own"
    );
    let slice = session().group("sys/fs/cgroup/user.slice", [("cpu.max", "1000 1000000\n")]);
    assert_eq!(
        slice.said(),
        "0.001 CPUs, by the control group 2 levels above its own"
    );
    let nested = session()
        .group(SLICE, [("cpu.max", "150000 100000")])
        .group(SCOPE, [("cpu.max", "400000 100000")]);
    assert_eq!(nested.quota().cpus(), Some(1.5), "a parent's is lower");
}

#[test]
fn every_level_of_v1_counts_and_the_lowest_decides() {
    let machine = |own, parent| {
        Machine::new("5:cpuset:/x\n4:cpu,cpuacct:/batch/job 7\n", ONE)
            .group("sys/fs/cgroup/cpu,cpuacct", [])
            .group("sys/fs/cgroup/cpu,cpuacct/batch", one(parent, "100000"))
            .group("sys/fs/cgroup/cpu,cpuacct/batch/job 7", one(own, "50000"))
    };
    assert_eq!(machine("-1", "-1").said(), "none");
    assert_eq!(machine("25000", "-1").quota().cpus(), Some(0.5));
    assert_eq!(machine("-1", "75000").quota().cpus(), Some(0.75));
    assert_eq!(machine("100000", "75000").quota().cpus(), Some(0.75));
    assert_eq!(machine("25000", "75000").quota().cpus(), Some(0.5));
}

#[test]
fn where_both_versions_are_mounted_the_one_that_has_the_controller_counts() {
    let machine = Machine::new("3:cpuset:/\n1:cpu:/case\n0::/elsewhere\n", BOTH)
        .group("sys/fs/cgroup/cpu", one("-1", "100000"))
        .group("sys/fs/cgroup/cpu/case", one("50000", "100000"))
        .group(
            "sys/fs/cgroup/unified/elsewhere",
            [("cpu.max", "max 100000")],
        );
    assert_eq!(machine.said(), "0.5 CPUs, by its own control group");
    // v1 has other controllers, and the CPU's is with v2.
    let machine = Machine::new("3:cpuset:/case\n0::/case\n", BOTH)
        .group("sys/fs/cgroup/unified", [])
        .group("sys/fs/cgroup/unified/case", [("cpu.max", "200000 100000")]);
    assert_eq!(machine.quota().cpus(), Some(2.0));
}

#[test]
fn a_container_sees_its_own_levels_and_says_that_there_are_others() {
    // v2, in a namespace of its own.
    let namespaced = |max| {
        Machine::new("0::/\n", TWO)
            .namespace(4_026_532_123)
            .group("sys/fs/cgroup", [("cpu.max", max)])
    };
    let begins = "0.5 CPUs, by its own control group, if not less (";
    namespaced("50000 100000").assert_said(begins, &[]);
    namespaced("max 100000").assert_said("not known (", &["above its namespace"]);

    // v1, whose group is what is mounted, under its path on the host.
    let mounted =
        "33 31 0:30 /docker/0123 /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n";
    let container = |path: &str, quota| {
        Machine::new(&format!("4:cpu,cpuacct:{path}\n"), mounted)
            .group("sys/fs/cgroup/cpu,cpuacct", one(quota, "100000"))
            .group("sys/fs/cgroup/cpu,cpuacct/inner", one("300000", "100000"))
    };
    let begins = "1.5 CPUs, by the control group above its own";
    container("/docker/0123/inner", "150000").assert_said(begins, &[]);
    container("/docker/0123", "-1").assert_said("not known", &["above what is mounted"]);
    // A name that begins with the other is not below it.
    container("/docker/01234", "150000").assert_said("not known", &["not in the part"]);
}

#[test]
fn a_group_outside_of_its_namespace_is_found_only_by_its_name() {
    let machine = |path: &str, root: &str| {
        let mount = format!("31 23 0:28 {root} /cg rw - cgroup2 none rw\n");
        Machine::new(&format!("0::{path}\n"), &mount)
            .namespace(4_026_532_123)
            .group("cg", [("cpu.max", "300000 100000")])
            .group("cg/beside", [("cpu.max", "200000 100000")])
    };
    assert_eq!(machine("/../beside", "/..").quota().cpus(), Some(2.0));
    for (path, root) in [("/../beside", "/"), ("/", "/.."), ("/../../x", "/..")] {
        machine(path, root).assert_said("not known (", &[]);
    }
}

#[test]
fn of_several_mounts_the_one_that_shows_most_is_read() {
    let mounts = "\
31 23 0:28 /a/b /part rw - cgroup2 none rw
32 23 0:28 / /with\\040blank rw - cgroup2 none rw
33 23 0:28 /a /other rw - cgroup2 none rw
";
    let machine = Machine::new("0::/a/b\n", mounts)
        .group("with blank", [])
        .group("with blank/a", [("cpu.max", "50000 100000")])
        .group("with blank/a/b", []);
    assert_eq!(
        machine.said(),
        "0.5 CPUs, by the control group above its own"
    );
}

#[test]
fn what_cannot_be_looked_at_is_not_known_and_has_a_reason() {
    let nothing = TempDir::new().unwrap();
    let said = Quota::below(nothing.path()).to_string();
    assert!(
        said.starts_with("not known (`/proc/self/cgroup` cannot be read: "),
        "{said}"
    );
    for (machine, why) in [
        (Machine::new("", TWO), "is empty"),
        (Machine::new("0::/\n", ""), "not mounted"),
        (Machine::new("4:cpu:/\n", TWO), "not mounted"),
        // Something else lies over the mount point.
        (Machine::new("0::/\n", TWO), "not where it should be"),
        (session().group(SLICE, [("cpu.max", "lots")]), "`lots`"),
        (session().group(SLICE, [("cpu.max", "5 0")]), "`5` in `0`"),
        (session().group(SLICE, [("cpu.max", "-5 100000")]), "`-5`"),
    ] {
        machine.assert_said("not known (", &[why]);
        assert_eq!(machine.quota().cpus(), None);
    }
    // What was found on other levels stands beside it.
    session()
        .group(SLICE, [("cpu.max", "?")])
        .group("sys/fs/cgroup/user.slice", [("cpu.max", "75000 100000")])
        .assert_said("0.75 CPUs", &["if not less"]);
}

#[test]
fn nothing_that_is_said_names_a_group() {
    for machine in [
        session().group(SLICE, [("cpu.max", "50000 100000")]),
        session().group(SLICE, [("cpu.max", "?")]),
        Machine::new(SESSION, TWO),
    ] {
        let said = machine.said();
        assert!(
            !said.contains("user") && !said.contains("session"),
            "{said}"
        );
    }
}

#[test]
fn this_process_has_an_answer() {
    let said = Quota::look().to_string();
    assert!(!said.is_empty());
}
