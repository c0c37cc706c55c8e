//! Amounts of a container by name (`resourceFieldRef`).

use pod_model::common::{ResourceFieldRef, ResourceList};
use pod_model::pod::{Container, Pod};
use pod_model::quantity::{Format, Quantity};
use pod_model::resources::{CPU, HUGE_PAGES, MEMORY, amount};

/// Why there is no amount. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceFieldError {
    /// No such container.
    #[error("container {name} not found")]
    Container {
        /// Its name.
        name: String,
    },
    /// No such resource.
    #[error("unsupported container resource : {resource}")]
    Resource {
        /// As it was written.
        resource: String,
    },
}

/// Where limits that a container does not have come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingLimits {
    /// Env: the pod's limit, else the node's allocatable amount.
    PodThenNode,
    /// Volumes: the node's allocatable amount.
    Node,
}

const STORAGE: &str = "ephemeral-storage";

/// The amount, divided by the divisor and rounded up, as text. `own` is the container that asks; a volume asks for none.
pub fn resource_field(
    pod: &Pod,
    own: Option<&Container>,
    field: &ResourceFieldRef,
    allocatable: &ResourceList,
    missing: MissingLimits,
) -> Result<String, ResourceFieldError> {
    let named = field.container_name.as_ref().filter(|n| !n.is_empty());
    let spec = &pod.spec;
    let (container, limits_are_defaulted) = match (named, own) {
        (None, Some(own)) => (own, true),
        (name, _) => {
            let name = name.map(|n| n.as_str()).unwrap_or_default();
            let app = spec.containers.iter().find(|c| c.name == *name);
            let init = || spec.init_containers.iter().find(|c| c.name == *name);
            let found = app
                .or_else(init)
                .ok_or_else(|| ResourceFieldError::Container {
                    name: name.to_owned(),
                })?;
            // In env, another init container's limits stay as they are; in volumes none do.
            (found, app.is_some() || missing == MissingLimits::Node)
        }
    };
    let unsupported = || ResourceFieldError::Resource {
        resource: field.resource.clone(),
    };
    let (side, name) = field.resource.split_once('.').ok_or_else(unsupported)?;
    let is_known = matches!(name, CPU | MEMORY | STORAGE);
    if !is_known && !name.starts_with(HUGE_PAGES) {
        return Err(unsupported());
    }
    let quantity = match side {
        "requests" => amount(&container.resources.requests, name),
        "limits" => {
            let own = amount(&container.resources.limits, name);
            if own.is_zero() && is_known && limits_are_defaulted {
                default_limit(pod, name, allocatable, missing)
            } else {
                own
            }
        }
        _ => return Err(unsupported()),
    };
    Ok(divide(name, &quantity, field.divisor.as_ref()).to_string())
}

fn default_limit(
    pod: &Pod,
    name: &str,
    allocatable: &ResourceList,
    missing: MissingLimits,
) -> Quantity {
    let of_node = amount(allocatable, name);
    let of_pod = pod
        .spec
        .resources
        .as_ref()
        .filter(|_| missing == MissingLimits::PodThenNode && name != STORAGE)
        .and_then(|r| r.limits.get(name))
        .filter(|limit| !limit.is_zero() && allocatable.contains_key(name));
    of_pod.cloned().unwrap_or(of_node)
}

