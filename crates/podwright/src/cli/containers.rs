//! Choosing a container of a pod, as kubectl does.

use super::exit::{Code, Failure, Outcome};
use pod_model::pod::{ContainerKind, Pod};

/// Names the container to take where none is named.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

/// The container that was asked for, else the one that the pod names, else the first app container. The text says that, and out of
/// which, where there is a choice.
pub fn choose(pod: &Pod, asked: Option<&str>) -> Outcome<(String, Option<String>)> {
    let annotated = pod.metadata.annotations.get(DEFAULT).map(String::as_str);
    if let Some(name) = asked.or(annotated) {
        return match pod.spec.find(name) {
            Some(_) => Ok((name.to_owned(), None)),
            None => Err(Failure::new(
                Code::NoInput,
                format!(
                    "error: container {name} is not valid for pod {} out of: {}",
                    pod.metadata.name,
                    all_names(pod)
                ),
            )),
        };
    }
    let Some(first) = pod.spec.containers.first() else {
        return Err(Failure::new(
            Code::NoInput,
            format!(
                "error: pod {} does not have any containers",
                pod.metadata.name
            ),
        ));
    };
    let choice = pod.spec.all().count() > 1;
    let said = choice.then(|| {
        format!(
            "Defaulted container \"{}\" out of: {}",
            first.name,
            all_names(pod)
        )
    });
    Ok((first.name.to_string(), said))
}

/// App containers, ephemeral ones, init containers.
fn all_names(pod: &Pod) -> String {
    let mut names = Vec::new();
    for (kind, mark) in [
        (ContainerKind::App, ""),
        (ContainerKind::Ephemeral, " (ephem)"),
        (ContainerKind::Init, " (init)"),
    ] {
        names.extend(
            pod.spec
                .list(kind)
                .iter()
                .map(|c| format!("{}{mark}", c.name)),
        );
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_app_container_is_taken_and_said_so() {
        let mut pod: Pod = serde_json::from_str(
            r#"{"metadata": {"name": "p"}, "spec": {"containers": [{"name": "app"}, {"name": "log"}], "initContainers": [{"name": "init-a"}]}}"#,
        )
        .unwrap();
        let (name, said) = choose(&pod, None).unwrap();
        assert_eq!(name, "app");
        assert_eq!(
            said.as_deref(),
            Some("Defaulted container \"app\" out of: app, log, init-a (init)")
        );
        assert_eq!(choose(&pod, Some("init-a")).unwrap().0, "init-a");
        assert!(choose(&pod, Some("x")).is_err());
        pod.metadata
            .annotations
            .insert(DEFAULT.to_owned(), "log".to_owned());
        assert_eq!(choose(&pod, None).unwrap(), ("log".to_owned(), None));
    }
}
