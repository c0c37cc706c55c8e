//! What the end of a pod means for the exit status, and the file that tells it to scripts.

use crate::cli::exit::{Code, Failure, Outcome};
use pod_model::pod::{Container, Pod};
use pod_model::status::{ContainerStatus, Phase, Terminated};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// How a pod ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The exit status of `run`.
    pub exit_status: u8,
    /// The container that decides it.
    pub failed: Option<Failed>,
    /// Why the pod failed where no container did.
    pub why: Option<String>,
}

/// The container that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// `init container` or `container`.
    pub role: &'static str,
    /// Its name.
    pub name: String,
    /// Its code; 128+n for signal n.
    pub exit_code: i32,
    /// `Error`, `OOMKilled`, …
    pub reason: String,
    /// Its last words.
    pub message: String,
    /// Which attempt it was.
    pub attempt: i32,
}

/// The first init container that failed, else the first app container in the order of the manifest; else none.
pub fn judge(pod: &Pod) -> Verdict {
    let status = pod.status.clone().unwrap_or_default();
    let plain: Vec<&Container> = pod
        .spec
        .init_containers
        .iter()
        .filter(|c| !c.is_sidecar())
        .collect();
    let apps: Vec<&Container> = pod.spec.containers.iter().collect();
    let failed = first(&plain, &status.init_container_statuses, "init container")
        .or_else(|| first(&apps, &status.container_statuses, "container"));
    if let Some(failed) = failed {
        // A status above 255 cannot be told; 0 would be a lie (an init container killed for its memory may have ended with 0).
        let code = u8::try_from(failed.exit_code).unwrap_or(u8::MAX).max(1);
        return Verdict {
            exit_status: code,
            failed: Some(failed),
            why: None,
        };
    }
    if status.phase != Some(Phase::Failed) {
        return Verdict {
            exit_status: 0,
            failed: None,
            why: None,
        };
    }
    let why = [status.reason, status.message]
        .into_iter()
        .filter(|t| !t.is_empty())
        .collect::<Vec<_>>()
        .join(": ");
    Verdict {
        exit_status: Code::Software as u8,
        failed: None,
        why: Some(why),
    }
}

fn first(list: &[&Container], statuses: &[ContainerStatus], role: &'static str) -> Option<Failed> {
    list.iter().find_map(|container| {
        let status = statuses.iter().find(|s| s.name == container.name)?;
        let end = latest_end(status)?;
        let failed = end.exit_code != 0 || end.reason == "OOMKilled";
        failed.then(|| Failed {
            role,
            name: container.name.to_string(),
            exit_code: end.exit_code,
            reason: end.reason.clone(),
            message: end.message.clone(),
            attempt: status.restart_count,
        })
    })
}

/// How it ended last, while it does not run.
fn latest_end(status: &ContainerStatus) -> Option<&Terminated> {
    if status.state.running.is_some() {
        return None;
    }
    status
        .state
        .terminated
        .as_ref()
        .or(status.last_state.terminated.as_ref())
}

/// How following ended.
#[derive(Clone, Debug)]
pub struct End {
    /// The pod as it was last seen.
    pub pod: Pod,
    /// What its containers' ends mean.
    pub verdict: Verdict,
    /// The signal that made the user stop it, by number.
    pub stopped_by: Option<u8>,
}

impl End {
    /// 128+n where the user stopped it, else the verdict's.
    pub fn exit_status(&self) -> u8 {
        match self.stopped_by {
            Some(signal) => 128 + signal,
            None => self.verdict.exit_status,
        }
    }
}

