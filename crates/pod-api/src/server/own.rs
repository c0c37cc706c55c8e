//! What Kubernetes has no word for: images in the store, the node itself, reset, the plan of a pod.

use super::archive::{BodyReader, answer_steps};
use super::listing;
use crate::backend::{ApiResult, Attempts, Backend, ImageImport, NodeInfo, Retried};
use crate::error::ApiError;
use crate::feed::Key;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use pod_model::ids::ContainerName;
use pod_model::stats::PodStats;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn node<B: Backend>(State(node): State<Arc<B>>) -> ApiResult<Json<NodeInfo>> {
    Ok(Json(node.node_info().await?))
}

pub(super) async fn reset<B: Backend>(State(node): State<Arc<B>>) -> Response {
    answer_steps(move |progress| async move {
        node.reset(progress).await?;
        Ok(Value::Null)
    })
}

pub(super) async fn images<B: Backend>(State(node): State<Arc<B>>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({
        "apiVersion": "podwright.io/v1",
        "kind": "ImageList",
        "items": node.images().await?,
    })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ImportQuery {
    name: Option<String>,
    tag: Option<String>,
}

pub(super) async fn import_image<B: Backend>(
    State(node): State<Arc<B>>,
    query: Result<Query<ImportQuery>, QueryRejection>,
    body: Body,
) -> ApiResult<Response> {
    let Query(query) = query?;
    let request = ImageImport {
        name: query.name,
        tag: query.tag,
    };
    let archive = Box::new(BodyReader::new(body));
    Ok(answer_steps(move |progress| async move {
        Ok(json!(node.import_image(request, archive, progress).await?))
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RemoveQuery {
    name: String,
    force: bool,
}

pub(super) async fn remove_image<B: Backend>(
    State(node): State<Arc<B>>,
    query: Result<Query<RemoveQuery>, QueryRejection>,
) -> ApiResult<Json<Value>> {
    let Query(query) = query?;
    if query.name.is_empty() {
        return Err(ApiError::bad_request("the parameter name is missing"));
    }
    let done = node.remove_image(&query.name, query.force).await?;
    Ok(Json(json!({"done": done})))
}

pub(super) async fn attempts<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Path<(String, String)>,
) -> ApiResult<Json<Attempts>> {
    let key = Key::new(namespace, name);
    listing::find(node.pods(), "pods", &key)?;
    Ok(Json(node.attempts_of(&key).await?))
}

pub(super) async fn plan<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Path<(String, String)>,
) -> ApiResult<Json<Value>> {
    let key = Key::new(namespace, name);
    listing::find(node.pods(), "pods", &key)?;
    Ok(Json(node.plan_of(&key).await?))
}

pub(super) async fn stats<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Path<(String, String)>,
) -> ApiResult<Json<PodStats>> {
    let key = Key::new(namespace, name);
    listing::find(node.pods(), "pods", &key)?;
    Ok(Json(node.stats_of(&key).await?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RetryQuery {
    from: Option<String>,
}

pub(super) async fn retry<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Path<(String, String)>,
    query: Result<Query<RetryQuery>, QueryRejection>,
) -> ApiResult<Json<Retried>> {
    let Query(query) = query?;
    let key = Key::new(namespace, name);
    listing::find(node.pods(), "pods", &key)?;
    let from = query.from.map(ContainerName::new);
    Ok(Json(node.retry(&key, from).await?))
}
