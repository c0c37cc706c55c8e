//! What requests about images mean: the store's answers in the API's words.

use super::chain::chain;
use jiff::Timestamp;
use pod_api::backend::{ApiResult, ImageImport, ImageRecord, Progress};
use pod_api::error::{ApiError, Reason};
use pod_driver::queue::Message;
use pod_image::{FactsError, ImportOptions, Phase, Reference, RemoveError, Store};
use pod_model::ids::{ImageId, ImageName};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> ApiResult<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ApiError::internal)
}

/// All images; names of one image together.
pub async fn list(store: Arc<Store>) -> ApiResult<Vec<ImageRecord>> {
    let rows = blocking(move || store.list())
        .await?
        .map_err(|e| ApiError::internal(chain(&e)))?;
    let mut images: BTreeMap<String, ImageRecord> = BTreeMap::new();
    for row in rows {
        let id = row.id.to_string();
        let image = images.entry(id.clone()).or_insert_with(|| ImageRecord {
            id,
            digest: row.digest.to_string(),
            size: row.size,
            created: row
                .created
                .as_deref()
                .and_then(|t| t.parse::<Timestamp>().ok()),
            ..ImageRecord::default()
        });
        image.names.extend(row.name.map(|n| n.to_string()));
        image.pinned = !image.names.is_empty();
    }
    Ok(images.into_values().collect())
}

/// Imports an archive and tells how far it is.
pub async fn import(
    store: Arc<Store>,
    request: ImageImport,
    archive: Box<dyn Read + Send>,
    progress: Progress,
) -> ApiResult<Vec<ImageRecord>> {
    let name = match request.name.as_deref().map(Reference::parse) {
        None => None,
        Some(Ok(name)) => Some(name),
        Some(Err(error)) => return Err(ApiError::bad_request(chain(&error))),
    };
    let options = ImportOptions {
        name,
        tag: request.tag,
    };
    let mut archive = archive;
    let imported = blocking(move || {
        store.import_stream(&mut *archive, &options, &mut |step| {
            progress.step(words(step))
        })
    })
    .await?;
    let imported = imported.map_err(|error| ApiError::bad_request(chain(&error)))?;
    Ok(vec![ImageRecord {
        id: imported.id.to_string(),
        digest: imported.digest.to_string(),
        names: imported.names.iter().map(ToString::to_string).collect(),
        size: imported.size,
        pinned: true,
        created: None,
    }])
}

fn words(step: pod_image::Progress) -> String {
    let phase = match step.phase {
        Phase::Waiting => "waiting for another import",
        Phase::Reading => "reading",
        Phase::Verifying => "verifying",
        Phase::Unpacking => "unpacking",
        Phase::Finishing => "finishing",
    };
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    match step.total {
        Some(total) if total > 0 => format!("{phase} {} of {}", mib(step.done), mib(total)),
        _ if step.done > 0 => format!("{phase} {}", mib(step.done)),
        _ => phase.to_owned(),
    }
}

/// For each name as pods write it that means one of these images now: a message to their tasks.
pub fn arrived(imported: &[ImageRecord], wanted: &[ImageName]) -> Vec<Message> {
    let names: Vec<&String> = imported.iter().flat_map(|i| &i.names).collect();
    let means = |written: &ImageName| {
        Reference::parse(written.as_str()).is_ok_and(|r| names.contains(&&r.to_string()))
    };
    wanted
        .iter()
        .filter(|w| means(w))
        .cloned()
        .map(Message::Image)
        .collect()
}

/// Takes a name off an image, or removes it; not while a pod wants it.
pub async fn remove(
    store: Arc<Store>,
    name: String,
    wanted: Vec<ImageName>,
) -> ApiResult<Vec<String>> {
    let removed = blocking(move || {
        let mut in_use: Vec<ImageId> = Vec::new();
        for wanted in &wanted {
            match store.facts(wanted) {
                Ok(found) => in_use.push(found.facts.id.clone()),
                // Whether a pod uses it cannot be told now.
                Err(FactsError::Store { source, .. }) if !source.is_damage() => {
                    return Err(source.into());
                }
                Err(_) => {}
            }
        }
        store.remove(&name, &in_use)
    });
    let removed = removed.await?.map_err(|error| {
        let reason = match error {
            RemoveError::NotFound { .. } => Reason::NotFound,
            RemoveError::InUse { .. } => Reason::Conflict,
            RemoveError::Name { .. } | RemoveError::Ambiguous { .. } => Reason::BadRequest,
            RemoveError::Store(_) => Reason::InternalError,
        };
        ApiError::new(reason, chain(&error))
    })?;
    let untagged = removed.names.iter().map(|n| format!("Untagged: {n}"));
    let deleted = removed.images.iter().map(|i| format!("Deleted: {i}"));
    Ok(untagged.chain(deleted).collect())
}
