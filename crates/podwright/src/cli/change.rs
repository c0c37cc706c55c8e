//! `patch`, `label`, `annotate` and `set image`: changes of single fields, with the words of kubectl.

use super::args::{LabelArgs, PatchArgs, SetCommand};
use super::connect::{Places, connect};
use super::exit::{Code, Failure, Outcome};
use super::find::find_all;
use super::output::{note, print, told};
use super::replace::with_hint;
use super::target::{Target, Targets, targets};
use pod_api::client::{Client, Resource};
use pod_api::patch::{PatchKind, read};
use serde_json::{Map, Value, json};
use std::io::Read;

/// Which map of the metadata, and what is said of it.
#[derive(Clone, Copy, Debug)]
pub struct MapOf {
    field: &'static str,
    one: &'static str,
    /// Something was set; nothing but removals; nothing at all.
    done: [&'static str; 3],
}

/// `metadata.labels`.
pub const LABELS: MapOf = MapOf {
    field: "labels",
    one: "label",
    done: ["labeled", "unlabeled", "not labeled"],
};

/// `metadata.annotations`.
pub const ANNOTATIONS: MapOf = MapOf {
    field: "annotations",
    one: "annotation",
    done: ["annotated", "annotated", "annotated"],
};

/// Applies one patch to every object that is named.
pub async fn patch(args: &PatchArgs, places: &Places) -> Outcome<u8> {
    let text = match (&args.patch, &args.patch_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) if file.as_os_str() == "-" => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|e| Failure::file("error: read", file, &e))?;
            text
        }
        (None, Some(file)) => {
            std::fs::read_to_string(file).map_err(|e| Failure::file("error: read", file, &e))?
        }
        (None, None) => {
            return Err(Failure::usage(
                "error: must specify --patch or --patch-file",
            ));
        }
    };
    let patch = read(&text).map_err(|e| Failure::new(Code::Data, format!("error: {e}")))?;
    let kind = match args.kind.as_str() {
        "json" => PatchKind::Json,
        "merge" => PatchKind::Merge,
        _ => PatchKind::Strategic,
    };
    let part = args.subresource.as_deref();
    let named = named(&args.what, args.namespace.or_default())?;
    let client = connect(places).await?;
    each(&named, async |target| {
        if let Some(part) = part.filter(|_| target.resource != Resource::Pods) {
            let text = format!("error: {} has no {part}", shown(target));
            return Err(Failure::usage(text));
        }
        let old = get(&client, target).await?;
        let new = client
            .patch(
                (target.resource, part),
                &target.namespace,
                &target.name,
                (kind, &patch),
            )
            .await
            .map_err(|e| with_hint(e, target.resource))?;
        let done = match is_same(&old, &new) {
            true => "patched (no change)",
            false => "patched",
        };
        told(args.output, target.resource, &new, done)
    })
    .await
}

/// Sets and removes entries of one map of the metadata.
pub async fn label(args: &LabelArgs, map: MapOf, places: &Places) -> Outcome<u8> {
    let (words, changes) = split(&args.words, map)?;
    let client = connect(places).await?;
    let several = args.all || args.selector.is_some();
    let named = match targets(words, &[], args.namespace.namespace.as_deref())? {
        Targets::Named(_) if several => {
            return Err(Failure::usage(
                "error: names, --all and a selector (-l) exclude each other",
            ));
        }
        Targets::Named(named) => named,
        Targets::Kinds(kinds) if several => {
            let namespace = Some(args.namespace.or_default());
            find_all(&client, &kinds, namespace, args.selector.as_deref()).await?
        }
        Targets::Kinds(_) => return Err(nothing_named()),
    };
    if named.is_empty() {
        note("No resources found");
    }
    each(&named, async |target| {
        let old = get(&client, target).await?;
        let own = old.pointer(&format!("/metadata/{}", map.field));
        let own = own.and_then(Value::as_object).cloned().unwrap_or_default();
        let (patch, missing) = map_patch(&own, &changes, args.overwrite, map)?;
        for key in missing {
            let text = format!("{} {key:?} not found.", map.one);
            match args.output {
                None => print(&(text + "\n"))?,
                Some(_) => note(&text),
            }
        }
        let [set, removed, none] = map.done;
        let done = match () {
            () if patch.is_empty() => none,
            () if patch.values().all(Value::is_null) => removed,
            () => set,
        };
        let new = if patch.is_empty() {
            old
        } else {
            let patch = json!({ "metadata": { map.field: patch } });
            client
                .patch(
                    (target.resource, None),
                    &target.namespace,
                    &target.name,
                    (PatchKind::Merge, &patch),
                )
                .await?
        };
        told(args.output, target.resource, &new, done)
    })
    .await
}

