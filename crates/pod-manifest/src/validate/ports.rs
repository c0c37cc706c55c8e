//! `ports` of a container, and ports of the node that containers fight over.

use super::error::Errors;
use super::names::{is_port_name, is_port_number};
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::api::core::v1::{Container, ContainerPort};
use std::collections::BTreeSet;

/// `ports`.
pub fn validate_ports(ports: &[ContainerPort], path: &Path, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        let name = text(&port.name);
        if !name.is_empty() {
            let wrong = is_port_name(name);
            if wrong.is_empty() && !names.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
            for message in wrong {
                errors.invalid(&path.child("name"), name, &message);
            }
        }
        if port.container_port == 0 {
            errors.required(&path.child("containerPort"), "");
        } else if let Some(message) = is_port_number(port.container_port.into()) {
            errors.invalid(&path.child("containerPort"), port.container_port, &message);
        }
        let host_port = port.host_port.unwrap_or_default();
        if let Some(message) = is_port_number(host_port.into()).filter(|_| host_port != 0) {
            errors.invalid(&path.child("hostPort"), host_port, &message);
        }
        match text(&port.protocol) {
            "" => errors.required(&path.child("protocol"), ""),
            "SCTP" | "TCP" | "UDP" => {}
            other => {
                errors.not_supported(&path.child("protocol"), other, &["SCTP", "TCP", "UDP"]);
            }
        }
    }
}

/// No two containers of this list may have the same port of the node.
pub(super) fn validate_host_ports<'a>(
    containers: impl IntoIterator<Item = &'a Container>,
    path: &Path,
    errors: &mut Errors,
) {
    let mut taken = BTreeSet::new();
    for (i, container) in containers.into_iter().enumerate() {
        let path = path.index(i).child("ports");
        for (j, port) in list(&container.ports).iter().enumerate() {
            let Some(number) = port.host_port.filter(|p| *p != 0) else {
                continue;
            };
            let key = format!("{}/{}/{number}", text(&port.protocol), text(&port.host_ip));
            if taken.contains(&key) {
                errors.duplicate(&path.index(j).child("hostPort"), key.as_str());
            } else {
                taken.insert(key);
            }
        }
    }
}
