//! What enters a pod's task from outside.

use jiff::Timestamp;
use pod_model::ids::{ContainerId, ContainerName, ImageName};
use pod_model::pod::Pod;
use pod_plan::events::{LogNews, PodEvent};
use pod_plan::probes::Findings;
pub use pod_plan::retry::{Retried, RetryError};
use tokio::sync::mpsc;

/// Something for a pod's task.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The pod shall go.
    Delete {
        /// When that was asked for.
        at: Timestamp,
        /// From the stop signal to SIGKILL, in seconds; `None` = the pod's own.
        grace_seconds: Option<u64>,
    },
    /// Labels, annotations or spec of the pod changed; what may not change has been looked after.
    Update(Box<Pod>),
    /// A fact changed: an exit, a lost sandbox.
    Fact,
    /// A ConfigMap or Secret of the pod's namespace changed.
    Sources,
    /// An image of that name came into the store.
    Image(ImageName),
    /// A preStop hook has ended.
    HookEnded {
        /// Of which attempt.
        id: ContainerId,
        /// What its failure says, if it failed.
        event: Option<PodEvent>,
    },
    /// What the pod's probes have found.
    Probed(Findings),
    /// Something about the log of a container.
    Log(ContainerName, LogNews),
    /// The pod shall have a second chance.
    Retry {
        /// Where it begins again; `None` = at what has failed.
        from: Option<ContainerName>,
        /// Who asked.
        answer: Answer,
    },
}

/// Where the answer to a wish for a second chance goes.
#[derive(Clone, Debug)]
pub struct Answer(mpsc::UnboundedSender<Result<Retried, RetryError>>);

impl Answer {
    /// Both ends.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Result<Retried, RetryError>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Answers; who asked may have gone away.
    pub(crate) fn send(&self, answer: Result<Retried, RetryError>) {
        let _ = self.0.send(answer);
    }
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

/// Reaches a pod's task. The task ends when the pod is removed, or when every handle is gone.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::UnboundedSender<Message>);

impl Handle {
    /// The sending end of a task's queue.
    pub(crate) fn new(sender: mpsc::UnboundedSender<Message>) -> Self {
        Self(sender)
    }

    /// Puts a message into the task's queue. A task that has ended needs none any more.
    pub fn send(&self, message: Message) {
        let _ = self.0.send(message);
    }
}
