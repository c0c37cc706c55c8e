//! Connects to a pod from within its own network namespace, so that every pod can be reached, whatever network it is on; to a host
//! that the user names, from the node.

use crate::actions::Target;
use crate::host::Host;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The pod itself.
    Pod(IpAddr),
    /// A host that the user named.
    Named(String),
}

impl Place {
    /// With a port, as it stands in an address.
    pub(super) fn with_port(&self, port: u16) -> String {
        match self {
            Place::Pod(ip) => SocketAddr::new(*ip, port).to_string(),
            Place::Named(name) if name.contains(':') => format!("[{name}]:{port}"),
            Place::Named(name) => format!("{name}:{port}"),
        }
    }
}

/// The named host, or the pod.
pub(super) fn place(target: &Target, named: Option<&str>) -> Place {
    match named {
        Some(name) => Place::Named(name.to_owned()),
        None => Place::Pod(target.ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))),
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialError {
    /// Nobody answered in time.
    Late(String),
    /// The kernel refused, or what was asked does.
    Failed { to: String, cause: String },
    /// The name means nothing.
    Lookup { name: String, cause: String },
}

impl fmt::Display for DialError {
    /// In the words of Go, which users of Kubernetes know.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialError::Late(to) => write!(f, "dial tcp {to}: i/o timeout"),
            DialError::Failed { to, cause } => write!(f, "dial tcp {to}: {cause}"),
            DialError::Lookup { name, cause } => write!(f, "dial tcp: lookup {name}: {cause}"),
        }
    }
}

/// Connects.
pub(super) async fn connect<H: Host>(
    host: &H,
    target: &Target,
    place: &Place,
    port: u16,
    limit: Option<Duration>,
) -> Result<TcpStream, DialError> {
    let work = async {
        match place {
            Place::Pod(ip) => to_pod(host, target, SocketAddr::new(*ip, port)).await,
            Place::Named(name) => to_named(name, port).await,
        }
    };
    match super::within(limit, work).await {
        Some(result) => result,
        None => Err(DialError::Late(place.with_port(port))),
    }
}

async fn to_pod<H: Host>(
    host: &H,
    target: &Target,
    to: SocketAddr,
) -> Result<TcpStream, DialError> {
    let failed = |cause: String| DialError::Failed {
        to: to.to_string(),
        cause,
    };
    let socket = host
        .socket(&target.pod, &target.id, to.is_ipv6())
        .await
        .map_err(|e| failed(e.message))?;
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
    socket
        .connect(to)
        .await
        .map_err(|e| failed(format!("connect: {}", words(&e))))
}

async fn to_named(name: &str, port: u16) -> Result<TcpStream, DialError> {
    let found = tokio::net::lookup_host((name, port)).await;
    let addresses = found.map_err(|e| DialError::Lookup {
        name: name.to_owned(),
        cause: words(&e),
    })?;
    let mut last = DialError::Lookup {
        name: name.to_owned(),
        cause: "no such host".to_owned(),
    };
    for to in addresses {
        match TcpStream::connect(to).await {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                last = DialError::Failed {
                    to: to.to_string(),
                    cause: format!("connect: {}", words(&error)),
                }
            }
        }
    }
    Err(last)
}

/// A system error as Go writes it: `connection refused`.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    match error.raw_os_error() {
        Some(_) => text.to_lowercase(),
        None => text.to_owned(),
    }
}
