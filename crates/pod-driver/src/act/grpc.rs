//! Asks a container by the gRPC health protocol (`grpc.health.v1.Health/Check`): one message there, one back.

use super::dial;
use super::{MOST_BYTES, go, within};
use crate::actions::Target;
use crate::host::Host;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pod_plan::probes::Outcome;
use std::time::Duration;
use tokio::task::JoinSet;

/// Names of gRPC's status codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
const UNIMPLEMENTED: usize = 12;

/// Names of the answers, by number.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// How far the question came.
enum Answer {
    /// A status by its number.
    Status(u64),
    /// gRPC's own error: code and message.
    Refused(usize, String),
}

/// Asks it.
pub(super) async fn check<H: Host>(
    host: &H,
    target: &Target,
    port: u16,
    service: &str,
    user_agent: &str,
    limit: Option<Duration>,
) -> Outcome {
    let place = dial::place(target, None);
    let address = place.with_port(port);
    let late = || {
        let time = go(limit);
        Outcome::Failure(format!(
            "timeout: failed to connect service {address:?} within {time}: context deadline exceeded"
        ))
    };
    let Ok(stream) = dial::connect(host, target, &place, port, limit).await else {
        return late();
    };
    let work = async {
        let executor = TokioExecutor::new();
        let io = TokioIo::new(stream);
        let made = hyper::client::conn::http2::handshake(executor, io).await;
        let (mut sender, connection) = made.map_err(|_| ())?;
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .header(USER_AGENT, user_agent)
            .body(Full::new(Bytes::from(question(service))))
            .map_err(|_| ())?;
        let answer = sender.send_request(request).await.map_err(|_| ())?;
        Ok::<_, ()>(read(answer).await)
    };
    match within(limit, work).await {
        None => Outcome::Failure(format!(
            "timeout: health rpc did not complete within {}",
            go(limit)
        )),
        // What speaks no HTTP/2 is no gRPC service.
        Some(Err(())) => late(),
        Some(Ok(answer)) => outcome(answer),
    }
}

fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Status(1) => Outcome::Success,
        Answer::Status(n) => {
            let index = usize::try_from(n).unwrap_or(usize::MAX);
            let word = STATUSES
                .get(index)
                .map_or(n.to_string(), |w| (*w).to_owned());
            Outcome::Failure(format!("service unhealthy (responded with {word:?})"))
        }
        Answer::Refused(UNIMPLEMENTED, text) => Outcome::Failure(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {text}"
        )),
        Answer::Refused(code, text) => {
            let word = CODES.get(code).copied().unwrap_or("Unknown");
            Outcome::Failure(format!(
                "error: health rpc probe failed: rpc error: code = {word} desc = {text}"
            ))
        }
    }
}

/// The framed `HealthCheckRequest`: field 1 is the service's name.
fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        varint(service.len(), &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.append(&mut message);
    frame
}

fn varint(mut value: usize, into: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            into.push(low);
            return;
        }
        into.push(low | 0x80);
    }
}

async fn read(answer: Response<hyper::body::Incoming>) -> Answer {
    let http = answer.status().as_u16();
    let (head, body) = answer.into_parts();
    if let Some(refused) = refusal(&head.headers) {
        return refused;
    }
    if http != 200 {
        let text = format!("unexpected HTTP status code received from server: {http}");
        return Answer::Refused(2, text);
    }
    let body = match Limited::new(body, MOST_BYTES).collect().await {
        Ok(body) => body,
        Err(error) => return Answer::Refused(14, error.to_string()),
    };
    if let Some(refused) = body.trailers().and_then(refusal) {
        return refused;
    }
    match status(&body.to_bytes()) {
        Some(status) => Answer::Status(status),
        None => Answer::Refused(13, "the answer is no HealthCheckResponse".to_owned()),
    }
}

/// gRPC's error in headers or trailers.
fn refusal(headers: &HeaderMap) -> Option<Answer> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let code: usize = text("grpc-status")?.parse().unwrap_or(2);
    let message = text("grpc-message").unwrap_or_default();
    (code != 0).then(|| Answer::Refused(code, unescape(message)))
}

/// `grpc-message` is percent-encoded.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let hex = rest.get(..2).filter(|_| *byte == b'%');
        let hex = hex.and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(value) => {
                bytes.push(value);
                rest = rest.get(2..).unwrap_or_default();
            }
            None => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The status in a framed `HealthCheckResponse`: field 1, a number; absent = 0.
fn status(frame: &[u8]) -> Option<u64> {
    let (head, message) = frame.split_at_checked(5)?;
    if head.first() != Some(&0) {
        return None;
    }
    let mut rest = message.iter().copied();
    let mut found = 0;
    while let Some(key) = rest.next() {
        let value = number(&mut rest)?;
        match (key >> 3, key & 7) {
            (1, 0) => found = value,
            (_, 0) => {}
            // A field with a length: skipped.
            (_, 2) => {
                for _ in 0..value {
                    rest.next()?;
                }
            }
            _ => return None,
        }
    }
    Some(found)
}

fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_framed_and_names_its_service() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("db"), [0, 0, 0, 0, 4, 0x0a, 2, b'd', b'b']);
        let long = question(&"x".repeat(300));
        assert_eq!(long.get(..8), Some(&[0, 0, 0, 1, 47, 0x0a, 0xac, 0x02][..]));
    }

    #[test]
    fn an_answer_is_read_whatever_else_is_in_it() {
        for (frame, expected) in [
            (&[0, 0, 0, 0, 0][..], Some(0)),
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(1)),
            (&[0, 0, 0, 0, 2, 8, 2][..], Some(2)),
            (&[0, 0, 0, 0, 6, 0x12, 2, b'a', b'b', 8, 1][..], Some(1)),
            (&[1, 0, 0, 0, 2, 8, 1][..], None),
            (&[0, 0, 0][..], None),
            (&[0, 0, 0, 0, 1, 8][..], None),
        ] {
            assert_eq!(status(frame), expected, "{frame:?}");
        }
    }

    #[test]
    fn an_error_says_code_and_message() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", "5".parse().unwrap());
        headers.insert("grpc-message", "unknown%20service".parse().unwrap());
        let answer = refusal(&headers).unwrap();
        assert_eq!(
            outcome(answer),
            Outcome::Failure(
                "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"
                    .to_owned()
            )
        );
        headers.insert("grpc-status", "0".parse().unwrap());
        assert!(refusal(&headers).is_none());
        assert_eq!(unescape("100% %zz %41"), "100% %zz A");
    }
}
