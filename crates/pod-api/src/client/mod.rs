//! The client: one connection a request, over the node's socket.

mod error;
mod exec;
mod lines;
mod logs;
mod objects;
mod path;
mod watch;
mod work;

pub use error::ClientError;
pub use exec::{Debug, ExecOutput, ExecReceiver, ExecRequest, ExecSender};
pub use logs::{LogBody, LogRequest};
pub use objects::{Created, Resource, Selectors};
pub use watch::{WatchEvent, WatchStream};
pub use work::Steps;

use crate::backend::NodeInfo;
use crate::error::{ApiError, Status};
use crate::socket;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
pub use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use path::Target;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

type Body = BoxBody<Bytes, io::Error>;

/// A client of the node whose runtime folder it is.
#[derive(Clone, Debug)]
pub struct Client {
    run: PathBuf,
}

impl Client {
    /// Nothing is connected yet.
    pub fn new(run: &Path) -> Self {
        Self {
            run: run.to_owned(),
        }
    }

    /// Whether a node listens there.
    pub async fn probe(&self) -> Result<(), ClientError> {
        self.connect().await.map(drop)
    }

    /// About the node.
    pub async fn node(&self) -> Result<NodeInfo, ClientError> {
        self.json(
            Method::GET,
            &Target::new("/apis/podwright.io/v1/node"),
            None,
        )
        .await
    }

    async fn connect(&self) -> Result<tokio::net::UnixStream, ClientError> {
        socket::connect(&self.run).await.map_err(|source| {
            let socket = self.run.join(socket::NAME);
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NotRunning { socket, source }
                }
                _ => ClientError::Connect { socket, source },
            }
        })
    }

    /// Sends a request; an answer that is no success becomes an error.
    async fn request(&self, request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        let response = self.answer(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(failure(response).await)
    }

    /// Sends a request and gives whatever is answered.
    async fn answer(&self, request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        let what = format!("{} {}", request.method(), request.uri());
        let broken = |source| ClientError::Broken {
            what: what.clone(),
            source: Box::new(source),
        };
        let stream = TokioIo::new(self.connect().await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(broken)?;
        // It ends with the answer's body; a failure of it is one of the body, too.
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.map_err(broken)
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &Target,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let request = build(method, target, body.map(|b| Bytes::from(b.to_string())))?;
        let response = self.request(request).await?;
        read_json(response, target).await
    }
}

fn build(
    method: Method,
    target: &Target,
    body: Option<Bytes>,
) -> Result<Request<Body>, ClientError> {
    let body = Full::new(body.unwrap_or_default());
    build_with(method, target, body.map_err(|never| match never {}).boxed())
}

fn build_with(method: Method, target: &Target, body: Body) -> Result<Request<Body>, ClientError> {
    let request = Request::builder()
        .method(method)
        .uri(target.as_str())
        .header(HOST, "podwright")
        .header(CONTENT_TYPE, "application/json");
    request
        .body(body)
        .map_err(|source| ClientError::Unsendable {
            what: target.as_str().to_owned(),
            source,
        })
}

async fn read_all(response: Response<Incoming>) -> Result<Bytes, hyper::Error> {
    Ok(response.into_body().collect().await?.to_bytes())
}

async fn read_json<T: DeserializeOwned>(
    response: Response<Incoming>,
    target: &Target,
) -> Result<T, ClientError> {
    let bytes = read_all(response)
        .await
        .map_err(|source| ClientError::Broken {
            what: target.as_str().to_owned(),
            source: Box::new(source),
        })?;
    serde_json::from_slice(&bytes).map_err(|source| ClientError::Unreadable {
        what: target.as_str().to_owned(),
        source,
    })
}

/// What the server said when it did not do as asked.
async fn failure(response: Response<Incoming>) -> ClientError {
    let code = response.status();
    let body = read_all(response).await.unwrap_or_default();
    match serde_json::from_slice::<Status>(&body) {
        Ok(status) if !status.message.is_empty() => ClientError::Server(ApiError::of(status)),
        _ => ClientError::Server(ApiError::internal(format!(
            "{code}: {}",
            String::from_utf8_lossy(&body)
        ))),
    }
}
