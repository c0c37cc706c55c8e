//! The Pod as podwright reads it: the fields of `v1.Pod` that mean something on one node.
//!
//! Names and shapes of fields are those of the Kubernetes API (JSON names in camel case), so a value of this module can be read from
//! the wire form once pod-manifest has checked it. What a field means stands in the Kubernetes API reference under the same name.

pub use crate::common::{FieldRef, ResourceFieldRef, ResourceList, Resources};
use crate::ids::{
    ContainerName, ImageName, Namespace, NodeName, PodName, PodRef, PodUid, VolumeName,
};
use crate::status::PodStatus;
use crate::volume::Volume;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A Pod after validation and defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "field names and meanings are those of v1.Pod")]
pub struct Pod {
    pub metadata: Metadata,
    pub spec: PodSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PodStatus>,
}

impl Pod {
    /// Namespace, name and uid together.
    pub fn reference(&self) -> PodRef {
        PodRef {
            namespace: self.metadata.namespace.clone(),
            name: self.metadata.name.clone(),
            uid: self.metadata.uid.clone(),
        }
    }

    /// Whether deletion has been asked for.
    pub fn is_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

/// `metadata` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ObjectMeta"
)]
pub struct Metadata {
    pub name: PodName,
    pub namespace: Namespace,
    pub uid: PodUid,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_grace_period_seconds: Option<i64>,
}

/// `spec` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.PodSpec"
)]
pub struct PodSpec {
    pub containers: Vec<Container>,
    pub init_containers: Vec<Container>,
    pub ephemeral_containers: Vec<Container>,
    pub volumes: Vec<Volume>,
    pub restart_policy: Option<RestartPolicy>,
    pub termination_grace_period_seconds: Option<i64>,
    pub active_deadline_seconds: Option<i64>,
    #[serde(rename = "hostNetwork")]
    pub host_network: bool,
    #[serde(rename = "hostPID")]
    pub host_pid: bool,
    #[serde(rename = "hostIPC")]
    pub host_ipc: bool,
    pub host_users: Option<bool>,
    pub share_process_namespace: Option<bool>,
    pub hostname: Option<String>,
    pub subdomain: Option<String>,
    #[serde(rename = "setHostnameAsFQDN")]
    pub set_hostname_as_fqdn: Option<bool>,
    pub hostname_override: Option<String>,
    pub dns_policy: Option<DnsPolicy>,
    pub dns_config: Option<DnsConfig>,
    pub host_aliases: Vec<HostAlias>,
    pub security_context: Option<PodSecurityContext>,
    pub overhead: ResourceList,
    pub resources: Option<Resources>,
    pub priority: Option<i32>,
    pub priority_class_name: Option<String>,
    pub node_name: Option<NodeName>,
    pub service_account_name: Option<String>,
    pub enable_service_links: Option<bool>,
    pub readiness_gates: Vec<ReadinessGate>,
    pub scheduling_gates: Vec<SchedulingGate>,
}

/// `restartPolicy` of a pod or of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

/// `dnsPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum DnsPolicy {
    ClusterFirst,
    ClusterFirstWithHostNet,
    Default,
    None,
}

/// `dnsConfig`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.PodDNSConfig"
)]
pub struct DnsConfig {
    pub nameservers: Vec<String>,
    pub searches: Vec<String>,
    pub options: Vec<DnsOption>,
}

/// One resolver option.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.PodDNSConfigOption"
)]
pub struct DnsOption {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// One line of `/etc/hosts` that the pod asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.HostAlias"
)]
pub struct HostAlias {
    pub ip: String,
    pub hostnames: Vec<String>,
}

/// `readinessGates[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.PodReadinessGate"
)]
pub struct ReadinessGate {
    pub condition_type: String,
}

/// `schedulingGates[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.PodSchedulingGate"
)]
pub struct SchedulingGate {
    pub name: String,
}

/// A container of any kind: init, app or ephemeral.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.Container"
)]
pub struct Container {
    pub name: ContainerName,
    pub image: ImageName,
    pub image_pull_policy: Option<PullPolicy>,
    pub command: Vec<String>,
    pub args: Vec<String>,
    pub working_dir: Option<String>,
    pub env: Vec<EnvVar>,
    pub env_from: Vec<EnvFrom>,
    pub ports: Vec<Port>,
    pub resources: Resources,
    pub resize_policy: Vec<ResizePolicy>,
    pub restart_policy: Option<RestartPolicy>,
    pub restart_policy_rules: Vec<RestartRule>,
    pub volume_mounts: Vec<VolumeMount>,
    pub liveness_probe: Option<Probe>,
    pub readiness_probe: Option<Probe>,
    pub startup_probe: Option<Probe>,
    pub lifecycle: Option<Lifecycle>,
    pub termination_message_path: Option<String>,
    pub termination_message_policy: Option<TerminationMessagePolicy>,
    pub security_context: Option<SecurityContext>,
    pub stdin: bool,
    pub stdin_once: bool,
    pub tty: bool,
    /// Ephemeral containers only: whose process namespace to join.
    pub target_container_name: Option<ContainerName>,
}

