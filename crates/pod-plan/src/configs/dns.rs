//! Name resolution of a pod: `dnsPolicy`, `dnsConfig`, the node's resolv.conf, and the limits of resolvers.

use core::net::IpAddr;
use pod_model::node::NodeFacts;
use pod_model::pod::{DnsConfig, DnsOption, DnsPolicy, Pod};
use std::collections::BTreeSet;

/// Most name servers that a resolver reads.
const MAX_SERVERS: usize = 3;
/// Most search paths.
const MAX_SEARCHES: usize = 32;
/// Most characters of all search paths with the blanks between them.
const MAX_SEARCH_LINE: usize = 2048;
/// Longest search path that no resolver stumbles over.
const MAX_SEARCH: usize = 253;

/// What a resolv.conf says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// `nameserver` lines.
    pub servers: Vec<String>,
    /// The last `search` line.
    pub searches: Vec<String>,
    /// Options, each name once.
    pub options: Vec<String>,
}

/// A resolv.conf with a `nameserver` line that names none. The text is the kubelet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nameserver list is empty ")]
pub struct ResolvConfError;

/// Something that was left out or replaced: reason and message of a Warning event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsWarning {
    /// `DNSConfigForming` or `MissingClusterDNS`.
    pub reason: &'static str,
    /// Its text.
    pub message: String,
}

/// Which resolver a pod begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsType {
    /// The cluster's.
    Cluster,
    /// The node's.
    Host,
    /// None.
    None,
}

impl DnsType {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            DnsType::Cluster => "Cluster",
            DnsType::Host => "Host",
            DnsType::None => "None",
        }
    }
}

/// The resolver for that policy. In the node's network, ClusterFirst is the node's.
pub fn pod_dns_type(policy: DnsPolicy, host_network: bool) -> DnsType {
    match policy {
        DnsPolicy::None => DnsType::None,
        DnsPolicy::ClusterFirstWithHostNet => DnsType::Cluster,
        DnsPolicy::ClusterFirst if !host_network => DnsType::Cluster,
        DnsPolicy::ClusterFirst | DnsPolicy::Default => DnsType::Host,
    }
}

