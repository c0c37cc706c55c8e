//! Why a network could not be made or taken away.

use std::io;
use std::path::PathBuf;

/// Why a network could not be made or taken away: the step and its cause.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say what the fields are")]
pub enum NetworkError {
    #[error("network namespace: starting a thread to enter it")]
    Thread(#[source] io::Error),
    #[error("network namespace: entering it; needs root")]
    Enter(#[source] io::Error),
    #[error("network namespace: bringing the loopback link up")]
    Loopback(#[source] io::Error),
    #[error("network namespace: the thread that was to set it up has died")]
    Died,
    #[error("network: speaking to the kernel's routing (rtnetlink)")]
    Speak(#[source] io::Error),
    #[error("network: {step}: {cause}")]
    Link { step: String, cause: io::Error },
    #[error(
        "network: there is a link {name} already, and it is no bridge; name another one (--bridge)"
    )]
    NoBridge { name: String },
    #[error("network: {step} {}", path.display())]
    File {
        step: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "network: all {count} addresses of {subnet} are taken; end some pods, or give the node a larger subnet (--subnet)"
    )]
    Full { subnet: String, count: usize },
    #[error("network: the sandbox has no address; it was not reserved")]
    NoLease,
    #[error("network: rules for {what}: {cause}; does the kernel have nf_tables?")]
    Rules { what: String, cause: io::Error },
}

impl NetworkError {
    /// A step of rtnetlink that failed.
    pub(crate) fn link(step: impl Into<String>, error: &rtnetlink::Error) -> Self {
        Self::Link {
            step: step.into(),
            cause: cause(error),
        }
    }
}

/// What the kernel said.
pub(crate) fn cause(error: &rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}
