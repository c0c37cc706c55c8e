//! A connection to a supervisor: one task owns it, numbers requests, hands answers to who asked, and tells what happened.

use pod_sys::frame::{FrameReader, FrameWriter};
use pod_wire::VERSION;
use pod_wire::supervisor::{
    Event, Failure, FromSupervisor, Hello, ReplyBody, Request, RequestBody,
};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::Interest;
use tokio::sync::{mpsc, oneshot};

/// Who is told what a supervisor says unasked. Called in order, from the connection's task: must not wait.
pub(crate) trait Notices: Send + 'static {
    /// Something happened; `fds` came with it.
    fn event(&self, event: Event, fds: Vec<OwnedFd>);

    /// The connection has ended without having been closed by this side. Not told of one on which no request was ever answered: who asked
    /// knows.
    fn lost(&self);
}

/// A good answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: ReplyBody,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Why there is no good answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// The supervisor says no.
    Failed(Failure),
    /// The connection has ended. Of a [`Node`](crate::node_state::Node): and there is no supervisor any more.
    Lost,
    /// The supervisor lives and cannot be spoken with now, for this reason. It is tried again.
    Away(String),
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AskError::Failed(failure) => write!(f, "{}: {}", failure.step, failure.cause),
            AskError::Lost => f.write_str("the connection to the sandbox's supervisor has ended"),
            AskError::Away(cause) => write!(
                f,
                "the sandbox's supervisor cannot be reached now: {cause}; it is tried again"
            ),
        }
    }
}

/// Who asks: one node daemon. Its requests are numbered over all its connections, because to a supervisor a number that it has seen of this
/// generation means the request that it has seen, whichever connection it comes on.
#[derive(Debug)]
pub(crate) struct Asker {
    generation: u64,
    asked: AtomicU64,
}

