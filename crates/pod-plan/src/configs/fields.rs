//! Fields of the pod by path: `metadata.labels['k']`, `status.podIP` and their like.

use super::names;
use core::net::IpAddr;
use pod_model::common::FieldRef;
use pod_model::node::NodeFacts;
use pod_model::pod::Pod;
use std::collections::BTreeMap;

/// Why a field has no text. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Not a field that may be named.
    #[error("unsupported fieldPath: {path}")]
    Unsupported {
        /// The path.
        path: String,
    },
    /// Not a field that may be named in env.
    #[error("field label not supported: {path}")]
    UnsupportedLabel {
        /// The path.
        path: String,
    },
    /// A key in brackets after a field that has none.
    #[error("fieldPath {path:?} does not support subscript")]
    Subscript {
        /// The path.
        path: String,
    },
    /// A key in brackets after a field that has none, in env.
    #[error("field label does not support subscript: {path}")]
    LabelSubscript {
        /// The path.
        path: String,
    },
    /// The key in brackets is no key.
    #[error("invalid key subscript in {path}: {problems}")]
    Key {
        /// The path.
        path: String,
        /// What is wrong with it.
        problems: String,
    },
    /// An API version other than v1.
    #[error("unsupported pod version: {version}")]
    Version {
        /// The version.
        version: String,
    },
}

/// Takes `metadata.labels['k']` apart: path and key. Without a key the whole text is the path.
pub fn split_subscripted_path(text: &str) -> (&str, Option<&str>) {
    text.strip_suffix("']")
        .and_then(|head| head.split_once("['"))
        .filter(|(path, _)| !path.is_empty())
        .map_or((text, None), |(path, key)| (path, Some(key)))
}

/// A line `key="value"` for each entry, sorted by key; values are quoted as Go does.
pub fn format_map(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key}={}", quote(value)))
        .collect();
    lines.join("\n")
}

/// Text in double quotes with Go's escapes (`strconv.Quote`).
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            ' '..='~' => quoted.push(c),
            c if c.is_ascii() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if is_printable(c) => quoted.push(c),
            c if u32::from(c) < 0x1_0000 => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// Letters, marks, digits, punctuation and symbols; not spaces, controls, formats.
fn is_printable(c: char) -> bool {
    c.is_alphanumeric() || c.escape_debug().eq([c])
}

/// The text of a field of the pod's metadata (`downwardAPI` volumes know only these).
pub fn field_path(pod: &Pod, path: &str) -> Result<String, FieldError> {
    let metadata = &pod.metadata;
    if let (field, Some(key)) = split_subscripted_path(path) {
        let (checked, map) = match field {
            "metadata.annotations" => (key.to_lowercase(), &metadata.annotations),
            "metadata.labels" => (key.to_owned(), &metadata.labels),
            _ => {
                return Err(FieldError::Subscript {
                    path: path.to_owned(),
                });
            }
        };
        let problems = names::label_key(&checked);
        if !problems.is_empty() {
            return Err(FieldError::Key {
                path: path.to_owned(),
                problems: problems.join(";"),
            });
        }
        return Ok(map.get(key).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.annotations" => format_map(&metadata.annotations),
        "metadata.labels" => format_map(&metadata.labels),
        "metadata.name" => metadata.name.to_string(),
        "metadata.namespace" => metadata.namespace.to_string(),
        "metadata.uid" => metadata.uid.to_string(),
        _ => {
            return Err(FieldError::Unsupported {
                path: path.to_owned(),
            });
        }
    })
}

/// The text of a field that a variable names (`env[].valueFrom.fieldRef`): metadata, names and addresses.
pub fn env_field(
    pod: &Pod,
    field: &FieldRef,
    node: &NodeFacts,
    pod_ips: &[String],
) -> Result<String, FieldError> {
    let version = field.api_version.as_deref().unwrap_or_default();
    if !matches!(version, "" | "v1") {
        return Err(FieldError::Version {
            version: version.to_owned(),
        });
    }
    let path = field.field_path.as_str();
    let ips = sort_pod_ips(pod_ips, node.ips.first().map(String::as_str));
    Ok(match path {
        // `spec.host` is its name of long ago.
        "spec.nodeName" | "spec.host" => pod
            .spec
            .node_name
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        "spec.serviceAccountName" => pod.spec.service_account_name.clone().unwrap_or_default(),
        "status.hostIP" => node.ips.first().cloned().unwrap_or_default(),
        "status.hostIPs" => node.ips.join(","),
        "status.podIP" => ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => ips.join(","),
        _ => {
            if let (field, Some(_)) = split_subscripted_path(path) {
                if !matches!(field, "metadata.annotations" | "metadata.labels") {
                    return Err(FieldError::LabelSubscript {
                        path: path.to_owned(),
                    });
                }
            } else if !path.starts_with("metadata.")
                && !matches!(
                    path,
                    "spec.restartPolicy" | "spec.schedulerName" | "status.phase"
                )
            {
                return Err(FieldError::UnsupportedLabel {
                    path: path.to_owned(),
                });
            }
            return field_path(pod, path).map_err(|error| match error {
                FieldError::Unsupported { path } if path.starts_with("metadata.") => {
                    FieldError::UnsupportedLabel { path }
                }
                other => other,
            });
        }
    })
}

