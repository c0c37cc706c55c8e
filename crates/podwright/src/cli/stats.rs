//! `stats`: what a pod uses.

use super::args::StatsArgs;
use super::connect::{Places, connect};
use super::exit::Outcome;
use super::output::{data, print};
use super::target::pod_name;
use serde_json::json;

/// Shows what a pod and its running containers use now.
pub async fn stats(args: &StatsArgs, places: &Places) -> Outcome<u8> {
    let name = pod_name(&args.pod)?;
    let client = connect(places).await?;
    let stats = client.stats_of(args.namespace.or_default(), name).await?;
    match args.output {
        Some(format) => print(&data(&json!(stats), format)?)?,
        None => print(&pod_print::stats::stats(name, &stats))?,
    }
    Ok(0)
}
