//! Services.

use super::listing::{self, ListQuery};
use super::patching;
use super::pods::{same_namespace, same_object, same_version, text_of};
use crate::admission::{admit_service, admit_service_update, read_one};
use crate::backend::{ApiResult, Backend, ServiceRecord};
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

const KIND: &str = "ServiceList";
const RESOURCE: &str = "services";

pub(super) async fn list_all<B: Backend>(
    State(node): State<Arc<B>>,
    query: ListArgument,
) -> ApiResult<Response> {
    listing::serve(node.services(), KIND, None, &query?.0)
}

pub(super) async fn list<B: Backend>(
    State(node): State<Arc<B>>,
    Path(namespace): Path<String>,
    query: ListArgument,
) -> ApiResult<Response> {
    listing::serve(node.services(), KIND, Some(namespace), &query?.0)
}

pub(super) async fn get<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
) -> ApiResult<Json<Value>> {
    find(&*node, &Key::new(namespace, name))
}

fn find<B: Backend>(node: &B, key: &Key) -> ApiResult<Json<Value>> {
    let found = listing::find(node.services(), RESOURCE, key)?;
    Ok(Json(wire::service_value(&found.value, found.version)))
}

pub(super) async fn create<B: Backend>(
    State(node): State<Arc<B>>,
    Path(namespace): Path<String>,
    body: BodyArgument,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let service = read(&namespace, &body?)?;
    let key = service.key();
    node.put_service(service, false).await?;
    Ok((StatusCode::CREATED, find(&*node, &key)?))
}

pub(super) async fn replace<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
    body: BodyArgument,
) -> ApiResult<Json<Value>> {
    let key = Key::new(namespace, name);
    let Object::Service(mut changed) = read_one(text_of(&body?)?)? else {
        return Err(takes_a_service());
    };
    same_object(&key, &mut changed.metadata)?;
    let found = listing::find(node.services(), RESOURCE, &key)?;
    same_version(RESOURCE, &key.name, found.version, &changed.metadata)?;
    let old = wire::service_value(&found.value, found.version);
    let old = serde_json::from_value(old).map_err(ApiError::internal)?;
    let (object, service) = admit_service_update(&old, *changed)?;
    let service = ServiceRecord { service, object };
    node.put_service(service, true).await?;
    find(&*node, &key)
}

pub(super) async fn patch<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
    headers: HeaderMap,
    body: BodyArgument,
) -> ApiResult<Json<Value>> {
    let state = || State(Arc::clone(&node));
    let path = || Path((namespace.clone(), name.clone()));
    let put = |body| replace::<B>(state(), path(), body);
    patching::patch(&headers, body, || get::<B>(state(), path()), put).await
}

pub(super) async fn delete<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Named,
) -> ApiResult<Json<Status>> {
    let key = Key::new(namespace, name);
    listing::find(node.services(), RESOURCE, &key)?;
    node.delete_service(&key).await?;
    Ok(Json(Status::success()))
}

fn read(namespace: &str, body: &Bytes) -> ApiResult<ServiceRecord> {
    match read_one(text_of(body)?)? {
        Object::Service(mut service) => {
            same_namespace(namespace, &mut service.metadata.namespace)?;
            let (object, service) = admit_service(*service)?;
            Ok(ServiceRecord { service, object })
        }
        _ => Err(takes_a_service()),
    }
}

fn takes_a_service() -> ApiError {
    ApiError::bad_request("this path takes a Service")
}
