//! ConfigMaps and Secrets.

use super::listing::{self, ListQuery};
use super::patching;
use super::pods::{same_name, same_namespace, same_version, text_of, version_of};
use crate::admission::{admit_config_map, admit_secret, read_one};
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
use pod_manifest::Object;
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
    let config = read(kind, &namespace, &body?)?;
    same_name(&name, &config.name)?;
    let key = config.key();
    let before = listing::find(node.configs(kind), kind.resource(), &key)?;
    same_version(
        kind.resource(),
        &name,
        before.version,
        version_of(&config.object),
    )?;
    let immutable = before.value.object.get("immutable") == Some(&Value::Bool(true));
    if immutable && before.value.data != config.data {
        return Err(ApiError::new(
            crate::error::Reason::Invalid,
            format!(
                "{} \"{name}\" is invalid: data: Forbidden: field is immutable when `immutable` is set",
                kind.as_str()
            ),
        ));
    }
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
        _ => Err(ApiError::bad_request(format!(
            "this path takes a {}",
            kind.as_str()
        ))),
    }
}
