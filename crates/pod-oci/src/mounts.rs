//! What is mounted in a container, in which order, and what must be there to mount it on.

use crate::facts::{
    CgroupLayout, ContainerPaths, NodeFacts, OciError, ResolvedMount, SandboxPaths,
};
use oci_spec::runtime::Mount;
use pod_model::config::{
    ContainerConfig, Mount as Volume, MountSource, Propagation, SandboxConfig,
};
use pod_model::ids::CgroupPath;
use pod_model::runtime::NamespaceMode;
use std::path::{Component, Path, PathBuf};

/// The mounts of one container.
#[derive(Debug)]
pub(crate) struct Mounts {
    /// For the spec, in the order in which they are made.
    pub(crate) list: Vec<Mount>,
    /// Folders that they are mounted on, where the root file system must hold them.
    pub(crate) make_dirs: Vec<PathBuf>,
    /// Files likewise.
    pub(crate) make_files: Vec<PathBuf>,
    /// `linux.rootfsPropagation`: libcontainer 0.7.0 knows one mode for all binds of a container.
    pub(crate) propagation: &'static str,
}

/// All mounts of a container.
pub(crate) fn of_container(
    container: &ContainerConfig,
    sandbox: &SandboxConfig,
    node: &NodeFacts,
    paths: &SandboxPaths,
    own: &ContainerPaths,
    cgroup: &CgroupPath,
) -> Result<Mounts, OciError> {
    let privileged = container.security.privileged;
    for volume in &container.mounts {
        check_target(volume, privileged)?;
    }
    let propagation = propagation(&container.mounts, privileged)?;
    let mut binds = volumes(container, own)?;
    let volume_targets: Vec<(PathBuf, bool)> = container
        .mounts
        .iter()
        .map(|v| (clean(v.target.as_path()), v.read_only))
        .collect();
    binds.extend(sandbox_files(paths, &volume_targets));
    if let (Some(target), Some(file)) = (&container.termination_message_path, &own.termination_file)
    {
        let target = clean(target.as_path());
        if !volume_targets.iter().any(|(t, _)| *t == target) {
            binds.push(Bind {
                target,
                source: file.as_path().to_owned(),
                folder: false,
                options: vec!["rbind", "rprivate", "rw"],
            });
        }
    }
    let shm = match sandbox.ipc {
        NamespaceMode::Node => Path::new("/dev/shm"),
        NamespaceMode::Pod | NamespaceMode::Container => paths.shm.as_path(),
    };
    let mut list = base(privileged, shm);
    list.extend(cgroups(node, cgroup, privileged));
    // A volume at the place of one of them takes it.
    list.retain(|m| !volume_targets.iter().any(|(t, _)| m.destination() == t));
    let special: Vec<PathBuf> = list.iter().map(|m| m.destination().clone()).collect();
    let (make_dirs, make_files) = targets(&binds, &special);
    list.extend(binds.into_iter().map(Bind::into_mount));
    // Stable: what is mounted on the way to another mount comes first.
    list.sort_by_key(|m| depth(m.destination()));
    Ok(Mounts {
        list,
        make_dirs,
        make_files,
        propagation,
    })
}

/// The pause container's: nothing but /proc (read-only, for libcontainer) and an empty /dev.
pub(crate) fn of_pause() -> Vec<Mount> {
    vec![
        mount(
            "/proc",
            "proc",
            "proc",
            &["nosuid", "noexec", "nodev", "ro"],
        ),
        mount(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "noexec", "mode=755", "size=64k"],
        ),
    ]
}

fn base(privileged: bool, shm: &Path) -> Vec<Mount> {
    let sys: &[&str] = match privileged {
        true => &["nosuid", "noexec", "nodev", "rw"],
        false => &["nosuid", "noexec", "nodev", "ro"],
    };
    let mut shm_mount = mount("/dev/shm", "bind", "", &["rbind", "nosuid", "nodev", "rw"]);
    shm_mount.set_source(Some(shm.to_owned()));
    vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        mount(
            "/dev/mqueue",
            "mqueue",
            "mqueue",
            &["nosuid", "noexec", "nodev"],
        ),
        mount("/sys", "sysfs", "sysfs", sys),
        shm_mount,
    ]
}