/// One address of each family, the family of the node's main address first.
pub fn sort_pod_ips(pod_ips: &[String], node_ip: Option<&str>) -> Vec<String> {
    let parsed: Vec<IpAddr> = pod_ips.iter().filter_map(|ip| ip.parse().ok()).collect();
    let v6_first = node_ip
        .and_then(|ip| ip.parse::<IpAddr>().ok())
        .is_some_and(|ip| ip.is_ipv6());
    [v6_first, !v6_first]
        .iter()
        .filter_map(|v6| parsed.iter().find(|ip| ip.is_ipv6() == *v6))
        .map(ToString::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_as_go_quotes_them() {
        let map = [
            ("b", "1\n2\t\"x\"\\"),
            ("a", "é\u{a0}\u{1}\u{7f}"),
            ("c", ""),
        ];
        let map = map.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(
            format_map(&map),
            "a=\"é\\u00a0\\x01\\x7f\"\nb=\"1\\n2\\t\\\"x\\\"\\\\\"\nc=\"\""
        );
    }

    #[test]
    fn the_pods_addresses_follow_the_nodes_family() {
        let ips: Vec<String> = ["fd00::6", "1.2.3.4", "1.2.3.5"].map(str::to_owned).into();
        assert_eq!(sort_pod_ips(&ips, Some("10.0.0.1")), ["1.2.3.4", "fd00::6"]);
        assert_eq!(sort_pod_ips(&ips, Some("fd00::1")), ["fd00::6", "1.2.3.4"]);
        assert_eq!(sort_pod_ips(&ips, None), ["1.2.3.4", "fd00::6"]);
        assert!(sort_pod_ips(&[], None).is_empty());
    }

    #[test]
    fn the_node_goes_by_its_name_of_long_ago_as_well() {
        let mut pod = Pod::default();
        pod.spec.node_name = Some("n1".into());
        for path in ["spec.nodeName", "spec.host"] {
            let field = FieldRef {
                api_version: Some("v1".to_owned()),
                field_path: path.to_owned(),
            };
            let node = super::super::testing::node();
            assert_eq!(env_field(&pod, &field, &node, &[]).unwrap(), "n1", "{path}");
        }
    }

    #[test]
    fn what_go_would_not_print_is_escaped_by_its_number_and_the_rest_is_not() {
        for (text, quoted) in [
            ("€ – ,;", "\"€ – ,;\""),
            ("\u{200b}", "\"\\u200b\""),
            ("\u{e0001}", "\"\\U000e0001\""),
            ("\u{10000}", "\"\u{10000}\""),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn a_variable_names_a_field_that_has_a_text_or_is_refused_by_kind() {
        let mut pod = super::super::testing::pod();
        let pair = |k: &str, v: &str| [(k.to_owned(), v.to_owned())].into();
        pod.metadata.labels = pair("tier", "web");
        pod.metadata.annotations = pair("note", "x");
        pod.spec.service_account_name = Some("robot".to_owned());
        let mut node = super::super::testing::node();
        node.ips = vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()];
        let ips = ["10.1.0.5".to_owned(), "fd01::5".to_owned()];
        let path = |path: &str| path.to_owned();
        for (field, told) in [
            ("metadata.name", Ok("web")),
            ("metadata.namespace", Ok("ns")),
            ("metadata.uid", Ok("1-2")),
            ("metadata.labels", Ok("tier=\"web\"")),
            ("metadata.annotations", Ok("note=\"x\"")),
            ("metadata.labels['tier']", Ok("web")),
            ("metadata.annotations['note']", Ok("x")),
            ("metadata.labels['none']", Ok("")),
            ("spec.nodeName", Ok("")),
            ("spec.serviceAccountName", Ok("robot")),
            ("status.hostIP", Ok("10.0.0.1")),
            ("status.hostIPs", Ok("10.0.0.1,fd00::1")),
            ("status.podIP", Ok("10.1.0.5")),
            ("status.podIPs", Ok("10.1.0.5,fd01::5")),
            (
                "spec.whoops",
                Err(FieldError::UnsupportedLabel {
                    path: path("spec.whoops"),
                }),
            ),
            (
                "metadata.whoops",
                Err(FieldError::UnsupportedLabel {
                    path: path("metadata.whoops"),
                }),
            ),
            // Known as labels of pods, and without a text here.
            (
                "spec.restartPolicy",
                Err(FieldError::Unsupported {
                    path: path("spec.restartPolicy"),
                }),
            ),
            (
                "status.phase",
                Err(FieldError::Unsupported {
                    path: path("status.phase"),
                }),
            ),
            (
                "metadata.name['x']",
                Err(FieldError::LabelSubscript {
                    path: path("metadata.name['x']"),
                }),
            ),
        ] {
            let asked = FieldRef {
                api_version: None,
                field_path: field.to_owned(),
            };
            let got = env_field(&pod, &asked, &node, &ips);
            assert_eq!(got, told.map(str::to_owned), "{field}");
        }
    }
}
