//! Kinds about validation and defaults.

use super::Check;
use super::facts::same;
use pod_manifest::validate::containers::{
    Surroundings, validate_containers, validate_ephemeral_containers, validate_init_containers,
};
use pod_manifest::validate::env::{validate_env, validate_env_from, validate_value_from};
use pod_manifest::validate::mounts::validate_mounts;
use pod_manifest::validate::network::{validate_dns_config, validate_dns_policy};
use pod_manifest::validate::pod::{
    validate_readiness_gates, validate_restart_policy, validate_scheduling_gates, validate_spec,
};
use pod_manifest::validate::pod_resources::{validate_consistency, validate_pod_resources};
use pod_manifest::validate::ports::validate_ports;
use pod_manifest::validate::probes::{
    Handler, validate_handler, validate_probe, validate_sleep, validate_stop_signal,
};
use pod_manifest::validate::resize::validate_resize;
use pod_manifest::validate::resources::{Level, validate_resize_policy, validate_resources};
use pod_manifest::validate::security::{
    validate_host_users, validate_security_context, validate_sysctls,
};
use pod_manifest::validate::status::validate_status_update;
use pod_manifest::validate::system::{
    validate_file_key_volumes, validate_host_name, validate_os_name,
};
use pod_manifest::validate::transition::{Which, validate_transition};
use pod_manifest::validate::update::{validate_ephemeral_update, validate_pod_update};
use pod_manifest::validate::volumes::{validate_pull_policy, validate_volumes};
use pod_manifest::validate::{Errors, FieldError, Options};
use pod_manifest::{Path, validate_pod, wire};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of this area.
pub(super) const KINDS: &[(&str, Check)] = &[
    ("claimDefaults", |given, expect| {
        filled(given, "object", expect, pod_manifest::claim_defaults)
    }),
    ("podDefaults", |given, expect| {
        filled(given, "pod", expect, pod_manifest::defaults)
    }),
    ("serviceDefaults", |given, expect| {
        filled(given, "object", expect, pod_manifest::service_defaults)
    }),
    ("validation", validation),
];

/// An object with its defaults. The namespace is not compared: clients fill it in, and the scheme's defaults leave it alone.
fn filled<T: DeserializeOwned + Serialize>(
    given: &Value,
    argument: &str,
    expect: &Value,
    fill: fn(&mut T),
) -> Result<(), String> {
    let read = |value: &Value| -> Result<T, String> {
        serde_json::from_value(value.clone()).map_err(|e| e.to_string())
    };
    let write = |object: &T| -> Result<Value, String> {
        let mut value = serde_json::to_value(object).map_err(|e| e.to_string())?;
        if let Some(meta) = value["metadata"].as_object_mut() {
            meta.remove("namespace");
        }
        Ok(without_empty(value))
    };
    let mut found = read(&given[argument])?;
    fill(&mut found);
    same(&write(&found)?, &write(&read(expect)?)?)
}

/// Without nulls and without objects, lists and texts that hold nothing.
fn without_empty(value: Value) -> Value {
    let says = |v: &Value| match v {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    match value {
        Value::Array(items) => items.into_iter().map(without_empty).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(k, v)| (k, without_empty(v)));
            Value::Object(fields.filter(|(_, v)| says(v)).collect())
        }
        other => other,
    }
}

fn validation(given: &Value, expect: &Value) -> Result<(), String> {
    let function = given["function"].as_str().unwrap_or_default();
    let input = Input {
        arguments: &given["input"],
        gates: &given["gates"],
    };
    let found = input.run(function)?;
    let expected = expect.as_array().ok_or("expect is no list")?;
    let mut open: Vec<&FieldError> = found.iter().collect();
    let mut missing = Vec::new();
    for wanted in expected {
        match open.iter().position(|e| agrees(e, wanted)) {
            Some(index) => drop(open.remove(index)),
            None => missing.push(wanted.to_string()),
        }
    }
    if missing.is_empty() && open.is_empty() {
        return Ok(());
    }
    let extra: Vec<String> = open.iter().map(|e| e.to_string()).collect();
    Err(format!("missing {missing:#?}, too many {extra:#?}"))
}

