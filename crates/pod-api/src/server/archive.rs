//! A request's body as something that blocking code reads, and long work that tells how far it is.

use crate::backend::{ApiResult, Progress};
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// The body, to be read on a blocking thread.
#[derive(Debug)]
pub(super) struct BodyReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl BodyReader {
    /// Begins to take in the body; at most a few pieces wait to be read.
    pub(super) fn new(body: Body) -> Self {
        let (to, pieces) = mpsc::channel(8);
        tokio::spawn(async move {
            let mut body = body.into_data_stream();
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(io::Error::other);
                // Nobody reads any more: the rest is of no use.
                if to.send(piece).await.is_err() {
                    break;
                }
            }
        });
        Self {
            pieces,
            current: Bytes::new(),
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let n = out.len().min(self.current.len());
        let piece = self.current.split_to(n);
        if let Some(out) = out.get_mut(..n) {
            out.copy_from_slice(&piece);
        }
        Ok(n)
    }
}

/// Runs the work to its end, whether or not the client stays, and answers with a line for each step: `{"step": …}`, at last
/// `{"done": …}` or `{"error": v1.Status}`.
pub(super) fn answer_steps<F, W>(work: W) -> Response
where
    W: FnOnce(Progress) -> F,
    F: Future<Output = ApiResult<Value>> + Send + 'static,
{
    let (steps, told) = mpsc::unbounded_channel();
    let work = work(Progress(steps));
    let task = tokio::spawn(work);
    let lines = stream::unfold((told, Some(task)), |(mut told, task)| async move {
        if let Some(step) = told.recv().await {
            return Some((json!({"step": step}), (told, task)));
        }
        // All senders are gone, so the work is done.
        let last = match task?.await {
            Ok(Ok(value)) => json!({"done": value}),
            Ok(Err(error)) => json!({"error": error.to_status()}),
            Err(panic) => json!({"error": crate::error::ApiError::internal(panic).to_status()}),
        };
        Some((last, (told, None)))
    });
    let lines = lines.map(|value| Ok::<_, Infallible>(format!("{value}\n")));
    let headers = [(CONTENT_TYPE, "application/json")];
    (headers, Body::from_stream(lines)).into_response()
}
