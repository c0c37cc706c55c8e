//! The sandbox of a pod.

use super::dns::{DnsWarning, ResolvConfError, pod_dns};
use super::hostname::{HostnameError, kernel_hostname, pod_hostname};
use super::hosts::{host_network_hosts_file, hosts_file};
use super::sysctls::{SysctlError, sysctls};
use pod_model::cgroup_name::pod_cgroup_path;
use pod_model::config::{NetworkMode, SandboxConfig};
use pod_model::ids::{CgroupPathError, HostPath, PodRef, SandboxId};
use pod_model::node::NodeFacts;
use pod_model::oom;
use pod_model::pod::Pod;
use pod_model::runtime::NamespaceMode;

/// Size of the shared /dev/shm in bytes: 64 MiB, as container runtimes have it under Kubernetes.
const SHM_SIZE: u64 = 64 << 20;

/// What a sandbox is made from besides its pod.
#[derive(Clone, Debug)]
pub struct SandboxFacts<'a> {
    /// Generated.
    pub id: SandboxId,
    /// The n-th sandbox of the pod, from 0.
    pub attempt: u32,
    /// The node.
    pub node: &'a NodeFacts,
    /// What the pod gets unless it asks for the node's network.
    pub network: NetworkMode,
    /// Addresses that the pod will have; none without a network.
    pub pod_ips: &'a [String],
}

/// Why there is no sandbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// Its name.
    #[error(transparent)]
    Hostname(#[from] HostnameError),
    /// The node's resolv.conf.
    #[error("the node's resolv.conf cannot be read: {0}")]
    ResolvConf(#[from] ResolvConfError),
    /// A kernel parameter; the pod is refused for good ([`super::sysctls::FORBIDDEN_REASON`]).
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// Its cgroup.
    #[error(transparent)]
    Cgroup(#[from] CgroupPathError),
}

/// A sandbox as it is to be made, and what of the pod's DNS had to be left out.
pub fn sandbox_config(
    pod: &Pod,
    facts: &SandboxFacts<'_>,
) -> Result<(SandboxConfig, Vec<DnsWarning>), SandboxError> {
    let spec = &pod.spec;
    let (resolver, warnings) = pod_dns(pod, facts.node)?;
    let (hostname, domain) = pod_hostname(pod, &facts.node.cluster_domain)?;
    let (network, kernel_name, hosts) = if spec.host_network {
        let hosts = host_network_hosts_file(&facts.node.hosts, &spec.host_aliases);
        (NetworkMode::Host, None, hosts)
    } else {
        let hosts = hosts_file(facts.pod_ips, &hostname, &domain, &spec.host_aliases);
        let name = kernel_hostname(pod, &hostname, &domain)?;
        (facts.network, Some(name), hosts)
    };
    let config = SandboxConfig {
        id: facts.id.clone(),
        pod: pod.reference(),
        attempt: facts.attempt,
        hostname: kernel_name,
        cgroup_parent: pod_cgroup_path(&facts.node.cgroup_root, pod)?,
        network,
        ipc: mode(spec.host_ipc, NamespaceMode::Pod),
        pid: mode(
            spec.host_pid,
            if spec.share_process_namespace == Some(true) {
                NamespaceMode::Pod
            } else {
                NamespaceMode::Container
            },
        ),
        sysctls: sysctls(pod)?,
        shm_size: SHM_SIZE,
        oom_score_adj: oom::SANDBOX,
        resolv_conf: resolver.text(),
        hosts,
        log_directory: log_directory(&pod.reference(), &facts.node.log_root),
    };
    Ok((config, warnings))
}

fn mode(of_node: bool, own: NamespaceMode) -> NamespaceMode {
    if of_node { NamespaceMode::Node } else { own }
}

/// Folder of a pod's logs: `<root>/<namespace>_<name>_<uid>`, the name cut where that is too long.
pub fn log_directory(pod: &PodRef, root: &HostPath) -> HostPath {
    HostPath::new(root.as_path().join(pod.log_folder()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{node, pod};
    use super::*;

    fn config(pod: &Pod) -> SandboxConfig {
        let facts = SandboxFacts {
            id: "s".into(),
            attempt: 1,
            node: &node(),
            network: NetworkMode::Bridge,
            pod_ips: &["10.0.0.5".to_owned()],
        };
        sandbox_config(pod, &facts).unwrap().0
    }

    #[test]
    fn a_pod_has_its_own_namespaces_name_cgroup_and_log_folder() {
        let got = config(&pod());
        assert_eq!(got.hostname.as_deref(), Some("web"));
        assert_eq!(got.cgroup_parent.as_str(), "/podwright/besteffort/pod1-2");
        assert_eq!(
            (got.network, got.ipc, got.pid),
            (
                NetworkMode::Bridge,
                NamespaceMode::Pod,
                NamespaceMode::Container
            )
        );
        assert_eq!(got.log_directory, HostPath::new("/var/log/pods/ns_web_1-2"));
        assert!(got.hosts.ends_with("\n10.0.0.5\tweb\n"), "{}", got.hosts);
        assert_eq!(got.resolv_conf, "nameserver 9.9.9.9\n");
        assert_eq!(got.shm_size, 67_108_864);
    }

    #[test]
    fn a_pod_in_the_nodes_namespaces_keeps_the_nodes_name_and_hosts() {
        let mut pod = pod();
        pod.spec.host_network = true;
        pod.spec.host_ipc = true;
        pod.spec.host_pid = true;
        let got = config(&pod);
        assert_eq!(got.hostname, None);
        assert_eq!(
            (got.network, got.ipc, got.pid),
            (NetworkMode::Host, NamespaceMode::Node, NamespaceMode::Node)
        );
        assert_eq!(
            got.hosts,
            "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n"
        );
    }

    #[test]
    fn processes_of_one_namespace_are_asked_for_by_the_pod() {
        let mut pod = pod();
        pod.spec.share_process_namespace = Some(true);
        assert_eq!(config(&pod).pid, NamespaceMode::Pod);
    }
}