impl Asker {
    /// The daemon of that generation, which has asked nothing yet.
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            generation,
            asked: AtomicU64::new(0),
        }
    }

    fn next(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[derive(Debug)]
struct Ask {
    body: RequestBody,
    fds: Vec<OwnedFd>,
    answer: oneshot::Sender<Result<Answer, AskError>>,
}

/// The way to ask. Dropped, it closes the connection; the supervisor lives on.
#[derive(Debug)]
pub(crate) struct Client {
    asks: mpsc::UnboundedSender<Ask>,
}

impl Client {
    /// Says hello on a new connection and serves it until one side ends it.
    pub(crate) fn new(
        socket: UnixStream,
        asker: &Arc<Asker>,
        notices: impl Notices,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UnixStream::from_std(socket)?;
        let mut writer = FrameWriter::new();
        let hello = Hello {
            version: VERSION,
            generation: asker.generation,
            pid: rustix::process::getpid().as_raw_nonzero().get(),
        };
        writer.push(serde_json::to_vec(&hello)?, Vec::new())?;
        let (asks, asked) = mpsc::unbounded_channel();
        let connection = Connection {
            socket,
            reader: FrameReader::new(),
            writer,
            greeted: false,
            serves: false,
            waiting: BTreeMap::new(),
            asker: Arc::clone(asker),
        };
        tokio::spawn(connection.serve(asked, notices));
        Ok(Self { asks })
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(
        &self,
        body: RequestBody,
        fds: Vec<OwnedFd>,
    ) -> Result<Answer, AskError> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { body, fds, answer };
        self.asks.send(ask).map_err(|_| AskError::Lost)?;
        answered.await.unwrap_or(Err(AskError::Lost))
    }
}

struct Connection {
    socket: tokio::net::UnixStream,
    reader: FrameReader,
    writer: FrameWriter,
    greeted: bool,
    /// Whether a request was answered: only then does its end matter to anybody.
    serves: bool,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Answer, AskError>>>,
    asker: Arc<Asker>,
}

impl Connection {
    async fn serve(mut self, mut asked: mpsc::UnboundedReceiver<Ask>, notices: impl Notices) {
        let mut open = true;
        loop {
            if let Err(e) = self.flush() {
                if e.kind() != io::ErrorKind::BrokenPipe {
                    break;
                }
                // The peer has gone. What it said before is still to be read, and then its end.
                self.writer = FrameWriter::new();
            }
            let interest = match self.writer.is_empty() {
                true => Interest::READABLE,
                false => Interest::READABLE | Interest::WRITABLE,
            };
            tokio::select! {
                ask = asked.recv(), if open => match ask {
                    Some(ask) => if self.send(ask).is_err() { break },
                    // Nobody will ask any more: answers that are awaited still come.
                    None => {
                        open = false;
                        if self.waiting.is_empty() {
                            return;
                        }
                    }
                },
                ready = self.socket.ready(interest) => {
                    if ready.is_err() || self.take(&notices).is_err() {
                        break;
                    }
                    if !open && self.waiting.is_empty() {
                        return;
                    }
                }
            }
        }
        // Entered before whoever waits is told: who looks for the supervisor then waits for its successor, and learns from that one what
        // became of its request.
        if open && self.serves {
            notices.lost();
        }
        self.waiting.clear();
    }

    fn send(&mut self, ask: Ask) -> io::Result<()> {
        let id = self.asker.next();
        let request = Request { id, body: ask.body };
        let bytes = serde_json::to_vec(&request)?;
        match self.writer.push(bytes, ask.fds) {
            Ok(()) => {
                self.waiting.insert(id, ask.answer);
            }
            Err(e) => {
                let failure = Failure {
                    step: "request".to_owned(),
                    cause: e.to_string(),
                    not_found: false,
                };
                let _ = ask.answer.send(Err(AskError::Failed(failure)));
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.writer.is_empty() {
            return Ok(());
        }
        let (socket, writer) = (&self.socket, &mut self.writer);
        match socket.try_io(Interest::WRITABLE, || writer.write(socket)) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }

    /// Takes every frame that is there. An error: the connection is over.
    fn take(&mut self, notices: &impl Notices) -> io::Result<()> {
        loop {
            let (socket, reader) = (&self.socket, &mut self.reader);
            let frame = match socket.try_io(Interest::READABLE, || reader.read(socket)) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            if !self.greeted {
                let hello: Hello = serde_json::from_slice(&frame.bytes)?;
                // An older supervisor may be one version behind; a newer one speaks ours too.
                if hello.version + 1 < VERSION {
                    return Err(io::ErrorKind::Unsupported.into());
                }
                self.greeted = true;
                continue;
            }
            match serde_json::from_slice(&frame.bytes)? {
                FromSupervisor::Event(event) => notices.event(event, frame.fds),
                FromSupervisor::Reply(reply) => {
                    self.serves = true;
                    if let Some(answer) = self.waiting.remove(&reply.id) {
                        let fds = frame.fds;
                        let result = reply.result.map(|body| Answer { body, fds });
                        // Who asked may have given up.
                        let _ = answer.send(result.map_err(AskError::Failed));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_sys::frame;
    use std::sync::mpsc as std_mpsc;

    struct Told(std_mpsc::Sender<String>);

    impl Notices for Told {
        fn event(&self, event: Event, fds: Vec<OwnedFd>) {
            let _ = self.0.send(format!("{event:?} {}", fds.len()));
        }

        fn lost(&self) {
            let _ = self.0.send("lost".to_owned());
        }
    }

    fn say(socket: &UnixStream, message: &impl serde::Serialize) {
        frame::send(socket, &serde_json::to_vec(message).unwrap(), &[]).unwrap();
    }

    fn hear<T: serde::de::DeserializeOwned>(socket: &UnixStream) -> T {
        let (bytes, _) = frame::recv(socket).unwrap().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn answers_find_who_asked_in_any_order_and_the_end_is_told_once() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (told, heard) = std_mpsc::channel();
        let asker = Arc::new(Asker::new(7));
        let client = Arc::new(Client::new(ours, &asker, Told(told)).unwrap());
        let peer = std::thread::spawn(move || {
            let hello: Hello = hear(&theirs);
            assert_eq!(hello.generation, 7);
            say(
                &theirs,
                &Hello {
                    version: VERSION,
                    generation: 0,
                    pid: 1,
                },
            );
            let first: Request = hear(&theirs);
            let second: Request = hear(&theirs);
            assert!(second.id > first.id);
            let exec = Event::ExecExited {
                id: "c".into(),
                exec: "e".into(),
                code: 3,
            };
            say(&theirs, &FromSupervisor::Event(exec));
            for (request, result) in [
                (
                    second,
                    Err(Failure {
                        step: "s".into(),
                        cause: "c".into(),
                        not_found: true,
                    }),
                ),
                (first, Ok(ReplyBody::Done)),
            ] {
                let reply = pod_wire::supervisor::Reply {
                    id: request.id,
                    result,
                };
                say(&theirs, &FromSupervisor::Reply(reply));
            }
            let _third: Request = hear(&theirs);
        });
        let other = Arc::clone(&client);
        let first = tokio::spawn(async move { other.ask(RequestBody::State, Vec::new()).await });
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let second = client.ask(RequestBody::Shutdown, Vec::new()).await;
        assert!(matches!(second, Err(AskError::Failed(f)) if f.not_found));
        assert!(matches!(
            first.await.unwrap(),
            Ok(Answer {
                body: ReplyBody::Done,
                ..
            })
        ));
        assert!(heard.recv().unwrap().contains("ExecExited"));
        let third = client.ask(RequestBody::State, Vec::new()).await;
        assert!(matches!(third, Err(AskError::Lost)));
        // The loss is known to who waited for an answer.
        assert_eq!(heard.try_recv().unwrap(), "lost");
        peer.join().unwrap();
        assert!(matches!(
            client.ask(RequestBody::State, Vec::new()).await,
            Err(AskError::Lost)
        ));
    }
}
