//! The steps of a pod in their order.

use pod_model::pod::{Container, ContainerKind, Pod, PullPolicy, RestartPolicy};

/// `init container "a"`, `sidecar "s"`, `container "c"`.
pub(super) fn call(kind: ContainerKind, container: &Container) -> String {
    let word = match kind {
        ContainerKind::Init if container.is_sidecar() => "sidecar",
        ContainerKind::Init => "init container",
        ContainerKind::App => "container",
        ContainerKind::Ephemeral => "ephemeral container",
    };
    format!("{word} \"{}\"", container.name)
}

pub(super) fn steps(pod: &Pod) -> Vec<String> {
    let spec = &pod.spec;
    let mut steps = vec!["make the pod's cgroup with the values below".to_owned()];
    if !spec.volumes.is_empty() {
        let names: Vec<&str> = spec.volumes.iter().map(|v| v.name.as_str()).collect();
        steps.push(format!(
            "prepare the volumes {}; a missing ConfigMap or Secret is waited for",
            names.join(", ")
        ));
    }
    steps.push(format!("start the sandbox: {}", sandbox(pod)));
    for container in &spec.init_containers {
        let kind = call(ContainerKind::Init, container);
        let image = image(container);
        steps.push(if container.is_sidecar() {
            format!("start {kind} ({image}); it runs beside everything after it")
        } else {
            format!(
                "run {kind} to its end ({image}); {}",
                on_failure(pod, container)
            )
        });
    }
    for container in &spec.containers {
        let kind = call(ContainerKind::App, container);
        let again = match container.restart_policy.unwrap_or(spec.restart()) {
            RestartPolicy::Always => "whenever it ends it is started again, with back-off",
            RestartPolicy::OnFailure => "if it fails it is started again, with back-off",
            RestartPolicy::Never => "it is not started again",
        };
        steps.push(format!("start {kind} ({}); {again}", image(container)));
    }
    if let Some(seconds) = spec.active_deadline_seconds {
        steps.push(format!(
            "after {seconds} s in all, counted from its start, the pod fails (activeDeadlineSeconds)"
        ));
    }
    let grace = spec.termination_grace_period_seconds.unwrap_or(30);
    steps.push(format!(
        "when deleted: every container gets its stop signal, and SIGKILL {grace} s later"
    ));
    let numbered = steps.iter().enumerate();
    numbered.map(|(i, s)| format!("{}. {s}", i + 1)).collect()
}

fn sandbox(pod: &Pod) -> String {
    let spec = &pod.spec;
    let of_node = |node: bool| if node { "the node's" } else { "own" };
    let mut words = vec![
        format!("network {}", of_node(spec.host_network)),
        format!("IPC {}", of_node(spec.host_ipc)),
    ];
    words.push(match (spec.host_pid, spec.share_process_namespace) {
        (true, _) => "processes the node's".to_owned(),
        (_, Some(true)) => "processes shared by all containers".to_owned(),
        _ => "processes own for each container".to_owned(),
    });
    words.join(", ")
}

fn image(container: &Container) -> String {
    let policy = match container.image_pull_policy {
        Some(PullPolicy::Never) => "Never",
        Some(PullPolicy::IfNotPresent) => "IfNotPresent",
        Some(PullPolicy::Always) => "Always",
        None => "IfNotPresent",
    };
    format!("image {}, pull policy {policy}", container.image)
}

fn on_failure(pod: &Pod, container: &Container) -> &'static str {
    match container.restart_policy.unwrap_or(pod.spec.restart()) {
        RestartPolicy::Never => "if it fails, the pod fails",
        _ => "if it fails it runs again, with back-off",
    }
}
