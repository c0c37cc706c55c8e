//! Reads the texts of /proc (proc(5)). Pure.

use std::collections::BTreeSet;

/// What `/proc/PID/status` says of credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) uids: Vec<u32>,
    pub(crate) gids: Vec<u32>,
    pub(crate) groups: BTreeSet<u32>,
    pub(crate) cap_inheritable: u64,
    pub(crate) cap_permitted: u64,
    pub(crate) cap_effective: u64,
    pub(crate) cap_bounding: u64,
    pub(crate) cap_ambient: u64,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp_mode: u32,
    pub(crate) seccomp_filters: u32,
}

/// Takes the text of `/proc/PID/status` apart. `Err`: the name of the field that is missing or no number.
pub(crate) fn status(text: &str) -> Result<Status, &'static str> {
    let field = |name: &'static str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim())
            .ok_or(name)
    };
    let numbers = |name| -> Result<Vec<u32>, &'static str> {
        field(name)?
            .split_ascii_whitespace()
            .map(|n| n.parse().map_err(|_| name))
            .collect()
    };
    let mask = |name| u64::from_str_radix(field(name)?, 16).map_err(|_| name);
    let number = |name| field(name)?.parse::<u32>().map_err(|_| name);
    Ok(Status {
        uids: numbers("Uid")?,
        gids: numbers("Gid")?,
        groups: numbers("Groups")?.into_iter().collect(),
        cap_inheritable: mask("CapInh")?,
        cap_permitted: mask("CapPrm")?,
        cap_effective: mask("CapEff")?,
        cap_bounding: mask("CapBnd")?,
        cap_ambient: mask("CapAmb")?,
        no_new_privileges: number("NoNewPrivs")? != 0,
        seccomp_mode: number("Seccomp")?,
        // From Linux 5.9 on.
        seccomp_filters: number("Seccomp_filters").unwrap_or(0),
    })
}

/// Whether the mount at `/` is read-only, by `/proc/PID/mountinfo`. `None`: no such mount is listed.
pub(crate) fn root_is_read_only(mountinfo: &str) -> Option<bool> {
    // The last one listed lies on top.
    mountinfo
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let point = fields.nth(4)?;
            let options = fields.next()?;
            (point == "/").then(|| options.split(',').any(|o| o == "ro"))
        })
        .next_back()
}

/// Paths of `/proc/PID/cgroup`, one a hierarchy.
pub(crate) fn cgroup_paths(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .collect()
}

/// Whether a descriptor is close-on-exec, by `/proc/PID/fdinfo/N`. `None`: the text says nothing of it.
pub(crate) fn is_close_on_exec(fdinfo: &str) -> Option<bool> {
    const CLOEXEC: u32 = 0o2_000_000;
    let value = fdinfo.lines().find_map(|l| l.strip_prefix("flags:"))?;
    let flags = u32::from_str_radix(value.trim(), 8).ok()?;
    Some(flags & CLOEXEC != 0)
}

/// The pid that a pidfd stands for, by `/proc/self/fdinfo/N`. `None`: no pidfd, or its process is gone (-1).
pub(crate) fn pid_of(fdinfo: &str) -> Option<i32> {
    let value = fdinfo.lines().find_map(|l| l.strip_prefix("Pid:"))?;
    value.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Start time in clock ticks since boot: field 22 of `/proc/PID/stat`.
pub(crate) fn start_ticks(stat: &str) -> Option<u64> {
    // The name, field 2, may hold anything; the last parenthesis ends it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The parent's pid: field 4 of `/proc/PID/stat`.
pub(crate) fn parent(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The session, field 6 of `/proc/PID/stat`, of a process that has not ended.
pub(crate) fn session_of_living(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(2)?.parse().ok()
}

/// Turns an id inside a user namespace into the one outside, by `/proc/PID/uid_map` or `gid_map`.
pub(crate) fn mapped(map: &str, inside: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (first, outside, count) = (
            fields.next()?.ok()?,
            fields.next()?.ok()?,
            fields.next()?.ok()?,
        );
        let offset = inside.checked_sub(first).filter(|o| *o < count)?;
        outside.checked_add(offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tsh\nUmask:\t0022\nUid:\t1000\t1000\t1000\t1000\nGid:\t10\t10\t10\t10\nGroups:\t10 20 \n\
        CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n\
        CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n";

    #[test]
    fn status_is_taken_apart() {
        let got = status(STATUS).unwrap();
        assert_eq!(got.uids, [1000; 4]);
        assert_eq!(got.groups, BTreeSet::from([10, 20]));
        assert_eq!(got.cap_bounding, 0xa804_25fb);
        assert_eq!((got.seccomp_mode, got.seccomp_filters), (2, 3));
        assert!(got.no_new_privileges);
        assert!(
            status(&STATUS.replace("Groups:\t10 20 ", "Groups:\t"))
                .unwrap()
                .groups
                .is_empty()
        );
    }

    #[test]
    fn a_missing_or_odd_field_is_named() {
        assert_eq!(status(&STATUS.replace("CapAmb", "CapXxx")), Err("CapAmb"));
        assert_eq!(
            status(&STATUS.replace("Seccomp:\t2", "Seccomp:\t?")),
            Err("Seccomp")
        );
        assert_eq!(status(""), Err("Uid"));
    }

    #[test]
    fn lines_of_proc_are_read() {
        let mounts = "1 0 0:1 / / rw - overlay o rw\n2 1 0:2 / /proc rw - proc proc rw\n3 1 0:3 / / ro,relatime shared:1 - overlay o rw\n";
        assert_eq!(root_is_read_only(mounts), Some(true));
        assert_eq!(
            root_is_read_only("1 0 0:1 / / rw - overlay o ro\n"),
            Some(false)
        );
        assert_eq!(root_is_read_only("1 0 0:1 / /a ro - x y z\n"), None);
        assert_eq!(cgroup_paths("4:memory:/a/b\n0::/c:d\n"), ["/a/b", "/c:d"]);
        assert_eq!(is_close_on_exec("pos:\t0\nflags:\t02100000\n"), Some(true));
        assert_eq!(is_close_on_exec("pos:\t0\nflags:\t0100002\n"), Some(false));
        assert_eq!(is_close_on_exec("pos:\t0\n"), None);
        assert_eq!(pid_of("pos:\t0\nPid:\t77\nNSpid:\t77\t1\n"), Some(77));
        assert_eq!(pid_of("Pid:\t-1\n"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1";
        assert_eq!(start_ticks(stat), Some(12345));
        let zombie = "8 (x) Z 77 7 9 0 -1";
        assert_eq!((parent(stat), parent(zombie)), (Some(1), Some(77)));
        assert_eq!(session_of_living("8 (x) S 77 7 9 0 -1"), Some(9));
        assert_eq!(session_of_living(zombie), None);
    }

    #[test]
    fn ids_are_mapped_out_of_a_user_namespace() {
        let map = "0 100000 1000\n  1000   5000     1\n";
        for (inside, outside) in [
            (0, Some(100_000)),
            (999, Some(100_999)),
            (1000, Some(5000)),
            (1001, None),
        ] {
            assert_eq!(mapped(map, inside), outside);
        }
    }
}