/// The status file of a pod that was followed to its end.
pub fn status_of_end(end: &End) -> Value {
    let pod = &end.pod;
    let status = pod.status.clone().unwrap_or_default();
    let failed = end.verdict.failed.as_ref().map(|f| {
        json!({
            "kind": if f.role == "container" { "container" } else { "initContainer" },
            "name": f.name,
            "exitCode": f.exit_code,
            "signal": (f.exit_code > 128).then_some(f.exit_code - 128),
            "reason": f.reason,
            "message": f.message,
            "attempt": f.attempt,
        })
    });
    json!({
        "namespace": pod.metadata.namespace,
        "name": pod.metadata.name,
        "uid": pod.metadata.uid,
        "exitCode": end.exit_status(),
        "phase": status.phase.map_or("Unknown", Phase::as_str),
        "reason": status.reason,
        "message": status.message,
        "stoppedBySignal": end.stopped_by,
        "failed": failed,
        "initContainers": status.init_container_statuses,
        "containers": status.container_statuses,
    })
}

/// The status file of a run that did not come that far.
pub fn status_of_failure(failure: &Failure) -> Value {
    json!({
        "exitCode": failure.code as u8,
        "phase": null,
        "error": {"kind": format!("{:?}", failure.code), "message": failure.message},
    })
}

/// Writes the file whole or not at all.
pub fn write(file: &Path, status: &Value) -> Outcome<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = file.with_file_name(name);
    let written = std::fs::File::create(&temporary)
        .and_then(|mut out| {
            out.write_all(format!("{status:#}\n").as_bytes())?;
            out.sync_all()
        })
        .and_then(|()| std::fs::rename(&temporary, file));
    written.map_err(|e| {
        // Whatever is left of it is of no use.
        let _ = std::fs::remove_file(&temporary);
        Failure::file("write", file, &e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(init: &str, apps: &str, phase: &str) -> Pod {
        let text = format!(
            r#"{{"spec": {{"initContainers": [{{"name": "i1"}}, {{"name": "i2"}}, {{"name": "side", "restartPolicy": "Always"}}],
                "containers": [{{"name": "b"}}, {{"name": "a"}}]}},
                "status": {{"phase": "{phase}", "reason": "DeadlineExceeded", "initContainerStatuses": [{init}], "containerStatuses": [{apps}]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn ended(name: &str, code: i32) -> String {
        format!(
            r#"{{"name": "{name}", "state": {{"terminated": {{"exitCode": {code}, "reason": "Error"}}}}, "restartCount": 1}}"#
        )
    }

    #[test]
    fn the_first_failed_init_container_decides_then_the_first_app_of_the_manifest() {
        let all = |list: &[(&str, i32)]| {
            list.iter()
                .map(|(n, c)| ended(n, *c))
                .collect::<Vec<_>>()
                .join(",")
        };
        for (init, apps, phase, code, who) in [
            (
                all(&[("i1", 0), ("i2", 0)]),
                all(&[("a", 0), ("b", 0)]),
                "Succeeded",
                0,
                None,
            ),
            (
                all(&[("i1", 0), ("i2", 3)]),
                String::new(),
                "Failed",
                3,
                Some("i2"),
            ),
            (
                all(&[("i1", 0), ("i2", 0)]),
                all(&[("a", 4), ("b", 137)]),
                "Failed",
                137,
                Some("b"),
            ),
            (
                all(&[("i1", 0), ("i2", 0), ("side", 9)]),
                all(&[("a", 0), ("b", 0)]),
                "Succeeded",
                0,
                None,
            ),
            (
                all(&[("i1", 0), ("i2", 0)]),
                all(&[("a", 0), ("b", 0)]),
                "Failed",
                70,
                None,
            ),
            (
                all(&[("i1", 300)]),
                String::new(),
                "Failed",
                255,
                Some("i1"),
            ),
        ] {
            let verdict = judge(&pod(&init, &apps, phase));
            assert_eq!(verdict.exit_status, code, "{init} {apps}");
            assert_eq!(verdict.failed.map(|f| f.name).as_deref(), who);
        }
    }

    #[test]
    fn a_status_file_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("status.json");
        write(&file, &json!({"exitCode": 3})).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["exitCode"], 3);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
