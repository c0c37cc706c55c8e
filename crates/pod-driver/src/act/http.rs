//! Asks a container for a page.

use super::dial::{self, Place};
use super::{MOST_BYTES, within};
use crate::actions::Target;
use crate::host::Host;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderName, HeaderValue, LOCATION};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use pod_plan::action::{HttpGet, Purpose};
use pod_plan::probes::Outcome;
use std::time::Duration;
use tokio::task::JoinSet;

/// Redirects on the same host that are followed.
const MOST_REDIRECTS: usize = 10;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    place: Place,
    port: u16,
    path: String,
}

impl Url {
    fn text(&self) -> String {
        format!("http://{}{}", self.place.with_port(self.port), self.path)
    }
}

/// Gets it. A redirect to another host is taken for an answer that is worth a warning.
pub(super) async fn get<H: Host>(
    host: &H,
    target: &Target,
    get: &HttpGet,
    purpose: Purpose,
    limit: Option<Duration>,
) -> Outcome {
    if get.tls {
        return Outcome::Error("scheme HTTPS is not supported".to_owned());
    }
    let mut url = Url {
        place: dial::place(target, get.host.as_deref()),
        port: get.port,
        path: rooted(&get.path),
    };
    let first = url.text();
    let work = async {
        for _ in 0..MOST_REDIRECTS {
            let answer = one(host, target, get, &url).await?;
            match answer.redirect.as_deref().and_then(|to| follow(&url, to)) {
                Some(next) => url = next,
                None => return Ok(answer),
            }
        }
        Err("stopped after 10 redirects".to_owned())
    };
    match within(limit, work).await {
        None => Outcome::Failure(format!(
            "Get {first:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
        Some(Err(cause)) => Outcome::Failure(format!("Get {first:?}: {cause}")),
        // Whatever the answer is: the hook was told.
        Some(Ok(_)) if purpose == Purpose::Hook => Outcome::Success,
        Some(Ok(answer)) => match answer.code {
            200..300 => Outcome::Success,
            300..400 => Outcome::Warning(format!(
                "Probe terminated redirects, Response body: {}",
                answer.body
            )),
            code => Outcome::Failure(format!("HTTP probe failed with statuscode: {code}")),
        },
    }
}

fn rooted(path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}

/// Where a redirect leads, if it stays on the host.
fn follow(from: &Url, location: &str) -> Option<Url> {
    let to = |path: String| {
        Some(Url {
            path,
            ..from.clone()
        })
    };
    if let Some(rest) = location.strip_prefix("http://") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let uri = authority.parse::<hyper::http::uri::Authority>().ok()?;
        let own = match &from.place {
            Place::Pod(ip) => ip.to_string(),
            Place::Named(name) => name.clone(),
        };
        let same = uri.host().trim_matches(['[', ']']) == own;
        return same.then(|| Url {
            place: from.place.clone(),
            port: uri.port_u16().unwrap_or(80),
            path: rooted(path),
        });
    }
    if location.contains("://") || location.starts_with("//") {
        return None;
    }
    if location.starts_with('/') {
        return to(location.to_owned());
    }
    let before = from.path.split('?').next().unwrap_or_default();
    let folder = before.rsplit_once('/').map_or("", |(folder, _)| folder);
    to(format!("{folder}/{location}"))
}

struct Answer {
    code: u16,
    body: String,
    redirect: Option<String>,
}

async fn one<H: Host>(
    host: &H,
    target: &Target,
    get: &HttpGet,
    url: &Url,
) -> Result<Answer, String> {
    let stream = dial::connect(host, target, &url.place, url.port, None)
        .await
        .map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| words(&e))?;
    // Ends with this function, whatever becomes of the request.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let request = request(get, url)?;
    let answer = sender.send_request(request).await.map_err(|e| words(&e))?;
    read(answer).await
}

fn request(get: &HttpGet, url: &Url) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::get(&url.path)
        .body(Empty::new())
        .map_err(|e| e.to_string())?;
    let headers = request.headers_mut();
    for (name, value) in &get.headers {
        let name = HeaderName::try_from(name).map_err(|e| e.to_string())?;
        let value = HeaderValue::try_from(value).map_err(|e| e.to_string())?;
        headers.append(name, value);
    }
    if !headers.contains_key(HOST) {
        let host = HeaderValue::try_from(url.place.with_port(url.port));
        headers.insert(HOST, host.map_err(|e| e.to_string())?);
    }
    Ok(request)
}

async fn read(answer: Response<Incoming>) -> Result<Answer, String> {
    let code = answer.status().as_u16();
    let is_redirect = matches!(code, 301 | 302 | 303 | 307 | 308);
    let location = answer.headers().get(LOCATION).filter(|_| is_redirect);
    let redirect = location.and_then(|v| v.to_str().ok()).map(str::to_owned);
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| words(&e))?;
        let data = frame.data_ref().map(AsRef::as_ref).unwrap_or_default();
        let room = MOST_BYTES.saturating_sub(bytes.len()).min(data.len());
        bytes.extend_from_slice(data.get(..room).unwrap_or_default());
        if bytes.len() == MOST_BYTES {
            break;
        }
    }
    Ok(Answer {
        code,
        body: String::from_utf8_lossy(&bytes).into_owned(),
        redirect,
    })
}

/// What went wrong on the way, in Go's words where it has some.
fn words(error: &hyper::Error) -> String {
    use std::error::Error;
    if error.is_incomplete_message() {
        return "EOF".to_owned();
    }
    let source = error.source();
    match source.and_then(|s| s.downcast_ref::<std::io::Error>()) {
        Some(cause) => dial::words(cause),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_only_on_its_own_host() {
        let from = Url {
            place: Place::Pod("10.0.0.1".parse().unwrap()),
            port: 80,
            path: "/a/b?q=1".to_owned(),
        };
        for (location, expected) in [
            ("/x", Some("http://10.0.0.1:80/x")),
            ("x", Some("http://10.0.0.1:80/a/x")),
            ("http://10.0.0.1:8080/x", Some("http://10.0.0.1:8080/x")),
            ("http://10.0.0.1", Some("http://10.0.0.1:80/")),
            ("http://other/x", None),
            ("//other/x", None),
            ("https://10.0.0.1/x", None),
        ] {
            let got = follow(&from, location).map(|u| u.text());
            assert_eq!(got.as_deref(), expected, "{location}");
        }
    }
}