impl Container {
    /// An init container that keeps running beside the apps (`restartPolicy: Always`).
    pub fn is_sidecar(&self) -> bool {
        self.restart_policy == Some(RestartPolicy::Always)
    }
}

/// Which of a pod's lists a container stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ContainerKind {
    /// `spec.initContainers`, sidecars included.
    Init,
    /// `spec.containers`.
    App,
    /// `spec.ephemeralContainers`.
    Ephemeral,
}

impl PodSpec {
    /// The list of that kind.
    pub fn list(&self, kind: ContainerKind) -> &[Container] {
        match kind {
            ContainerKind::Init => &self.init_containers,
            ContainerKind::App => &self.containers,
            ContainerKind::Ephemeral => &self.ephemeral_containers,
        }
    }

    /// All containers, init first, then apps, then ephemeral ones, each with its kind and its index in its list.
    pub fn all(&self) -> impl Iterator<Item = (ContainerKind, usize, &Container)> {
        [
            ContainerKind::Init,
            ContainerKind::App,
            ContainerKind::Ephemeral,
        ]
        .into_iter()
        .flat_map(|kind| {
            self.list(kind)
                .iter()
                .enumerate()
                .map(move |(i, c)| (kind, i, c))
        })
    }

    /// The container of that name.
    pub fn find(&self, name: &str) -> Option<(ContainerKind, usize, &Container)> {
        self.all().find(|(_, _, c)| c.name == name)
    }

    /// `restartPolicy`; absent behaves as Always.
    pub fn restart(&self) -> RestartPolicy {
        self.restart_policy.unwrap_or(RestartPolicy::Always)
    }
}

/// `imagePullPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// `terminationMessagePolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum TerminationMessagePolicy {
    File,
    FallbackToLogsOnError,
}

/// `resizePolicy[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ContainerResizePolicy"
)]
pub struct ResizePolicy {
    pub resource_name: String,
    pub restart_policy: String,
}

/// `restartPolicyRules[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ContainerRestartRule"
)]
pub struct RestartRule {
    pub action: RestartAction,
    #[serde(default)]
    pub exit_codes: Option<ExitCodes>,
}

/// What a restart rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum RestartAction {
    Restart,
    RestartAllContainers,
}

/// Which exit codes a restart rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "field names and meanings are those of the API")]
pub struct ExitCodes {
    pub operator: ExitCodeOperator,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<i32>,
}

/// How `values` of a restart rule are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum ExitCodeOperator {
    In,
    NotIn,
}

/// `env[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.EnvVar"
)]
pub struct EnvVar {
    pub name: String,
    pub value: Option<String>,
    pub value_from: Option<EnvSource>,
}

/// `env[].valueFrom`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.EnvVarSource"
)]
pub struct EnvSource {
    pub field_ref: Option<FieldRef>,
    pub resource_field_ref: Option<ResourceFieldRef>,
    pub config_map_key_ref: Option<KeyRef>,
    pub secret_key_ref: Option<KeyRef>,
    pub file_key_ref: Option<FileKeyRef>,
}

/// Names one key of a ConfigMap or Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ConfigMapKeySelector and v1.SecretKeySelector"
)]
pub struct KeyRef {
    pub name: String,
    pub key: String,
    pub optional: Option<bool>,
}

/// Names one variable of a file in a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.FileKeySelector"
)]
pub struct FileKeyRef {
    pub volume_name: VolumeName,
    pub path: String,
    pub key: String,
    pub optional: Option<bool>,
}

/// `envFrom[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.EnvFromSource"
)]
pub struct EnvFrom {
    pub prefix: Option<String>,
    pub config_map_ref: Option<ObjectRef>,
    pub secret_ref: Option<ObjectRef>,
}

/// Names a ConfigMap or Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "field names and meanings are those of the API")]
pub struct ObjectRef {
    pub name: String,
    pub optional: Option<bool>,
}

/// `ports[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ContainerPort"
)]
pub struct Port {
    pub name: Option<String>,
    pub container_port: i32,
    pub host_port: Option<i32>,
    #[serde(rename = "hostIP")]
    pub host_ip: Option<String>,
    pub protocol: Option<String>,
}

