//! Whether mounts can travel between a path of the node and a container as a mount asks (mount_namespaces(7), `mountPropagation`).
//!
//! The kernel takes a bind mount of any kind and gives no error where nothing can travel; a pod that asks for it must be told.

use super::mounts::unescape;
use pod_model::config::Propagation;
use std::io;
use std::path::{Path, PathBuf};

/// Says why mounts cannot travel as asked. Nothing is read for a private mount.
pub(crate) fn check(wanted: Propagation, path: &Path) -> io::Result<()> {
    if wanted == Propagation::Private {
        return Ok(());
    }
    // A link is mounted where it leads.
    let path = std::fs::canonicalize(path)?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    possible(&mounts, wanted, &path).map_err(io::Error::other)
}

/// Likewise, from the text of a mountinfo (proc_pid_mountinfo(5)). Texts are containerd's.
fn possible(mountinfo: &str, wanted: Propagation, path: &Path) -> Result<(), String> {
    let holds = |line: &&str| point(line).is_some_and(|p| path.starts_with(p));
    // Of the mounts that hold the path the deepest counts, and of several at one place the last.
    let depth = |line: &&str| point(line).map_or(0, |p| p.components().count());
    let Some(found) = mountinfo.lines().filter(holds).max_by_key(depth) else {
        return Err(format!("{}: no mount holds it", path.display()));
    };
    let optional = found
        .split(" - ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .skip(6);
    let (mut shared, mut slave) = (false, false);
    for field in optional {
        shared |= field.starts_with("shared:");
        slave |= field.starts_with("master:");
    }
    let (good, need) = match wanted {
        Propagation::Private => (true, ""),
        Propagation::Slave => (shared || slave, "shared or slave"),
        Propagation::Shared => (shared, "shared"),
    };
    if good {
        return Ok(());
    }
    let at = point(found).unwrap_or_default();
    Err(format!(
        "path {path:?} is mounted on {at:?} but it is not a {need} mount (make it so: mount --make-shared {})",
        at.display()
    ))
}

/// Where a line's mount is.
fn point(line: &str) -> Option<PathBuf> {
    line.split(' ').nth(4).map(|text| unescape(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
1 0 8:1 / / rw,relatime - ext4 /dev/vda rw
2 1 0:5 / /shared rw shared:7 - tmpfs t rw
3 1 0:6 / /slave rw master:7 - tmpfs t rw
4 2 0:7 / /shared/private rw - tmpfs t rw
5 1 0:8 / /with\\040space rw shared:9 - tmpfs t rw
";

    #[test]
    fn mounts_travel_only_where_the_deepest_mount_lets_them() {
        use Propagation::{Private, Shared, Slave};
        for (path, wanted, good) in [
            ("/any", Private, true),
            ("/any", Slave, false),
            ("/shared/x", Slave, true),
            ("/shared/x", Shared, true),
            ("/slave", Slave, true),
            ("/slave", Shared, false),
            ("/shared/private/y", Shared, false),
            ("/with space/z", Shared, true),
            ("/sharedbutnot", Shared, false),
        ] {
            assert_eq!(
                possible(MOUNTS, wanted, Path::new(path)).is_ok(),
                good,
                "{path} {wanted:?}"
            );
        }
        let said = possible(MOUNTS, Shared, Path::new("/slave/a")).unwrap_err();
        assert!(
            said.starts_with(
                "path \"/slave/a\" is mounted on \"/slave\" but it is not a shared mount"
            ),
            "{said}"
        );
    }

    proptest::proptest! {
        #[test]
        fn s32_no_text_makes_the_reader_of_mounts_panic(text in "[ -~\n\\\\0-9:]{0,300}", path in "/[a-z/]{0,20}") {
            let _ = possible(&text, Propagation::Shared, Path::new(&path));
        }
    }
}
