//! The token volume that a cluster's admission puts into every pod. It stands in what `kubectl get -o yaml` prints, nobody wrote it, and
//! there is no API server here that would take the token: it is left out, so that an exported pod runs.

use crate::support::{FieldNote, Support};
use crate::wire::{Container, Pod, Volume};

/// How the volumes are named (`serviceaccount` admission of the API server).
const PREFIX: &str = "kube-api-access-";

/// Takes such volumes and their mounts out; gives a note for each volume.
pub fn drop_cluster_token(pod: &mut Pod) -> Vec<FieldNote> {
    let Some(spec) = &mut pod.spec else {
        return Vec::new();
    };
    let mut gone = Vec::new();
    let mut notes = Vec::new();
    if let Some(volumes) = &mut spec.volumes {
        for (index, volume) in volumes.iter().enumerate().filter(|(_, v)| is_token(v)) {
            gone.push(volume.name.clone());
            notes.push(FieldNote {
                path: format!("spec.volumes[{index}]"),
                support: Support::NoMeaningHere,
                note: "a cluster puts this token into every pod; there is no API server here, so the volume and its mounts are left out".to_owned(),
            });
        }
        volumes.retain(|v| !is_token(v));
    }
    let unmount = |container: &mut Container| {
        if let Some(mounts) = &mut container.volume_mounts {
            mounts.retain(|m| !gone.contains(&m.name));
        }
    };
    spec.containers.iter_mut().for_each(unmount);
    spec.init_containers.iter_mut().flatten().for_each(unmount);
    notes
}

fn is_token(volume: &Volume) -> bool {
    let sources = volume.projected.as_ref().and_then(|p| p.sources.as_ref());
    let token = sources.is_some_and(|s| s.iter().any(|s| s.service_account_token.is_some()));
    token && volume.name.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(volume: &str) -> Pod {
        let text = format!(
            r#"{{"spec": {{"containers": [{{"name": "a", "volumeMounts": [{{"name": "{volume}", "mountPath": "/t"}}, {{"name": "own", "mountPath": "/o"}}]}}],
                "volumes": [{{"name": "own", "emptyDir": {{}}}},
                    {{"name": "{volume}", "projected": {{"sources": [{{"serviceAccountToken": {{"path": "token"}}}}]}}}}]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_clusters_own_token_volume_is_left_out_with_its_mounts_and_a_note() {
        let mut exported = pod("kube-api-access-x7k2p");
        let notes = drop_cluster_token(&mut exported);
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].path, "spec.volumes[1]");
        let spec = exported.spec.unwrap();
        assert_eq!(spec.volumes.unwrap().len(), 1);
        assert_eq!(spec.containers[0].volume_mounts.as_ref().unwrap().len(), 1);
    }

    #[test]
    fn a_token_that_somebody_asked_for_stays_and_is_refused_elsewhere() {
        let mut written = pod("my-token");
        assert!(drop_cluster_token(&mut written).is_empty());
        assert_eq!(written, pod("my-token"));
    }
}
