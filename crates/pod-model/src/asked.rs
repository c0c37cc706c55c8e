//! What a pod asks of podwright by annotation: things that Kubernetes has no field for.

use crate::ids::ContainerName;
use crate::pod::Pod;
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};

/// What a changed image of an init container does: `restart` = the pod begins anew.
pub const ON_INIT_IMAGE_CHANGE: &str = "podwright.io/on-init-image-change";
/// `true`: a failed pod keeps its sandbox, so that one can look into its failed containers until it is deleted.
pub const KEEP_FAILED: &str = "podwright.io/keep-failed";
/// How long one attempt of an init container may take: `NAME=30s[,NAME2=1m]`.
pub const INIT_TIMEOUT: &str = "podwright.io/init-timeout";
/// `true`: the pod's cgroup goes down to what apps and sidecars ask for once init is over.
pub const SHRINK_AFTER_INIT: &str = "podwright.io/shrink-after-init";

/// What stands behind the name of a container in the name of one that was made to look into it. No container of a manifest can be called so.
pub const DEBUG_SUFFIX: &str = ".debug";

/// What is wrong with an annotation of podwright's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which annotation.
    pub key: &'static str,
    /// The part of its value that is wrong.
    pub value: String,
    /// Why, and what it may be.
    pub detail: String,
}

/// All that is wrong with them. `inits`: the pod's init containers, and whether each is a sidecar.
pub fn problems(annotations: &BTreeMap<String, String>, inits: &[(&str, bool)]) -> Vec<Problem> {
    let mut found = Vec::new();
    for key in [KEEP_FAILED, SHRINK_AFTER_INIT] {
        let value = annotations.get(key);
        if let Some(value) = value.filter(|v| !["true", "false"].contains(&v.as_str())) {
            found.push(Problem {
                key,
                value: value.clone(),
                detail: "must be \"true\" or \"false\"".to_owned(),
            });
        }
    }
    let change = annotations.get(ON_INIT_IMAGE_CHANGE);
    if let Some(value) = change.filter(|v| *v != "restart") {
        found.push(Problem {
            key: ON_INIT_IMAGE_CHANGE,
            value: value.clone(),
            detail: "must be \"restart\"; without it nothing begins anew".to_owned(),
        });
    }
    let mut seen = BTreeSet::new();
    for part in annotations
        .get(INIT_TIMEOUT)
        .into_iter()
        .flat_map(|v| v.split(','))
    {
        let detail = match entry(part) {
            Err(detail) => Some(detail),
            Ok((name, _)) if !seen.insert(name) => Some(format!("{name:?} stands there twice")),
            Ok((name, _)) => match inits.iter().find(|(n, _)| *n == name) {
                None => Some(format!("the pod has no init container {name:?}")),
                Some((_, true)) => Some(format!("{name:?} is a sidecar, which runs on")),
                Some((_, false)) => None,
            },
        };
        found.extend(detail.map(|detail| Problem {
            key: INIT_TIMEOUT,
            value: part.trim().to_owned(),
            detail,
        }));
    }
    found
}

/// `NAME=30s`.
fn entry(text: &str) -> Result<(&str, SignedDuration), String> {
    let parts = text.split_once('=');
    let (name, time) = parts.ok_or("must be NAME=DURATION, such as fetch=30s")?;
    let (name, time) = (name.trim(), time.trim());
    let duration: SignedDuration = time
        .parse()
        .map_err(|_| format!("{time:?} is no duration such as 500ms, 30s or 1m30s"))?;
    match duration.is_positive() {
        true => Ok((name, duration)),
        false => Err(format!("{time:?}: must be longer than 0")),
    }
}

fn says(pod: &Pod, key: &str) -> bool {
    pod.metadata
        .annotations
        .get(key)
        .is_some_and(|v| v == "true")
}

/// Whether the pod keeps its sandbox when it has failed.
pub fn keeps_failed(pod: &Pod) -> bool {
    says(pod, KEEP_FAILED)
}

