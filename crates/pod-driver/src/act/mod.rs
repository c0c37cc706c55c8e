//! Reaches into containers: runs a program in one, or asks it over its own network.

mod dial;
mod exec;
mod grpc;
mod http;

use crate::actions::{Actions, Target};
use crate::host::Host;
use pod_plan::action::{Action, Purpose};
use pod_plan::probes::Outcome;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of an answer or of output that are looked at.
const MOST_BYTES: usize = 10 << 10;

/// Probes and hooks by way of a host.
#[derive(Debug)]
pub struct Reach<H>(pub Arc<H>);

impl<H: Host> Actions for Reach<H> {
    async fn act(
        &self,
        target: &Target,
        action: &Action,
        purpose: Purpose,
        limit: Option<Duration>,
    ) -> Outcome {
        let host = self.0.as_ref();
        match action {
            Action::Exec { command } => exec::run(host, target, command, purpose, limit).await,
            Action::Http(get) => http::get(host, target, get, purpose, limit).await,
            Action::Tcp { host: to, port } => {
                let to = dial::place(target, to.as_deref());
                match dial::connect(host, target, &to, *port, limit).await {
                    Ok(_) => Outcome::Success,
                    Err(error) => Outcome::Failure(error.to_string()),
                }
            }
            Action::Grpc {
                port,
                service,
                user_agent,
            } => grpc::check(host, target, *port, service, user_agent, limit).await,
            Action::Sleep { seconds } => {
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
                Outcome::Success
            }
        }
    }
}

/// Waits no longer than the limit, where there is one.
async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        None => Some(work.await),
        Some(limit) => tokio::time::timeout(limit, work).await.ok(),
    }
}

/// A duration as Go prints it.
fn go(limit: Option<Duration>) -> String {
    let limit = limit.and_then(|l| jiff::SignedDuration::try_from(l).ok());
    pod_plan::back_off::go_duration(limit.unwrap_or_default())
}

#[cfg(test)]
mod tests;