/// By the printed text where there is one, else by the parts.
fn agrees(found: &FieldError, wanted: &Value) -> bool {
    let detail = wanted["detail"].as_str().unwrap_or_default();
    let dump_cut_off = wanted["diffOmitted"] == true;
    let same_kind = found.kind.reason() == wanted["type"] && found.field == wanted["field"];
    if dump_cut_off {
        return same_kind && found.detail.starts_with(detail);
    }
    match wanted["text"].as_str() {
        Some(text) => same_kind && found.to_string() == text,
        None => same_kind && found.detail == detail,
    }
}

/// Arguments of a function, by name.
struct Input<'a> {
    arguments: &'a Value,
    gates: &'a Value,
}

impl Input<'_> {
    fn get<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, String> {
        match self.arguments.get(name) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => {
                serde_json::from_value(value.clone()).map_err(|e| format!("input {name}: {e}"))
            }
        }
    }

    fn options(&self) -> Result<Options, String> {
        let mut options = match self.arguments.get("options") {
            None | Some(Value::Null) => Options::none(),
            Some(value) => serde_json::from_value(value.clone()).map_err(|e| e.to_string())?,
        };
        options.bound_pods_have_no_nominated_node =
            self.gates["ClearingNominatedNodeNameAfterBinding"] != false;
        options.strict_addresses = self.gates["StrictIPCIDRValidation"] != false;
        options.allow_privileged = self.get("allowPrivileged")?;
        Ok(options)
    }

    fn run(&self, function: &str) -> Result<Vec<FieldError>, String> {
        let options = self.options()?;
        let path = Path::new(self.get::<String>("fldPath")?);
        let mut errors = Errors::default();
        let e = &mut errors;
        match function {
            "validatePodCreate" => return Ok(validate_pod(&self.get("pod")?, &options)),
            "validatePodUpdate" => {
                let (new, old) = (self.get("newPod")?, self.get("oldPod")?);
                return Ok(validate_pod_update(&new, &old, &options));
            }
            "validatePodEphemeralContainersUpdate" => {
                let (new, old) = (self.get("newPod")?, self.get("oldPod")?);
                return Ok(validate_ephemeral_update(&new, &old, &options));
            }
            "validatePodResize" => {
                let (new, old) = (self.get("newPod")?, self.get("oldPod")?);
                return Ok(validate_resize(&new, &old, &options));
            }
            "validateServiceCreate" => {
                return Ok(pod_manifest::validate_service(&self.get("service")?));
            }
            "validateServiceUpdate" => {
                let (new, old) = (self.get("newService")?, self.get("oldService")?);
                return Ok(pod_manifest::validate_service_update(&new, &old));
            }
            "validatePersistentVolumeClaim" => {
                return Ok(pod_manifest::validate_claim(&self.get("claim")?));
            }
            "validatePersistentVolumeClaimUpdate" => {
                let (new, old) = (self.get("newClaim")?, self.get("oldClaim")?);
                return Ok(pod_manifest::validate_claim_update(&new, &old));
            }
            "validateConfigMap" => {
                return Ok(pod_manifest::validate_config_map(&self.get("configMap")?));
            }
            "validateConfigMapUpdate" => {
                let (new, old) = (self.get("newConfigMap")?, self.get("oldConfigMap")?);
                return Ok(pod_manifest::validate_config_map_update(&new, &old));
            }
            "validateSecret" => return Ok(pod_manifest::validate_secret(&self.get("secret")?)),
            "validateSecretUpdate" => {
                let (new, old) = (self.get("newSecret")?, self.get("oldSecret")?);
                return Ok(pod_manifest::validate_secret_update(&new, &old));
            }
            "validatePodStatusUpdate" => {
                let (new, old) = (self.get("newPod")?, self.get("oldPod")?);
                return Ok(validate_status_update(&new, &old, &options));
            }
            "validateContainerStateTransition" | "validateInitContainerStateTransition" => {
                let which = match function {
                    "validateContainerStateTransition" => Which::Containers,
                    _ => Which::InitContainers,
                };
                let new: Vec<wire::ContainerStatus> = self.get("newStatuses")?;
                let old: Vec<wire::ContainerStatus> = self.get("oldStatuses")?;
                let spec = self.get("podSpec")?;
                validate_transition(which, &new, &old, &spec, &path, &options, e);
            }
            "validateContainers" | "validateInitContainers" | "validateEphemeralContainers" => {
                self.containers(function, &path, &options, e)?;
            }
            "validatePodSpec" => {
                let spec: wire::PodSpec = self.get("podSpec")?;
                validate_spec(&spec, None, &path, &options, e);
            }
            "validateVolumes" => {
                let volumes: Vec<wire::Volume> = self.get("volumes")?;
                validate_volumes(&volumes, None, &path, &options, e);
            }
            "validateEnv" => {
                let env: Vec<wire::EnvVar> = self.get("env")?;
                validate_env(&env, &path, &options, e);
            }
            "validateEnvFrom" => {
                let sources: Vec<wire::EnvFromSource> = self.get("envFrom")?;
                validate_env_from(&sources, &path, &options, e);
            }
            "validateEnvVarValueFrom" => {
                validate_value_from(&self.get("envVar")?, &path, &options, e);
            }
            "validateVolumeMounts" => {
                let mounts: Vec<wire::VolumeMount> = self.get("volumeMounts")?;
                let volumes: Vec<wire::Volume> = self.get("volumes")?;
                let volumes = volumes.iter().map(|v| (v.name.as_str(), v)).collect();
                let devices: BTreeMap<String, String> = self.get("volumeDevices")?;
                let devices = devices
                    .iter()
                    .map(|(k, v)| (k.as_str(), v.as_str()))
                    .collect();
                let container: Option<wire::Container> = self.get("container")?;
                validate_mounts(&mounts, &devices, &volumes, container.as_ref(), &path, e);
            }
            "validateContainerPorts" => {
                let ports: Vec<wire::ContainerPort> = self.get("ports")?;
                validate_ports(&ports, &path, e);
            }
            "validateProbe" => {
                if let Some(probe) = self.get::<Option<wire::Probe>>("probe")? {
                    validate_probe(&probe, self.get("gracePeriod")?, &path, &options, e);
                }
            }
            "validateHandler" => {
                let handler: wire::LifecycleHandler = self.get("handler")?;
                let probe: wire::Probe = self.get("handler")?;
                let handler = Handler {
                    grpc: probe.grpc.as_ref(),
                    ..Handler::from(&handler)
                };
                validate_handler(&handler, self.get("gracePeriod")?, &path, &options, e);
            }
            "validateSleepAction" => {
                let sleep: wire::SleepAction = self.get("sleep")?;
                validate_sleep(&sleep, self.get("gracePeriod")?, &path, &options, e);
            }
            "validateStopSignal" => {
                let os: Option<wire::PodOS> = self.os()?;
                let signal: String = self.get("stopSignal")?;
                validate_stop_signal(&signal, os.as_ref(), &path, e);
            }
            "validateSecurityContext" => {
                let context: wire::SecurityContext = self.get("securityContext")?;
                let host_users = self.get("hostUsers")?;
                validate_security_context(&context, host_users, &path, &options, e);
            }
            "validateResourceRequirements" => {
                let level = match self.get::<String>("level")?.as_str() {
                    "pod" => Level::Pod,
                    _ => Level::Container,
                };
                let claims = self.claims()?;
                let claims: BTreeSet<&str> = claims.iter().map(String::as_str).collect();
                let resources = self.get("resources")?;
                validate_resources(&resources, level, &claims, &path, &options, e);
            }
            "validateResizePolicy" => {
                let policies: Vec<wire::ContainerResizePolicy> = self.get("resizePolicy")?;
                let restart: String = self.get("podRestartPolicy")?;
                validate_resize_policy(&policies, &restart, &path, e);
            }
            "validatePullPolicy" => {
                validate_pull_policy(&self.get::<String>("pullPolicy")?, &path, e);
            }
            "validateRestartPolicy" => {
                validate_restart_policy(&self.get::<String>("restartPolicy")?, &path, e);
            }
            "validateDNSPolicy" => {
                validate_dns_policy(&self.get::<String>("dnsPolicy")?, &path, e);
            }
            "validatePodDNSConfig" => {
                let config: Option<wire::PodDNSConfig> = self.get("dnsConfig")?;
                let policy: String = self.get("dnsPolicy")?;
                validate_dns_config(config.as_ref(), &policy, &path, &options, e);
            }
            "validateReadinessGates" => {
                let gates: Vec<wire::PodReadinessGate> = self.get("readinessGates")?;
                validate_readiness_gates(&gates, &path, e);
            }
            "validateSchedulingGates" => {
                let gates: Vec<wire::PodSchedulingGate> = self.get("schedulingGates")?;
                validate_scheduling_gates(&gates, &path, e);
            }
            "validateHostUsers" => validate_host_users(&self.get("podSpec")?, &path, &options, e),
            "validatePodHostName" => validate_host_name(&self.get("podSpec")?, &path, e),
            "validateFileKeyRefVolumes" => {
                validate_file_key_volumes(&self.get("podSpec")?, &path, e);
            }
            "validateOS" => validate_os_name(&self.get("podSpec")?, &path, e),
            "validatePodResourceConsistency" => {
                validate_consistency(&self.get("podSpec")?, &path, e);
            }
            "validatePodResources" => {
                let claims = self.claims()?;
                let claims: BTreeSet<&str> = claims.iter().map(String::as_str).collect();
                validate_pod_resources(&self.get("podSpec")?, &claims, &path, &options, e);
            }
            "validateSysctls" => {
                // Internally, the pod's host namespaces are part of its security context.
                let spec: wire::PodSpec = self.get("podSecurityContext")?;
                let context = spec.security_context.unwrap_or_default();
                let sysctls = context.sysctls.unwrap_or_default();
                let network = spec.host_network == Some(true);
                let ipc = spec.host_ipc == Some(true);
                validate_sysctls(&sysctls, network, ipc, &path, &options, e);
            }
            other => return Err(format!("function {other} is not built yet")),
        }
        Ok(errors.into_list())
    }

    fn claims(&self) -> Result<Vec<String>, String> {
        self.get("podClaimNames")
    }

    fn os(&self) -> Result<Option<wire::PodOS>, String> {
        match self.arguments.get("os") {
            Some(Value::String(name)) => Ok(Some(wire::PodOS { name: name.clone() })),
            _ => self.get("os"),
        }
    }

    fn containers(
        &self,
        function: &str,
        path: &Path,
        options: &Options,
        errors: &mut Errors,
    ) -> Result<(), String> {
        let volumes: Vec<wire::Volume> = self.get("volumes")?;
        let restart_policy: String = self.get("podRestartPolicy")?;
        let os = self.os()?;
        let claims = self.claims()?;
        let around = Surroundings {
            volumes: volumes.iter().map(|v| (v.name.as_str(), v)).collect(),
            claims: claims.iter().map(String::as_str).collect(),
            restart_policy: &restart_policy,
            grace: self.get("gracePeriod")?,
            os: os.as_ref(),
            host_users: self.get("hostUsers")?,
            options,
        };
        let regular: Vec<wire::Container> = self.get("containers")?;
        let init: Vec<wire::Container> = self.get("initContainers")?;
        match function {
            "validateContainers" => validate_containers(&regular, &around, path, errors),
            "validateInitContainers" => {
                validate_init_containers(&init, &regular, &around, path, errors);
            }
            _ => {
                let ephemeral: Vec<wire::EphemeralContainer> = self.get("ephemeralContainers")?;
                validate_ephemeral_containers(&ephemeral, &regular, &init, &around, path, errors);
            }
        }
        Ok(())
    }
}
