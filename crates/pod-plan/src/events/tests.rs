use super::*;
use crate::testing::{at, pod};
use serde_json::json;

#[test]
fn an_event_says_who_speaks_of_what_and_is_one_until_it_comes_again() {
    let pod = pod(json!({ "containers": [{ "name": "a" }] }));
    let image = ImageName::new("busybox");
    let second = SignedDuration::from_millis(1204);
    for (event, component, field, reason, text) in [
        (
            scheduled(&pod, &"node".into()),
            "default-scheduler",
            "",
            "Scheduled",
            "Successfully assigned ns/p to node",
        ),
        (
            pulled(ContainerKind::Init, &"a".into(), &image, second, 7),
            "kubelet",
            "spec.initContainers{a}",
            "Pulled",
            "Successfully pulled image \"busybox\" in 1.204s (1.204s including waiting). Image size: 7 bytes.",
        ),
        (
            killing(ContainerKind::App, &"a".into(), "Stopping container a"),
            "kubelet",
            "spec.containers{a}",
            "Killing",
            "Stopping container a",
        ),
        (
            start_failed(ContainerKind::Ephemeral, &"a".into(), "ErrImagePull"),
            "kubelet",
            "spec.ephemeralContainers{a}",
            "Failed",
            "Error: ErrImagePull",
        ),
    ] {
        let event = event.at(pod.reference(), at(9));
        assert_eq!(event.component, component);
        assert_eq!(event.field_path, field);
        assert_eq!(event.reason, reason);
        assert_eq!(event.message, text);
        assert_eq!((event.count, event.first, event.last), (1, at(9), at(9)));
    }
}
