//! Finds what a command means when it names kinds and labels instead of objects.

use super::exit::Outcome;
use super::target::Target;
use super::view::{items, text};
use pod_api::client::{Client, Resource, Selectors};

/// Every object of those kinds with those labels, in one namespace or (`None`) in all.
pub async fn find_all(
    client: &Client,
    kinds: &[Resource],
    namespace: Option<&str>,
    labels: Option<&str>,
) -> Outcome<Vec<Target>> {
    let selectors = Selectors {
        labels: labels.unwrap_or_default().to_owned(),
        ..Selectors::default()
    };
    let mut found = Vec::new();
    for resource in kinds {
        let list = client.list(*resource, namespace, &selectors).await?;
        found.extend(items(list).iter().map(|object| Target {
            resource: *resource,
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
        }));
    }
    Ok(found)
}
