//! Records of the node as Kubernetes JSON, and that JSON as values again.

use crate::backend::{ConfigRecord, PodRecord, ServiceRecord};
use crate::feed::Key;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pod_model::event::{Event, EventKind};
use pod_model::ids::PodRef;
use pod_model::pod::Pod;
use pod_model::service::{Service, ServiceAddress};
use pod_model::status::PodStatus;
use pod_print::config::{ConfigMap, Head, Secret};
use pod_print::describe::{Extras, SpreadConstraint, Toleration};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A value of the model as JSON. All of them are plain data, so there is no way for it to fail; `null` stands in for none.
fn plain(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// A time as `metav1.Time` writes it: whole seconds.
fn seconds(time: Option<Timestamp>) -> Value {
    plain(time.map(|t| Timestamp::from_second(t.as_second()).unwrap_or(t)))
}

/// `v1.PodStatus` as Kubernetes writes it: times in whole seconds, nothing that is empty.
fn status_value(status: &PodStatus) -> Value {
    match pod_manifest::from_model_status(status) {
        Ok(status) => plain(status),
        // A field that the wire form has no place for: better told in our own form than not at all.
        Err(_) => plain(status),
    }
}

/// `v1.Pod`: the manifest with what the node knows laid over it.
pub fn pod_value(record: &PodRecord, version: u64) -> Value {
    let pod = &record.pod;
    let mut object = as_map(Value::clone(&record.object));
    let mut metadata = as_map(object.remove("metadata").unwrap_or_default());
    let known = &pod.metadata;
    metadata.insert("name".to_owned(), plain(&known.name));
    metadata.insert("namespace".to_owned(), plain(&known.namespace));
    metadata.insert("uid".to_owned(), plain(&known.uid));
    metadata.insert("resourceVersion".to_owned(), version.to_string().into());
    for (name, value) in [
        ("generation", plain(known.generation)),
        ("creationTimestamp", seconds(known.creation_timestamp)),
        ("deletionTimestamp", seconds(known.deletion_timestamp)),
        (
            "deletionGracePeriodSeconds",
            plain(known.deletion_grace_period_seconds),
        ),
    ] {
        if value.is_null() {
            metadata.remove(name);
        } else {
            metadata.insert(name.to_owned(), value);
        }
    }
    let mut spec = as_map(object.remove("spec").unwrap_or_default());
    spec.entry("nodeName")
        .or_insert_with(|| record.node.clone().into());
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": status_value(pod.status.as_ref().unwrap_or(&PodStatus::default())),
    })
}

fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// `v1.ConfigMap` or `v1.Secret`.
pub fn config_value(record: &ConfigRecord, version: u64) -> Value {
    let mut object = as_map(record.object.clone());
    let mut metadata = as_map(object.remove("metadata").unwrap_or_default());
    metadata.insert("name".to_owned(), record.name.clone().into());
    metadata.insert("namespace".to_owned(), record.namespace.clone().into());
    metadata.insert("uid".to_owned(), record.uid.clone().into());
    metadata.insert("resourceVersion".to_owned(), version.to_string().into());
    metadata.insert("creationTimestamp".to_owned(), seconds(record.created));
    object.insert("apiVersion".to_owned(), "v1".into());
    object.insert("kind".to_owned(), record.kind.as_str().into());
    object.insert("metadata".to_owned(), metadata.into());
    object.into()
}

/// `v1.Service`.
pub fn service_value(record: &ServiceRecord, version: u64) -> Value {
    let service = &record.service;
    let mut object = as_map(record.object.clone());
    let mut metadata = as_map(object.remove("metadata").unwrap_or_default());
    metadata.insert("name".to_owned(), plain(&service.name));
    metadata.insert("namespace".to_owned(), plain(&service.namespace));
    metadata.insert("uid".to_owned(), service.uid.clone().into());
    metadata.insert("resourceVersion".to_owned(), version.to_string().into());
    metadata.insert(
        "creationTimestamp".to_owned(),
        seconds(service.creation_timestamp),
    );
    let mut spec = as_map(object.remove("spec").unwrap_or_default());
    let address = match service.address {
        ServiceAddress::Fixed(ip) => Some(ip.to_string()),
        ServiceAddress::Headless => Some("None".to_owned()),
        ServiceAddress::Any => None,
    };
    if let Some(address) = address {
        spec.insert("clusterIP".to_owned(), address.clone().into());
        spec.insert("clusterIPs".to_owned(), json!([address]));
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for (port, own) in ports.into_iter().flatten().zip(&service.ports) {
        if let (Some(port), Some(number)) = (port.as_object_mut(), own.node_port) {
            port.insert("nodePort".to_owned(), number.into());
        }
    }
    spec.insert("ipFamilies".to_owned(), json!(["IPv4"]));
    spec.insert("ipFamilyPolicy".to_owned(), "SingleStack".into());
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": spec,
        "status": {"loadBalancer": {}},
    })
}

/// `v1.Event`.
pub fn event_value(key: &Key, event: &Event, version: u64) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "resourceVersion": version.to_string(),
            "creationTimestamp": event.first,
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": event.pod.namespace,
            "name": event.pod.name,
            "uid": event.pod.uid,
            "fieldPath": event.field_path,
        },
        "type": event.kind,
        "reason": event.reason,
        "message": event.message,
        "source": {"component": event.component},
        "reportingComponent": event.component,
        "firstTimestamp": event.first,
        "lastTimestamp": event.last,
        "count": event.count,
    })
}

