//! What a bundle must be before libcontainer sees it. libcontainer takes some of these for granted, and fails late or does
//! something else where they do not hold; each is told here by its field instead.

use crate::cgroup;
use crate::failure::{AtStep, Failure, plain};
use libcontainer::capabilities::CapabilityExt;
use libcontainer::oci_spec::runtime::{
    LinuxCapabilities, LinuxNamespaceType, Mount, Process, Spec,
};
use libcontainer::seccomp;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use pod_sys::weakened;
use std::path::{Component, Path};

const STEP: &str = "config";

/// Reads `config.json` of a bundle.
pub(crate) fn load(bundle: &Path) -> Result<Spec, Failure> {
    let file = bundle.join("config.json");
    Spec::load(&file).map_err(|error| {
        // The library's own words leave out what is wrong.
        let source = std::error::Error::source(&error).map(|s| plain(&s));
        let why = source.map_or_else(
            || plain(&error),
            |source| format!("{}: {source}", plain(&error)),
        );
        Failure::new(STEP, format!("{}: {why}", file.display()))
    })
}

/// The process of a bundle.
pub(crate) fn process(spec: &Spec) -> Result<&Process, Failure> {
    spec.process()
        .as_ref()
        .ok_or_else(|| bad("process: missing"))
}

/// Checks a bundle that a container is to be created from. What depends on the node is checked by [`check_node`].
pub(crate) fn check(spec: &Spec, id: &str, tty: bool) -> Result<(), Failure> {
    let plain_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.starts_with('.') || !id.chars().all(plain_id) {
        return Err(bad(format!(
            "the container's id {id:?} must be letters, digits, '-', '_' and '.'"
        )));
    }
    let process = process(spec)?;
    if process
        .args()
        .as_ref()
        .and_then(|args| args.first())
        .is_none_or(String::is_empty)
    {
        return Err(bad("process.args: no command is given"));
    }
    let has_home = process
        .env()
        .iter()
        .flatten()
        .any(|entry| entry.starts_with("HOME="));
    if !has_home {
        // Else it would be looked up by the container's own libraries.
        return Err(bad("process.env: HOME must be set"));
    }
    if !process.cwd().is_absolute() {
        return Err(bad(format!(
            "process.cwd: {:?} is not an absolute path",
            process.cwd()
        )));
    }
    if process.terminal().unwrap_or(false) != tty {
        return Err(bad("process.terminal: differs from the request"));
    }
    if process.capabilities().is_none() {
        return Err(bad(
            "process.capabilities: missing; without it the container would keep all of the launcher's",
        ));
    }
    if process.oom_score_adj().is_some() {
        return Err(bad(
            "process.oomScoreAdj: must be absent; the launcher sets it and clamps it",
        ));
    }
    if spec.hooks().is_some() && !weakened::is("s40") {
        return Err(bad("hooks: not supported"));
    }
    let linux = spec.linux().as_ref().ok_or_else(|| bad("linux: missing"))?;
    if linux.seccomp().is_some() && process.no_new_privileges() == Some(false) {
        return Err(bad(
            "process.noNewPrivileges: must be true or absent, since false breaks seccomp",
        ));
    }
    if linux.seccomp().as_ref().is_some_and(seccomp::is_notify) {
        return Err(bad("linux.seccomp: notifications are not supported"));
    }
    let namespace = |kind| {
        linux
            .namespaces()
            .iter()
            .flatten()
            .find(|n| n.typ() == kind)
    };
    if namespace(LinuxNamespaceType::Mount).is_none_or(|n| n.path().is_some()) {
        return Err(bad("linux.namespaces: a new mount namespace is needed"));
    }
    if namespace(LinuxNamespaceType::User).is_some() && !weakened::is("s34") {
        return Err(bad(
            "linux.namespaces: user namespaces are not supported yet",
        ));
    }
    let pids = linux
        .resources()
        .as_ref()
        .and_then(|r| r.pids().as_ref())
        .map(|p| p.limit());
    if let Some(limit @ (0 | 1)) = pids {
        return Err(bad(format!(
            "linux.resources.pids.limit: with {limit} not even the program could start"
        )));
    }
    let path = linux
        .cgroups_path()
        .as_ref()
        .ok_or_else(|| bad("linux.cgroupsPath: missing"))?;
    cgroup::check_path(path).map_err(|why| bad(format!("linux.cgroupsPath: {why}")))?;
    if spec
        .root()
        .as_ref()
        .is_none_or(|root| root.path() != Path::new("rootfs"))
    {
        return Err(bad(
            "root.path: must be \"rootfs\", which is where the root file system is mounted",
        ));
    }
    check_sysctls(
        linux
            .sysctl()
            .iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )?;
    check_mounts(spec, tty)
}

/// libcontainer says of a sysctl that cannot be written neither which nor why.
fn check_sysctls<'a>(sysctls: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Failure> {
    for (name, value) in sysctls {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let good =
            !name.is_empty() && name.chars().all(plain) && !name.split('.').any(str::is_empty);
        if !good && !weakened::is("s18") {
            return Err(bad(format!(
                "linux.sysctl: {name:?} is not a name of letters, digits, '.', '-' and '_'"
            )));
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(bad(format!(
                "linux.sysctl: the value of {name} has a control character in it"
            )));
        }
        // Those of one network interface exist where that interface does.
        let of_interface = name.contains(".conf.") || name.contains(".neigh.");
        #[expect(
            clippy::disallowed_methods,
            reason = "/proc is the node's own here, and the name has been checked: no dot-dot, no container's link"
        )]
        let is_known = || Path::new("/proc/sys").join(name.replace('.', "/")).exists();
        if !of_interface && !is_known() {
            return Err(bad(format!(
                "linux.sysctl: {name} is not known to this kernel"
            )));
        }
    }
    Ok(())
}

