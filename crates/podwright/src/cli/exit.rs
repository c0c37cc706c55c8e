//! Exit statuses of the program's own failures (sysexits.h, 64 to 78), so that a script can tell them from a container's code.
//! `docs/exit-codes.md` lists them for users.

use pod_api::client::ClientError;
use pod_api::error::Reason;
use std::fmt;
use std::io;
use std::path::Path;

/// Why the program itself failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Code {
    /// The command line makes no sense (EX_USAGE).
    Usage = 64,
    /// A manifest or an archive is not valid (EX_DATAERR).
    Data = 65,
    /// A file, a pod or an image does not exist (EX_NOINPUT).
    NoInput = 66,
    /// The node daemon cannot be reached or started (EX_UNAVAILABLE).
    Unavailable = 69,
    /// Something went wrong that should not have (EX_SOFTWARE).
    Software = 70,
    /// The kernel or the system refused something (EX_OSERR).
    Os = 71,
    /// An object or a file cannot be created; it may exist already (EX_CANTCREAT).
    CantCreate = 73,
    /// Reading or writing broke off (EX_IOERR).
    Io = 74,
    /// It may work later: time ran out, or the pod went away (EX_TEMPFAIL).
    Temporary = 75,
    /// Not allowed (EX_NOPERM).
    NoPermission = 77,
    /// The machine is not set up for this (EX_CONFIG).
    Config = 78,
}

/// A failure of the program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit status.
    pub code: Code,
    /// What to tell the user: thing, step, cause, one line or several.
    pub message: String,
}

/// What commands answer.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure of that kind.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// Something failed with a file.
    pub fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::NotFound => Code::NoInput,
            io::ErrorKind::PermissionDenied => Code::NoPermission,
            io::ErrorKind::AlreadyExists => Code::CantCreate,
            _ => Code::Io,
        };
        Self::new(code, format!("{what} {}: {error}", path.display()))
    }

    /// Standard output or error broke off. A reader that has seen enough (`| head`) is nothing to speak of.
    pub fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Code::Io, "");
        }
        Self::new(Code::Io, format!("write the output: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::NotRunning { .. } => Code::Unavailable,
            ClientError::Connect { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Code::NoPermission,
                _ => Code::Unavailable,
            },
            ClientError::Broken { .. } => Code::Unavailable,
            ClientError::Unsendable { .. } => Code::Usage,
            ClientError::Unreadable { .. } => Code::Software,
            ClientError::Server(error) => match error.reason {
                Reason::NotFound => Code::NoInput,
                Reason::AlreadyExists => Code::CantCreate,
                Reason::Invalid | Reason::BadRequest => Code::Data,
                Reason::Conflict | Reason::Expired => Code::Temporary,
                Reason::ServiceUnavailable => Code::Unavailable,
                Reason::MethodNotAllowed | Reason::UnsupportedMediaType | Reason::InternalError => {
                    Code::Software
                }
            },
        };
        Self::new(code, chain(&error))
    }
}

/// The error and its causes on one line; a server's refusal as kubectl shows it.
fn chain(error: &ClientError) -> String {
    if let ClientError::Server(refusal) = error {
        return match refusal.reason {
            Reason::Invalid => invalid_text(&refusal.message, &refusal.causes),
            Reason::BadRequest | Reason::InternalError => format!("error: {}", refusal.message),
            _ => error.to_string(),
        };
    }
    let mut text = format!("error: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// `The Pod "p" is invalid: E`, or all of them below, a star before each.
pub fn invalid_text(message: &str, causes: &[pod_api::error::Cause]) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for cause in causes {
        if !texts.contains(&cause.message.as_str()) {
            texts.push(&cause.message);
        }
    }
    let head = message
        .split_once(" is invalid: ")
        .map_or(message, |(h, _)| h);
    match texts.as_slice() {
        [] => format!("The {message}"),
        [one] => format!("The {head} is invalid: {one}"),
        several => {
            let lines: Vec<String> = several.iter().map(|t| format!("* {t}")).collect();
            format!("The {head} is invalid: \n{}", lines.join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_api::error::{ApiError, Cause};

    #[test]
    fn refusals_of_the_node_read_as_those_of_a_cluster() {
        let missing = Failure::from(ClientError::Server(ApiError::not_found("pods", "x")));
        assert_eq!(
            missing.message,
            "Error from server (NotFound): pods \"x\" not found"
        );
        assert_eq!(missing.code, Code::NoInput);
        let cause = |m: &str| Cause {
            message: m.to_owned(),
            ..Cause::default()
        };
        let mut invalid = ApiError::new(Reason::Invalid, "Pod \"p\" is invalid: [a, b]");
        invalid.causes = vec![cause("a"), cause("b"), cause("a")];
        let invalid = Failure::from(ClientError::Server(invalid));
        assert_eq!(invalid.message, "The Pod \"p\" is invalid: \n* a\n* b");
        assert_eq!(invalid.code, Code::Data);
    }
}
