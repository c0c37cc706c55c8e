//! Pods and events.

use super::listing::{self, ListQuery, is_true};
use crate::admission::{admit_pod, read_one};
use crate::backend::{ApiResult, Backend, DeleteOptions};
use crate::error::{ApiError, Reason};
use crate::feed::Key;
use crate::wire;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::WARNING;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pod_manifest::{FieldNote, Object};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

type ListArgument = Result<Query<ListQuery>, QueryRejection>;
pub(super) type BodyArgument = Result<Bytes, BytesRejection>;

pub(super) async fn list_all<B: Backend>(
    State(node): State<Arc<B>>,
    query: ListArgument,
) -> ApiResult<Response> {
    listing::serve(node.pods(), "PodList", None, &query?.0)
}

pub(super) async fn list<B: Backend>(
    State(node): State<Arc<B>>,
    Path(namespace): Path<String>,
    query: ListArgument,
) -> ApiResult<Response> {
    listing::serve(node.pods(), "PodList", Some(namespace), &query?.0)
}

pub(super) async fn events_all<B: Backend>(
    State(node): State<Arc<B>>,
    query: ListArgument,
) -> ApiResult<Response> {
    listing::serve(node.events(), "EventList", None, &query?.0)
}

pub(super) async fn events<B: Backend>(
    State(node): State<Arc<B>>,
    Path(namespace): Path<String>,
    query: ListArgument,
) -> ApiResult<Response> {
    listing::serve(node.events(), "EventList", Some(namespace), &query?.0)
}

pub(super) async fn get<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Path<(String, String)>,
) -> ApiResult<Json<Value>> {
    let found = listing::find(node.pods(), "pods", &Key::new(namespace, name))?;
    Ok(Json(wire::pod_value(&found.value, found.version)))
}

/// Query of create.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CreateQuery {
    /// Run the pod although it asks for things that this version does not honour.
    allow_unsupported: String,
    dry_run: String,
}

pub(super) async fn create<B: Backend>(
    State(node): State<Arc<B>>,
    Path(namespace): Path<String>,
    query: Result<Query<CreateQuery>, QueryRejection>,
    body: BodyArgument,
) -> ApiResult<Response> {
    let (query, body) = (query?, body?);
    let Object::Pod(pod) = read_one(text_of(&body)?)? else {
        return Err(ApiError::bad_request("this path takes a Pod"));
    };
    let mut pod = *pod;
    same_namespace(&namespace, &mut pod.metadata.namespace)?;
    let admitted = admit_pod(pod, is_true(&query.allow_unsupported))?;
    let headers = warnings(&admitted.notes);
    if !query.dry_run.is_empty() {
        return Ok((headers, Json(admitted.pod.object)).into_response());
    }
    let taken = node.create_pod(admitted.pod).await?;
    let value = wire::pod_value(&taken.value, taken.version);
    Ok((StatusCode::CREATED, headers, Json(value)).into_response())
}

/// `Warning: 299 - "…"`, as an API server sends them; kubectl prints them.
fn warnings(notes: &[FieldNote]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for note in notes {
        let quoted = note.to_string().replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            headers.append(WARNING, value);
        }
    }
    headers
}

pub(super) fn text_of(body: &Bytes) -> ApiResult<&str> {
    std::str::from_utf8(body)
        .map_err(|e| ApiError::bad_request(format!("the body is no UTF-8: {e}")))
}

/// Name and namespace of the path count; a changed object must not have others.
pub(super) fn same_object(path: &Key, object: &mut ObjectMeta) -> ApiResult<()> {
    same_namespace(&path.namespace, &mut object.namespace)?;
    let name = object.name.as_deref().unwrap_or_default();
    if path.name == name {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({})",
        path.name
    )))
}

/// A change that names a version is one of that version; one that names none, of the newest.
pub(super) fn same_version(
    resource: &str,
    name: &str,
    newest: u64,
    changed: &ObjectMeta,
) -> ApiResult<()> {
    let asked = changed.resource_version.as_deref();
    if asked.is_none_or(|a| a.is_empty() || a == newest.to_string()) {
        return Ok(());
    }
    let text = format!(
        "Operation cannot be fulfilled on {resource} {name:?}: the object has been modified; please apply your changes to the latest version and try again"
    );
    Err(ApiError::new(Reason::Conflict, text))
}

/// The namespace of the path counts; an object must not name another one.
pub(super) fn same_namespace(path: &str, object: &mut Option<String>) -> ApiResult<()> {
    match object.as_deref().filter(|n| !n.is_empty()) {
        Some(other) if other != path => Err(ApiError::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request ({other} and {path})"
        ))),
        _ => {
            *object = Some(path.to_owned());
            Ok(())
        }
    }
}

/// Query of delete; the body may hold the same.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeleteQuery {
    grace_period_seconds: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeleteBody {
    grace_period_seconds: Option<i64>,
    preconditions: Preconditions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Preconditions {
    uid: Option<String>,
}

pub(super) async fn delete<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Path<(String, String)>,
    query: Result<Query<DeleteQuery>, QueryRejection>,
    body: BodyArgument,
) -> ApiResult<Json<Value>> {
    let (query, body) = (query?, body?);
    let body: DeleteBody = if body.is_empty() {
        DeleteBody::default()
    } else {
        serde_json::from_slice(&body).map_err(|e| ApiError::bad_request(e.to_string()))?
    };
    let grace = query.grace_period_seconds.or(body.grace_period_seconds);
    if grace.is_some_and(|g| g < 0) {
        return Err(ApiError::bad_request(
            "gracePeriodSeconds must be greater than or equal to 0",
        ));
    }
    let key = Key::new(namespace, name);
    let before = listing::find(node.pods(), "pods", &key)?;
    let uid = before.value.pod.metadata.uid.as_str();
    if let Some(wanted) = body.preconditions.uid.as_deref().filter(|w| *w != uid) {
        return Err(ApiError::new(
            Reason::Conflict,
            format!(
                "Operation cannot be fulfilled on pods \"{}\": the UID in the precondition ({wanted}) does not match the UID in record ({uid})",
                key.name
            ),
        ));
    }
    let options = DeleteOptions {
        grace_period_seconds: grace,
        uid: Some(uid.to_owned()),
    };
    node.delete_pod(&key, options).await?;
    // It may be gone already.
    let after = node.pods().get(&key).unwrap_or(before);
    Ok(Json(wire::pod_value(&after.value, after.version)))
}