/// Whether the pod's cgroup becomes smaller once init is over.
pub fn shrinks_after_init(pod: &Pod) -> bool {
    says(pod, SHRINK_AFTER_INIT)
}

/// Whether the pod begins anew when the image of an init container changes.
pub fn restarts_on_init_image_change(pod: &Pod) -> bool {
    let asked = pod.metadata.annotations.get(ON_INIT_IMAGE_CHANGE);
    asked.is_some_and(|v| v == "restart")
}

/// How long one attempt of that init container may take.
pub fn init_timeout(pod: &Pod, name: &ContainerName) -> Option<SignedDuration> {
    let value = pod.metadata.annotations.get(INIT_TIMEOUT)?;
    let mut entries = value.split(',').filter_map(|part| entry(part).ok());
    let found = entries.find(|(n, _)| *name == *n);
    found.map(|(_, duration)| duration)
}

/// Whether a container of that name was made to look into another one.
pub fn is_for_debugging(name: &ContainerName) -> bool {
    name.as_str().ends_with(DEBUG_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        all.iter().map(owned).collect()
    }

    #[test]
    fn every_bad_part_of_every_annotation_is_told_at_once() {
        let all = annotations(&[
            (KEEP_FAILED, "yes"),
            (SHRINK_AFTER_INIT, ""),
            (ON_INIT_IMAGE_CHANGE, "rerun"),
            (INIT_TIMEOUT, "a=30, b=0s,c,d=1m,s=1m,a=5s, a=6s,e=-3s"),
        ]);
        let inits = [("a", false), ("b", false), ("e", false), ("s", true)];
        let found = problems(&all, &inits);
        let told: Vec<String> = found
            .iter()
            .map(|p| format!("{}: {}", p.value, p.detail))
            .collect();
        assert_eq!(
            told,
            [
                "yes: must be \"true\" or \"false\"",
                ": must be \"true\" or \"false\"",
                "rerun: must be \"restart\"; without it nothing begins anew",
                "a=30: \"30\" is no duration such as 500ms, 30s or 1m30s",
                "b=0s: \"0s\": must be longer than 0",
                "c: must be NAME=DURATION, such as fetch=30s",
                "d=1m: the pod has no init container \"d\"",
                "s=1m: \"s\" is a sidecar, which runs on",
                "a=6s: \"a\" stands there twice",
                "e=-3s: \"-3s\": must be longer than 0",
            ]
        );
        let good = annotations(&[(KEEP_FAILED, "true"), (INIT_TIMEOUT, "a=1m30s, b=500ms")]);
        assert_eq!(problems(&good, &inits), []);
    }

    #[test]
    fn a_time_is_read_for_the_container_that_it_names() {
        let mut pod = Pod::default();
        pod.metadata.annotations = annotations(&[(INIT_TIMEOUT, "a=1m30s, b=500ms")]);
        let of = |name: &str| init_timeout(&pod, &name.into());
        assert_eq!(of("a"), Some(SignedDuration::from_secs(90)));
        assert_eq!(of("b"), Some(SignedDuration::from_millis(500)));
        assert_eq!(of("c"), None);
    }

    #[test]
    fn only_the_word_that_is_asked_for_switches_something_on() {
        type Question = fn(&Pod) -> bool;
        let asked: [(&str, &str, Question); 3] = [
            (KEEP_FAILED, "true", keeps_failed),
            (SHRINK_AFTER_INIT, "true", shrinks_after_init),
            (
                ON_INIT_IMAGE_CHANGE,
                "restart",
                restarts_on_init_image_change,
            ),
        ];
        for (key, word, question) in asked {
            let mut pod = Pod::default();
            assert!(!question(&pod), "{key} of a pod without annotations");
            for (value, expect) in [(word, true), ("false", false), ("", false), ("yes", false)] {
                pod.metadata.annotations = annotations(&[(key, value)]);
                assert_eq!(question(&pod), expect, "{key}: {value:?}");
            }
        }
        assert!(is_for_debugging(&"app.debug".into()));
        assert!(!is_for_debugging(&"debug".into()) && !is_for_debugging(&"app.debug1".into()));
    }
}