/// Reads a resolv.conf. A later search line and later options of one name win; search paths lose their last dot, `.` is none.
pub fn parse_resolv_conf(text: &str) -> Result<Resolver, ResolvConfError> {
    let mut resolver = Resolver::default();
    for line in text.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                let server = words.next().ok_or(ResolvConfError)?;
                resolver.servers.push(server.to_owned());
            }
            Some("search") => {
                resolver.searches = words
                    .filter(|word| *word != ".")
                    .map(|word| word.strip_suffix('.').unwrap_or(word).to_owned())
                    .collect();
            }
            Some("options") => {
                for word in words {
                    let name = word.split(':').next().unwrap_or(word);
                    put_option(&mut resolver.options, name, word.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(resolver)
}

/// Replaces the option of that name where it stands, or adds it.
fn put_option(options: &mut Vec<String>, name: &str, option: String) {
    let has_name = |o: &&mut String| o.split(':').next() == Some(name);
    match options.iter_mut().find(has_name) {
        Some(place) => *place = option,
        None => options.push(option),
    }
}

/// Options with those of `dnsConfig`, which win.
pub fn merge_dns_options(existing: &[String], more: &[DnsOption]) -> Vec<String> {
    let mut options = Vec::new();
    for option in existing {
        let name = option.split(':').next().unwrap_or(option);
        // A colon without a value says nothing.
        let text = match option.strip_suffix(':') {
            Some(bare) if bare == name => name.to_owned(),
            _ => option.clone(),
        };
        put_option(&mut options, name, text);
    }
    for option in more {
        let text = match option.value.as_deref().filter(|v| !v.is_empty()) {
            Some(value) => format!("{}:{value}", option.name),
            None => option.name.clone(),
        };
        put_option(&mut options, &option.name, text);
    }
    options
}

/// At most three name servers, and the warning if there were more.
pub fn nameservers_fit_limits(servers: &[String]) -> (Vec<String>, Option<DnsWarning>) {
    let kept: Vec<String> = servers.iter().take(MAX_SERVERS).cloned().collect();
    let warning = (kept.len() < servers.len()).then(|| {
        forming(format!(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
            kept.join(" ")
        ))
    });
    (kept, warning)
}

/// The search paths that resolvers can take, and the warning if some were left out.
pub fn searches_fit_limits(searches: &[String]) -> (Vec<String>, Option<DnsWarning>) {
    let mut kept: Vec<String> = searches
        .iter()
        .take(MAX_SEARCHES)
        .filter(|s| s.len() <= MAX_SEARCH)
        .cloned()
        .collect();
    let line = |kept: &[String]| kept.join(" ").len();
    while line(&kept) > MAX_SEARCH_LINE {
        kept.pop();
    }
    let warning = (kept.len() < searches.len()).then(|| {
        forming(format!(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
            kept.join(" ")
        ))
    });
    (kept, warning)
}

fn forming(message: String) -> DnsWarning {
    DnsWarning {
        reason: "DNSConfigForming",
        message,
    }
}

/// The pod's resolver, and what had to be left out or replaced.
pub fn pod_dns(
    pod: &Pod,
    node: &NodeFacts,
) -> Result<(Resolver, Vec<DnsWarning>), ResolvConfError> {
    let mut warnings = Vec::new();
    let of_node = match &node.resolv_conf {
        Some(text) => parse_resolv_conf(text)?,
        None => Resolver::default(),
    };
    // A pod without a policy did not come through the door; the cluster's resolver is for it, whatever its network.
    let kind = match pod.spec.dns_policy {
        Some(policy) => pod_dns_type(policy, pod.spec.host_network),
        None => DnsType::Cluster,
    };
    let mut resolver = match kind {
        DnsType::None => Resolver::default(),
        DnsType::Cluster if !node.cluster_dns.is_empty() => Resolver {
            servers: node.cluster_dns.clone(),
            searches: cluster_searches(pod, &node.cluster_domain, of_node.searches),
            options: vec!["ndots:5".to_owned()],
        },
        kind => {
            if kind == DnsType::Cluster {
                warnings.push(missing_cluster_dns(pod));
            }
            if node.resolv_conf.is_none() {
                no_resolver(node)
            } else {
                of_node
            }
        }
    };
    if let Some(config) = &pod.spec.dns_config {
        append(&mut resolver, config);
    }
    let (servers, servers_warning) = nameservers_fit_limits(&resolver.servers);
    let (searches, searches_warning) = searches_fit_limits(&resolver.searches);
    warnings.extend(servers_warning);
    warnings.extend(searches_warning);
    let resolver = Resolver {
        servers,
        searches,
        options: resolver.options,
    };
    Ok((resolver, warnings))
}

/// A node without name servers: lookups go to the local machine, where nobody answers.
fn no_resolver(node: &NodeFacts) -> Resolver {
    let is_v6 = |ip: &String| ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
    let loopback = |ip: &String| if is_v6(ip) { "::1" } else { "127.0.0.1" };
    let mut servers: Vec<String> = node.ips.iter().map(|ip| loopback(ip).to_owned()).collect();
    if servers.is_empty() {
        servers.push("127.0.0.1".to_owned());
    }
    Resolver {
        servers,
        searches: vec![".".to_owned()],
        options: Vec::new(),
    }
}

fn missing_cluster_dns(pod: &Pod) -> DnsWarning {
    let reference = pod.reference();
    DnsWarning {
        reason: "MissingClusterDNS",
        message: format!(
            "pod: \"{}_{}({})\". kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" \
             policy. Falling back to \"Default\" policy.",
            reference.name, reference.namespace, reference.uid
        ),
    }
}

fn cluster_searches(pod: &Pod, domain: &str, of_node: Vec<String>) -> Vec<String> {
    if domain.is_empty() {
        return of_node;
    }
    let of_cluster = [
        format!("{}.svc.{domain}", pod.metadata.namespace),
        format!("svc.{domain}"),
        domain.to_owned(),
    ];
    each_once(of_cluster.into_iter().chain(of_node))
}

fn append(resolver: &mut Resolver, config: &DnsConfig) {
    let both = |a: &[String], b: &[String]| each_once(a.iter().chain(b).cloned());
    resolver.servers = both(&resolver.servers, &config.nameservers);
    resolver.searches = both(&resolver.searches, &config.searches);
    resolver.options = merge_dns_options(&resolver.options, &config.options);
}

fn each_once(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

impl Resolver {
    /// The text of a resolv.conf.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if !self.searches.is_empty() {
            text.push_str(&format!("search {}\n", self.searches.join(" ")));
        }
        for server in &self.servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.options.is_empty() {
            text.push_str(&format!("options {}\n", self.options.join(" ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::node;
    use super::*;

    fn lines(
        policy: DnsPolicy,
        host_network: bool,
        node: &NodeFacts,
    ) -> (String, Vec<&'static str>) {
        let mut pod = Pod::default();
        pod.metadata.namespace = "ns".into();
        pod.spec.dns_policy = Some(policy);
        pod.spec.host_network = host_network;
        pod.spec.dns_config = Some(DnsConfig {
            searches: vec!["own".to_owned()],
            ..DnsConfig::default()
        });
        let (resolver, warnings) = pod_dns(&pod, node).unwrap();
        (resolver.text(), warnings.iter().map(|w| w.reason).collect())
    }

    #[test]
    fn each_policy_begins_with_its_resolver_and_adds_the_pods_own() {
        let mut node = node();
        node.resolv_conf = Some("nameserver 9.9.9.9\nsearch home.\n".to_owned());
        let host = "search home own\nnameserver 9.9.9.9\n";
        assert_eq!(
            lines(DnsPolicy::ClusterFirst, false, &node),
            (host.to_owned(), vec!["MissingClusterDNS"])
        );
        node.cluster_dns = vec!["10.0.0.10".to_owned()];
        node.cluster_domain = "cluster.local".to_owned();
        let cluster = "search ns.svc.cluster.local svc.cluster.local cluster.local home own\nnameserver 10.0.0.10\noptions ndots:5\n";
        for (policy, host_network, expect) in [
            (DnsPolicy::ClusterFirst, false, cluster),
            (DnsPolicy::ClusterFirst, true, host),
            (DnsPolicy::ClusterFirstWithHostNet, true, cluster),
            (DnsPolicy::Default, false, host),
            (DnsPolicy::None, false, "search own\n"),
        ] {
            let got = lines(policy, host_network, &node);
            assert_eq!(
                got,
                (expect.to_owned(), vec![]),
                "{policy:?} {host_network}"
            );
        }
        node.resolv_conf = None;
        assert_eq!(
            lines(DnsPolicy::Default, false, &node).0,
            "search . own\nnameserver 127.0.0.1\n"
        );
    }

    #[test]
    fn more_than_a_resolver_reads_is_left_out_with_a_warning() {
        let many: Vec<String> = (0..40).map(|n| format!("d{n}")).collect();
        let (kept, warning) = nameservers_fit_limits(&many);
        assert_eq!(kept, ["d0", "d1", "d2"]);
        assert!(warning.unwrap().message.ends_with("line is: d0 d1 d2"));
        let (kept, warning) = searches_fit_limits(&many);
        assert_eq!(kept.len(), 32);
        assert!(warning.is_some());
        let (kept, _) = searches_fit_limits(&["a".repeat(254), "b".repeat(253)]);
        assert_eq!(kept, ["b".repeat(253)]);
        let (kept, warning) = searches_fit_limits(&vec!["x".repeat(250); 10]);
        assert_eq!(kept.len(), 8);
        assert!(warning.is_some());
        assert!(searches_fit_limits(&many[..32]).1.is_none());
    }

    #[test]
    fn an_option_with_a_colon_and_no_value_is_one_without() {
        let more = [DnsOption {
            name: "ndots".to_owned(),
            value: Some(String::new()),
        }];
        let existing = ["a:", "b:c:", "ndots:5"].map(str::to_owned);
        assert_eq!(merge_dns_options(&existing, &more), ["a", "b:c:", "ndots"]);
    }

    #[test]
    fn a_pod_without_a_policy_asks_the_cluster_even_on_the_nodes_network() {
        let mut pod = Pod::default();
        pod.spec.host_network = true;
        let mut node = node();
        node.cluster_dns = vec!["10.0.0.10".to_owned()];
        let (resolver, _) = pod_dns(&pod, &node).unwrap();
        assert_eq!(resolver.servers, ["10.0.0.10"]);
    }

    #[test]
    fn each_line_of_a_resolv_conf_counts_and_what_is_repeated_is_replaced() {
        let text = "# none\nnameserver 1.1.1.1\noptions ndots:2 debug\nsearch a. . b\n\
                    nameserver 8.8.8.8\nsortlist x\noptions ndots:5 rotate\nsearch c.\n";
        let resolver = parse_resolv_conf(text).unwrap();
        assert_eq!(resolver.servers, ["1.1.1.1", "8.8.8.8"]);
        assert_eq!(resolver.searches, ["c"]);
        assert_eq!(resolver.options, ["ndots:5", "debug", "rotate"]);
        assert!(parse_resolv_conf("nameserver\n").is_err());
    }

    #[test]
    fn a_policy_has_its_resolver_and_each_resolver_its_name() {
        for (policy, host_network, name) in [
            (DnsPolicy::None, false, "None"),
            (DnsPolicy::ClusterFirstWithHostNet, true, "Cluster"),
            (DnsPolicy::ClusterFirst, false, "Cluster"),
            (DnsPolicy::ClusterFirst, true, "Host"),
            (DnsPolicy::Default, false, "Host"),
        ] {
            assert_eq!(pod_dns_type(policy, host_network).as_str(), name);
        }
    }
}
