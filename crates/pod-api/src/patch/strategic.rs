//! Strategic merge patches: like merge patches, but lists whose items have a key are merged item by item. Which lists those are is said by
//! the API's types (`patchStrategy`, `patchMergeKey`); here are those of pods, services and their metadata.
//!
//! ```text
//!  {"containers": [{"name": "a", "image": "b:2"}]}        the container of that name gets another image
//!  {"containers": [{"name": "a", "$patch": "delete"}]}    it goes
//!  {"volumes": [{"$patch": "replace"}, …]}                the list is this
//!  {"$retainKeys": ["name", "emptyDir"], …}               no other fields stay
//!  {"$setElementOrder/env": [{"name": "A"}, …], …}        in this order
//!  {"$deleteFromPrimitiveList/finalizers": ["x"]}         without these
//! ```

use serde_json::{Map, Value};

type Fields = Map<String, Value>;

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// How a list is merged.
enum List {
    /// By that field of its items.
    By(&'static str),
    /// Its items are plain values, each in it once.
    Set,
    /// It is not: the new one counts.
    Atomic,
}

/// `items`: of either list; ports have the key that stands in them.
fn list(field: &str, items: &[Value]) -> List {
    List::By(match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "schedulingGates"
        | "resourceClaims" => "name",
        "ports" if items.iter().any(|i| i.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        "conditions" => "type",
        "ownerReferences" => "uid",
        "finalizers" => return List::Set,
        _ => return List::Atomic,
    })
}

/// Merges the patch into the object, or says what is wrong with the patch.
pub(super) fn merge(object: &mut Value, patch: &Value) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return Ok(());
    };
    if !object.is_object() {
        *object = Value::Object(Fields::new());
    }
    match object {
        Value::Object(fields) => merge_fields(fields, patch),
        _ => Ok(()),
    }
}

fn merge_fields(fields: &mut Fields, patch: &Fields) -> Result<(), String> {
    match patch.get(PATCH).map(|d| d.as_str().unwrap_or_default()) {
        None | Some("merge") => {}
        Some("delete") => {
            fields.clear();
            return Ok(());
        }
        Some("replace") => fields.clear(),
        Some(other) => return Err(unknown(other)),
    }
    if let Some(retained) = patch.get(RETAIN) {
        let retained = items_of(RETAIN, retained)?;
        fields.retain(|name, _| retained.iter().any(|r| r == name));
    }
    for (name, new) in patch {
        if let Some(list) = name.strip_prefix(DELETE_FROM) {
            let gone = items_of(name, new)?;
            if let Some(Value::Array(items)) = fields.get_mut(list) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if name.starts_with('$') {
            continue;
        }
        match new {
            Value::Null => {
                fields.remove(name);
            }
            Value::Array(new) => {
                let own = fields.entry(name.as_str()).or_insert(Value::Null);
                if !own.is_array() {
                    *own = Value::Array(Vec::new());
                }
                if let Value::Array(items) = own {
                    merge_list(name, items, new)?;
                }
            }
            // Where nothing is yet, nulls and directives of the patch must not be kept.
            new => merge(fields.entry(name.as_str()).or_insert(Value::Null), new)?,
        }
    }
    for (name, order) in patch {
        if let Some(list) = name.strip_prefix(ORDER)
            && let Some(Value::Array(items)) = fields.get_mut(list)
        {
            sort(list, items, items_of(name, order)?);
        }
    }
    Ok(())
}

fn merge_list(name: &str, items: &mut Vec<Value>, new: &[Value]) -> Result<(), String> {
    let replaces = |item: &Value| item.get(PATCH).is_some_and(|d| d == "replace");
    if new.iter().any(replaces) {
        items.clear();
    }
    let way = match items.is_empty() {
        true => list(name, new),
        false => list(name, items),
    };
    match way {
        List::Atomic => *items = new.iter().filter(|i| !replaces(i)).cloned().collect(),
        List::Set => {
            for item in new {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
        }
        List::By(key) => {
            for item in new.iter().filter(|i| !replaces(i)) {
                merge_item(name, key, items, item)?;
            }
        }
    }
    Ok(())
}

fn merge_item(name: &str, key: &str, items: &mut Vec<Value>, new: &Value) -> Result<(), String> {
    let Some(value) = new.get(key) else {
        return Err(format!(
            "an item of {name} has no {key:?}, by which the list is merged: {new}"
        ));
    };
    let place = items.iter().position(|item| item.get(key) == Some(value));
    if new.get(PATCH).is_some_and(|d| d == "delete") {
        items.retain(|item| item.get(key) != Some(value));
        return Ok(());
    }
    match place.and_then(|place| items.get_mut(place)) {
        Some(item) => merge(item, new),
        None => {
            let mut item = Value::Null;
            merge(&mut item, new)?;
            items.push(item);
            Ok(())
        }
    }
}

/// Puts what is in the order into it; what is not stays in its place.
fn sort(name: &str, items: &mut [Value], order: &[Value]) {
    let way = list(name, items);
    let place = |item: &Value| {
        order.iter().position(|o| match way {
            List::By(key) => o.get(key).is_some() && o.get(key) == item.get(key),
            List::Set | List::Atomic => o == item,
        })
    };
    let mut sorted: Vec<(usize, Value)> = items
        .iter()
        .filter_map(|item| Some((place(item)?, item.clone())))
        .collect();
    sorted.sort_by_key(|(place, _)| *place);
    let mut sorted = sorted.into_iter();
    for slot in items.iter_mut().filter(|item| place(item).is_some()) {
        if let Some((_, item)) = sorted.next() {
            *slot = item;
        }
    }
}

fn items_of<'a>(name: &str, value: &'a Value) -> Result<&'a [Value], String> {
    let items = value.as_array().map(Vec::as_slice);
    items.ok_or_else(|| format!("{name} must be a list"))
}

fn unknown(directive: &str) -> String {
    format!("$patch is {directive:?}: there are merge, replace and delete")
}