/// /sys/fs/cgroup. Version 2: the container's own cgroup namespace; a privileged one has the node's, and gets the node's mount by a bind, because
/// whoever mounts cgroup2 anew in the node's cgroup namespace changes its options (nsdelegate, memory_recursiveprot) for the whole node. Version 1: the container's own folder of each
/// hierarchy, by our own binds, because those that libcontainer would make are always writable.
fn cgroups(node: &NodeFacts, cgroup: &CgroupPath, privileged: bool) -> Vec<Mount> {
    let access = if privileged { "rw" } else { "ro" };
    let options = ["nosuid", "noexec", "nodev", "relatime", access];
    match &node.cgroup {
        CgroupLayout::V2 if privileged => {
            let mut bind = mount("", "bind", "", &["bind", "nosuid", "noexec", "nodev", "rw"]);
            bind.set_destination("/sys/fs/cgroup".into())
                .set_source(Some("/sys/fs/cgroup".into()));
            vec![bind]
        }
        CgroupLayout::V2 => vec![mount("/sys/fs/cgroup", "cgroup", "cgroup", &options)],
        CgroupLayout::V1(hierarchies) => {
            // Room for exactly the folders that are mounted on, so that nothing can be stored in it.
            let inodes = format!("nr_inodes={}", hierarchies.len() + 1);
            let mut out = vec![mount(
                "/sys/fs/cgroup",
                "tmpfs",
                "tmpfs",
                &["nosuid", "noexec", "nodev", "mode=755", "size=4k", &inodes],
            )];
            out.extend(hierarchies.iter().map(|h| {
                let mut bind = mount(
                    "",
                    "bind",
                    "",
                    &["bind", "nosuid", "noexec", "nodev", access],
                );
                bind.set_destination(Path::new("/sys/fs/cgroup").join(&h.controller))
                    .set_source(Some(h.mount.as_path().join(cgroup.relative())));
                bind
            }));
            out
        }
    }
}

struct Bind {
    target: PathBuf,
    source: PathBuf,
    folder: bool,
    options: Vec<&'static str>,
}

impl Bind {
    fn into_mount(self) -> Mount {
        let mut out = mount("", "bind", "", &self.options);
        out.set_destination(self.target)
            .set_source(Some(self.source));
        out
    }
}

fn volumes(container: &ContainerConfig, own: &ContainerPaths) -> Result<Vec<Bind>, OciError> {
    if own.volumes.len() != container.mounts.len() {
        return Err(OciError::NotResolved {
            what: format!(
                "{} of {} volume mounts",
                container.mounts.len().saturating_sub(own.volumes.len()),
                container.mounts.len()
            ),
        });
    }
    let pairs = container.mounts.iter().zip(&own.volumes);
    pairs.map(|(volume, found)| bind(volume, found)).collect()
}

fn bind(volume: &Volume, found: &ResolvedMount) -> Result<Bind, OciError> {
    let mut options = vec!["rbind"];
    options.push(propagation_option(volume.propagation));
    options.push(if volume.read_only { "ro" } else { "rw" });
    if volume.recursive_read_only {
        if !volume.read_only || volume.propagation != Propagation::Private {
            return Err(OciError::RecursiveReadOnly {
                volume: volume.volume.to_string(),
            });
        }
        options.push("rro");
    }
    // What pods put into their own volumes is neither set-uid nor a device (threat S27); the node's paths stay as they are.
    if volume.source == MountSource::Prepared {
        options.extend(["nosuid", "nodev"]);
    }
    Ok(Bind {
        target: clean(volume.target.as_path()),
        source: found.source.as_path().to_owned(),
        folder: found.folder,
        options,
    })
}

/// /etc/hosts, /etc/hostname and /etc/resolv.conf, unless a volume is mounted there, or a read-only one above it.
fn sandbox_files(paths: &SandboxPaths, volumes: &[(PathBuf, bool)]) -> Vec<Bind> {
    let files = [
        ("/etc/hosts", &paths.hosts),
        ("/etc/hostname", &paths.hostname),
        ("/etc/resolv.conf", &paths.resolv_conf),
    ];
    let free = |target: &Path| {
        !volumes
            .iter()
            .any(|(t, read_only)| t == target || (*read_only && target.starts_with(t)))
    };
    files
        .into_iter()
        .filter(|(target, _)| free(Path::new(target)))
        .map(|(target, source)| Bind {
            target: PathBuf::from(target),
            source: source.as_path().to_owned(),
            folder: false,
            options: vec!["rbind", "rprivate", "rw"],
        })
        .collect()
}

