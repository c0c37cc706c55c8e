//! The sections of containers.

use super::extras::Extras;
use super::field::{field_text, resource_text};
use super::probe::probe_text;
use crate::duration::rfc1123;
use crate::tabs::Indented;
use crate::text::title_bool;
use pod_model::pod::{Container, EnvSource, EnvVar, Pod, Port, Resources};
use pod_model::status::{ContainerState, ContainerStatus};

/// The section `Containers` of that pod by itself, tabs not laid out yet.
pub fn containers(pod: &Pod, extras: &Extras) -> String {
    let mut out = Indented::new();
    let statuses = pod
        .status
        .as_ref()
        .map_or(&[][..], |s| &s.container_statuses);
    section(
        &mut out,
        "Containers",
        &pod.spec.containers,
        statuses,
        pod,
        extras,
    );
    out.into_text()
}

pub(super) fn section(
    out: &mut Indented,
    title: &str,
    list: &[Container],
    statuses: &[ContainerStatus],
    pod: &Pod,
    extras: &Extras,
) {
    let none = if list.is_empty() { " <none>" } else { "" };
    out.line(0, format!("{title}:{none}"));
    for container in list {
        let status = statuses.iter().rev().find(|s| s.name == container.name);
        basics(out, container, status);
        words(out, "Command", &container.command);
        words(out, "Args", &container.args);
        if let Some(status) = status {
            states(out, status);
        }
        resources(out, &container.resources, 2);
        for (title, probe) in [
            ("Liveness", &container.liveness_probe),
            ("Readiness", &container.readiness_probe),
            ("Startup", &container.startup_probe),
        ] {
            if let Some(probe) = probe {
                out.line(2, format!("{title}:\t{}", probe_text(probe)));
            }
        }
        env_from(out, container);
        env(out, container, pod);
        mounts(out, container, extras);
    }
}

fn basics(out: &mut Indented, container: &Container, status: Option<&ContainerStatus>) {
    out.line(1, format!("{}:", container.name));
    if let Some(status) = status {
        out.line(2, format!("Container ID:\t{}", status.container_id));
    }
    out.line(2, format!("Image:\t{}", container.image));
    if let Some(status) = status {
        out.line(2, format!("Image ID:\t{}", status.image_id));
    }
    ports(out, "Port", &container.ports, |p| p.container_port);
    ports(out, "Host Port", &container.ports, |p| {
        p.host_port.unwrap_or(0)
    });
    let security = container.security_context.as_ref();
    if let Some(profile) = security.and_then(|s| s.seccomp_profile.as_ref()) {
        super::seccomp(out, profile, 2, 3);
    }
}

fn ports(out: &mut Indented, title: &str, ports: &[Port], number: impl Fn(&Port) -> i32) {
    let texts: Vec<String> = ports
        .iter()
        .map(|port| {
            let text = format!(
                "{}/{}",
                number(port),
                port.protocol.as_deref().unwrap_or_default()
            );
            match port.name.as_deref().filter(|n| !n.is_empty()) {
                Some(name) => format!("{text} ({name})"),
                None => text,
            }
        })
        .collect();
    match texts.as_slice() {
        [] => out.line(2, format!("{title}:\t<none>")),
        [one] => out.line(2, format!("{title}:\t{one}")),
        several => out.line(2, format!("{title}s:\t{}", several.join(", "))),
    }
}

fn words(out: &mut Indented, title: &str, list: &[String]) {
    if !list.is_empty() {
        out.line(2, format!("{title}:"));
    }
    for line in list.iter().flat_map(|word| word.split('\n')) {
        out.line(3, line);
    }
}

fn states(out: &mut Indented, status: &ContainerStatus) {
    state(out, "State", &status.state);
    if status.last_state.terminated.is_some() {
        state(out, "Last State", &status.last_state);
    }
    out.line(2, format!("Ready:\t{}", title_bool(status.ready)));
    out.line(2, format!("Restart Count:\t{}", status.restart_count));
}

fn state(out: &mut Indented, title: &str, state: &ContainerState) {
    if let Some(running) = &state.running {
        out.line(2, format!("{title}:\tRunning"));
        out.line(3, format!("Started:\t{}", rfc1123(running.started_at)));
    } else if let Some(end) = state
        .terminated
        .as_ref()
        .filter(|_| state.waiting.is_none())
    {
        out.line(2, format!("{title}:\tTerminated"));
        if !end.reason.is_empty() {
            out.line(3, format!("Reason:\t{}", end.reason));
        }
        if !end.message.is_empty() {
            out.line(3, format!("Message:\t{}", end.message));
        }
        out.line(3, format!("Exit Code:\t{}", end.exit_code));
        if end.signal > 0 {
            out.line(3, format!("Signal:\t{}", end.signal));
        }
        out.line(3, format!("Started:\t{}", rfc1123(end.started_at)));
        out.line(3, format!("Finished:\t{}", rfc1123(end.finished_at)));
    } else {
        out.line(2, format!("{title}:\tWaiting"));
        let reason = state.waiting.as_ref().map_or("", |w| w.reason.as_str());
        if !reason.is_empty() {
            out.line(3, format!("Reason:\t{reason}"));
        }
    }
}

