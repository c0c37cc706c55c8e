//! Probes and lifecycle hooks: what they do (handlers) and when.

use super::error::Errors;
use super::names::{is_http_header_name, is_port_name, is_port_number};
use super::options::Options;
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, PodOS, Probe, SleepAction,
    TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What a probe or a hook does; exactly one is set.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "names and meanings are those of v1.LifecycleHandler and v1.ProbeHandler"
)]
pub struct Handler<'a> {
    pub exec: Option<&'a ExecAction>,
    pub http_get: Option<&'a HTTPGetAction>,
    pub tcp_socket: Option<&'a TCPSocketAction>,
    pub grpc: Option<&'a GRPCAction>,
    pub sleep: Option<&'a SleepAction>,
}

impl<'a> From<&'a Probe> for Handler<'a> {
    fn from(probe: &'a Probe) -> Self {
        Self {
            exec: probe.exec.as_ref(),
            http_get: probe.http_get.as_ref(),
            tcp_socket: probe.tcp_socket.as_ref(),
            grpc: probe.grpc.as_ref(),
            sleep: None,
        }
    }
}

impl<'a> From<&'a LifecycleHandler> for Handler<'a> {
    fn from(hook: &'a LifecycleHandler) -> Self {
        Self {
            exec: hook.exec.as_ref(),
            http_get: hook.http_get.as_ref(),
            tcp_socket: hook.tcp_socket.as_ref(),
            grpc: None,
            sleep: hook.sleep.as_ref(),
        }
    }
}

/// Which of the three probes one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum ProbeKind {
    Liveness,
    Readiness,
    Startup,
}

/// `livenessProbe`, `readinessProbe` or `startupProbe`. `grace` is the pod's grace period in seconds.
pub(super) fn validate_probe_of(
    kind: ProbeKind,
    probe: Option<&Probe>,
    grace: Option<i64>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let Some(probe) = probe else {
        return;
    };
    validate_probe(probe, grace, path, options, errors);
    match kind {
        ProbeKind::Liveness | ProbeKind::Startup => {
            let threshold = probe.success_threshold.unwrap_or_default();
            if threshold != 1 {
                errors.invalid(&path.child("successThreshold"), threshold, "must be 1");
            }
        }
        ProbeKind::Readiness => {
            if let Some(seconds) = probe.termination_grace_period_seconds {
                errors.invalid(
                    &path.child("terminationGracePeriodSeconds"),
                    seconds,
                    "must not be set for readinessProbes",
                );
            }
        }
    }
}

/// What all probes have in common.
pub fn validate_probe(
    probe: &Probe,
    grace: Option<i64>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    validate_handler(&Handler::from(probe), grace, path, options, errors);
    for (name, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        if let Some(value) = value.filter(|v| *v < 0) {
            errors.invalid(
                &path.child(name),
                value,
                "must be greater than or equal to 0",
            );
        }
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|s| *s <= 0) {
        errors.invalid(
            &path.child("terminationGracePeriodSeconds"),
            seconds,
            "must be greater than 0",
        );
    }
}

/// Exactly one handler, and that one well formed.
pub fn validate_handler(
    handler: &Handler<'_>,
    grace: Option<i64>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let mut seen = false;
    // Whether this is the first handler, the only one that is looked into.
    let mut first = |path: &Path, errors: &mut Errors| {
        if seen {
            errors.forbidden(path, "may not specify more than 1 handler type");
        }
        !std::mem::replace(&mut seen, true)
    };
    if let Some(exec) = handler.exec {
        let path = path.child("exec");
        if first(&path, errors) && list(&exec.command).is_empty() {
            errors.required(&path.child("command"), "");
        }
    }
    if let Some(http) = handler.http_get {
        let path = path.child("httpGet");
        if first(&path, errors) {
            validate_http(http, &path, errors);
        }
    }
    if let Some(tcp) = handler.tcp_socket {
        let path = path.child("tcpSocket");
        if first(&path, errors) {
            validate_port(&tcp.port, &path.child("port"), errors);
        }
    }
    if let Some(grpc) = handler.grpc {
        let path = path.child("grpc");
        if first(&path, errors) {
            validate_port(&IntOrString::Int(grpc.port), &path.child("port"), errors);
        }
    }
    if let Some(sleep) = handler.sleep {
        let path = path.child("sleep");
        if first(&path, errors) {
            validate_sleep(sleep, grace, &path, options, errors);
        }
    }
    if !seen {
        errors.required(path, "must specify a handler type");
    }
}