/// `set image`.
pub async fn set(command: &SetCommand, places: &Places) -> Outcome<u8> {
    let SetCommand::Image(args) = command;
    let at = args.words.iter().position(|w| w.contains('='));
    let (words, images) = args.words.split_at(at.unwrap_or(args.words.len()));
    let images: Vec<(&str, &str)> = images
        .iter()
        .map(|w| {
            w.split_once('=')
                .filter(|(c, i)| !c.is_empty() && !i.is_empty())
        })
        .collect::<Option<_>>()
        .filter(|images: &Vec<_>| !images.is_empty())
        .ok_or_else(|| Failure::usage("error: images are written CONTAINER=IMAGE"))?;
    let named = named(words, args.namespace.or_default())?;
    let client = connect(places).await?;
    each(&named, async |target| {
        if target.resource != Resource::Pods {
            return Err(Failure::usage(format!(
                "error: {} has no image",
                shown(target)
            )));
        }
        let old = get(&client, target).await?;
        let patch = image_patch(&old, &images)?;
        let new = client
            .patch(
                (target.resource, None),
                &target.namespace,
                &target.name,
                (PatchKind::Strategic, &patch),
            )
            .await?;
        // Nothing is said where nothing is another.
        if args.output.is_none() && is_same(&old, &new) {
            return Ok(());
        }
        told(args.output, target.resource, &new, "image updated")
    })
    .await
}

/// Does it for each; the others are done although one fails. The first failure's code counts.
async fn each(named: &[Target], work: impl AsyncFn(&Target) -> Outcome<()>) -> Outcome<u8> {
    let mut worst = None;
    for target in named {
        if let Err(failure) = work(target).await {
            note(&failure.message);
            worst.get_or_insert(failure.code as u8);
        }
    }
    Ok(worst.unwrap_or(0))
}

async fn get(client: &Client, target: &Target) -> Outcome<Value> {
    let found = client.get(target.resource, &target.namespace, &target.name);
    Ok(found.await?)
}

fn named(words: &[String], namespace: &str) -> Outcome<Vec<Target>> {
    match targets(words, &[], Some(namespace))? {
        Targets::Named(named) => Ok(named),
        Targets::Kinds(_) => Err(nothing_named()),
    }
}

fn nothing_named() -> Failure {
    Failure::usage("error: resource(s) were provided, but no name was specified")
}

fn shown(target: &Target) -> String {
    format!("{}/{}", target.resource.singular(), target.name)
}

/// The same but for what changes by itself: version and status.
fn is_same(old: &Value, new: &Value) -> bool {
    let plain = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        object
    };
    plain(old) == plain(new)
}

/// A change of one entry: another value, or `None` to remove it.
type Change<'a> = (&'a str, Option<&'a str>);

/// Names first, then the changes.
fn split(words: &[String], map: MapOf) -> Outcome<(&[String], Vec<Change<'_>>)> {
    let is_change = |w: &String| w.contains('=') || w.ends_with('-');
    let at = words.iter().position(is_change).unwrap_or(words.len());
    let (names, changes) = words.split_at(at);
    let mut read: Vec<Change<'_>> = Vec::new();
    for word in changes {
        let change = match word.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => match word.strip_suffix('-') {
                Some(key) => (key, None),
                None => {
                    return Err(Failure::usage(format!(
                        "error: all resources must be specified before {} changes: {word}",
                        map.one
                    )));
                }
            },
        };
        if change.0.is_empty() {
            let text = format!("error: {word:?} is neither KEY=VALUE nor KEY-");
            return Err(Failure::usage(text));
        }
        if read.iter().any(|(key, _)| *key == change.0) {
            let text = format!(
                "error: can not both modify and remove {}s in the same command, nor name {:?} twice",
                map.one, change.0
            );
            return Err(Failure::usage(text));
        }
        read.push(change);
    }
    match read.is_empty() {
        true => Err(Failure::usage(format!(
            "error: at least one {} update is required",
            map.one
        ))),
        false => Ok((names, read)),
    }
}

