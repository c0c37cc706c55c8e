//! Text of a container's /etc/hosts.

use pod_model::pod::HostAlias;

/// For a pod with a network of its own: loopback names, its addresses under its name, its aliases.
pub fn hosts_file(
    pod_ips: &[String],
    hostname: &str,
    domain: &str,
    aliases: &[HostAlias],
) -> String {
    let mut text = "# Kubernetes-managed hosts file.\n\
                    127.0.0.1\tlocalhost\n\
                    ::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::0\tip6-localnet\n\
                    fe00::0\tip6-mcastprefix\n\
                    fe00::1\tip6-allnodes\n\
                    fe00::2\tip6-allrouters\n"
        .to_owned();
    for ip in pod_ips {
        if domain.is_empty() {
            text.push_str(&format!("{ip}\t{hostname}\n"));
        } else {
            text.push_str(&format!("{ip}\t{hostname}.{domain}\t{hostname}\n"));
        }
    }
    text + &alias_lines(aliases)
}

/// For a pod in the node's network: the node's file and the pod's aliases.
pub fn host_network_hosts_file(node_hosts: &str, aliases: &[HostAlias]) -> String {
    format!(
        "# Kubernetes-managed hosts file (host network).\n{node_hosts}{}",
        alias_lines(aliases)
    )
}

fn alias_lines(aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let lines: String = aliases
        .iter()
        .map(|alias| format!("{}\t{}\n", alias.ip, alias.hostnames.join("\t")))
        .collect();
    format!("\n# Entries added by HostAliases.\n{lines}")
}
