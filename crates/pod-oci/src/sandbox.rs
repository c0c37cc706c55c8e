//! The spec of a sandbox's pause process, which holds the namespaces of the pod.

use crate::container::{MASKED_IN_PROC, assemble, empty_linux, texts};
use crate::facts::{Expected, Facts, NodeFacts, OciError};
use crate::{devices, mounts, namespaces, seccomp};
use oci_spec::runtime::{Capabilities, LinuxCapabilities, LinuxResources, Process, Spec, User};
use pod_model::config::{NetworkMode, SandboxConfig};
use pod_model::runtime::NamespaceMode;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// Where the pause program stands in its own root file system.
pub const PAUSE_PROGRAM: &str = "/podwright-pause";

/// It runs as nobody: what shares its PID namespace must not be able to look through /proc/1/root as its equal.
const PAUSE_ID: u32 = 65535;

/// Longest name that sethostname(2) takes.
const HOSTNAME_MAX: usize = 64;

/// Makes the spec of the pause process. Its cgroup is `<pod cgroup>/<sandbox id>`.
pub fn pause_spec(sandbox: &SandboxConfig, node: &NodeFacts) -> Result<(Spec, Facts), OciError> {
    let cgroup = sandbox
        .cgroup_parent
        .child(sandbox.id.as_str())
        .map_err(|e| OciError::Cgroup {
            id: sandbox.id.to_string(),
            cause: e.to_string(),
        })?;
    let hostname = hostname(sandbox)?;
    let (list, whose) = namespaces::of_pause(sandbox);
    let mut user = User::default();
    user.set_uid(PAUSE_ID)
        .set_gid(PAUSE_ID)
        .set_additional_gids(Some(Vec::new()));
    let mut process = Process::default();
    process
        .set_terminal(Some(false))
        .set_user(user)
        .set_args(Some(vec![PAUSE_PROGRAM.to_owned()]))
        .set_env(Some(vec!["PATH=/".to_owned(), "HOME=/".to_owned()]))
        .set_cwd(PathBuf::from("/"))
        .set_capabilities(Some(no_capabilities()))
        .set_no_new_privileges(Some(true))
        .set_rlimits(None)
        .set_oom_score_adj(None);
    let mut resources = LinuxResources::default();
    resources.set_devices(Some(devices::rules(false)));
    let masked: Vec<PathBuf> = MASKED_IN_PROC.iter().map(PathBuf::from).collect();
    let mut linux = empty_linux();
    linux
        .set_namespaces(Some(list))
        .set_resources(Some(resources))
        .set_cgroups_path(Some(PathBuf::from(cgroup.as_str())))
        .set_masked_paths(Some(texts(&masked)))
        .set_readonly_paths(Some(Vec::new()))
        .set_rootfs_propagation(Some("private".to_owned()))
        .set_seccomp(Some(seccomp::pause_profile(node.machine)?))
        .set_sysctl(sysctls(sandbox)?);
    let spec = assemble(process, mounts::of_pause(), linux, hostname, true);
    let expected = Expected {
        seccomp: true,
        no_new_privileges: true,
        uid: PAUSE_ID,
        gid: PAUSE_ID,
        namespaces: whose,
        masked,
        read_only: vec![PathBuf::from("/proc")],
        read_only_rootfs: true,
        cgroup: cgroup.as_str().to_owned(),
        cwd: PathBuf::from("/"),
        ..Expected::default()
    };
    let facts = Facts {
        uid: PAUSE_ID,
        gid: PAUSE_ID,
        groups: Vec::new(),
        clamped: Vec::new(),
        make_dirs: Vec::new(),
        make_files: Vec::new(),
        expected,
    };
    Ok((spec, facts))
}

fn no_capabilities() -> LinuxCapabilities {
    let mut none = LinuxCapabilities::default();
    none.set_bounding(Some(Capabilities::new()))
        .set_effective(Some(Capabilities::new()))
        .set_permitted(Some(Capabilities::new()))
        .set_inheritable(Some(Capabilities::new()))
        .set_ambient(Some(Capabilities::new()));
    none
}

/// Set only where the sandbox has a UTS namespace of its own.
fn hostname(sandbox: &SandboxConfig) -> Result<Option<String>, OciError> {
    let Some(name) = sandbox
        .hostname
        .as_ref()
        .filter(|_| sandbox.network != NetworkMode::Host)
    else {
        return Ok(None);
    };
    let fail = |problem| {
        Err(OciError::Hostname {
            name: name.clone(),
            problem,
        })
    };
    if name.len() > HOSTNAME_MAX {
        return fail("longer than 64 bytes: set spec.hostname to a shorter one");
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    {
        return fail("may hold only letters, digits, - and .");
    }
    Ok(Some(name.clone()))
}

/// Kernel parameters, each in a namespace that the sandbox has to itself (threat S18). With a network namespace of its own, ports from 0
/// on and ping need no capability, as containerd has it.
fn sysctls(sandbox: &SandboxConfig) -> Result<Option<HashMap<String, String>>, OciError> {
    let own_network = sandbox.network != NetworkMode::Host;
    let own_ipc = sandbox.ipc != NamespaceMode::Node;
    let mut out = BTreeMap::new();
    if own_network {
        out.insert("net.ipv4.ip_unprivileged_port_start", "0");
        out.insert("net.ipv4.ping_group_range", "0 2147483647");
    }
    for (name, value) in &sandbox.sysctls {
        let fail = |problem| {
            Err(OciError::Sysctl {
                name: name.clone(),
                problem,
            })
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !name.bytes().all(plain) || name.split('.').any(str::is_empty) {
            return fail("a name is words of letters, digits, _ and - with dots between");
        }
        if value.contains(|c: char| c.is_control() && c != '\t') {
            return fail("the value must not hold a line break or another control character");
        }
        match namespace_of(name) {
            Some(Namespace::Network) if own_network => {}
            Some(Namespace::Ipc) if own_ipc => {}
            Some(_) => {
                return fail(
                    "the pod uses the node's own namespace, where it would change the node",
                );
            }
            None => return fail("not a parameter of a namespace: it would change the node"),
        }
        out.insert(name, value);
    }
    if out.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        out.into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    ))
}

enum Namespace {
    Network,
    Ipc,
}

/// Which namespace a parameter belongs to (the groups that Kubernetes knows as namespaced).
fn namespace_of(name: &str) -> Option<Namespace> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    if name.starts_with("net.") {
        Some(Namespace::Network)
    } else if name.starts_with("fs.mqueue.") || IPC.contains(&name) {
        Some(Namespace::Ipc)
    } else {
        None
    }
}
