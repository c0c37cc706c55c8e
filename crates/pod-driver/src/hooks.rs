//! Lifecycle hooks: what is done to a container right after its start and before its end.

use crate::actions::{Actions, Target};
use crate::world::{Outside, WorldOf};
use pod_model::ids::ContainerId;
use pod_model::pod::{Container, Handler, Pod};
use pod_plan::action::{Action, Purpose, action};
use pod_plan::back_off::pod_text;
use pod_plan::probes::Outcome;

/// Runs a hook to its end, however long that takes.
///
/// # Errors
/// What went wrong, in the words of the kubelet.
pub(crate) async fn run<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    container: &Container,
    id: &ContainerId,
    ip: &str,
    handler: &Handler,
) -> Result<(), String> {
    // The API has a socket as a hook for the sake of old manifests only; it fails, as it does there.
    if handler.tcp_socket.is_some() && handler.exec.is_none() && handler.http_get.is_none() {
        return Err("Cannot run handler: invalid handler: tcpSocket is no hook".to_owned());
    }
    let target = Target {
        pod: pod.metadata.uid.clone(),
        id: id.clone(),
        ip: ip.parse().ok(),
    };
    let what = |action: &Action| match action {
        Action::Exec { command } => format!("Exec lifecycle hook ([{}])", command.join(" ")),
        Action::Http(get) => format!("HTTP lifecycle hook ({})", get.path),
        Action::Sleep { seconds } => format!("Sleep lifecycle hook ({seconds})"),
        Action::Tcp { .. } | Action::Grpc { .. } => "Lifecycle hook".to_owned(),
    };
    let whose = format!(
        "for Container {:?} in Pod {:?}",
        container.name.as_str(),
        pod_text(pod)
    );
    let action = action(container, handler, Purpose::Hook)
        .map_err(|cause| format!("Cannot run handler {whose}: {cause}"))?;
    match world
        .actions
        .act(&target, &action, Purpose::Hook, None)
        .await
    {
        Outcome::Success | Outcome::Warning(_) => Ok(()),
        Outcome::Failure(cause) | Outcome::Error(cause) => {
            Err(format!("{} {whose} failed - error: {cause}", what(&action)))
        }
    }
}
