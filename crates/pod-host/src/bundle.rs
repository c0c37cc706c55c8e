//! OCI bundles on disk, and what a supervisor is asked to make of them.

use crate::node_state::Node;
use crate::paths::{ContainerDir, SandboxDir};
use oci_spec::runtime::Spec;
use pod_model::ids::CgroupPath;
use pod_oci::{Expected, Facts, NamespaceOf};
use pod_wire::launch::{Create, Rootfs};
use pod_wire::supervisor::{CreateContainer, Log};
use pod_wire::verify::{self, Expect};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// What differs between a pause process and a container.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) pause: bool,
    pub(crate) rootfs: Rootfs,
    pub(crate) log: Option<Log>,
    pub(crate) stdin: bool,
    pub(crate) tty: bool,
    pub(crate) oom_score_adj: i32,
}

/// Writes the bundle of `id`, and says what to ask of the supervisor.
pub(crate) fn write(
    node: &Node,
    sandbox: &SandboxDir,
    id: &str,
    spec: &Spec,
    facts: &Facts,
    cgroup: &CgroupPath,
    kind: Kind,
) -> io::Result<CreateContainer> {
    let dir = sandbox.container(id);
    let bundle = dir.bundle();
    private_folder(&bundle.join("rootfs"))?;
    fs::write(bundle.join("config.json"), serde_json::to_vec(spec)?)?;
    Ok(CreateContainer {
        create: Create {
            id: id.to_owned(),
            bundle,
            state_root: sandbox.oci(),
            rootfs: kind.rootfs,
            make_dirs: facts.make_dirs.clone(),
            make_files: facts.make_files.clone(),
            tty: kind.tty,
            oom_score_adj: Some(kind.oom_score_adj),
        },
        pause: kind.pause,
        expect: expect(&facts.expected),
        uid: facts.uid,
        gid: facts.gid,
        log: kind.log,
        stdin: kind.stdin,
        cgroup_dirs: node.layout.folders(cgroup),
        exit_file: exit_file(&dir),
    })
}

fn exit_file(dir: &ContainerDir) -> std::path::PathBuf {
    dir.exit()
}

/// Makes a folder that only root may enter, with its parents.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn expect(from: &Expected) -> Expect {
    let whose = |n: &NamespaceOf| match n {
        NamespaceOf::Node => verify::NamespaceOf::Node,
        NamespaceOf::Sandbox => verify::NamespaceOf::Sandbox,
        NamespaceOf::Own => verify::NamespaceOf::Own,
    };
    Expect {
        cap_inheritable: from.cap_inheritable,
        cap_permitted: from.cap_permitted,
        cap_effective: from.cap_effective,
        cap_bounding: from.cap_bounding,
        cap_ambient: from.cap_ambient,
        seccomp: from.seccomp,
        no_new_privileges: from.no_new_privileges,
        uid: from.uid,
        gid: from.gid,
        groups: from.groups.clone(),
        namespaces: from
            .namespaces
            .iter()
            .map(|(kind, n)| ((*kind).to_owned(), whose(n)))
            .collect(),
        masked: from.masked.clone(),
        read_only: from.read_only.clone(),
        read_only_rootfs: from.read_only_rootfs,
        cgroup: from.cgroup.clone(),
        cwd: from.cwd.clone(),
    }
}