/// `volumeMounts[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.VolumeMount"
)]
pub struct VolumeMount {
    pub name: VolumeName,
    pub mount_path: String,
    pub read_only: bool,
    pub sub_path: Option<String>,
    pub sub_path_expr: Option<String>,
    pub mount_propagation: Option<MountPropagation>,
    pub recursive_read_only: Option<RecursiveReadOnly>,
}

/// `mountPropagation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum MountPropagation {
    None,
    HostToContainer,
    Bidirectional,
}

/// `recursiveReadOnly`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum RecursiveReadOnly {
    Disabled,
    IfPossible,
    Enabled,
}

/// A number or a name (`intstr.IntOrString`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the two forms of the API type")]
pub enum IntOrString {
    Int(i32),
    String(String),
}

/// A probe of any of the three kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.Probe"
)]
pub struct Probe {
    #[serde(flatten)]
    pub handler: Handler,
    pub initial_delay_seconds: Option<i32>,
    pub timeout_seconds: Option<i32>,
    pub period_seconds: Option<i32>,
    pub success_threshold: Option<i32>,
    pub failure_threshold: Option<i32>,
    pub termination_grace_period_seconds: Option<i64>,
}

/// What a probe or a hook does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ProbeHandler and v1.LifecycleHandler"
)]
pub struct Handler {
    pub exec: Option<ExecAction>,
    pub http_get: Option<HttpGetAction>,
    pub tcp_socket: Option<TcpSocketAction>,
    pub grpc: Option<GrpcAction>,
    pub sleep: Option<SleepAction>,
}

/// `exec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ExecAction"
)]
pub struct ExecAction {
    pub command: Vec<String>,
}

/// `httpGet`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.HTTPGetAction"
)]
pub struct HttpGetAction {
    #[serde(default)]
    pub path: Option<String>,
    pub port: IntOrString,
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub scheme: Option<String>,
    #[serde(default)]
    pub http_headers: Vec<HttpHeader>,
}

/// One header of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.HTTPHeader"
)]
pub struct HttpHeader {
    pub name: String,
    pub value: String,
}

/// `tcpSocket`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.TCPSocketAction"
)]
pub struct TcpSocketAction {
    pub port: IntOrString,
    #[serde(default)]
    pub host: Option<String>,
}

/// `grpc`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.GRPCAction"
)]
pub struct GrpcAction {
    pub port: i32,
    pub service: Option<String>,
}

/// `sleep`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.SleepAction"
)]
pub struct SleepAction {
    pub seconds: i64,
}

/// `lifecycle`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.Lifecycle"
)]
pub struct Lifecycle {
    pub post_start: Option<Handler>,
    pub pre_stop: Option<Handler>,
    pub stop_signal: Option<String>,
}

/// `securityContext` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.PodSecurityContext"
)]
pub struct PodSecurityContext {
    pub run_as_user: Option<i64>,
    pub run_as_group: Option<i64>,
    pub run_as_non_root: Option<bool>,
    pub supplemental_groups: Vec<i64>,
    pub supplemental_groups_policy: Option<SupplementalGroupsPolicy>,
    pub fs_group: Option<i64>,
    pub fs_group_change_policy: Option<FsGroupChangePolicy>,
    pub seccomp_profile: Option<Profile>,
    pub app_armor_profile: Option<Profile>,
    pub sysctls: Vec<Sysctl>,
}

/// `supplementalGroupsPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum SupplementalGroupsPolicy {
    Merge,
    Strict,
}

/// `fsGroupChangePolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum FsGroupChangePolicy {
    OnRootMismatch,
    Always,
}

/// `seccompProfile` or `appArmorProfile`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.SeccompProfile"
)]
pub struct Profile {
    #[serde(rename = "type")]
    pub kind: ProfileType,
    #[serde(default)]
    pub localhost_profile: Option<String>,
}

/// Where a profile comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum ProfileType {
    RuntimeDefault,
    Unconfined,
    Localhost,
}

/// `sysctls[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.Sysctl"
)]
pub struct Sysctl {
    pub name: String,
    pub value: String,
}

/// `securityContext` of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.SecurityContext"
)]
pub struct SecurityContext {
    pub run_as_user: Option<i64>,
    pub run_as_group: Option<i64>,
    pub run_as_non_root: Option<bool>,
    pub privileged: Option<bool>,
    pub read_only_root_filesystem: Option<bool>,
    pub allow_privilege_escalation: Option<bool>,
    pub proc_mount: Option<ProcMount>,
    pub capabilities: Option<Capabilities>,
    pub seccomp_profile: Option<Profile>,
    pub app_armor_profile: Option<Profile>,
}

/// `procMount`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum ProcMount {
    Default,
    Unmasked,
}

/// `capabilities`: names with or without `CAP_`, or `ALL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.Capabilities"
)]
pub struct Capabilities {
    pub add: Vec<String>,
    pub drop: Vec<String>,
}