/// The entries that change, and those that shall go and are not there.
fn map_patch<'a>(
    own: &Map<String, Value>,
    changes: &[Change<'a>],
    overwrite: bool,
    map: MapOf,
) -> Outcome<(Map<String, Value>, Vec<&'a str>)> {
    let mut patch = Map::new();
    let mut missing = Vec::new();
    for (key, value) in changes {
        match (own.get(*key), value) {
            (None, None) => missing.push(*key),
            (Some(_), None) => {
                patch.insert((*key).to_owned(), Value::Null);
            }
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(_)) if !overwrite => {
                let old = old.as_str().unwrap_or_default();
                let text = match map.field {
                    "labels" => format!(
                        "error: '{key}' already has a value ({old}), and --overwrite is false"
                    ),
                    _ => format!(
                        "error: --overwrite is false but found the following declared annotation(s): '{key}' already has a value ({old})"
                    ),
                };
                return Err(Failure::new(Code::Data, text));
            }
            (_, Some(new)) => {
                patch.insert((*key).to_owned(), (*new).into());
            }
        }
    }
    Ok((patch, missing))
}

/// Other images for containers of the pod, by their names; `*` names all.
fn image_patch(pod: &Value, images: &[(&str, &str)]) -> Outcome<Value> {
    let mut spec = Map::new();
    let mut unused: Vec<&str> = images.iter().map(|(name, _)| *name).collect();
    for list in ["initContainers", "containers"] {
        let containers = pod.pointer(&format!("/spec/{list}"));
        let containers = containers.and_then(Value::as_array);
        let mut changed = Vec::new();
        for container in containers.into_iter().flatten() {
            let name = container.get("name").and_then(Value::as_str);
            let of = |n: &str| n == "*" || Some(n) == name;
            unused.retain(|n| !of(n));
            if let Some((_, image)) = images.iter().rev().find(|(n, _)| of(n)) {
                changed.push(json!({ "name": name, "image": image }));
            }
        }
        if !changed.is_empty() {
            spec.insert(list.to_owned(), Value::Array(changed));
        }
    }
    match unused.first() {
        Some(name) => Err(Failure::new(
            Code::Data,
            format!("error: unable to find container named {name:?}"),
        )),
        None => Ok(json!({ "spec": spec })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn labels_are_set_and_removed_and_what_has_a_value_needs_to_be_overwritten() {
        let own = json!({ "a": "1", "b": "2" });
        let own = own.as_object().unwrap();
        for (text, overwrite, wanted) in [
            ("pod p c=3", false, Ok((json!({ "c": "3" }), vec![]))),
            ("pod p a=1", false, Ok((json!({}), vec![]))),
            (
                "pod p a=9 b-",
                true,
                Ok((json!({ "a": "9", "b": null }), vec![])),
            ),
            ("pod p x-", false, Ok((json!({}), vec!["x"]))),
            ("pod p c=", false, Ok((json!({ "c": "" }), vec![]))),
            (
                "pod p a=9",
                false,
                Err("error: 'a' already has a value (1), and --overwrite is false"),
            ),
            (
                "pod p",
                false,
                Err("error: at least one label update is required"),
            ),
            (
                "pod p a=1 q",
                false,
                Err("error: all resources must be specified before label changes: q"),
            ),
            (
                "pod p =1",
                false,
                Err("error: \"=1\" is neither KEY=VALUE nor KEY-"),
            ),
        ] {
            let words = words(text);
            let got = split(&words, LABELS).and_then(|(names, changes)| {
                assert_eq!(names, ["pod", "p"]);
                map_patch(own, &changes, overwrite, LABELS)
            });
            let got = got.map(|(patch, missing)| (Value::Object(patch), missing));
            let got = got.as_ref().map_err(|f| f.message.as_str());
            assert_eq!(got, wanted.as_ref().map_err(|e| *e), "{text}");
        }
    }

    #[test]
    fn images_are_set_by_the_names_of_containers() {
        let pod = json!({ "spec": {
            "initContainers": [{ "name": "i" }],
            "containers": [{ "name": "a" }, { "name": "b" }],
        } });
        for (images, wanted) in [
            (
                &[("a", "x:2")][..],
                Ok(json!({ "spec": { "containers": [{ "name": "a", "image": "x:2" }] } })),
            ),
            (
                &[("*", "x:2"), ("i", "y")],
                Ok(json!({ "spec": {
                    "initContainers": [{ "name": "i", "image": "y" }],
                    "containers": [{ "name": "a", "image": "x:2" }, { "name": "b", "image": "x:2" }],
                } })),
            ),
            (
                &[("c", "x")],
                Err("error: unable to find container named \"c\"".to_owned()),
            ),
        ] {
            assert_eq!(image_patch(&pod, images).map_err(|f| f.message), wanted);
        }
    }
}
