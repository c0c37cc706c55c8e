//! Where each number of a pod's effective requests and limits comes from, in words.

use crate::pod::{ContainerKind, Pod};
use crate::quantity::Quantity;
use crate::resources::{
    Aggregate, Options, Side, Use, aggregate, amount, pod_level, pod_limits, pod_requests,
};
use std::fmt;

/// What one container adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub container: String,
    /// What it asks for.
    pub amount: Quantity,
}

/// Which rule decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Apps and sidecars run together and ask for the most.
    Together {
        /// Those that name the resource.
        parts: Vec<Part>,
        /// The init container that asks for the most, with what it has beside it.
        largest_init: Option<Part>,
    },
    /// An init container, with the sidecars that run beside it, asks for more than all that run later.
    Init {
        /// Which one, and what it asks for itself.
        own: Part,
        /// The sidecars before it that name the resource.
        beside: Vec<Part>,
        /// What apps and sidecars ask for together.
        together: Quantity,
    },
    /// `spec.resources` says so.
    PodLevel {
        /// What the containers ask for.
        containers: Option<Quantity>,
    },
    /// No container names it: only overhead.
    OverheadAlone,
}

/// Where one effective amount comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Name of the resource.
    pub resource: String,
    /// Request or limit.
    pub side: Side,
    /// The effective amount.
    pub amount: Quantity,
    /// What decided.
    pub rule: Rule,
    /// What `spec.overhead` added.
    pub overhead: Option<Quantity>,
}

/// The origin of every effective request or limit of the pod.
pub fn origins(pod: &Pod, side: Side) -> Vec<Origin> {
    let options = Options::default();
    let effective = match side {
        Side::Requests => pod_requests(pod, &options),
        Side::Limits => pod_limits(pod, &options),
    };
    let containers = aggregate(pod, side, &options);
    let pod_level = pod_level(pod, side, &options);
    effective
        .into_iter()
        .map(|(resource, amount)| {
            let rule = if pod_level.contains_key(&resource) {
                Rule::PodLevel {
                    containers: containers.total.get(&resource).cloned(),
                }
            } else {
                rule(&containers, &resource)
            };
            let before = match &rule {
                Rule::PodLevel { .. } => pod_level.get(&resource),
                _ => containers.total.get(&resource),
            };
            let overhead = pod
                .spec
                .overhead
                .get(&resource)
                .filter(|_| before != Some(&amount))
                .cloned();
            Origin {
                resource,
                side,
                amount,
                rule,
                overhead,
            }
        })
        .collect()
}

fn rule(containers: &Aggregate<'_>, resource: &str) -> Rule {
    if !containers.total.contains_key(resource) {
        return Rule::OverheadAlone;
    }
    let together = amount(&containers.together, resource);
    let init = largest_init(containers, resource);
    match init {
        Some((index, largest)) if amount(&largest.counted, resource) > together => Rule::Init {
            own: part(largest, resource),
            beside: containers
                .uses
                .iter()
                .take(index)
                .filter(|u| u.kind == ContainerKind::Init && u.container.is_sidecar())
                .filter(|u| u.own.contains_key(resource))
                .map(|u| part(u, resource))
                .collect(),
            together,
        },
        _ => Rule::Together {
            parts: containers
                .uses
                .iter()
                .filter(|u| u.kind == ContainerKind::App || u.container.is_sidecar())
                .filter(|u| u.own.contains_key(resource))
                .map(|u| part(u, resource))
                .collect(),
            largest_init: init.map(|(_, u)| Part {
                container: u.container.name.to_string(),
                amount: amount(&u.counted, resource),
            }),
        },
    }
}

/// The first of the init containers (not sidecars) that need the most while they run, with its place among all.
fn largest_init<'a, 'b>(
    containers: &'b Aggregate<'a>,
    resource: &str,
) -> Option<(usize, &'b Use<'a>)> {
    containers
        .uses
        .iter()
        .enumerate()
        .filter(|(_, u)| u.kind == ContainerKind::Init && !u.container.is_sidecar())
        .filter(|(_, u)| u.counted.contains_key(resource))
        .fold(
            None,
            |most: Option<(usize, &Use<'a>)>, candidate| match most {
                Some((_, u))
                    if amount(&u.counted, resource) >= amount(&candidate.1.counted, resource) =>
                {
                    most
                }
                _ => Some(candidate),
            },
        )
}

fn part(u: &Use<'_>, resource: &str) -> Part {
    Part {
        container: u.container.name.to_string(),
        amount: amount(&u.own, resource),
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" ({})", self.container, self.amount)
    }
}

impl fmt::Display for Origin {
    /// `cpu request 500m: init container "b" (500m) needs more than apps and sidecars together (300m)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Requests => "request",
            Side::Limits => "limit",
        };
        write!(f, "{} {side} {}: ", self.resource, self.amount)?;
        match &self.rule {
            Rule::Together {
                parts,
                largest_init,
            } => {
                match parts.as_slice() {
                    [] => f.write_str("no container that runs on names it")?,
                    [one] => write!(f, "container {one}")?,
                    more => write!(f, "containers {} together", list(more))?,
                }
                if let Some(init) = largest_init {
                    write!(
                        f,
                        "; init container \"{}\" needs no more than that ({})",
                        init.container, init.amount
                    )?;
                }
            }
            Rule::Init {
                own,
                beside,
                together,
            } => {
                write!(f, "init container {own}")?;
                if !beside.is_empty() {
                    write!(f, " beside the sidecars before it, {},", list(beside))?;
                }
                write!(
                    f,
                    " needs more than all that runs afterwards together ({together})"
                )?;
            }
            Rule::PodLevel { containers } => {
                f.write_str("spec.resources of the pod")?;
                if let Some(containers) = containers {
                    write!(f, "; its containers come to {containers}")?;
                }
            }
            Rule::OverheadAlone => {
                return f.write_str("overhead of the pod; no container names it");
            }
        }
        match &self.overhead {
            Some(overhead) => write!(f, "; plus overhead {overhead}"),
            None => Ok(()),
        }
    }
}

fn list(parts: &[Part]) -> String {
    let texts: Vec<String> = parts.iter().map(Part::to_string).collect();
    match texts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => texts.concat(),
    }
}

#[cfg(test)]
mod tests;
