//! Real programs, sockets and servers of this machine, behind a host that knows no containers.

use super::Reach;
use crate::actions::{Actions, Target};
use crate::host::{
    ExecSession, ExecStreams, Host, HostError, HostErrorKind, HostResult, VolumeError,
};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pod_model::config::{
    ContainerConfig, ContainerResources, ExecConfig, ImageFacts, PodCgroup, SandboxConfig,
    VolumeToPrepare,
};
use pod_model::ids::{CgroupPath, ContainerId, PodRef, PodUid, SandboxId};
use pod_model::runtime::PodRuntime;
use pod_plan::action::{Action, HttpGet, Purpose};
use pod_plan::probes::Outcome;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// Programs run on this machine; sockets are this machine's.
#[derive(Default)]
struct Machine {
    killed: Mutex<Vec<String>>,
    running: Arc<Mutex<Option<tokio::process::Child>>>,
}

fn no<T>() -> HostResult<T> {
    Err(HostError::new(HostErrorKind::Other, "not of this test"))
}

impl Host for Machine {
    async fn ensure_pod(&self, _: &PodRef, _: &CgroupPath, _: &PodCgroup) -> HostResult<()> {
        no()
    }
    async fn prepare_volumes(
        &self,
        _: &PodRef,
        _: &[VolumeToPrepare],
    ) -> Result<(), Vec<VolumeError>> {
        Err(Vec::new())
    }
    async fn run_sandbox(&self, _: &SandboxConfig) -> HostResult<Option<OwnedFd>> {
        no()
    }
    async fn set_address(&self, _: &PodUid, _: &SandboxId, _: Option<String>) -> HostResult<()> {
        no()
    }
    async fn stop_sandbox(&self, _: &PodUid, _: &SandboxId) -> HostResult<()> {
        no()
    }
    async fn remove_sandbox(&self, _: &PodUid, _: &SandboxId) -> HostResult<()> {
        no()
    }
    async fn start_container(
        &self,
        _: &PodRef,
        _: &ContainerConfig,
        _: &ImageFacts,
    ) -> HostResult<()> {
        no()
    }
    async fn stop_container(&self, _: &PodUid, _: &ContainerId, _: u64) -> HostResult<()> {
        no()
    }
    async fn remove_container(&self, _: &PodUid, _: &ContainerId, _: bool) -> HostResult<()> {
        no()
    }

    async fn resize_pod(&self, _: &PodUid, _: &CgroupPath, _: &PodCgroup) -> HostResult<()> {
        no()
    }

    async fn resize_container(
        &self,
        _: &PodUid,
        _: &ContainerId,
        _: &ContainerResources,
    ) -> HostResult<()> {
        no()
    }

    async fn exec(
        &self,
        _: &PodUid,
        _: &ContainerId,
        config: &ExecConfig,
    ) -> HostResult<ExecSession> {
        let (program, arguments) = config.command.split_first().unwrap();
        let spawned = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child =
            spawned.map_err(|e| HostError::new(HostErrorKind::Start, format!("exec: {e}")))?;
        let streams = ExecStreams::Pipes {
            stdin: None,
            stdout: child.stdout.take().unwrap().into_owned_fd().unwrap(),
            stderr: child.stderr.take().unwrap().into_owned_fd().unwrap(),
        };
        let (sender, exit) = tokio::sync::oneshot::channel();
        let running = Arc::clone(&self.running);
        *running.lock().unwrap() = Some(child);
        tokio::spawn(async move {
            let child = running.lock().unwrap().take();
            let status = child.unwrap().wait().await.unwrap();
            let _ = sender.send(status.code().unwrap_or(137));
        });
        Ok(ExecSession {
            name: "e1".to_owned(),
            streams,
            exit,
        })
    }

    async fn kill_exec(&self, _: &PodUid, _: &ContainerId, name: &str) -> HostResult<()> {
        self.killed.lock().unwrap().push(name.to_owned());
        Ok(())
    }

