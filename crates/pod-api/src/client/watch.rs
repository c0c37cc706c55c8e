//! Watches.

use super::lines::Lines;
use super::path::Target;
use super::{Client, ClientError, Resource, Selectors, build};
use crate::error::{ApiError, Status};
use crate::feed::ChangeKind;
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchEvent {
    /// What happened.
    pub kind: ChangeKind,
    /// The object after it; before it where it was deleted.
    pub object: Value,
}

/// A watch in progress.
#[derive(Debug)]
pub struct WatchStream(Lines);

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl Client {
    /// Every change after `version`; `None`: first every object as it is now, as `Added`.
    pub async fn watch(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        selectors: &Selectors,
        version: Option<&str>,
    ) -> Result<WatchStream, ClientError> {
        let target = selectors.add_to(resource.collection(namespace));
        let target = target
            .ask("watch", "true")
            .ask_if("resourceVersion", version);
        self.watch_at(&target).await
    }

    async fn watch_at(&self, target: &Target) -> Result<WatchStream, ClientError> {
        let response = self.request(build(Method::GET, target, None)?).await?;
        let lines = Lines::new(target.as_str(), response.into_body());
        Ok(WatchStream(lines))
    }
}

impl WatchStream {
    /// The next change; `None` when the node ends the watch. Safe to drop half way.
    pub async fn next(&mut self) -> Result<Option<WatchEvent>, ClientError> {
        loop {
            let Some(line) = self.0.next().await? else {
                return Ok(None);
            };
            let unreadable = |source| ClientError::Unreadable {
                what: self.0.what().to_owned(),
                source,
            };
            let raw: Raw = serde_json::from_slice(&line).map_err(unreadable)?;
            let kind = match raw.kind.as_str() {
                "ADDED" => ChangeKind::Added,
                "MODIFIED" => ChangeKind::Modified,
                "DELETED" => ChangeKind::Deleted,
                "ERROR" => {
                    let status: Status = serde_json::from_value(raw.object).map_err(unreadable)?;
                    return Err(ClientError::Server(ApiError::of(status)));
                }
                _ => continue,
            };
            return Ok(Some(WatchEvent {
                kind,
                object: raw.object,
            }));
        }
    }
}
