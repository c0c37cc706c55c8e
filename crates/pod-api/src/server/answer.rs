//! Errors as HTTP answers.

use crate::error::{ApiError, Reason};
use axum::Json;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.reason.code());
        let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, Json(self.to_status())).into_response()
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        ApiError::bad_request(rejection.body_text())
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        ApiError::bad_request(rejection.body_text())
    }
}

pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::new(
        Reason::NotFound,
        format!(
            "the server could not find the requested resource ({})",
            uri.path()
        ),
    )
}

pub(super) async fn no_such_verb(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        Reason::MethodNotAllowed,
        format!("the server does not allow {method} on {}", uri.path()),
    )
}