/// Limits and requests, sorted by name.
pub(super) fn resources(out: &mut Indented, resources: &Resources, level: usize) {
    for (title, list) in [
        ("Limits", &resources.limits),
        ("Requests", &resources.requests),
    ] {
        if !list.is_empty() {
            out.line(level, format!("{title}:"));
        }
        for (name, amount) in list {
            out.line(level + 1, format!("{name}:\t{amount}"));
        }
    }
}

fn env_from(out: &mut Indented, container: &Container) {
    if !container.env_from.is_empty() {
        out.line(2, "Environment Variables from:");
    }
    for source in &container.env_from {
        let (from, object) = match (&source.config_map_ref, &source.secret_ref) {
            (Some(object), _) => ("ConfigMap", Some(object)),
            (None, Some(object)) => ("Secret", Some(object)),
            (None, None) => ("", None),
        };
        let name = object.map_or("", |o| o.name.as_str());
        let optional = object.and_then(|o| o.optional).unwrap_or(false);
        let prefix = match source.prefix.as_deref().filter(|p| !p.is_empty()) {
            Some(prefix) => format!(" with prefix '{prefix}'"),
            None => String::new(),
        };
        out.line(3, format!("{name}\t{from}{prefix}\tOptional: {optional}"));
    }
}

fn env(out: &mut Indented, container: &Container, pod: &Pod) {
    if container.env.is_empty() {
        out.line(2, "Environment:\t<none>");
        return;
    }
    out.line(2, "Environment:");
    for var in &container.env {
        match &var.value_from {
            Some(source) => {
                if let Some(text) = source_text(source, container, pod) {
                    out.line(3, format!("{}:\t{text}", var.name));
                }
            }
            None => value(out, var),
        }
    }
}

fn value(out: &mut Indented, var: &EnvVar) {
    let mut head = format!("{}:", var.name);
    for line in var.value.as_deref().unwrap_or_default().split('\n') {
        out.line(3, format!("{head}\t{line}"));
        head.clear();
    }
}

fn source_text(source: &EnvSource, container: &Container, pod: &Pod) -> Option<String> {
    if let Some(field) = &source.field_ref {
        let version = field.api_version.as_deref().unwrap_or("v1");
        let value = field_text(pod, &field.field_path).unwrap_or_default();
        return Some(format!("{value} ({version}:{})", field.field_path));
    }
    if let Some(field) = &source.resource_field_ref {
        let mut value = resource_text(container, field).unwrap_or_default();
        if value == "0" && matches!(field.resource.as_str(), "limits.cpu" | "limits.memory") {
            value = "node allocatable".to_owned();
        }
        return Some(format!("{value} ({})", field.resource));
    }
    let (key, words) = match (&source.secret_key_ref, &source.config_map_key_ref) {
        (Some(key), _) => (key, "in secret"),
        (None, Some(key)) => (key, "of config map"),
        (None, None) => return None,
    };
    Some(format!(
        "<set to the key '{}' {words} '{}'>\tOptional: {}",
        key.key,
        key.name,
        key.optional.unwrap_or(false)
    ))
}

fn mounts(out: &mut Indented, container: &Container, extras: &Extras) {
    let none = if container.volume_mounts.is_empty() {
        "\t<none>"
    } else {
        ""
    };
    out.line(2, format!("Mounts:{none}"));
    let mut sorted: Vec<_> = container.volume_mounts.iter().collect();
    sorted.sort_by(|a, b| a.mount_path.cmp(&b.mount_path));
    for mount in sorted {
        let mode = if mount.read_only { "ro" } else { "rw" };
        let path = match mount.sub_path.as_deref().filter(|p| !p.is_empty()) {
            Some(path) => format!(",path={path:?}"),
            None => String::new(),
        };
        out.line(
            3,
            format!("{} from {} ({mode}{path})", mount.mount_path, mount.name),
        );
    }
    if let Some(devices) = extras.devices.get(container.name.as_str()) {
        // kubectl prints here whether there are mounts, not devices.
        out.line(2, format!("Devices:{none}"));
        let mut sorted: Vec<_> = devices.iter().collect();
        sorted.sort();
        for (path, volume) in sorted {
            out.line(3, format!("{path} from {volume}"));
        }
    }
}
