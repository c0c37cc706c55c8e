//! A body that is one JSON value a line.

use super::ClientError;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::collections::VecDeque;

/// The lines of a body, as they come.
#[derive(Debug)]
pub(super) struct Lines {
    what: String,
    body: Incoming,
    ready: VecDeque<Vec<u8>>,
    rest: Vec<u8>,
}

impl Lines {
    pub(super) fn new(what: &str, body: Incoming) -> Self {
        Self {
            what: what.to_owned(),
            body,
            ready: VecDeque::new(),
            rest: Vec::new(),
        }
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// The next line; `None` at the end. Safe to drop half way.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame = frame.map_err(|e| ClientError::broken(&self.what, e))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            self.rest.extend_from_slice(&data);
            let mut done = 0;
            for line in self.rest.split_inclusive(|b| *b == b'\n') {
                let Some(whole) = line.strip_suffix(b"\n") else {
                    break;
                };
                done += line.len();
                if !whole.is_empty() {
                    self.ready.push_back(whole.to_vec());
                }
            }
            self.rest.drain(..done);
        }
    }
}
