//! The root file system: mounted, and made safe for what libcontainer does in it by path.
//!
//! libcontainer makes devices and links by joining strings (`rootfs/dev/null`), from outside. An image whose `/dev` is a symbolic
//! link would send it to the node's own files. All of this happens before the first process of the container exists, in a layer
//! that only this attempt writes to, so nothing here is raced.

use crate::failure::{AtStep, Failure, plain};
use libcontainer::oci_spec::runtime::{Mount, Spec};
use pod_sys::mount::{bind, folder, make_read_only, open_beneath, overlay};
use pod_sys::weakened;
use pod_wire::launch::{Create, Rootfs};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, mkdirat, openat, readlinkat, statat, statfs, unlinkat,
};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

const STEP: &str = "rootfs";

/// Most symbolic links that are followed in one path, as in the kernel.
const LINKS: usize = 40;

/// PROC_SUPER_MAGIC and SYSFS_MAGIC of linux/magic.h.
const PROC: u64 = 0x9fa0;
const SYSFS: u64 = 0x6265_6572;

/// A mounted root file system.
pub(crate) struct Root {
    fd: OwnedFd,
    /// Whether what is made in it is this attempt's own; else it is shared, and links in it are not replaced.
    own: bool,
}

/// Mounts the root file system over `target`.
pub(crate) fn mount(rootfs: &Rootfs, target: &Path) -> Result<Root, Failure> {
    let open = |path: &Path| folder(path).at(STEP, format!("opening {}", path.display()));
    let over = open(target)?;
    let own = match rootfs {
        Rootfs::Overlay { lower, upper, work } => {
            let layers: Vec<OwnedFd> = lower
                .iter()
                .map(|layer| open(layer))
                .collect::<Result<_, _>>()?;
            let work = open(work)?;
            forget_mount_before(&work);
            let doing = format!("mounting an overlay of {} layers", layers.len());
            overlay(&layers, open(upper)?, work, &over).at(STEP, doing)?;
            true
        }
        Rootfs::Bind { folder } => {
            bind(open(folder)?, &over).at(STEP, format!("binding {}", folder.display()))?;
            false
        }
    };
    // Opened anew: the handle from before is of what is covered now.
    Ok(Root {
        fd: open(target)?,
        own,
    })
}

/// Takes away the kernel's mark that this layer was mounted without being written back. It guards against a crash of the node,
/// which no attempt survives; here it only means that a create is tried again.
fn forget_mount_before(work: &OwnedFd) {
    // None of them is there on the first try; the kernel says so itself if one cannot be removed.
    let _ = unlinkat(work, "work/incompat/volatile/dirty", AtFlags::empty());
    let _ = unlinkat(work, "work/incompat/volatile", AtFlags::REMOVEDIR);
    let _ = unlinkat(work, "work/incompat", AtFlags::REMOVEDIR);
}

/// Replaces or refuses what would mislead a mount, and makes the folders and files that are asked for.
pub(crate) fn make_safe(root: &Root, request: &Create, spec: &Spec) -> Result<(), Failure> {
    for (name, protection) in [("dev", "s11"), ("proc", "s05"), ("sys", "s05")] {
        if !weakened::is(protection) {
            real_folder(root, name)?;
        }
    }
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    for mount in mounts {
        if !weakened::is("s02") {
            check_target(root, mount)?;
        }
    }
    for path in &request.make_dirs {
        make_folders(&root.fd, &resolve(root, path)?)?;
    }
    for path in &request.make_files {
        make_file(&root.fd, &resolve(root, path)?)?;
    }
    if let Some(process) = spec.process() {
        make_cwd(root, mounts, process.cwd())?;
    }
    if !root.own {
        make_read_only(&root.fd).at(STEP, "making it read-only")?;
    }
    Ok(())
}

/// Makes sure that `/name` is a folder: a symbolic link is replaced in this attempt's own layer, as others' init layers do.
fn real_folder(root: &Root, name: &str) -> Result<(), Failure> {
    let kind = match statat(&root.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => None,
        Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
        Err(error) => return Err(Failure::new(STEP, format!("/{name}: {}", plain(&error)))),
    };
    match kind {
        Some(FileType::Directory) => return Ok(()),
        Some(FileType::Symlink) if root.own => {
            unlinkat(&root.fd, name, AtFlags::empty())
                .at(STEP, format!("replacing the symbolic link /{name}"))?;
        }
        None => {}
        Some(_) => {
            return Err(Failure::new(
                STEP,
                format!("/{name} of the image is not a folder"),
            ));
        }
    }
    mkdirat(&root.fd, name, Mode::from_raw_mode(0o755)).at(STEP, format!("making /{name}"))
}