/// `v1.PodList` and its like.
pub fn list_value(kind: &str, items: Vec<Value>, version: u64) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"resourceVersion": version.to_string()},
        "items": items,
    })
}

/// An event as it came over the wire.
pub fn event_of(value: &Value) -> Result<Event, serde_json::Error> {
    let text = |path: &str| {
        let found = value.pointer(path).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let time = |path: &str| -> Result<Timestamp, serde_json::Error> {
        serde_json::from_value(value.pointer(path).cloned().unwrap_or_default())
    };
    let kind = match text("/type").as_str() {
        "Normal" => EventKind::Normal,
        "Warning" => EventKind::Warning,
        other => return Err(serde_json::Error::custom(format!("event type {other:?}"))),
    };
    let count = value["count"].as_u64().unwrap_or(1);
    Ok(Event {
        pod: PodRef {
            namespace: text("/involvedObject/namespace").into(),
            name: text("/involvedObject/name").into(),
            uid: text("/involvedObject/uid").into(),
        },
        field_path: text("/involvedObject/fieldPath"),
        kind,
        reason: text("/reason"),
        message: text("/message"),
        component: text("/source/component"),
        first: time("/firstTimestamp")?,
        last: time("/lastTimestamp")?,
        count: u32::try_from(count).unwrap_or(u32::MAX),
    })
}

/// A pod as it came over the wire: what podwright reads of it, and what only `describe` shows.
pub fn pod_of(value: &Value) -> Result<(Pod, Extras), serde_json::Error> {
    Ok((Pod::deserialize(value)?, extras_of(value)))
}

/// A Service as it came over the wire.
pub fn service_of(value: &Value) -> Result<Service, serde_json::Error> {
    let service = pod_manifest::wire::Service::deserialize(value)?;
    pod_manifest::service_to_model(&service).map_err(serde_json::Error::custom)
}

/// A ConfigMap as it came over the wire.
pub fn config_map_of(value: &Value) -> Result<ConfigMap, serde_json::Error> {
    let map = pod_manifest::wire::ConfigMap::deserialize(value)?;
    let binary = map.binary_data.into_iter().flatten();
    Ok(ConfigMap {
        head: head_of(map.metadata),
        data: map.data.unwrap_or_default(),
        binary: binary.map(|(key, bytes)| (key, bytes.0)).collect(),
    })
}

/// A Secret as it came over the wire.
pub fn secret_of(value: &Value) -> Result<Secret, serde_json::Error> {
    let secret = pod_manifest::wire::Secret::deserialize(value)?;
    Ok(Secret {
        data: pod_manifest::secret_data(&secret),
        head: head_of(secret.metadata),
        kind: secret.type_.unwrap_or_default(),
    })
}

fn head_of(metadata: ObjectMeta) -> Head {
    Head {
        name: metadata.name.unwrap_or_default(),
        namespace: metadata.namespace.unwrap_or_default(),
        labels: metadata.labels.unwrap_or_default(),
        annotations: metadata.annotations.unwrap_or_default(),
    }
}

fn extras_of(pod: &Value) -> Extras {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let list = |path: &str| {
        pod.pointer(path)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let tolerations = list("/spec/tolerations").map(|t| Toleration {
        key: text(&t["key"]),
        operator: text(&t["operator"]),
        value: text(&t["value"]),
        effect: text(&t["effect"]),
        toleration_seconds: t["tolerationSeconds"].as_i64(),
    });
    let spread = list("/spec/topologySpreadConstraints").map(|c| SpreadConstraint {
        topology_key: text(&c["topologyKey"]),
        when_unsatisfiable: text(&c["whenUnsatisfiable"]),
        max_skew: c["maxSkew"].as_i64().unwrap_or(0),
        selector: c.get("labelSelector").map(selector_words),
    });
    let controller = list("/metadata/ownerReferences").find(|o| o["controller"] == true);
    let mut devices: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for container in list("/spec/containers").chain(list("/spec/initContainers")) {
        for device in container["volumeDevices"].as_array().into_iter().flatten() {
            let entry = devices.entry(text(&container["name"])).or_default();
            entry.push((text(&device["devicePath"]), text(&device["name"])));
        }
    }
    let spec = |field: &str| pod.get("spec").and_then(|s| s.get(field));
    Extras {
        runtime_class_name: spec("runtimeClassName")
            .and_then(Value::as_str)
            .map(str::to_owned),
        controlled_by: controller.map(|o| format!("{}/{}", text(&o["kind"]), text(&o["name"]))),
        node_selector: spec("nodeSelector")
            .and_then(|selector| BTreeMap::deserialize(selector).ok())
            .unwrap_or_default(),
        tolerations: tolerations.collect(),
        topology_spread: spread.collect(),
        devices,
    }
}

/// A label selector of the API as kubectl prints it: `a=b,c in (d,e),!f`.
fn selector_words(selector: &Value) -> String {
    let mut words = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        words.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    for part in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = part["key"].as_str().unwrap_or_default();
        let values: Vec<&str> = part["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        words.push(match part["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if words.is_empty() {
        "<none>".to_owned()
    } else {
        words.join(",")
    }
}
