//! `PATCH`: the object as it is, changed, in the place of itself. The verb of replacing it decides what may change.

use super::pods::BodyArgument;
use crate::backend::ApiResult;
use crate::error::{ApiError, Reason};
use crate::patch::{PatchKind, patched};
use axum::Json;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde_json::Value;

/// How often it is tried where the object is changed by others meanwhile.
const TRIES: u32 = 5;

/// Reads with `get`, patches, and writes with `put` until nobody was faster.
pub(super) async fn patch<G, P>(
    headers: &HeaderMap,
    body: BodyArgument,
    get: impl Fn() -> G,
    put: impl Fn(BodyArgument) -> P,
) -> ApiResult<Json<Value>>
where
    G: Future<Output = ApiResult<Json<Value>>>,
    P: Future<Output = ApiResult<Json<Value>>>,
{
    let body = body?;
    let media_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = PatchKind::of(media_type.unwrap_or_default())?;
    let mut tries = TRIES;
    loop {
        let Json(object) = get().await?;
        let new = patched(kind, &object, &body)?;
        // A version that the patch names itself must be that of the object.
        let version = |value: &Value| value.pointer("/metadata/resourceVersion").cloned();
        let own = version(&new) == version(&object);
        tries = tries.saturating_sub(1);
        match put(Ok(Bytes::from(new.to_string()))).await {
            Err(ApiError {
                reason: Reason::Conflict,
                ..
            }) if own && tries > 0 => {}
            answer => return answer,
        }
    }
}