fn check_mounts(spec: &Spec, tty: bool) -> Result<(), Failure> {
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    for mount in mounts {
        let to = mount.destination();
        let odd = |part| !matches!(part, Component::RootDir | Component::Normal(_));
        if !to.is_absolute() || to.components().any(odd) {
            return Err(bad(format!(
                "mounts: {to:?} is not an absolute path without \"..\""
            )));
        }
    }
    let typ = |path: &str| {
        let last = mounts
            .iter()
            .rev()
            .find(|m| m.destination() == Path::new(path))?;
        last.typ().as_deref()
    };
    // libcontainer makes device nodes by their paths under the rootfs, in whatever is mounted there.
    if typ("/dev") != Some("tmpfs") {
        return Err(bad("mounts: /dev must be a tmpfs"));
    }
    // In a volume a sibling container could put links in the way of the nodes.
    let devices = spec.linux().as_ref().and_then(|l| l.devices().as_deref());
    for device in devices.unwrap_or_default() {
        let covers = |mount: &&Mount| {
            let to = mount.destination();
            to != Path::new("/dev") && device.path().starts_with(to)
        };
        if let Some(mount) = mounts
            .iter()
            .find(covers)
            .filter(|_| !weakened::is("s09-nodes"))
        {
            return Err(bad(format!(
                "linux.devices: {:?} would be made in the mount at {:?}",
                device.path(),
                mount.destination()
            )));
        }
    }
    if tty && typ("/dev/pts") != Some("devpts") {
        return Err(bad(
            "mounts: /dev/pts must be a devpts for a container with a terminal",
        ));
    }
    Ok(())
}

/// Checks what this node must be able to give: limits and capabilities.
pub(crate) fn check_node(process: &Process) -> Result<(), Failure> {
    let may_raise = has_effective(caps::Capability::CAP_SYS_RESOURCE)?;
    for limit in process.rlimits().iter().flatten() {
        let name = format!("{:?}", limit.typ());
        if limit.soft() > limit.hard() {
            return Err(bad(format!(
                "process.rlimits: {name}: the soft limit is above the hard limit"
            )));
        }
        let Some(resource) = resource(&name) else {
            continue;
        };
        let (_, most) = getrlimit(resource).at(STEP, "reading this node's limits")?;
        if limit.hard() > most && most != RLIM_INFINITY && !may_raise {
            return Err(bad(format!(
                "process.rlimits: {name}: {} is above this node's hard limit {most}, and CAP_SYS_RESOURCE is missing to raise it",
                limit.hard()
            )));
        }
    }
    if let Some(wanted) = process.capabilities() {
        let bounding = caps::read(None, caps::CapSet::Bounding)
            .at(STEP, "reading this node's capabilities")?;
        for capability in every(wanted) {
            if !bounding.contains(&capability) {
                return Err(bad(format!(
                    "process.capabilities: this node does not have {capability}"
                )));
            }
        }
    }
    Ok(())
}

fn has_effective(capability: caps::Capability) -> Result<bool, Failure> {
    caps::has_cap(None, caps::CapSet::Effective, capability)
        .at(STEP, "reading this node's capabilities")
}

/// Every capability that is in any of the five sets.
fn every(sets: &LinuxCapabilities) -> impl Iterator<Item = caps::Capability> {
    [
        sets.bounding(),
        sets.effective(),
        sets.inheritable(),
        sets.permitted(),
        sets.ambient(),
    ]
    .into_iter()
    .flatten()
    .flatten()
    .map(CapabilityExt::to_cap)
}

/// The resource of an rlimit by its name in Rust's spelling of the OCI type (`RlimitNofile`).
fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RlimitCpu" => Resource::RLIMIT_CPU,
        "RlimitFsize" => Resource::RLIMIT_FSIZE,
        "RlimitData" => Resource::RLIMIT_DATA,
        "RlimitStack" => Resource::RLIMIT_STACK,
        "RlimitCore" => Resource::RLIMIT_CORE,
        "RlimitRss" => Resource::RLIMIT_RSS,
        "RlimitNproc" => Resource::RLIMIT_NPROC,
        "RlimitNofile" => Resource::RLIMIT_NOFILE,
        "RlimitMemlock" => Resource::RLIMIT_MEMLOCK,
        "RlimitAs" => Resource::RLIMIT_AS,
        "RlimitLocks" => Resource::RLIMIT_LOCKS,
        "RlimitSigpending" => Resource::RLIMIT_SIGPENDING,
        "RlimitMsgqueue" => Resource::RLIMIT_MSGQUEUE,
        "RlimitNice" => Resource::RLIMIT_NICE,
        "RlimitRtprio" => Resource::RLIMIT_RTPRIO,
        "RlimitRttime" => Resource::RLIMIT_RTTIME,
        _ => return None,
    })
}

fn bad(cause: impl Into<String>) -> Failure {
    Failure::new(STEP, format!("config.json: {}", cause.into()))
}
