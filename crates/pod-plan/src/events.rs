//! Events of a pod: their texts, as Kubernetes v1.36 has them.

use jiff::{SignedDuration, Timestamp};
use pod_model::config::PodCgroup;
use pod_model::event::{Event, EventKind};
use pod_model::ids::{ContainerName, ImageName, NodeName, PodRef};
use pod_model::pod::{ContainerKind, Pod};

/// Something worth telling about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEvent {
    /// `type`.
    pub kind: EventKind,
    /// `reason`.
    pub reason: String,
    /// `message`.
    pub message: String,
    /// `involvedObject.fieldPath`, such as `spec.initContainers{init-a}`; empty for the pod as a whole.
    pub field_path: String,
    /// Who says it: `kubelet`, or `default-scheduler` for Scheduled.
    pub component: String,
}

impl PodEvent {
    /// An event about the pod as a whole.
    pub fn of_pod(kind: EventKind, reason: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.to_owned(),
            message: message.into(),
            field_path: String::new(),
            component: "kubelet".to_owned(),
        }
    }

    /// An event about one container.
    pub fn of_container(
        list: ContainerKind,
        name: &ContainerName,
        kind: EventKind,
        reason: &str,
        message: impl Into<String>,
    ) -> Self {
        let field = match list {
            ContainerKind::Init => "initContainers",
            ContainerKind::App => "containers",
            ContainerKind::Ephemeral => "ephemeralContainers",
        };
        Self {
            field_path: format!("spec.{field}{{{name}}}"),
            ..Self::of_pod(kind, reason, message)
        }
    }
}

impl PodEvent {
    /// The event as it is kept: said once, at `now`.
    pub fn at(self, pod: PodRef, now: Timestamp) -> Event {
        Event {
            pod,
            field_path: self.field_path,
            kind: self.kind,
            reason: self.reason,
            message: self.message,
            component: self.component,
            first: now,
            last: now,
            count: 1,
        }
    }
}

/// The pod was taken by this node.
pub fn scheduled(pod: &Pod, node: &NodeName) -> PodEvent {
    let Pod { metadata, .. } = pod;
    PodEvent {
        component: "default-scheduler".to_owned(),
        ..PodEvent::of_pod(
            EventKind::Normal,
            "Scheduled",
            format!(
                "Successfully assigned {}/{} to {node}",
                metadata.namespace, metadata.name
            ),
        )
    }
}

/// The node could give a container less than it asks for, such as `oom_score_adj -998: clamped to 0`. Kubernetes has no such
/// event: there a container whose score cannot be set does not start.
pub fn clamped(kind: ContainerKind, name: &ContainerName, what: &[String]) -> PodEvent {
    let text = format!("The node gives less than asked for: {}", what.join("; "));
    PodEvent::of_container(kind, name, EventKind::Normal, "Clamped", text)
}

/// What is new of a log that could not be written (a full disk). The container goes on all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogNews {
    /// Lines are being dropped, for this reason.
    Dropping(String),
    /// It is written again; so many lines were dropped.
    Resumed(u64),
    /// The container has ended; so many lines were dropped.
    Lost(u64),
}

/// Lines of a log are lost, or no longer. Kubernetes has no such events: there nobody is told.
pub fn log(name: &ContainerName, news: &LogNews) -> PodEvent {
    let (kind, reason, text) = match news {
        LogNews::Dropping(cause) => (
            EventKind::Warning,
            "LogDropped",
            format!("Lines of the log of container {name} are being dropped: {cause}"),
        ),
        LogNews::Resumed(lines) => (
            EventKind::Normal,
            "LogResumed",
            format!(
                "The log of container {name} is written again; {lines} lines of it were dropped"
            ),
        ),
        LogNews::Lost(lines) => (
            EventKind::Warning,
            "LogDropped",
            format!("{lines} lines of the log of container {name} were dropped"),
        ),
    };
    PodEvent::of_pod(kind, reason, text)
}

/// A pull begins.
pub fn pulling(kind: ContainerKind, name: &ContainerName, image: &ImageName) -> PodEvent {
    PodEvent::of_container(
        kind,
        name,
        EventKind::Normal,
        "Pulling",
        format!("Pulling image {:?}", image.as_str()),
    )
}

