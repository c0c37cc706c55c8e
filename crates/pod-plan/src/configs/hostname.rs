//! The name that a pod has for itself.

use super::names;
use pod_model::pod::Pod;

/// Why a pod has no name. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    /// A field is no DNS label.
    #[error("pod {field} {value:?} is not a valid DNS label: {problems}")]
    Label {
        /// `Hostname` or `Subdomain`.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        problems: String,
    },
    /// `hostnameOverride` is no DNS subdomain.
    #[error("pod HostnameOverride {value:?} is not a valid DNS subdomain: {problems}")]
    Override {
        /// Its value.
        value: String,
        /// What is wrong.
        problems: String,
    },
    /// Nothing is left of it when it is cut to its length.
    #[error("hostname for pod {pod:?} was invalid: {value:?}")]
    Empty {
        /// Name of the pod.
        pod: String,
        /// The name before.
        value: String,
    },
    /// The kernel cannot hold it.
    #[error(
        "failed to construct FQDN from pod hostname and cluster domain, FQDN {fqdn} is too long ({KERNEL_MAX} characters is the max, {} characters requested)",
        fqdn.len()
    )]
    TooLong {
        /// The full name.
        fqdn: String,
    },
}

/// Longest name without a domain.
const HOSTNAME_MAX: usize = 63;
/// Longest name that the kernel takes.
const KERNEL_MAX: usize = 64;

/// Name and domain (may be ""): from `hostnameOverride`, else `hostname` or the pod's name, and `subdomain`.
pub fn pod_hostname(pod: &Pod, cluster_domain: &str) -> Result<(String, String), HostnameError> {
    let spec = &pod.spec;
    let name = pod.metadata.name.as_str();
    if let Some(value) = &spec.hostname_override {
        let problems = names::dns_subdomain(value);
        if !problems.is_empty() {
            return Err(HostnameError::Override {
                value: value.clone(),
                problems: problems.join(";"),
            });
        }
        return Ok((shorten(name, value)?, String::new()));
    }
    let hostname = match spec.hostname.as_deref().filter(|h| !h.is_empty()) {
        Some(hostname) => label("Hostname", hostname)?,
        None => name,
    };
    let hostname = shorten(name, hostname)?;
    let domain = match spec.subdomain.as_deref().filter(|s| !s.is_empty()) {
        Some(subdomain) => format!(
            "{}.{}.svc.{cluster_domain}",
            label("Subdomain", subdomain)?,
            pod.metadata.namespace
        ),
        None => String::new(),
    };
    Ok((hostname, domain))
}

fn label<'a>(field: &'static str, value: &'a str) -> Result<&'a str, HostnameError> {
    let problems = names::dns_label(value);
    if problems.is_empty() {
        return Ok(value);
    }
    Err(HostnameError::Label {
        field,
        value: value.to_owned(),
        problems: problems.join(";"),
    })
}

fn shorten(pod: &str, hostname: &str) -> Result<String, HostnameError> {
    if hostname.len() <= HOSTNAME_MAX {
        return Ok(hostname.to_owned());
    }
    let end = (0..=HOSTNAME_MAX)
        .rev()
        .find(|end| hostname.is_char_boundary(*end));
    let head = end.and_then(|end| hostname.get(..end)).unwrap_or_default();
    let head = head.trim_end_matches(['-', '.']);
    if head.is_empty() {
        return Err(HostnameError::Empty {
            pod: pod.to_owned(),
            value: hostname.to_owned(),
        });
    }
    Ok(head.to_owned())
}

/// The name that the kernel is told: with the domain if `setHostnameAsFQDN`.
pub fn kernel_hostname(pod: &Pod, hostname: &str, domain: &str) -> Result<String, HostnameError> {
    if domain.is_empty() || pod.spec.set_hostname_as_fqdn != Some(true) {
        return Ok(hostname.to_owned());
    }
    let fqdn = format!("{hostname}.{domain}");
    if fqdn.len() > KERNEL_MAX {
        return Err(HostnameError::TooLong { fqdn });
    }
    Ok(fqdn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_never_ends_in_a_dash_or_dot() {
        let mut pod = Pod::default();
        pod.metadata.name = format!("{}-b", "a".repeat(62)).into();
        let (hostname, domain) = pod_hostname(&pod, "cluster.local").unwrap();
        assert_eq!((hostname, domain), ("a".repeat(62), String::new()));
    }

    #[test]
    fn a_full_name_that_the_kernel_cannot_hold_is_refused() {
        let mut pod = Pod::default();
        pod.metadata.name = "web".into();
        pod.metadata.namespace = "default".into();
        pod.spec.subdomain = Some("sub".to_owned());
        pod.spec.set_hostname_as_fqdn = Some(true);
        let (hostname, domain) = pod_hostname(&pod, "cluster.local").unwrap();
        let full = kernel_hostname(&pod, &hostname, &domain).unwrap();
        assert_eq!(full, "web.sub.default.svc.cluster.local");
        let error = kernel_hostname(&pod, &"x".repeat(63), &domain).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("(64 characters is the max, 93 characters requested)")
        );
    }

    #[test]
    fn the_kernel_is_told_the_domain_only_where_there_is_one_and_the_pod_asks_for_it() {
        let mut pod = Pod::default();
        let max = "x".repeat(KERNEL_MAX - 2);
        for (asks, hostname, domain, told) in [
            (None, "web", "d", Some("web".to_owned())),
            (Some(false), "web", "d", Some("web".to_owned())),
            (Some(true), "web", "", Some("web".to_owned())),
            (Some(true), "web", "d", Some("web.d".to_owned())),
            (Some(true), &max, "d", Some(format!("{max}.d"))),
            (Some(true), &max, "dd", None),
        ] {
            pod.spec.set_hostname_as_fqdn = asks;
            let got = kernel_hostname(&pod, hostname, domain).ok();
            assert_eq!(got, told, "{asks:?} {hostname} {domain}");
        }
    }
}
