//! Wire types ⇄ model. Both have the same JSON, so the way leads through JSON values; what does not fit names its field.

use k8s_openapi::api::core::v1 as wire;
use pod_model::pod::Pod;
use pod_model::status::PodStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Why a value of one form has no counterpart in the other.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A field holds what the other form cannot.
    #[error("{path}: {cause}")]
    Field {
        /// Path of the field.
        path: String,
        /// What is wrong with its value.
        cause: String,
    },
    /// The value cannot be written as JSON.
    #[error("cannot write the object as JSON")]
    Json(#[source] serde_json::Error),
}

/// The model of a Pod: metadata and spec. `status` is not taken over; see [`status_to_model`].
///
/// Fields that the model does not have are left out without a word: [`crate::support`] tells of them. Give it a pod after
/// [`crate::defaults`] and [`crate::validate_pod`]; then it fails only on fields of kinds that `support` refuses.
pub fn to_model(pod: &wire::Pod) -> Result<Pod, ConvertError> {
    let mut value = serde_json::to_value(pod).map_err(ConvertError::Json)?;
    if let Value::Object(fields) = &mut value {
        fields.remove("status");
    }
    from_json(value)
}

/// The model of a status.
pub fn status_to_model(status: &wire::PodStatus) -> Result<PodStatus, ConvertError> {
    from_json(serde_json::to_value(status).map_err(ConvertError::Json)?)
}

/// The wire form of a Pod, its status included where it has one.
pub fn from_model(pod: &Pod) -> Result<wire::Pod, ConvertError> {
    through_json(pod)
}

/// The wire form of a status. Times lose what is finer than a second, as `metav1.Time` does.
pub fn from_model_status(status: &PodStatus) -> Result<wire::PodStatus, ConvertError> {
    through_json(status)
}

fn through_json<T: DeserializeOwned>(value: &impl Serialize) -> Result<T, ConvertError> {
    from_json(prune(
        serde_json::to_value(value).map_err(ConvertError::Json)?,
    ))
}

fn from_json<T: DeserializeOwned>(value: Value) -> Result<T, ConvertError> {
    serde_path_to_error::deserialize(value).map_err(|error| ConvertError::Field {
        path: error.path().to_string(),
        cause: error.into_inner().to_string(),
    })
}

/// Maps whose keys are the user's: an empty text is a value there, an empty map is none.
const FREE_MAPS: &[&str] = &["annotations", "labels", "limits", "overhead", "requests"];

/// Fields that the wire form leaves out where they are false.
pub(crate) const FALSE_IS_ABSENT: &[&str] = &[
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
];

const TIMES: &[&str] = &[
    "creationTimestamp",
    "deletionTimestamp",
    "finishedAt",
    "lastProbeTime",
    "lastTransitionTime",
    "startTime",
    "startedAt",
];

/// Takes out what is absent in the wire form: nulls, and lists and texts without content.
///
/// An object without fields stays: `emptyDir: {}` says something.
fn prune(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter_map(|(key, v)| Some((prune_field(&key, v)?, key)))
                .map(|(v, key)| (key, v))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(prune).collect()),
        other => other,
    }
}

fn prune_field(name: &str, value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Bool(false) if FALSE_IS_ABSENT.contains(&name) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Object(fields) if FREE_MAPS.contains(&name) => {
            Some(Value::Object(fields)).filter(|v| v.as_object().is_some_and(|f| !f.is_empty()))
        }
        Value::String(text) if TIMES.contains(&name) => Some(Value::String(whole_seconds(text))),
        other => Some(prune(other)),
    }
}

/// The time without its fraction of a second.
fn whole_seconds(text: String) -> String {
    let time = text.parse::<jiff::Timestamp>();
    let whole = time.and_then(|time| jiff::Timestamp::from_second(time.as_second()));
    whole.map_or(text, |whole| whole.to_string())
}
