//! What the API answers when it cannot do as asked: one error type, and the one match that gives it its HTTP code.

use serde::{Deserialize, Serialize};

/// A request that failed. It travels as `v1.Status`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind of failure.
    pub reason: Reason,
    /// A sentence for the user: thing, step, cause.
    pub message: String,
    /// Single causes, where there are several (validation).
    pub causes: Vec<Cause>,
}

/// One cause of a failure (`v1.StatusCause`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// A word for programs, such as `FieldValueInvalid` or `ExitCode`.
    pub reason: String,
    /// The cause in words, or its value.
    pub message: String,
    /// Path of the field, if it is about one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// Kinds of failure, under the names that Kubernetes gives them in `status.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// No such object, or no such path.
    NotFound,
    /// An object of that name exists.
    AlreadyExists,
    /// The object is not in a state for this, or has another uid or version than was asked for.
    Conflict,
    /// The object breaks rules; all problems are in the causes.
    Invalid,
    /// The request itself makes no sense.
    BadRequest,
    /// This is not served with that verb.
    MethodNotAllowed,
    /// The body is in a form that is not read here.
    UnsupportedMediaType,
    /// A watch asked for changes that are forgotten already: list again.
    Expired,
    /// The node cannot do this now and may later.
    ServiceUnavailable,
    /// Anything else that went wrong on the node's side.
    InternalError,
}

impl Reason {
    /// The HTTP status code.
    pub fn code(self) -> u16 {
        match self {
            Reason::NotFound => 404,
            Reason::AlreadyExists | Reason::Conflict => 409,
            Reason::Invalid => 422,
            Reason::BadRequest => 400,
            Reason::MethodNotAllowed => 405,
            Reason::UnsupportedMediaType => 415,
            Reason::Expired => 410,
            Reason::ServiceUnavailable => 503,
            Reason::InternalError => 500,
        }
    }

    /// The name as `status.reason` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NotFound => "NotFound",
            Reason::AlreadyExists => "AlreadyExists",
            Reason::Conflict => "Conflict",
            Reason::Invalid => "Invalid",
            Reason::BadRequest => "BadRequest",
            Reason::MethodNotAllowed => "MethodNotAllowed",
            Reason::UnsupportedMediaType => "UnsupportedMediaType",
            Reason::Expired => "Expired",
            Reason::ServiceUnavailable => "ServiceUnavailable",
            Reason::InternalError => "InternalError",
        }
    }
}

impl Reason {
    const ALL: [Reason; 10] = [
        Reason::NotFound,
        Reason::AlreadyExists,
        Reason::Conflict,
        Reason::Invalid,
        Reason::BadRequest,
        Reason::MethodNotAllowed,
        Reason::UnsupportedMediaType,
        Reason::Expired,
        Reason::ServiceUnavailable,
        Reason::InternalError,
    ];

    /// By its name; by its code where the name is not known.
    fn of(status: &Status) -> Self {
        let named = Self::ALL.iter().find(|r| r.as_str() == status.reason);
        let coded = || {
            Self::ALL
                .iter()
                .find(|r| i32::from(r.code()) == status.code)
        };
        *named.or_else(coded).unwrap_or(&Reason::InternalError)
    }
}

impl ApiError {
    /// An error of that kind.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            causes: Vec::new(),
        }
    }

    /// `pods "x" not found`.
    pub fn not_found(resource: &str, name: &str) -> Self {
        Self::new(Reason::NotFound, format!("{resource} \"{name}\" not found"))
    }

    /// `pods "x" already exists`.
    pub fn already_exists(resource: &str, name: &str) -> Self {
        Self::new(
            Reason::AlreadyExists,
            format!("{resource} \"{name}\" already exists"),
        )
    }

    /// `Internal error occurred: …`.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(
            Reason::InternalError,
            format!("Internal error occurred: {cause}"),
        )
    }

    /// A request that makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// The error that a status tells of.
    pub fn of(status: Status) -> Self {
        Self {
            reason: Reason::of(&status),
            message: status.message,
            causes: status.details.map(|d| d.causes).unwrap_or_default(),
        }
    }

    /// The wire form.
    pub fn to_status(&self) -> Status {
        Status {
            kind: "Status".to_owned(),
            api_version: "v1".to_owned(),
            status: "Failure".to_owned(),
            message: self.message.clone(),
            reason: self.reason.as_str().to_owned(),
            details: (!self.causes.is_empty()).then(|| StatusDetails {
                causes: self.causes.clone(),
            }),
            code: i32::from(self.reason.code()),
        }
    }
}

/// `v1.Status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.Status"
)]
pub struct Status {
    pub kind: String,
    pub api_version: String,
    pub status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<StatusDetails>,
    pub code: i32,
}

/// `v1.StatusDetails`, as far as podwright fills it in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusDetails {
    /// Every cause.
    pub causes: Vec<Cause>,
}

impl Status {
    /// The answer to a request that was done and has nothing to show.
    pub fn success() -> Self {
        Self {
            kind: "Status".to_owned(),
            api_version: "v1".to_owned(),
            status: "Success".to_owned(),
            code: 200,
            ..Self::default()
        }
    }
}
