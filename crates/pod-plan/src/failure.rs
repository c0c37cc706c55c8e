//! Why a step failed, and what that says to the user.

use crate::events::{self, PodEvent};
use pod_model::ids::{ContainerName, ImageName};
use pod_model::pod::ContainerKind;

/// Waiting reason of a container whose postStart hook failed.
pub const POST_START: &str = "PostStartHookError";

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The image name is no reference (`InvalidImageName`).
    ImageName(String),
    /// Pull policy Never and the image is not there (`ErrImageNeverPull`).
    ImageNeverPull(String),
    /// The image could not be had (`ErrImagePull`).
    ImagePull(String),
    /// The config cannot work as it is (`CreateContainerConfigError`).
    Config(String),
    /// The container could not be made (`CreateContainerError`).
    Create(String),
    /// Its process could not be started (`RunContainerError`).
    Start(String),
    /// It runs, and its postStart hook failed (`PostStartHookError`).
    PostStart(String),
    /// Volumes that could not be made: name and cause.
    Volumes(Vec<(String, String)>),
    /// The step was given up for something more urgent (a deletion while an image was pulled); as if it had not been begun.
    Interrupted,
    /// Anything else, with step and cause.
    Other(String),
}

impl Failure {
    /// The cause in words.
    pub fn text(&self) -> String {
        match self {
            Failure::ImageName(t)
            | Failure::ImageNeverPull(t)
            | Failure::ImagePull(t)
            | Failure::Config(t)
            | Failure::Create(t)
            | Failure::Start(t)
            | Failure::PostStart(t)
            | Failure::Other(t) => t.clone(),
            Failure::Volumes(_) => self.problems().join("; "),
            Failure::Interrupted => "interrupted".to_owned(),
        }
    }

    /// Every problem, a text each.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Failure::Volumes(list) => list
                .iter()
                .map(|(volume, cause)| format!("volume {volume:?}: {cause}"))
                .collect(),
            other => vec![other.text()],
        }
    }

    /// Reason and message of the container's waiting state (`status.containerStatuses[].state.waiting`).
    pub fn waiting(&self) -> (&'static str, String) {
        let reason = match self {
            Failure::ImageName(_) => "InvalidImageName",
            Failure::ImageNeverPull(_) => "ErrImageNeverPull",
            Failure::ImagePull(_) => "ErrImagePull",
            Failure::Config(_) => "CreateContainerConfigError",
            Failure::Start(_) => "RunContainerError",
            Failure::PostStart(_) => POST_START,
            Failure::Create(_) | Failure::Volumes(_) | Failure::Interrupted | Failure::Other(_) => {
                "CreateContainerError"
            }
        };
        (reason, self.text())
    }

    /// What a failed start says.
    pub fn events(
        &self,
        kind: ContainerKind,
        name: &ContainerName,
        image: &ImageName,
    ) -> Vec<PodEvent> {
        let (reason, text) = self.waiting();
        match self {
            Failure::ImageName(_) => vec![
                events::inspect_failed(kind, name, &text),
                events::start_failed(kind, name, reason),
            ],
            Failure::ImageNeverPull(_) => vec![
                events::never_pull(kind, name, image),
                events::start_failed(kind, name, reason),
            ],
            Failure::ImagePull(_) => vec![
                events::pull_failed(kind, name, image, &text),
                events::start_failed(kind, name, reason),
            ],
            Failure::PostStart(_) => vec![events::post_start_failed(kind, name)],
            Failure::Interrupted => Vec::new(),
            _ => vec![events::start_failed(kind, name, &text)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_start_says_what_the_kubelet_says_of_it() {
        let text = || "why".to_owned();
        for (failure, waiting, reasons) in [
            (
                Failure::ImageName(text()),
                "InvalidImageName",
                &["InspectFailed", "Failed"][..],
            ),
            (
                Failure::ImageNeverPull(text()),
                "ErrImageNeverPull",
                &["ErrImageNeverPull", "Failed"],
            ),
            (
                Failure::ImagePull(text()),
                "ErrImagePull",
                &["Failed", "Failed"],
            ),
            (
                Failure::Config(text()),
                "CreateContainerConfigError",
                &["Failed"],
            ),
            (Failure::Create(text()), "CreateContainerError", &["Failed"]),
            (Failure::Start(text()), "RunContainerError", &["Failed"]),
            (
                Failure::PostStart(text()),
                POST_START,
                &["FailedPostStartHook"],
            ),
            (Failure::Other(text()), "CreateContainerError", &["Failed"]),
            (Failure::Interrupted, "CreateContainerError", &[]),
        ] {
            assert_eq!(failure.waiting().0, waiting);
            let told = failure.events(ContainerKind::App, &"a".into(), &"busybox".into());
            let told: Vec<&str> = told.iter().map(|e| e.reason.as_str()).collect();
            assert_eq!(told, reasons, "{failure:?}");
            assert_eq!(failure.problems(), [failure.text()]);
        }
        let volumes = Failure::Volumes(vec![
            ("a".into(), "no".to_owned()),
            ("b".into(), "none".to_owned()),
        ]);
        let each = ["volume \"a\": no", "volume \"b\": none"];
        assert_eq!(volumes.problems(), each);
        assert_eq!(volumes.text(), each.join("; "));
    }
}