    async fn socket(&self, _: &PodUid, _: &ContainerId, v6: bool) -> HostResult<OwnedFd> {
        let family = if v6 {
            AddressFamily::INET6
        } else {
            AddressFamily::INET
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        Ok(socket_with(family, SocketType::STREAM, flags, None).unwrap())
    }

    fn resize(&self, _: &OwnedFd, _: u16, _: u16) -> HostResult<()> {
        no()
    }
    async fn observe(&self, _: &PodUid) -> PodRuntime {
        PodRuntime::default()
    }
    async fn remove_pod(&self, _: &PodRef, _: &CgroupPath) -> HostResult<()> {
        no()
    }
}

const SHORT: Option<Duration> = Some(Duration::from_millis(300));
const LONG: Option<Duration> = Some(Duration::from_secs(20));

fn target() -> Target {
    Target {
        pod: "u".into(),
        id: "c".into(),
        ip: None,
    }
}

fn reach() -> Reach<Machine> {
    Reach(Arc::new(Machine::default()))
}

async fn run(script: &str, purpose: Purpose) -> Outcome {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    reach()
        .act(&target(), &Action::Exec { command }, purpose, LONG)
        .await
}

#[tokio::test]
async fn a_program_speaks_by_its_exit_code_and_its_output() {
    let probe = Purpose::Probe;
    assert_eq!(run("echo fine", probe).await, Outcome::Success);
    let both = run("echo out; echo err >&2; exit 3", probe).await;
    let Outcome::Failure(output) = both else {
        panic!("{both:?}");
    };
    assert!(output.contains("out\n") && output.contains("err\n"));
    let hook = run("echo out; printf err >&2; exit 3", Purpose::Hook).await;
    let Outcome::Failure(text) = hook else {
        panic!("{hook:?}");
    };
    let start = "command 'sh -c echo out; printf err >&2; exit 3' exited with 3: err, message: ";
    assert!(text.starts_with(start), "{text}");
}

#[tokio::test]
async fn more_output_than_is_kept_does_not_hold_a_program_up() {
    let outcome = run(
        "head -c 300000 /dev/zero | tr '\\0' x; exit 1",
        Purpose::Probe,
    )
    .await;
    assert_eq!(outcome, Outcome::Failure("x".repeat(super::MOST_BYTES)));
}

#[tokio::test]
async fn a_program_that_leaves_a_child_behind_is_not_waited_for() {
    let outcome = run("sleep 30 & exit 0", Purpose::Probe).await;
    assert_eq!(outcome, Outcome::Success);
}

#[tokio::test]
async fn a_program_that_takes_too_long_has_failed_and_is_killed() {
    let reach = reach();
    let command = ["sleep", "3"].map(str::to_owned).to_vec();
    let action = Action::Exec { command };
    let outcome = reach.act(&target(), &action, Purpose::Probe, SHORT).await;
    let text = "command timed out: \"sleep 3\" timed out after 300ms";
    assert_eq!(outcome, Outcome::Failure(text.to_owned()));
    assert_eq!(*reach.0.killed.lock().unwrap(), ["e1"]);
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_an_error_of_the_probe_and_a_failure_of_the_hook() {
    let command = vec!["/no/such/program".to_owned()];
    let action = Action::Exec { command };
    for (purpose, is_error) in [(Purpose::Probe, true), (Purpose::Hook, false)] {
        let outcome = reach().act(&target(), &action, purpose, LONG).await;
        assert_eq!(
            matches!(outcome, Outcome::Error(_)),
            is_error,
            "{outcome:?}"
        );
    }
}

/// A server that answers each path in its own way; gives its port.
async fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer)),
            );
        }
    });
    port
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let built = match request.uri().path() {
        "/ok" if header("user-agent") == "kube-probe/1.36" && header("x-a") == "b" => {
            Response::builder().status(200)
        }
        "/to-ok" => Response::builder().status(302).header("location", "/ok"),
        "/loop" => Response::builder().status(302).header("location", "/loop"),
        "/away" => Response::builder()
            .status(301)
            .header("location", "http://example.com/"),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            Response::builder()
        }
        "/host" if header("host") == "me" => Response::builder().status(204),
        "/drop" => return Err(std::io::Error::other("drop")),
        _ => Response::builder().status(503),
    };
    Ok(built.body(Full::from("body")).unwrap())
}