/// Refuses mounts that would cover the container's procfs or sysfs, or get into them by a symbolic link of the image.
fn check_target(root: &Root, mount: &Mount) -> Result<(), Failure> {
    let asked = mount.destination();
    let resolved = resolve(root, asked)?;
    let typ = mount.typ().as_deref().unwrap_or_default();
    let refuse = |why: &str| {
        let through = if resolved == *asked {
            String::new()
        } else {
            format!(" (in this image {})", resolved.display())
        };
        Err(Failure::new(
            STEP,
            format!("the mount at {}{through} {why}", asked.display()),
        ))
    };
    let source_is = |magic: u64| {
        mount
            .source()
            .as_ref()
            .is_some_and(|source| statfs(source).is_ok_and(|fs| fs.f_type as u64 == magic))
    };
    if resolved == Path::new("/") {
        return refuse("would cover the root file system");
    }
    for special in ["/dev", "/proc", "/sys"] {
        if resolved.starts_with(special) && !asked.starts_with(special) {
            return refuse(&format!("leads into {special}"));
        }
    }
    if resolved == Path::new("/proc") {
        return if typ == "proc" || source_is(PROC) {
            Ok(())
        } else {
            refuse("would hide the container's procfs")
        };
    }
    if resolved.starts_with("/proc") {
        return refuse("would hide a part of the container's procfs");
    }
    if resolved == Path::new("/sys") && typ != "sysfs" && !source_is(SYSFS) {
        return refuse("would hide the container's sysfs");
    }
    Ok(())
}

/// Makes the working directory: below a bound folder in that folder, else in the rootfs. Other file systems begin empty, and
/// libcontainer then says that it is not there.
fn make_cwd(root: &Root, mounts: &[Mount], cwd: &Path) -> Result<(), Failure> {
    let cwd = resolve(root, cwd)?;
    let mut covering: Option<(PathBuf, &Mount)> = None;
    for mount in mounts {
        let at = resolve(root, mount.destination())?;
        // The deepest one is what shows, and of two at one place the later.
        let deeper =
            |(other, _): &(PathBuf, &Mount)| at.components().count() >= other.components().count();
        if cwd.starts_with(&at) && covering.as_ref().is_none_or(deeper) {
            covering = Some((at, mount));
        }
    }
    let Some((at, mount)) = covering else {
        return make_folders(&root.fd, &cwd);
    };
    let has = |name: &str| {
        mount
            .options()
            .iter()
            .flatten()
            .any(|option| option == name)
    };
    let below = cwd.strip_prefix(&at).unwrap_or(Path::new(""));
    match mount.source() {
        Some(source)
            if (has("bind") || has("rbind")) && !has("ro") && !below.as_os_str().is_empty() =>
        {
            let source = folder(source).at(STEP, format!("opening {}", source.display()))?;
            make_folders(&source, below)
        }
        _ => Ok(()),
    }
}

/// Where `path` leads in the image, as an absolute path without symbolic links: as if the rootfs were `/`. What does not exist
/// is taken as it is named.
fn resolve(root: &Root, path: &Path) -> Result<PathBuf, Failure> {
    if weakened::is("s13") {
        return Ok(path.to_owned());
    }
    let mut left: VecDeque<OsString> = names(path);
    let mut done = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&name);
        match link_target(root, &next)? {
            None => done = next,
            Some(_) if links == LINKS => {
                return Err(Failure::new(
                    STEP,
                    format!("{}: too many symbolic links", path.display()),
                ));
            }
            Some(target) => {
                links += 1;
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    left.push_front(name);
                }
            }
        }
    }
    Ok(done)
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

/// What `path`, whose parents are no links, points to, if it is a symbolic link.
fn link_target(root: &Root, path: &Path) -> Result<Option<PathBuf>, Failure> {
    let inside = relative(path);
    let link = match open_beneath(&root.fd, inside, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(link) => link,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::new(
                STEP,
                format!("{}: {}", path.display(), plain(&error)),
            ));
        }
    };
    match readlinkat(&link, "", Vec::new()) {
        Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()).into())),
        // Not a symbolic link.
        Err(Errno::NOENT | Errno::INVAL) => Ok(None),
        Err(error) => Err(Failure::new(
            STEP,
            format!("{}: {}", path.display(), plain(&error)),
        )),
    }
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Makes a folder and its parents below `folder`, following no link. Returns the last one.
fn make_folders(top: impl AsFd, path: &Path) -> Result<(), Failure> {
    make_parents(top, path).map(drop)
}

fn make_parents(top: impl AsFd, path: &Path) -> Result<OwnedFd, Failure> {
    let doing = || format!("making {}", path.display());
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let mut at = open_beneath(top, Path::new("."), flags).at(STEP, doing())?;
    for name in names(path) {
        match mkdirat(&at, &name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => {
                return Err(Failure::new(
                    STEP,
                    format!("{}: {}", doing(), plain(&error)),
                ));
            }
        }
        at = open_beneath(&at, Path::new(&name), flags).at(STEP, doing())?;
    }
    Ok(at)
}

/// Makes an empty file, unless there is something of that name.
fn make_file(top: impl AsFd, path: &Path) -> Result<(), Failure> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Failure::new(
            STEP,
            format!("{} is not the path of a file", path.display()),
        ));
    };
    let folder = make_parents(top, parent)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&folder, name, flags, Mode::from_raw_mode(0o644)) {
        Ok(_) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(Failure::new(
            STEP,
            format!("making {}: {}", path.display(), plain(&error)),
        )),
    }
}