/// Both are rounded up to whole units first (cpu: thousandths), as Kubernetes does.
fn divide(name: &str, quantity: &Quantity, divisor: Option<&Quantity>) -> i64 {
    let one = Quantity::from_value(1, Format::DecimalSI);
    let divisor = divisor.filter(|d| !d.is_zero()).unwrap_or(&one);
    let units = |q: &Quantity| {
        if name == CPU {
            q.milli_value()
        } else {
            q.value()
        }
    };
    let whole = |n: i64| Quantity::from_value(n, Format::DecimalSI);
    whole(units(quantity))
        .ceil_div(&whole(units(divisor)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_model::common::Resources;

    fn list(entries: &[(&str, &str)]) -> ResourceList {
        entries
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.parse().unwrap()))
            .collect()
    }

    #[test]
    fn amounts_are_divided_and_rounded_up_and_missing_limits_are_the_pods_or_the_nodes() {
        let app = Container {
            name: "app".into(),
            resources: Resources {
                requests: list(&[(CPU, "250m"), (MEMORY, "64Mi")]),
                limits: list(&[(CPU, "1500m"), ("hugepages-2Mi", "4Mi")]),
            },
            ..Container::default()
        };
        let mut pod = Pod::default();
        pod.spec.containers = vec![app.clone()];
        pod.spec.init_containers = vec![Container {
            name: "init".into(),
            ..Container::default()
        }];
        let node = list(&[(CPU, "4"), (MEMORY, "8Gi"), (STORAGE, "10G")]);
        let ask = |pod: &Pod, container: Option<&str>, resource: &str, divisor: &str| {
            let field = ResourceFieldRef {
                container_name: container.map(Into::into),
                resource: resource.to_owned(),
                divisor: Some(divisor.parse().unwrap()),
            };
            resource_field(pod, Some(&app), &field, &node, MissingLimits::PodThenNode)
                .map_err(|e| e.to_string())
        };
        for (container, resource, divisor, expect) in [
            (None, "requests.cpu", "0", Ok("1")),
            (None, "requests.cpu", "1m", Ok("250")),
            (None, "limits.cpu", "1", Ok("2")),
            (None, "requests.memory", "1Mi", Ok("64")),
            (None, "limits.memory", "1Gi", Ok("8")),
            (Some("init"), "limits.memory", "1Gi", Ok("0")),
            (None, "limits.ephemeral-storage", "1G", Ok("10")),
            (None, "limits.hugepages-2Mi", "1", Ok("4194304")),
            (
                None,
                "limits.gpu",
                "1",
                Err("unsupported container resource : limits.gpu"),
            ),
            (
                None,
                "cpu",
                "1",
                Err("unsupported container resource : cpu"),
            ),
            (Some("x"), "limits.cpu", "1", Err("container x not found")),
        ] {
            let expect = expect.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(
                ask(&pod, container, resource, divisor),
                expect,
                "{resource}"
            );
        }
        pod.spec.resources = Some(Resources {
            limits: list(&[(MEMORY, "1Gi")]),
            ..Resources::default()
        });
        assert_eq!(
            ask(&pod, None, "limits.memory", "1Mi"),
            Ok("1024".to_owned())
        );
    }

    #[test]
    fn a_missing_limit_is_that_of_the_pod_where_the_node_has_the_resource_and_else_the_nodes() {
        let mut pod = Pod::default();
        let named = |name: &str| Container {
            name: name.into(),
            ..Container::default()
        };
        pod.spec.containers = vec![named("app")];
        pod.spec.init_containers = vec![named("init")];
        let of_node = list(&[(CPU, "4"), (MEMORY, "8"), (STORAGE, "10")]);
        let (both, node) = (MissingLimits::PodThenNode, MissingLimits::Node);
        for (container, resource, of_pod, known, missing, told) in [
            (None, MEMORY, "2", &of_node, both, 2),
            (None, MEMORY, "2", &of_node, node, 8),
            (None, MEMORY, "0", &of_node, both, 8),
            (None, MEMORY, "2", &ResourceList::new(), both, 0),
            // A pod as a whole has no limit of storage.
            (None, STORAGE, "2", &of_node, both, 10),
            (Some("app"), MEMORY, "2", &of_node, both, 2),
            (Some("app"), MEMORY, "2", &of_node, node, 8),
            // In variables, another init container's limits stay as they are.
            (Some("init"), MEMORY, "2", &of_node, both, 0),
            (Some("init"), MEMORY, "2", &of_node, node, 8),
        ] {
            pod.spec.resources = Some(Resources {
                limits: list(&[(resource, of_pod)]),
                ..Resources::default()
            });
            let field = ResourceFieldRef {
                container_name: container.map(Into::into),
                resource: format!("limits.{resource}"),
                divisor: None,
            };
            let own = &pod.spec.containers[0];
            let got = resource_field(&pod, Some(own), &field, known, missing).unwrap();
            let text = format!("{container:?} {resource} {of_pod} {missing:?}");
            assert_eq!(got, i64::to_string(&told), "{text}");
        }
    }
}