#[tokio::test]
async fn a_page_speaks_by_its_status_and_its_redirects() {
    let port = server().await;
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let failure = |text: String| Outcome::Failure(text);
    let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    for (path, expected) in [
        ("/ok", Outcome::Success),
        ("/to-ok", Outcome::Success),
        ("/host", Outcome::Success),
        (
            "/away",
            Outcome::Warning("Probe terminated redirects, Response body: body".to_owned()),
        ),
        (
            "/loop",
            failure(format!(
                "Get {:?}: stopped after 10 redirects",
                url("/loop")
            )),
        ),
        (
            "/none",
            failure("HTTP probe failed with statuscode: 503".to_owned()),
        ),
        ("/slow", failure(format!("Get {:?}: {late}", url("/slow")))),
        ("/drop", failure(format!("Get {:?}: EOF", url("/drop")))),
    ] {
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        let mut headers = vec![pair("User-Agent", "kube-probe/1.36"), pair("X-A", "b")];
        if path == "/host" {
            headers.push(pair("Host", "me"));
        }
        let action = Action::Http(HttpGet {
            tls: false,
            host: None,
            port,
            path: path.to_owned(),
            headers,
        });
        let limit = Some(Duration::from_millis(700));
        let outcome = reach().act(&target(), &action, Purpose::Probe, limit).await;
        assert_eq!(outcome, expected, "{path}");
        if path == "/none" {
            let told = reach().act(&target(), &action, Purpose::Hook, limit).await;
            assert_eq!(told, Outcome::Success);
        }
    }
}

/// A port that nobody listens on.
async fn closed() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_port_is_open_or_it_is_not() {
    let open = server().await;
    let closed = closed().await;
    let refused = format!("dial tcp 127.0.0.1:{closed}: connect: connection refused");
    for (host, port, expected) in [
        (None, open, Outcome::Success),
        (Some("localhost"), open, Outcome::Success),
        (None, closed, Outcome::Failure(refused.clone())),
        (Some("127.0.0.1"), closed, Outcome::Failure(refused)),
    ] {
        let action = Action::Tcp {
            host: host.map(str::to_owned),
            port,
        };
        let outcome = reach().act(&target(), &action, Purpose::Probe, LONG).await;
        assert_eq!(outcome, expected);
    }
}

/// A gRPC health server: `up` serves, `down` does not, `slow` says nothing, others are not known.
async fn health() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(check)),
            );
        }
    });
    port
}

async fn check(
    request: Request<Incoming>,
) -> Result<
    Response<http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>>,
    hyper::Error,
> {
    use http_body_util::BodyExt;
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    let body = request.into_body().collect().await?.to_bytes();
    let service = String::from_utf8_lossy(body.get(7..).unwrap_or_default()).into_owned();
    let response = Response::builder().header("content-type", "application/grpc");
    let status = match service.as_str() {
        "" | "up" => 1,
        "down" => 2,
        "slow" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            0
        }
        other => {
            let code = if other == "none" { "12" } else { "5" };
            let refused = response
                .header("grpc-status", code)
                .header("grpc-message", "no%20such");
            return Ok(refused.body(Full::from(Bytes::new()).boxed()).unwrap());
        }
    };
    let mut trailers = hyper::HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frame = Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
    let body = Full::from(frame).with_trailers(async move { Some(Ok(trailers)) });
    Ok(response.body(body.boxed()).unwrap())
}

#[tokio::test]
async fn a_grpc_server_speaks_by_its_health_service() {
    let port = health().await;
    let closed = closed().await;
    let plain = server().await;
    let connect = |port: u16| {
        format!(
            "timeout: failed to connect service \"127.0.0.1:{port}\" within 700ms: context deadline exceeded"
        )
    };
    for (port, service, expected) in [
        (port, "", None),
        (port, "up", None),
        (port, "down", Some("service unhealthy (responded with \"NOT_SERVING\")".to_owned())),
        (port, "slow", Some("timeout: health rpc did not complete within 700ms".to_owned())),
        (
            port,
            "none",
            Some("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): no such".to_owned()),
        ),
        (
            port,
            "what",
            Some("error: health rpc probe failed: rpc error: code = NotFound desc = no such".to_owned()),
        ),
        (closed, "", Some(connect(closed))),
        (plain, "", Some(connect(plain))),
    ] {
        let action = Action::Grpc {
            port,
            service: service.to_owned(),
            user_agent: "kube-probe/1.36".to_owned(),
        };
        let limit = Some(Duration::from_millis(700));
        let outcome = reach().act(&target(), &action, Purpose::Probe, limit).await;
        assert_eq!(outcome, expected.map_or(Outcome::Success, Outcome::Failure), "{service}");
    }
}