fn validate_http(http: &HTTPGetAction, path: &Path, errors: &mut Errors) {
    if text(&http.path).is_empty() {
        errors.required(&path.child("path"), "");
    }
    validate_port(&http.port, &path.child("port"), errors);
    let scheme = text(&http.scheme);
    if !matches!(scheme, "HTTP" | "HTTPS") {
        errors.not_supported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]);
    }
    for header in list(&http.http_headers) {
        for message in is_http_header_name(&header.name) {
            errors.invalid(&path.child("httpHeaders"), header.name.as_str(), &message);
        }
    }
}

fn validate_port(port: &IntOrString, path: &Path, errors: &mut Errors) {
    match port {
        IntOrString::Int(number) => {
            if let Some(message) = is_port_number((*number).into()) {
                errors.invalid(path, *number, &message);
            }
        }
        IntOrString::String(name) => {
            for message in is_port_name(name) {
                errors.invalid(path, name.as_str(), &message);
            }
        }
    }
}

/// `sleep`: at most the pod's grace period, in seconds.
pub fn validate_sleep(
    sleep: &SleepAction,
    grace: Option<i64>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let Some(grace) = grace else {
        return;
    };
    let seconds = sleep.seconds;
    if options.allow_pod_lifecycle_sleep_action_zero_value {
        if seconds < 0 || seconds > grace {
            let detail = format!(
                "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            );
            errors.invalid(path, seconds, &detail);
        }
    } else if seconds <= 0 || seconds > grace {
        let detail = format!(
            "must be greater than 0 and less than terminationGracePeriodSeconds ({grace}). \
             Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep."
        );
        errors.invalid(path, seconds, &detail);
    }
}

/// `lifecycle`.
pub(super) fn validate_lifecycle(
    lifecycle: &Lifecycle,
    grace: Option<i64>,
    os: Option<&PodOS>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let hooks = [
        ("postStart", &lifecycle.post_start),
        ("preStop", &lifecycle.pre_stop),
    ];
    for (name, hook) in hooks {
        if let Some(hook) = hook {
            let path = path.child(name);
            validate_handler(&Handler::from(hook), grace, &path, options, errors);
        }
    }
    if let Some(signal) = &lifecycle.stop_signal {
        validate_stop_signal(signal, os, &path.child("stopSignal"), errors);
    }
}

/// Signals by name, sorted.
fn linux_signals() -> Vec<String> {
    const NAMED: &[&str] = &[
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT",
        "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP",
        "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH",
        "XCPU", "XFSZ",
    ];
    let named = NAMED.iter().map(|n| format!("SIG{n}"));
    let from_max = (1..=14).map(|n| format!("SIGRTMAX-{n}"));
    let from_min = (1..=15).map(|n| format!("SIGRTMIN+{n}"));
    let mut all: Vec<String> = named.chain(from_max).chain(from_min).collect();
    all.sort();
    all
}

/// `lifecycle.stopSignal`, which needs `spec.os.name`.
pub fn validate_stop_signal(signal: &str, os: Option<&PodOS>, path: &Path, errors: &mut Errors) {
    match os.map(|os| os.name.as_str()) {
        None => errors.forbidden(
            path,
            "may not be set for containers with empty `spec.os.name`",
        ),
        Some("windows") if !matches!(signal, "SIGKILL" | "SIGTERM") => {
            errors.not_supported(path, signal, &["SIGKILL", "SIGTERM"]);
        }
        Some("linux") => {
            let known = linux_signals();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            if !known.contains(&signal) {
                errors.not_supported(path, signal, &known);
            }
        }
        Some(_) => {}
    }
}
