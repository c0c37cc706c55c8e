//! Which objects a command means: `pods`, `pod NAME`, `pod/NAME cm/NAME`, `-f FILE`.

use super::exit::{Failure, Outcome};
use super::manifest;
use pod_api::client::Resource;
use std::path::PathBuf;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Every object of these kinds.
    Kinds(Vec<Resource>),
    /// These objects.
    Named(Vec<Target>),
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its kind.
    pub resource: Resource,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What `all` stands for.
const ALL: [Resource; 4] = [
    Resource::Pods,
    Resource::Services,
    Resource::ConfigMaps,
    Resource::Secrets,
];

fn kind(word: &str) -> Outcome<Resource> {
    match word.to_ascii_lowercase().as_str() {
        "pod" | "pods" | "po" => Ok(Resource::Pods),
        "configmap" | "configmaps" | "cm" => Ok(Resource::ConfigMaps),
        "secret" | "secrets" => Ok(Resource::Secrets),
        "service" | "services" | "svc" => Ok(Resource::Services),
        "event" | "events" | "ev" => Ok(Resource::Events),
        _ => Err(Failure::usage(format!(
            "error: the server doesn't have a resource type \"{word}\": there are pods, services, configmaps, secrets and events"
        ))),
    }
}

/// Reads the words of the command line and the files. Both at once are an error.
pub fn targets(words: &[String], files: &[PathBuf], namespace: Option<&str>) -> Outcome<Targets> {
    if !files.is_empty() {
        if !words.is_empty() {
            return Err(Failure::usage(
                "error: when names come from a file (-f), none may stand on the command line",
            ));
        }
        let sources = manifest::read(files)?;
        let named = sources.iter().map(|source| {
            Ok(Target {
                resource: source.resource(),
                namespace: source.namespace(namespace)?,
                name: source.name().to_owned(),
            })
        });
        return named.collect::<Outcome<_>>().map(Targets::Named);
    }
    let namespace = namespace.unwrap_or("default");
    let Some((first, names)) = words.split_first() else {
        return Err(Failure::usage(
            "error: You must specify the type of resource: pods, services, configmaps, secrets, events or all; or a file (-f)",
        ));
    };
    if words.iter().any(|w| w.contains('/')) {
        let named = words.iter().map(|word| match word.split_once('/') {
            Some((type_word, name)) if !name.is_empty() && !name.contains('/') => Ok(Target {
                resource: kind(type_word)?,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(Failure::usage(format!(
                "error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name form ({word:?})"
            ))),
        });
        return named.collect::<Outcome<_>>().map(Targets::Named);
    }
    let mut kinds = Vec::new();
    for word in first.split(',') {
        match word {
            "all" => kinds.extend(ALL),
            word => kinds.push(kind(word)?),
        }
    }
    if names.is_empty() {
        return Ok(Targets::Kinds(kinds));
    }
    let named = kinds.iter().flat_map(|resource| {
        names.iter().map(|name| Target {
            resource: *resource,
            namespace: namespace.to_owned(),
            name: name.clone(),
        })
    });
    Ok(Targets::Named(named.collect()))
}

/// A pod's name as `NAME` or `pod/NAME`.
pub fn pod_name(word: &str) -> Outcome<&str> {
    match word.split_once('/') {
        None => Ok(word),
        Some((type_word, name)) if kind(type_word)? == Resource::Pods => Ok(name),
        Some((type_word, _)) => Err(Failure::usage(format!(
            "error: {type_word} has no containers: name a pod"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Outcome<Targets> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        targets(&words, &[], Some("ns"))
    }

    fn target(resource: Resource, name: &str) -> Target {
        Target {
            resource,
            namespace: "ns".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn kinds_and_names_are_read_in_every_form() {
        let pods = vec![target(Resource::Pods, "a"), target(Resource::Pods, "b")];
        assert_eq!(read(&["po", "a", "b"]).unwrap(), Targets::Named(pods));
        let mixed = vec![target(Resource::Pods, "a"), target(Resource::Secrets, "s")];
        assert_eq!(read(&["pod/a", "secret/s"]).unwrap(), Targets::Named(mixed));
        let kinds = vec![Resource::Pods, Resource::ConfigMaps];
        assert_eq!(read(&["pods,cm"]).unwrap(), Targets::Kinds(kinds));
        assert_eq!(read(&["all"]).unwrap(), Targets::Kinds(ALL.to_vec()));
        for wrong in [
            &["deployments"][..],
            &[],
            &["pod/a", "b"],
            &["pod/"],
            &["pod/a/b"],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?} was read");
        }
    }

    #[test]
    fn a_pod_may_be_named_with_its_kind() {
        assert_eq!(pod_name("x").unwrap(), "x");
        assert_eq!(pod_name("pod/x").unwrap(), "x");
        assert!(pod_name("secret/x").is_err());
    }
}
