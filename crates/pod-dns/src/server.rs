//! Serving: datagrams and streams, each query a task of its own.

use crate::index::{Index, Outcome, refusal, udp_limit};
use crate::upstream::{self, read_message, write_message};
use crate::zone::Zone;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Most queries at work at once. What comes above it waits in the sockets: pods cannot use up the node's memory.
const MOST_AT_ONCE: usize = 256;

/// How long a client on a stream may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// Largest datagram.
const LARGEST: usize = 65_535;

/// What is served now. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    now: RwLock<Arc<Now>>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Now {
    index: Index,
    upstream: Vec<SocketAddr>,
}

impl Now {
    fn of(zone: &Zone) -> Arc<Self> {
        Arc::new(Self {
            index: Index::new(zone),
            upstream: zone.upstream.clone(),
        })
    }
}

impl Server {
    /// One that serves this zone.
    pub fn new(zone: &Zone) -> Self {
        Self(Arc::new(Inner {
            now: RwLock::new(Now::of(zone)),
            places: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        }))
    }

    /// Serves this zone from now on.
    pub fn replace(&self, zone: &Zone) {
        // The value is replaced at one stroke: a panic elsewhere leaves it whole.
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = Now::of(zone);
    }

    fn now(&self) -> Arc<Now> {
        Arc::clone(&self.0.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves datagrams for ever.
    ///
    /// # Errors
    /// When the socket breaks.
    pub async fn datagrams(&self, socket: UdpSocket) -> io::Result<()> {
        let socket = Arc::new(socket);
        let mut buffer = vec![0; LARGEST];
        loop {
            let Ok(place) = Arc::clone(&self.0.places).acquire_owned().await else {
                return Ok(());
            };
            let (length, client) = match socket.recv_from(&mut buffer).await {
                Ok(got) => got,
                // A client that is gone already: the kernel tells of it on the next call.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(e) => return Err(e),
            };
            let query = buffer.get(..length).unwrap_or_default().to_vec();
            let (server, socket) = (self.clone(), Arc::clone(&socket));
            tokio::spawn(async move {
                if let Some(answer) = server.answer(&query, false).await {
                    // A client that is gone needs no answer.
                    let _ = socket.send_to(&answer, client).await;
                }
                drop(place);
            });
        }
    }

    /// Serves streams for ever.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn streams(&self, listener: TcpListener) -> io::Result<()> {
        loop {
            let Ok(place) = Arc::clone(&self.0.places).acquire_owned().await else {
                return Ok(());
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // The client gave up before it was accepted.
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(e) => return Err(e),
            };
            let server = self.clone();
            tokio::spawn(async move {
                // A client that breaks off ends its own connection only.
                let _ = server.stream(stream).await;
                drop(place);
            });
        }
    }

    async fn stream(&self, mut stream: TcpStream) -> io::Result<()> {
        while let Ok(Ok(query)) = timeout(SILENCE, read_message(&mut stream)).await {
            match self.answer(&query, true).await {
                Some(answer) => timeout(SILENCE, write_message(&mut stream, &answer)).await??,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// The answer to a query as it came; `None` to what is no query.
    async fn answer(&self, bytes: &[u8], stream: bool) -> Option<Vec<u8>> {
        let request = Message::from_vec(bytes).ok()?;
        if request.metadata.message_type != MessageType::Query {
            return None;
        }
        if request.metadata.op_code != OpCode::Query {
            return refusal(&request, ResponseCode::NotImp).to_vec().ok();
        }
        let now = self.now();
        let answer = match now.index.answer(&request) {
            Outcome::Answer(answer) => *answer,
            // Without anybody to ask, nothing else exists; said at once, for many resolvers wait long when told of a failure.
            Outcome::Elsewhere if now.upstream.is_empty() => {
                refusal(&request, ResponseCode::NXDomain)
            }
            Outcome::Elsewhere => match upstream::ask(&now.upstream, bytes, stream).await {
                Some(answer) => return Some(answer),
                None => refusal(&request, ResponseCode::ServFail),
            },
        };
        let bytes = answer.to_vec().ok()?;
        if stream || bytes.len() <= udp_limit(&request) {
            return Some(bytes);
        }
        answer.truncate().to_vec().ok()
    }
}
