//! `retry`: a second chance for a pod that has failed.

use super::args::RetryArgs;
use super::connect::{Places, connect};
use super::exit::Outcome;
use super::output::{data, print};
use super::target::pod_name;
use serde_json::json;

/// Has a pod go on where it failed, or begin again at an init container.
pub async fn retry(args: &RetryArgs, places: &Places) -> Outcome<u8> {
    let name = pod_name(&args.pod)?;
    let client = connect(places).await?;
    let namespace = args.namespace.or_default();
    let retried = client.retry(namespace, name, args.from.as_deref()).await?;
    match args.output {
        Some(format) => print(&data(&json!(retried), format)?)?,
        None => print(&format!("pod/{name}: {}\n", retried.text()))?,
    }
    Ok(0)
}
