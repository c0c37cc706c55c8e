//! ConfigMaps and Secrets.

use super::listing::{self, ListQuery};
use super::patching;
use super::pods::{same_namespace, same_object, same_version, text_of};
use crate::admission::{
    admit_config_map, admit_config_map_update, admit_secret, admit_secret_update, read_one,
};
use crate::backend::{ApiResult, Backend, ConfigKind, ConfigRecord};
use crate::error::{ApiError, Status};
use crate::feed::Key;
use crate::wire;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pod_manifest::Object;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

type ListArgument = Result<Query<ListQuery>, QueryRejection>;
type BodyArgument = Result<Bytes, BytesRejection>;
type Named = Path<(String, String)>;

fn list_kind(kind: ConfigKind) -> String {
    format!("{}List", kind.as_str())
}

pub(super) async fn list_all<B: Backend>(
    kind: ConfigKind,
    State(node): State<Arc<B>>,
    query: ListArgument,
) -> ApiResult<Response> {
    listing::serve(node.configs(kind), &list_kind(kind), None, &query?.0)
}

pub(super) async fn list<B: Backend>(
    kind: ConfigKind,
    State(node): State<Arc<B>>,
    Path(namespace): Path<String>,
    query: ListArgument,
) -> ApiResult<Response> {
    listing::serve(
        node.configs(kind),
        &list_kind(kind),
        Some(namespace),
        &query?.0,
    )
}

pub(super) async fn get<B: Backend>(
    kind: ConfigKind,
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
) -> ApiResult<Json<Value>> {
    find(&*node, kind, &Key::new(namespace, name))
}

fn find<B: Backend>(node: &B, kind: ConfigKind, key: &Key) -> ApiResult<Json<Value>> {
    let found = listing::find(node.configs(kind), kind.resource(), key)?;
    Ok(Json(wire::config_value(&found.value, found.version)))
}

pub(super) async fn create<B: Backend>(
    kind: ConfigKind,
    State(node): State<Arc<B>>,
    Path(namespace): Path<String>,
    body: BodyArgument,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let config = read(kind, &namespace, &body?)?;
    let key = config.key();
    node.put_config(config, false).await?;
    Ok((StatusCode::CREATED, find(&*node, kind, &key)?))
}

pub(super) async fn replace<B: Backend>(
    kind: ConfigKind,
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
    body: BodyArgument,
) -> ApiResult<Json<Value>> {
    let key = Key::new(&namespace, &name);
    let config = match (kind, read_one(text_of(&body?)?)?) {
        (ConfigKind::ConfigMap, Object::ConfigMap(mut map)) => {
            let old = before(&*node, kind, &key, &mut map.metadata)?;
            admit_config_map_update(&old, map)?
        }
        (ConfigKind::Secret, Object::Secret(mut secret)) => {
            let old = before(&*node, kind, &key, &mut secret.metadata)?;
            admit_secret_update(&old, secret)?
        }
        _ => return Err(takes_a(kind)),
    };
    node.put_config(config, true).await?;
    find(&*node, kind, &key)
}

pub(super) async fn patch<B: Backend>(
    kind: ConfigKind,
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
    headers: HeaderMap,
    body: BodyArgument,
) -> ApiResult<Json<Value>> {
    let state = || State(Arc::clone(&node));
    let path = || Path((namespace.clone(), name.clone()));
    let put = |body| replace::<B>(kind, state(), path(), body);
    patching::patch(&headers, body, || get::<B>(kind, state(), path()), put).await
}

pub(super) async fn delete<B: Backend>(
    kind: ConfigKind,
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
) -> ApiResult<Json<Status>> {
    let key = Key::new(namespace, name);
    listing::find(node.configs(kind), kind.resource(), &key)?;
    node.delete_config(kind, &key).await?;
    Ok(Json(Status::success()))
}

fn read(kind: ConfigKind, namespace: &str, body: &Bytes) -> ApiResult<ConfigRecord> {
    match (kind, read_one(text_of(body)?)?) {
        (ConfigKind::ConfigMap, Object::ConfigMap(mut map)) => {
            same_namespace(namespace, &mut map.metadata.namespace)?;
            admit_config_map(map)
        }
        (ConfigKind::Secret, Object::Secret(mut secret)) => {
            same_namespace(namespace, &mut secret.metadata.namespace)?;
            admit_secret(secret)
        }
        _ => Err(takes_a(kind)),
    }
}

/// The object that a change of these metadata is for.
fn before<B: Backend, T: DeserializeOwned>(
    node: &B,
    kind: ConfigKind,
    key: &Key,
    changed: &mut ObjectMeta,
) -> ApiResult<T> {
    same_object(key, changed)?;
    let found = listing::find(node.configs(kind), kind.resource(), key)?;
    same_version(kind.resource(), &key.name, found.version, changed)?;
    let old = wire::config_value(&found.value, found.version);
    serde_json::from_value(old).map_err(ApiError::internal)
}

fn takes_a(kind: ConfigKind) -> ApiError {
    ApiError::bad_request(format!("this path takes a {}", kind.as_str()))
}
