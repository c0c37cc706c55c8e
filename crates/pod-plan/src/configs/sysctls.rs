//! Kernel parameters that a pod may set.

use pod_model::pod::Pod;
use std::collections::BTreeMap;

/// Reason that the status of a refused pod gives.
pub const FORBIDDEN_REASON: &str = "SysctlForbidden";

/// A kernel parameter that may not be set. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// It is not safe, or not known to be.
    #[error("forbidden sysctl: {name:?} not allowlisted")]
    NotSafe {
        /// Its dotted name.
        name: String,
    },
    /// It would be the node's.
    #[error("forbidden sysctl: {name:?} not allowed with host {namespace} enabled")]
    OfNode {
        /// Its dotted name.
        name: String,
        /// `net` or `ipc`.
        namespace: &'static str,
    },
}

/// Those that belong to a namespace and touch no other pod.
const SAFE: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// The pod's kernel parameters by dotted name, if all of them are safe and belong to namespaces of its own.
pub fn sysctls(pod: &Pod) -> Result<BTreeMap<String, String>, SysctlError> {
    let asked = pod.spec.security_context.iter().flat_map(|s| &s.sysctls);
    asked
        .map(|sysctl| {
            let name = dotted(&sysctl.name);
            if !SAFE.contains(&name.as_str()) {
                return Err(SysctlError::NotSafe { name });
            }
            let (namespace, is_nodes) = if name.starts_with("net.") {
                ("net", pod.spec.host_network)
            } else {
                ("ipc", pod.spec.host_ipc)
            };
            if is_nodes {
                return Err(SysctlError::OfNode { name, namespace });
            }
            Ok((name, sysctl.value.clone()))
        })
        .collect()
}

/// `net/ipv4/a.b` as `net.ipv4.a/b`: the first of the two signs is the one that parts.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']).and_then(|place| name.get(place..)) {
        Some(rest) if rest.starts_with('/') => name
            .chars()
            .map(|c| match c {
                '/' => '.',
                '.' => '/',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_model::pod::{PodSecurityContext, Sysctl};

    #[test]
    fn only_safe_ones_of_namespaces_of_its_own_are_set() {
        let check = |name: &str, host_network: bool, host_ipc: bool| {
            let mut pod = Pod::default();
            pod.spec.host_network = host_network;
            pod.spec.host_ipc = host_ipc;
            pod.spec.security_context = Some(PodSecurityContext {
                sysctls: vec![Sysctl {
                    name: name.to_owned(),
                    value: "1".to_owned(),
                }],
                ..PodSecurityContext::default()
            });
            sysctls(&pod)
                .map(|all| all.into_keys().collect::<String>())
                .map_err(|e| e.to_string())
        };
        let ok = |text: &str| Ok(text.to_owned());
        let no = |text: &str| Err(text.to_owned());
        assert_eq!(
            check("net/ipv4/tcp_rmem", false, true),
            ok("net.ipv4.tcp_rmem")
        );
        assert_eq!(
            check("kernel.shm_rmid_forced", true, false),
            ok("kernel.shm_rmid_forced")
        );
        assert_eq!(
            check("kernel.shm_rmid_forced", false, true),
            no("forbidden sysctl: \"kernel.shm_rmid_forced\" not allowed with host ipc enabled")
        );
        assert_eq!(
            check("net.ipv4.tcp_syncookies", true, false),
            no("forbidden sysctl: \"net.ipv4.tcp_syncookies\" not allowed with host net enabled")
        );
        assert_eq!(
            check("kernel.msgmax", false, false),
            no("forbidden sysctl: \"kernel.msgmax\" not allowlisted")
        );
    }
}