/// What the root file system itself must hold: not what lies below another mount.
fn targets(binds: &[Bind], special: &[PathBuf]) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let covered = |target: &Path| {
        let below = |above: &Path| target != above && target.starts_with(above);
        special.iter().any(|s| below(s)) || binds.iter().any(|b| below(&b.target))
    };
    let (dirs, files): (Vec<&Bind>, Vec<&Bind>) = binds
        .iter()
        .filter(|b| !covered(&b.target))
        .partition(|b| b.folder);
    let paths = |list: Vec<&Bind>| list.into_iter().map(|b| b.target.clone()).collect();
    (paths(dirs), paths(files))
}

fn check_target(volume: &Volume, privileged: bool) -> Result<(), OciError> {
    let target = volume.target.as_path();
    let fail = |problem| {
        Err(OciError::MountTarget {
            volume: volume.volume.to_string(),
            target: target.to_owned(),
            problem,
        })
    };
    if !target.is_absolute() {
        return fail("must be an absolute path");
    }
    if target.components().any(|c| c == Component::ParentDir) {
        return fail("must not hold ..");
    }
    if target.as_os_str().as_encoded_bytes().contains(&0) {
        return fail("must not hold a NUL byte");
    }
    let target = clean(target);
    if target == Path::new("/") {
        return fail("must not be the root");
    }
    if target.starts_with("/proc") {
        return fail("must not lie in /proc, which a container needs as the kernel makes it");
    }
    if target == Path::new("/dev") {
        return fail(
            "must not cover /dev, in which device nodes are made: mount it elsewhere, such as at /host/dev",
        );
    }
    if target == Path::new("/sys") && !privileged {
        return fail("must not cover /sys, unless the container is privileged");
    }
    Ok(())
}

/// One mode for the whole container. A volume of the pod itself that asks for none takes part in any receiving mode: nothing
/// of the node is ever mounted in it later.
fn propagation(volumes: &[Volume], privileged: bool) -> Result<&'static str, OciError> {
    if let Some(volume) = volumes
        .iter()
        .find(|v| v.propagation == Propagation::Shared && !privileged)
    {
        return Err(OciError::BidirectionalUnprivileged {
            volume: volume.volume.to_string(),
        });
    }
    let shared = volumes.iter().any(|v| v.propagation == Propagation::Shared);
    let indifferent = |v: &&Volume| {
        !shared && v.propagation == Propagation::Private && v.source == MountSource::Prepared
    };
    let mut asking = volumes.iter().filter(|v| !indifferent(v));
    let Some(first) = asking.next() else {
        return Ok("private");
    };
    if let Some(second) = asking.find(|v| v.propagation != first.propagation) {
        return Err(OciError::MixedPropagation {
            first: kubernetes_name(first.propagation),
            first_target: first.target.as_path().to_owned(),
            second: kubernetes_name(second.propagation),
            second_target: second.target.as_path().to_owned(),
        });
    }
    Ok(match first.propagation {
        Propagation::Private => "private",
        Propagation::Slave => "slave",
        Propagation::Shared => "shared",
    })
}

fn propagation_option(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Private => "rprivate",
        Propagation::Slave => "rslave",
        Propagation::Shared => "rshared",
    }
}

fn kubernetes_name(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Private => "None",
        Propagation::Slave => "HostToContainer",
        Propagation::Shared => "Bidirectional",
    }
}

/// The path without `.`, double and trailing slashes.
fn clean(path: &Path) -> PathBuf {
    path.components()
        .filter(|c| *c != Component::CurDir)
        .collect()
}

fn depth(path: &Path) -> usize {
    path.components().count()
}

fn mount(destination: &str, typ: &str, source: &str, options: &[&str]) -> Mount {
    let mut out = Mount::default();
    out.set_destination(destination.into())
        .set_typ(Some(typ.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(options.iter().map(|o| (*o).to_owned()).collect()));
    out
}