/// A pull ended well. Pulls do not queue, so the time with waiting is the same; `bytes` is the size of the image.
pub fn pulled(
    kind: ContainerKind,
    name: &ContainerName,
    image: &ImageName,
    took: SignedDuration,
    bytes: u64,
) -> PodEvent {
    let took = SignedDuration::from_millis(i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
    let took = crate::back_off::go_duration(took);
    let text = format!(
        "Successfully pulled image {:?} in {took} ({took} including waiting). Image size: {bytes} bytes.",
        image.as_str(),
    );
    PodEvent::of_container(kind, name, EventKind::Normal, "Pulled", text)
}

/// The image was there already.
pub fn already_present(kind: ContainerKind, name: &ContainerName, image: &ImageName) -> PodEvent {
    let text = format!(
        "Container image {:?} already present on machine and can be accessed by the pod",
        image.as_str()
    );
    PodEvent::of_container(kind, name, EventKind::Normal, "Pulled", text)
}

/// The container was made.
pub fn created(kind: ContainerKind, name: &ContainerName) -> PodEvent {
    PodEvent::of_container(
        kind,
        name,
        EventKind::Normal,
        "Created",
        "Container created",
    )
}

/// Its process was started.
pub fn started(kind: ContainerKind, name: &ContainerName) -> PodEvent {
    PodEvent::of_container(
        kind,
        name,
        EventKind::Normal,
        "Started",
        "Container started",
    )
}

/// A pull failed.
pub fn pull_failed(
    kind: ContainerKind,
    name: &ContainerName,
    image: &ImageName,
    cause: &str,
) -> PodEvent {
    let text = format!("Failed to pull image {:?}: {cause}", image.as_str());
    PodEvent::of_container(kind, name, EventKind::Warning, "Failed", text)
}

/// A container could not be started; `what` is a reason such as `ErrImagePull` or the cause itself.
pub fn start_failed(kind: ContainerKind, name: &ContainerName, what: &str) -> PodEvent {
    PodEvent::of_container(
        kind,
        name,
        EventKind::Warning,
        "Failed",
        format!("Error: {what}"),
    )
}

/// A pull is not tried again yet.
pub fn pull_back_off(kind: ContainerKind, name: &ContainerName, image: &ImageName) -> PodEvent {
    let text = format!("Back-off pulling image {:?}", image.as_str());
    PodEvent::of_container(kind, name, EventKind::Normal, "BackOff", text)
}

/// A failure of the pod as a whole.
pub fn pod_warning(reason: &str, message: impl Into<String>) -> PodEvent {
    PodEvent::of_pod(EventKind::Warning, reason, message)
}

/// An image name that cannot be read.
pub fn inspect_failed(kind: ContainerKind, name: &ContainerName, cause: &str) -> PodEvent {
    PodEvent::of_container(kind, name, EventKind::Warning, "InspectFailed", cause)
}

/// An image that is not there and must not be pulled.
pub fn never_pull(kind: ContainerKind, name: &ContainerName, image: &ImageName) -> PodEvent {
    let text = format!(
        "Container image {:?} is not present with pull policy of Never",
        image.as_str()
    );
    PodEvent::of_container(kind, name, EventKind::Warning, "ErrImageNeverPull", text)
}

/// Volumes that could not be made: one event each (volume, cause), or one with `otherwise` where none is named.
pub fn failed_mounts(each: &[(String, String)], otherwise: &str) -> Vec<PodEvent> {
    if each.is_empty() {
        return vec![pod_warning("FailedMount", otherwise)];
    }
    each.iter()
        .map(|(volume, cause)| {
            let text = format!("MountVolume.SetUp failed for volume {volume:?} : {cause}");
            pod_warning("FailedMount", text)
        })
        .collect()
}

/// A container is not restarted yet.
pub fn crash_back_off(kind: ContainerKind, name: &ContainerName, pod: &Pod) -> PodEvent {
    let text = format!(
        "Back-off restarting failed container {name} in pod {}",
        crate::back_off::pod_text(pod)
    );
    PodEvent::of_container(kind, name, EventKind::Warning, "BackOff", text)
}

/// A postStart hook failed. The cause stays out of the event: it may hold a secret.
pub fn post_start_failed(kind: ContainerKind, name: &ContainerName) -> PodEvent {
    let warning = EventKind::Warning;
    PodEvent::of_container(
        kind,
        name,
        warning,
        "FailedPostStartHook",
        "PostStartHook failed",
    )
}

/// A preStop hook failed.
pub fn pre_stop_failed(kind: ContainerKind, name: &ContainerName) -> PodEvent {
    let warning = EventKind::Warning;
    PodEvent::of_container(
        kind,
        name,
        warning,
        "FailedPreStopHook",
        "PreStopHook failed",
    )
}

/// A container is being ended.
pub fn killing(kind: ContainerKind, name: &ContainerName, message: &str) -> PodEvent {
    PodEvent::of_container(kind, name, EventKind::Normal, "Killing", message)
}

/// An attempt of an init container takes longer than the pod's annotation allows.
pub fn init_timeout(name: &ContainerName, limit: &str) -> PodEvent {
    let text = format!("Init container {name} did not end within {limit}");
    let warning = EventKind::Warning;
    PodEvent::of_container(ContainerKind::Init, name, warning, "InitTimeout", text)
}

/// Init is over, and the pod's cgroup holds what its other containers ask for.
pub fn shrunk(values: &PodCgroup) -> PodEvent {
    let or_none = |value: Option<i64>| value.map_or("none".to_owned(), |v| v.to_string());
    let text = format!(
        "Init is over: the pod's cgroup has cpu shares {}, cpu quota {}, memory limit {}",
        values.cpu_shares.unwrap_or_default(),
        or_none(values.cpu_quota),
        or_none(values.memory)
    );
    PodEvent::of_pod(EventKind::Normal, "Shrunk", text)
}

/// The pod gets another sandbox.
pub fn sandbox_changed() -> PodEvent {
    let text = "Pod sandbox changed, it will be killed and re-created.";
    PodEvent::of_pod(EventKind::Normal, "SandboxChanged", text)
}

/// The pod ran into `activeDeadlineSeconds`.
pub fn deadline_exceeded(message: &str) -> PodEvent {
    PodEvent::of_pod(EventKind::Normal, "DeadlineExceeded", message)
}

#[cfg(test)]
mod tests;
