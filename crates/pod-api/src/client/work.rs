//! Long work on the node that tells how far it is: imports, reset. And images.

use super::lines::Lines;
use super::path::Target;
use super::{Body, Client, ClientError, build, build_with};
use crate::backend::ImageRecord;
use crate::error::{ApiError, Status};
use http_body_util::{BodyExt, StreamBody};
use hyper::Method;
use hyper::body::{Bytes, Frame};
use serde::Deserialize;
use serde_json::Value;
use std::io;
use tokio::sync::mpsc;

/// Work in progress.
#[derive(Debug)]
pub struct Steps(Lines);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Step(String),
    Done(Value),
    Error(Status),
}

#[derive(Deserialize)]
struct Images {
    items: Vec<ImageRecord>,
}

#[derive(Deserialize)]
struct Removed {
    done: Vec<String>,
}

impl Client {
    /// All images.
    pub async fn images(&self) -> Result<Vec<ImageRecord>, ClientError> {
        let target = Target::new("/apis/podwright.io/v1/images");
        let images: Images = self.json(Method::GET, &target, None).await?;
        Ok(images.items)
    }

    /// Sends an archive, piece by piece as it comes through the channel; an error in it breaks the import off.
    pub async fn import_image(
        &self,
        name: Option<&str>,
        tag: Option<&str>,
        archive: mpsc::Receiver<io::Result<Bytes>>,
    ) -> Result<Steps, ClientError> {
        let target = Target::new("/apis/podwright.io/v1/images/import")
            .ask_if("name", name)
            .ask_if("tag", tag);
        let pieces = futures_util::stream::unfold(archive, |mut archive| async move {
            let piece = archive.recv().await?;
            Some((piece.map(Frame::data), archive))
        });
        let body: Body = BodyExt::boxed(StreamBody::new(pieces));
        let request = build_with(Method::POST, &target, body)?;
        let response = self.request(request).await?;
        Ok(Steps(Lines::new(target.as_str(), response.into_body())))
    }

    /// Takes a name off an image, and removes the image with its last name. Gives what was done, a line each.
    pub async fn remove_image(&self, name: &str, force: bool) -> Result<Vec<String>, ClientError> {
        let target = Target::new("/apis/podwright.io/v1/images")
            .ask("name", name)
            .ask_if("force", force.then_some("true"));
        let removed: Removed = self.json(Method::DELETE, &target, None).await?;
        Ok(removed.done)
    }

    /// Ends and removes everything that the node made.
    pub async fn reset(&self) -> Result<Steps, ClientError> {
        let target = Target::new("/apis/podwright.io/v1/reset");
        let response = self.request(build(Method::POST, &target, None)?).await?;
        Ok(Steps(Lines::new(target.as_str(), response.into_body())))
    }
}

impl Steps {
    /// Hands every step to `told`, and gives the result.
    pub async fn run(mut self, mut told: impl FnMut(&str)) -> Result<Value, ClientError> {
        while let Some(line) = self.0.next().await? {
            let line: Line =
                serde_json::from_slice(&line).map_err(|source| ClientError::Unreadable {
                    what: self.0.what().to_owned(),
                    source,
                })?;
            match line {
                Line::Step(step) => told(&step),
                Line::Done(value) => return Ok(value),
                Line::Error(status) => return Err(ClientError::Server(ApiError::of(status))),
            }
        }
        Err(ClientError::broken(
            self.0.what(),
            io::Error::from(io::ErrorKind::UnexpectedEof),
        ))
    }
}
