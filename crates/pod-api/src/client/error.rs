//! Why a request got no answer, or not the one that was hoped for.

use crate::error::{ApiError, Reason};
use std::io;
use std::path::PathBuf;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No node listens there.
    #[error("no node daemon listens on {}", socket.display())]
    NotRunning {
        /// Its socket.
        socket: PathBuf,
        /// What connecting said.
        source: io::Error,
    },
    /// The socket is there and cannot be used.
    #[error("connect to the node daemon at {}", socket.display())]
    Connect {
        /// Its socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the node daemon broke ({what})")]
    Broken {
        /// The request.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request cannot be written down.
    #[error("{what:?} is no path of a request")]
    Unsendable {
        /// The path.
        what: String,
        /// Why.
        source: hyper::http::Error,
    },
    /// The answer is not what the API says.
    #[error("unreadable answer of the node daemon to {what}")]
    Unreadable {
        /// The request.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The node said no. Shown as kubectl shows it.
    #[error("Error from server ({}): {}", .0.reason.as_str(), .0.message)]
    Server(ApiError),
}

impl ClientError {
    /// What the node said, if it did.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            ClientError::Server(error) => Some(error.reason),
            _ => None,
        }
    }

    pub(super) fn broken(
        what: &str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        ClientError::Broken {
            what: what.to_owned(),
            source: Box::new(source),
        }
    }
}
