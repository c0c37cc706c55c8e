//! Patches of objects, in the three forms that a Kubernetes client sends: what an object is after one.

mod strategic;

use crate::error::{ApiError, Reason};
use serde_json::Value;

/// How a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// A list of operations (RFC 6902).
    Json,
    /// The object's changed fields (RFC 7386): `null` removes one, lists are replaced.
    Merge,
    /// Likewise, but lists that have a key (containers, env, volumes, …) are merged by it.
    Strategic,
}

impl PatchKind {
    const ALL: [PatchKind; 3] = [PatchKind::Json, PatchKind::Merge, PatchKind::Strategic];

    /// The media type of such a patch.
    pub fn media_type(self) -> &'static str {
        match self {
            PatchKind::Json => "application/json-patch+json",
            PatchKind::Merge => "application/merge-patch+json",
            PatchKind::Strategic => "application/strategic-merge-patch+json",
        }
    }

    /// By the media type of a request; parameters behind it do not count.
    pub(crate) fn of(media_type: &str) -> Result<Self, ApiError> {
        let own = media_type.split(';').next().unwrap_or_default().trim();
        let found = Self::ALL.into_iter().find(|k| k.media_type() == own);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::media_type).join(", ");
            let text = format!(
                "the body of the request was in an unknown format ({own:?}) - accepted media types include: {known}"
            );
            ApiError::new(Reason::UnsupportedMediaType, text)
        })
    }
}

/// Reads what a person wrote: JSON, or the same as YAML.
pub fn read(text: &str) -> Result<Value, String> {
    let json = serde_json::from_str(text);
    json.or_else(|_| serde_saphyr::from_str(text))
        .map_err(|e| format!("the patch is neither JSON nor YAML: {e}"))
}

/// The object after the patch. What it is worth as an object is not looked at.
pub(crate) fn patched(kind: PatchKind, object: &Value, patch: &[u8]) -> Result<Value, ApiError> {
    let unreadable = |e: serde_json::Error| {
        ApiError::bad_request(format!("error decoding patch: {e}: a patch is JSON here"))
    };
    let mut object = object.clone();
    match kind {
        PatchKind::Json => {
            let patch: json_patch::Patch = serde_json::from_slice(patch).map_err(unreadable)?;
            json_patch::patch(&mut object, &patch).map_err(|e| {
                let text = format!("the server rejected our request due to an error in our request: operation {} at {:?}: {}", e.operation, e.path.as_str(), e.kind);
                ApiError::new(Reason::Invalid, text)
            })?;
        }
        PatchKind::Merge => {
            let patch = of_fields(patch, unreadable)?;
            json_patch::merge(&mut object, &patch);
        }
        PatchKind::Strategic => {
            let patch = of_fields(patch, unreadable)?;
            strategic::merge(&mut object, &patch)
                .map_err(|e| ApiError::bad_request(format!("strategic merge patch: {e}")))?;
        }
    }
    Ok(object)
}

fn of_fields(
    patch: &[u8],
    unreadable: impl Fn(serde_json::Error) -> ApiError,
) -> Result<Value, ApiError> {
    let patch: Value = serde_json::from_slice(patch).map_err(unreadable)?;
    match patch.is_object() {
        true => Ok(patch),
        false => Err(ApiError::bad_request(
            "error decoding patch: it must be an object with the fields that change",
        )),
    }
}

#[cfg(test)]
mod tests;
