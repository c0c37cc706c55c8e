//! exec.

use super::path::Target;
use super::{Client, ClientError, Resource, build, failure};
use crate::channel::{
    self, CLOSE, ERROR, EXIT_CODE, PROTOCOLS, RESIZE, STDERR, STDIN, STDOUT, TerminalSize,
};
use crate::error::Status;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use hyper::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use hyper::upgrade::Upgraded;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A process to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// `metadata.namespace` of the pod.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// The container; "" = its only one.
    pub container: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether its standard input comes from here.
    pub stdin: bool,
    /// Whether its streams are a terminal.
    pub tty: bool,
    /// A debugging session in what is left of `container`, instead of a process in it as it runs.
    pub debug: Option<Debug>,
}

/// What a debugging session has besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Debug {
    /// The files of this image, instead of the container's.
    pub image: Option<String>,
}

/// What a process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecOutput {
    /// On its standard output.
    Stdout(Bytes),
    /// On its standard error.
    Stderr(Bytes),
    /// It ended: its exit code, or why nobody knows it.
    Ended(Result<i32, String>),
}

/// This side's way to the process.
#[derive(Debug)]
pub struct ExecSender(SplitSink<Socket, Message>);

/// The process's way to this side.
#[derive(Debug)]
pub struct ExecReceiver(SplitStream<Socket>);

impl Client {
    /// Starts a process in a running container.
    pub async fn exec(
        &self,
        exec: &ExecRequest,
    ) -> Result<(ExecSender, ExecReceiver), ClientError> {
        let mut target = match &exec.debug {
            None => Resource::Pods.one(&exec.namespace, &exec.pod).child("exec"),
            Some(debug) => Target::new("/apis/podwright.io/v1/namespaces")
                .child(&exec.namespace)
                .child("pods")
                .child(&exec.pod)
                .child("debug")
                .ask("target", &exec.container)
                .ask_if("image", debug.image.as_deref()),
        };
        if exec.debug.is_none() && !exec.container.is_empty() {
            target = target.ask("container", &exec.container);
        }
        for word in &exec.command {
            target = target.ask("command", word);
        }
        for (name, asked) in [
            ("stdin", exec.stdin),
            ("stdout", true),
            ("stderr", !exec.tty),
            ("tty", exec.tty),
        ] {
            target = target.ask(name, if asked { "true" } else { "false" });
        }
        let mut request = build(Method::GET, &target, None)?;
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let key = HeaderValue::from_str(&generate_key());
        headers.insert(
            SEC_WEBSOCKET_KEY,
            key.map_err(|e| ClientError::Unsendable {
                what: target.as_str().to_owned(),
                source: e.into(),
            })?,
        );
        let [newest, _] = PROTOCOLS;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(newest));
        let response = self.answer(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(failure(response).await);
        }
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|e| ClientError::broken(target.as_str(), e))?;
        let io = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
        let (sender, receiver) = socket.split();
        Ok((ExecSender(sender), ExecReceiver(receiver)))
    }
}

impl ExecSender {
    async fn send(&mut self, channel: u8, data: &[u8]) -> Result<(), ClientError> {
        let message = Message::Binary(channel::message(channel, data).into());
        let sent = self.0.send(message).await;
        sent.map_err(|e| ClientError::broken("exec", e))
    }

    /// Bytes for its standard input.
    pub async fn stdin(&mut self, data: &[u8]) -> Result<(), ClientError> {
        self.send(STDIN, data).await
    }

    /// Its standard input is at its end.
    pub async fn close_stdin(&mut self) -> Result<(), ClientError> {
        self.send(CLOSE, &[STDIN]).await
    }

    /// Its terminal has this size.
    pub async fn resize(&mut self, size: TerminalSize) -> Result<(), ClientError> {
        let data = serde_json::to_vec(&size).unwrap_or_default();
        self.send(RESIZE, &data).await
    }
}

impl ExecReceiver {
    /// What it says next. `Ended` comes last and always.
    pub async fn next(&mut self) -> Result<ExecOutput, ClientError> {
        loop {
            let message = match self.0.next().await {
                Some(message) => message.map_err(|e| ClientError::broken("exec", e))?,
                None => Message::Close(None),
            };
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Close(_) => {
                    let lost = "the connection to the node daemon broke".to_owned();
                    return Ok(ExecOutput::Ended(Err(lost)));
                }
                _ => continue,
            };
            match channel::split(&bytes) {
                Some((STDOUT, [_, ..])) => return Ok(ExecOutput::Stdout(bytes.slice(1..))),
                Some((STDERR, [_, ..])) => return Ok(ExecOutput::Stderr(bytes.slice(1..))),
                Some((ERROR, data)) => return Ok(ExecOutput::Ended(ended(data))),
                _ => {}
            }
        }
    }
}

fn ended(data: &[u8]) -> Result<i32, String> {
    let status: Status = serde_json::from_slice(data).map_err(|e| e.to_string())?;
    if status.status == "Success" {
        return Ok(0);
    }
    let details = status.details.unwrap_or_default();
    let code = details.causes.iter().find(|c| c.reason == EXIT_CODE);
    code.and_then(|c| c.message.parse().ok())
        .ok_or(status.message)
}
