//! Changes of pods: the whole pod as an API server allows it, and its ephemeral containers.

use super::listing;
use super::patching;
use super::pods::{self, BodyArgument, same_object, same_version, text_of};
use crate::admission::{admit_update, read_one};
use crate::backend::{ApiResult, Backend, PodRecord};
use crate::error::ApiError;
use crate::feed::Key;
use crate::wire;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use pod_manifest::Object;
use pod_manifest::validate::resize::validate_resize;
use pod_manifest::validate::update::{validate_ephemeral_update, validate_pod_update};
use pod_manifest::wire::{Container, Pod};
use serde_json::Value;
use std::sync::Arc;

type Named = Path<(String, String)>;

/// `PUT …/pods/NAME`.
pub(super) async fn replace<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
    body: BodyArgument,
) -> ApiResult<Json<Value>> {
    let (key, old, new) = both(&*node, namespace, name, &body?)?;
    let Some(mut spec) = new.spec else {
        return Err(ApiError::bad_request("the object has no spec"));
    };
    // They change by their own path only.
    spec.ephemeral_containers = old
        .spec
        .as_ref()
        .and_then(|s| s.ephemeral_containers.clone());
    // What the node writes of the metadata stays; the rest is as asked.
    let mut changed = old.clone();
    changed.metadata.labels = new.metadata.labels;
    changed.metadata.annotations = new.metadata.annotations;
    changed.spec = Some(spec);
    let admitted = admit_update(&old, changed, validate_pod_update)?;
    node.update_pod(&key, admitted).await?;
    answer(&*node, &key)
}

/// `PUT …/pods/NAME/ephemeralcontainers`: nothing else of the pod is taken.
pub(super) async fn replace_ephemeral<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
    body: BodyArgument,
) -> ApiResult<Json<Value>> {
    let (key, old, new) = both(&*node, namespace, name, &body?)?;
    let mut changed = old.clone();
    let asked = new.spec.and_then(|s| s.ephemeral_containers);
    if let Some(spec) = &mut changed.spec {
        spec.ephemeral_containers = asked;
    }
    let admitted = admit_update(&old, changed, validate_ephemeral_update)?;
    node.update_pod(&key, admitted).await?;
    answer(&*node, &key)
}

/// `PUT …/pods/NAME/resize`: nothing but the resources of containers, and what a change of them restarts, is taken.
pub(super) async fn replace_resources<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
    body: BodyArgument,
) -> ApiResult<Json<Value>> {
    let (key, old, new) = both(&*node, namespace, name, &body?)?;
    let mut changed = old.clone();
    if let (Some(to), Some(from)) = (&mut changed.spec, new.spec) {
        take_resources(&mut to.containers, &from.containers);
        let inits = to.init_containers.as_mut();
        if let (Some(to), Some(from)) = (inits, &from.init_containers) {
            take_resources(to, from);
        }
        to.resources = from.resources;
    }
    let admitted = admit_update(&old, changed, validate_resize)?;
    node.update_pod(&key, admitted).await?;
    answer(&*node, &key)
}

/// `PATCH …/pods/NAME`, and of its parts.
pub(super) async fn patch<B: Backend>(
    part: Part,
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
    headers: HeaderMap,
    body: BodyArgument,
) -> ApiResult<Json<Value>> {
    let state = || State(Arc::clone(&node));
    let path = || Path((namespace.clone(), name.clone()));
    let get = || pods::get::<B>(state(), path());
    let put = |body| async {
        match part {
            Part::Whole => replace::<B>(state(), path(), body).await,
            Part::Ephemeral => replace_ephemeral::<B>(state(), path(), body).await,
            Part::Resources => replace_resources::<B>(state(), path(), body).await,
        }
    };
    patching::patch(&headers, body, get, put).await
}

/// What of a pod is changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Whole,
    Ephemeral,
    Resources,
}

fn take_resources(to: &mut [Container], from: &[Container]) {
    for container in to {
        if let Some(new) = from.iter().find(|c| c.name == container.name) {
            container.resources.clone_from(&new.resources);
            container.resize_policy.clone_from(&new.resize_policy);
        }
    }
}

fn answer<B: Backend>(node: &B, key: &Key) -> ApiResult<Json<Value>> {
    let found = listing::find(node.pods(), "pods", key)?;
    Ok(Json(wire::pod_value(&found.value, found.version)))
}

/// The pod as it is and as it shall be.
fn both<B: Backend>(
    node: &B,
    namespace: String,
    name: String,
    body: &Bytes,
) -> ApiResult<(Key, Pod, Pod)> {
    let Object::Pod(new) = read_one(text_of(body)?)? else {
        return Err(ApiError::bad_request("this path takes a Pod"));
    };
    let mut new = *new;
    let key = Key::new(namespace, name);
    same_object(&key, &mut new.metadata)?;
    let found = listing::find(node.pods(), "pods", &key)?;
    same_version("pods", &key.name, found.version, &new.metadata)?;
    let mut old = as_kept(&found.value)?;
    // A change that names no version is one of the newest.
    old.metadata.resource_version = Some(found.version.to_string());
    Ok((key, old, new))
}

fn as_kept(record: &PodRecord) -> ApiResult<Pod> {
    serde_json::from_value((*record.object).clone()).map_err(ApiError::internal)
}
