//! Reads the facts about one process. Nothing in the container has run yet, but its image is not ours: every path in it is opened
//! below its root, by descriptor.

use super::compare::{Cover, Facts, Namespaces};
use super::parse;
use pod_wire::verify::{Expect, NamespaceOf};
use rustix::fs::{
    CWD, Dir, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstat, fstatfs, fstatvfs,
    openat, openat2, readlinkat,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// `TMPFS_MAGIC` (linux/magic.h).
const TMPFS: i64 = 0x0102_1994;

/// Whom to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The process that waits at the barrier.
    pub(crate) pid: i32,
    /// The sandbox's pause process, unless it is that.
    pub(crate) pause: Option<i32>,
    /// cgroup folders that it must be in, where they exist.
    pub(crate) cgroup_dirs: &'a [PathBuf],
}

/// Reads everything that `expect` speaks of. An error names what could not be read.
pub(crate) fn gather(subject: Subject<'_>, expect: &Expect) -> Result<Facts, String> {
    let proc = format!("/proc/{}", subject.pid);
    let proc = Path::new(&proc);
    let status = read_status(&proc.join("status"))?;
    let own = read_status(Path::new("/proc/self/status"))?;
    let mut facts = Facts {
        status,
        own,
        ..Facts::default()
    };
    for kind in expect.namespaces.keys() {
        let namespaces = Namespaces {
            found: namespace(proc, kind),
            node: namespace(Path::new("/proc/self"), kind),
            sandbox: subject
                .pause
                .map(|pid| namespace(Path::new(&format!("/proc/{pid}")), kind))
                .filter(|link| !link.is_empty()),
        };
        facts.namespaces.insert(kind.clone(), namespaces);
    }
    if expect
        .namespaces
        .get("user")
        .is_some_and(|n| *n != NamespaceOf::Node)
    {
        facts.id_maps = Some((read(&proc.join("uid_map"))?, read(&proc.join("gid_map"))?));
    }
    mounts(proc, expect, &mut facts)?;
    facts.cgroups = parse::cgroup_paths(&read(&proc.join("cgroup"))?)
        .into_iter()
        .map(str::to_owned)
        .collect();
    facts.not_in = subject
        .cgroup_dirs
        .iter()
        .filter(|dir| dir.exists() && !lists(dir, subject.pid))
        .cloned()
        .collect();
    facts.kept_open = kept_open(proc)?;
    Ok(facts)
}

fn mounts(proc: &Path, expect: &Expect, facts: &mut Facts) -> Result<(), String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, proc.join("root"), flags, Mode::empty())
        .map_err(|e| format!("{}/root: {e}", proc.display()))?;
    for path in &expect.masked {
        let cover = cover(&root, path).map_err(|e| at(path, &e))?;
        facts.masked.push((path.clone(), cover));
    }
    for path in &expect.read_only {
        let read_only = match below(&root, path, OFlags::PATH) {
            Ok(fd) => {
                let stat = fstatvfs(&fd).map_err(|e| at(path, &e.into()))?;
                Some(stat.f_flag.contains(StatVfsMountFlags::RDONLY))
            }
            Err(e) if is_absent(&e) => None,
            Err(e) => return Err(at(path, &e)),
        };
        facts.read_only.push((path.clone(), read_only));
    }
    facts.root_read_only = parse::root_is_read_only(&read(&proc.join("mountinfo"))?);
    let cwd = openat(CWD, proc.join("cwd"), flags, Mode::empty())
        .map_err(|e| format!("{}/cwd: {e}", proc.display()))?;
    let asked = below(&root, &expect.cwd, OFlags::PATH | OFlags::DIRECTORY);
    let same = asked.is_ok_and(|asked| match (fstat(&asked), fstat(&cwd)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    });
    let shown = readlinkat(CWD, proc.join("cwd"), Vec::new())
        .map(|l| l.to_string_lossy().into_owned())
        .unwrap_or_default();
    facts.cwd = (shown, same);
    Ok(())
}

fn cover(root: &OwnedFd, path: &Path) -> io::Result<Cover> {
    let fd = match below(root, path, OFlags::PATH) {
        Ok(fd) => fd,
        Err(e) if is_absent(&e) => return Ok(Cover::Absent),
        Err(e) => return Err(e),
    };
    let stat = fstat(&fd)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let device = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    Ok(match kind {
        // 1:3 is the null device (devices.txt of the kernel).
        FileType::CharacterDevice if device == (1, 3) => Cover::Null,
        FileType::Directory if fstatfs(&fd)?.f_type != TMPFS => {
            Cover::Bare("a folder that is no tmpfs".to_owned())
        }
        FileType::Directory => {
            let folder = below(root, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
            let entries = Dir::read_from(&folder)?.flatten();
            let names = entries.filter(|e| !matches!(e.file_name().to_bytes(), b"." | b".."));
            match names.count() {
                0 => Cover::EmptyTmpfs,
                n => Cover::Bare(format!("a tmpfs with {n} entries")),
            }
        }
        other => Cover::Bare(format!("{other:?}")),
    })
}

/// Opens a path of the container below its root; symlinks are followed inside of it.
fn below(root: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let relative = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(
        root,
        relative,
        flags | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )?)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn kept_open(proc: &Path) -> Result<Vec<(i32, String)>, String> {
    let folder = proc.join("fd");
    let entries = std::fs::read_dir(&folder).map_err(|e| at(&folder, &e))?;
    let mut kept = Vec::new();
    for entry in entries.flatten() {
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<i32>().ok())
        else {
            continue;
        };
        if number <= 2 {
            continue;
        }
        let place = proc.join("fdinfo").join(number.to_string());
        let info = match read(&place) {
            Ok(info) => info,
            // Closed since it was listed, while its process is still there.
            Err(_) if !place.exists() && proc.join("fdinfo").exists() => continue,
            Err(e) => return Err(e),
        };
        if parse::is_close_on_exec(&info) != Some(true) {
            let target = std::fs::read_link(entry.path()).unwrap_or_default();
            kept.push((number, target.display().to_string()));
        }
    }
    Ok(kept)
}

fn lists(dir: &Path, pid: i32) -> bool {
    std::fs::read_to_string(dir.join("cgroup.procs"))
        .is_ok_and(|text| text.lines().any(|l| l.parse() == Ok(pid)))
}

/// Identity of a namespace, such as `net:[4026531840]`; empty when there is none to read.
fn namespace(proc: &Path, kind: &str) -> String {
    std::fs::read_link(proc.join("ns").join(kind))
        .map(|l| l.display().to_string())
        .unwrap_or_default()
}

fn read_status(path: &Path) -> Result<parse::Status, String> {
    parse::status(&read(path)?).map_err(|field| format!("{}: no field {field}", path.display()))
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| at(path, &e))
}

fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
