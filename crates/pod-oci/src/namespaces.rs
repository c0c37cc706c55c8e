//! Which namespaces a container joins, which it gets of its own, and how that is checked.

use crate::facts::{CgroupLayout, ContainerPaths, NamespaceOf, OciError, SandboxPaths};
use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};
use pod_model::config::{ContainerConfig, NetworkMode, SandboxConfig};
use pod_model::ids::HostPath;
use pod_model::runtime::NamespaceMode;
use std::collections::BTreeMap;

/// The list for the spec, and whose each must turn out to be.
pub(crate) type Namespaces = (Vec<LinuxNamespace>, BTreeMap<&'static str, NamespaceOf>);

/// A container's: net, IPC and UTS of the sandbox, a mount namespace of its own, and PID and cgroup as asked.
pub(crate) fn of_container(
    container: &ContainerConfig,
    sandbox: &SandboxConfig,
    layout: &CgroupLayout,
    paths: &SandboxPaths,
    own: &ContainerPaths,
) -> Result<Namespaces, OciError> {
    let mut out = Builder::default();
    let on_node = sandbox.network == NetworkMode::Host;
    out.join("net", LinuxNamespaceType::Network, !on_node, &paths.net);
    out.join("uts", LinuxNamespaceType::Uts, !on_node, &paths.uts);
    let ipc = sandbox.ipc != NamespaceMode::Node;
    out.join("ipc", LinuxNamespaceType::Ipc, ipc, &paths.ipc);
    match (&container.pid_target, sandbox.pid) {
        (Some(target), _) => {
            let path = own.pid_target.as_ref().ok_or(OciError::NotResolved {
                what: format!("process namespace of {target}"),
            })?;
            out.list.push(at(LinuxNamespaceType::Pid, path));
            // It is the target's: neither the node's nor the sandbox's, unless the whole pod shares one.
            let whose = match sandbox.pid {
                NamespaceMode::Pod => NamespaceOf::Sandbox,
                NamespaceMode::Container => NamespaceOf::Own,
                NamespaceMode::Node => NamespaceOf::Node,
            };
            out.whose.insert("pid", whose);
        }
        (None, NamespaceMode::Pod) => out.join("pid", LinuxNamespaceType::Pid, true, &paths.pid),
        (None, NamespaceMode::Container) => out.own("pid", LinuxNamespaceType::Pid),
        (None, NamespaceMode::Node) => out.leave("pid"),
    }
    out.own("mnt", LinuxNamespaceType::Mount);
    if *layout == CgroupLayout::V2 && !container.security.privileged {
        out.own("cgroup", LinuxNamespaceType::Cgroup);
    } else {
        out.leave("cgroup");
    }
    out.leave("user");
    Ok((out.list, out.whose))
}

/// The pause process's: what it holds for the others is new; its mount and PID namespaces are always its own, unless the
/// pod uses the node's PID namespace.
pub(crate) fn of_pause(sandbox: &SandboxConfig) -> Namespaces {
    let mut out = Builder::default();
    let mut hold = |own: bool, kind, typ| match own {
        true => out.own(kind, typ),
        false => out.leave(kind),
    };
    let own_network = sandbox.network != NetworkMode::Host;
    hold(own_network, "net", LinuxNamespaceType::Network);
    hold(own_network, "uts", LinuxNamespaceType::Uts);
    hold(
        sandbox.ipc != NamespaceMode::Node,
        "ipc",
        LinuxNamespaceType::Ipc,
    );
    hold(
        sandbox.pid != NamespaceMode::Node,
        "pid",
        LinuxNamespaceType::Pid,
    );
    hold(true, "mnt", LinuxNamespaceType::Mount);
    out.leave("cgroup");
    out.leave("user");
    // For the pause process, what is new is the sandbox's by definition; "Own" says that it must not be the node's.
    (out.list, out.whose)
}

#[derive(Default)]
struct Builder {
    list: Vec<LinuxNamespace>,
    whose: BTreeMap<&'static str, NamespaceOf>,
}

impl Builder {
    fn join(
        &mut self,
        kind: &'static str,
        typ: LinuxNamespaceType,
        of_sandbox: bool,
        path: &HostPath,
    ) {
        if of_sandbox {
            self.list.push(at(typ, path));
            self.whose.insert(kind, NamespaceOf::Sandbox);
        } else {
            self.leave(kind);
        }
    }

    fn own(&mut self, kind: &'static str, typ: LinuxNamespaceType) {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(typ);
        self.list.push(namespace);
        self.whose.insert(kind, NamespaceOf::Own);
    }

    fn leave(&mut self, kind: &'static str) {
        self.whose.insert(kind, NamespaceOf::Node);
    }
}

fn at(typ: LinuxNamespaceType, path: &HostPath) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace
        .set_typ(typ)
        .set_path(Some(path.as_path().to_owned()));
    namespace
}
