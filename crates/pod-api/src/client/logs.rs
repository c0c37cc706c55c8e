//! Logs.

use super::path::Target;
use super::{Client, ClientError, Resource, build};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::{Bytes, Incoming};
use jiff::Timestamp;

/// Which log, and what of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// `metadata.namespace` of the pod.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// The container; "" = its only one.
    pub container: String,
    /// Go on while it runs.
    pub follow: bool,
    /// Of the attempt before the newest one.
    pub previous: bool,
    /// Of that attempt.
    pub attempt: Option<u32>,
    /// Of every attempt, one after the other; following goes on with those to come.
    pub all_attempts: bool,
    /// Times before the lines.
    pub timestamps: bool,
    /// Only the last lines.
    pub tail: Option<u64>,
    /// Only what is not older than so many seconds.
    pub since_seconds: Option<i64>,
    /// Only what is not older than this.
    pub since_time: Option<Timestamp>,
    /// End after so many bytes.
    pub limit_bytes: Option<u64>,
}

/// A log as it comes.
#[derive(Debug)]
pub struct LogBody {
    what: String,
    body: Incoming,
}

impl Client {
    /// Begins to read a log.
    pub async fn logs(&self, log: &LogRequest) -> Result<LogBody, ClientError> {
        let flag = |b: bool| b.then_some("true");
        let text = (!log.container.is_empty()).then(|| log.container.clone());
        let target: Target = Resource::Pods
            .one(&log.namespace, &log.pod)
            .child("log")
            .ask_if("container", text)
            .ask_if("follow", flag(log.follow))
            .ask_if("previous", flag(log.previous))
            .ask_if("attempt", log.attempt)
            .ask_if("allAttempts", flag(log.all_attempts))
            .ask_if("timestamps", flag(log.timestamps))
            .ask_if("tailLines", log.tail)
            .ask_if("sinceSeconds", log.since_seconds)
            .ask_if("sinceTime", log.since_time)
            .ask_if("limitBytes", log.limit_bytes);
        let response = self.request(build(Method::GET, &target, None)?).await?;
        Ok(LogBody {
            what: target.as_str().to_owned(),
            body: response.into_body(),
        })
    }
}

impl LogBody {
    /// The next piece; `None` at the end. Safe to drop half way.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|e| ClientError::broken(&self.what, e))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}
