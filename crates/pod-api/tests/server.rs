//! The real server and the real client over a real socket, a fake node behind them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod fake;

use fake::{Node, create, pod, reason, text};
use pod_api::client::{
    ClientError, Debug, ExecOutput, ExecRequest, LogBody, LogRequest, Resource, Selectors,
};
use pod_api::error::Reason;
use pod_api::feed::ChangeKind;
use pod_model::event::{Event, EventKind};
use pod_model::ids::ContainerName;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

fn running(container: &str, restarts: i32) -> Value {
    json!({"name": container, "state": {"running": {}}, "restartCount": restarts})
}

fn ended(container: &str, restarts: i32, code: i32) -> Value {
    json!({"name": container, "state": {"terminated": {"exitCode": code}}, "restartCount": restarts})
}

#[tokio::test]
async fn a_pod_is_created_with_defaults_shown_listed_and_deleted() {
    let node = Node::start();
    let created = node
        .client
        .create(Resource::Pods, "default", &pod("a"), false)
        .await
        .unwrap();
    assert_eq!(text(&created.object, "/metadata/uid"), "uid-a");
    assert_eq!(text(&created.object, "/spec/restartPolicy"), "Always");
    assert_eq!(text(&created.object, "/spec/nodeName"), "fake");
    let noted = created
        .warnings
        .iter()
        .any(|w| w.starts_with("spec.tolerations: has no effect"));
    assert!(noted, "{:?}", created.warnings);
    let got = node
        .client
        .get(Resource::Pods, "default", "a")
        .await
        .unwrap();
    assert_eq!(got["spec"]["tolerations"], json!([{"operator": "Exists"}]));

    let again = node
        .client
        .create(Resource::Pods, "default", &pod("a"), false)
        .await
        .unwrap_err();
    assert_eq!(reason(&again), Some(Reason::AlreadyExists));
    assert_eq!(
        again.to_string(),
        "Error from server (AlreadyExists): pods \"a\" already exists"
    );

    create(&node, "b").await;
    let only_b = Selectors {
        labels: "app in (b)".to_owned(),
        ..Selectors::default()
    };
    let list = node
        .client
        .list(Resource::Pods, None, &only_b)
        .await
        .unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let all = Selectors::default();
    let elsewhere = node
        .client
        .list(Resource::Pods, Some("other"), &all)
        .await
        .unwrap();
    assert_eq!(elsewhere["items"], json!([]));

    let stale = node
        .client
        .delete(Resource::Pods, "default", "a", None, Some("other"))
        .await;
    assert_eq!(reason(&stale.unwrap_err()), Some(Reason::Conflict));
    let leaving = node
        .client
        .delete(Resource::Pods, "default", "a", Some(5), Some("uid-a"));
    let leaving = leaving.await.unwrap();
    assert_eq!(leaving["metadata"]["deletionGracePeriodSeconds"], 5);
    node.client
        .delete(Resource::Pods, "default", "a", Some(0), None)
        .await
        .unwrap();
    let gone = node
        .client
        .get(Resource::Pods, "default", "a")
        .await
        .unwrap_err();
    assert_eq!(
        gone.to_string(),
        "Error from server (NotFound): pods \"a\" not found"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_pod_comes_all_at_once() {
    let node = Node::start();
    let mut bad = pod("a");
    bad["spec"]["containers"][1]["name"] = "app".into();
    bad["spec"]["containers"][0]["securityContext"] = json!({"seLinuxOptions": {"level": "s0"}});
    let refused = node
        .client
        .create(Resource::Pods, "default", &bad, false)
        .await
        .unwrap_err();
    let ClientError::Server(error) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.reason, Reason::Invalid);
    let causes: Vec<&str> = error.causes.iter().map(|c| c.message.as_str()).collect();
    assert!(
        causes.contains(&"spec.containers[1].name: Duplicate value: \"app\""),
        "{causes:?}"
    );
    assert!(
        causes.contains(&"spec.containers[0].securityContext.seLinuxOptions: not supported yet"),
        "{causes:?}"
    );

    let mut odd = pod("a");
    odd["spec"]["containers"][0]["securityContext"] = json!({"seLinuxOptions": {"level": "s0"}});
    let allowed = node
        .client
        .create(Resource::Pods, "default", &odd, true)
        .await
        .unwrap();
    assert!(
        allowed
            .warnings
            .iter()
            .any(|w| w.contains("not supported yet"))
    );

    let misspelt = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containerz": []}});
    let refused = node
        .client
        .create(Resource::Pods, "default", &misspelt, false)
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), Some(Reason::BadRequest));
    assert!(refused.to_string().contains("spec.containerz"), "{refused}");
}

#[tokio::test]
async fn a_watch_tells_every_change_from_a_version_on() {
    let node = Node::start();
    let a = create(&node, "a").await;
    let version = text(&a, "/metadata/resourceVersion").to_owned();
    create(&node, "b").await;
    let all = Selectors::default();
    let mut watch = node
        .client
        .watch(Resource::Pods, Some("default"), &all, Some(&version))
        .await
        .unwrap();
    let mut next = async || {
        let event = watch.next().await.unwrap().unwrap();
        (event.kind, text(&event.object, "/metadata/name").to_owned())
    };
    assert_eq!(next().await, (ChangeKind::Added, "b".to_owned()));
    node.status("a", json!({"phase": "Running"}));
    assert_eq!(next().await, (ChangeKind::Modified, "a".to_owned()));
    node.remove("a");
    assert_eq!(next().await, (ChangeKind::Deleted, "a".to_owned()));

    let mut from_now = node
        .client
        .watch(Resource::Pods, None, &all, None)
        .await
        .unwrap();
    let first = from_now.next().await.unwrap().unwrap();
    assert_eq!(
        (first.kind, text(&first.object, "/metadata/name")),
        (ChangeKind::Added, "b")
    );
}

#[tokio::test]
async fn an_object_that_stops_to_match_is_gone_for_a_watch() {
    let node = Node::start();
    create(&node, "a").await;
    let pending = Selectors {
        fields: "status.phase=Pending".to_owned(),
        ..Selectors::default()
    };
    let mut watch = node
        .client
        .watch(Resource::Pods, None, &pending, None)
        .await
        .unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().kind, ChangeKind::Added);
    node.status("a", json!({"phase": "Running"}));
    assert_eq!(
        watch.next().await.unwrap().unwrap().kind,
        ChangeKind::Deleted
    );
    node.status("a", json!({"phase": "Pending"}));
    assert_eq!(watch.next().await.unwrap().unwrap().kind, ChangeKind::Added);
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_says_so() {
    let node = Node::start();
    create(&node, "a").await;
    for _ in 0..1100 {
        node.status("a", json!({"phase": "Running"}));
    }
    let all = Selectors::default();
    let mut watch = node
        .client
        .watch(Resource::Pods, None, &all, Some("1001"))
        .await
        .unwrap();
    let error = watch.next().await.unwrap_err();
    assert_eq!(reason(&error), Some(Reason::Expired));
}

#[tokio::test]
async fn r19_a_watcher_that_missed_too_much_is_told_so_and_the_last_state_is_there() {
    let node = Node::start();
    create(&node, "a").await;
    let all = Selectors::default();
    let mut stalled = node
        .client
        .watch(Resource::Pods, None, &all, None)
        .await
        .unwrap();
    let first = stalled.next().await.unwrap().unwrap();
    assert_eq!(first.kind, ChangeKind::Added);
    for i in 0..10_000 {
        node.status("a", json!({"phase": "Running", "message": i.to_string()}));
    }
    let mut seen = 0;
    let error = loop {
        match stalled.next().await {
            Ok(change) => {
                assert!(change.is_some(), "the watch ended without a word");
                seen += 1;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(reason(&error), Some(Reason::Expired));
    assert!(seen <= 1024, "{seen} changes were kept for it");
    let mut again = node
        .client
        .watch(Resource::Pods, None, &all, None)
        .await
        .unwrap();
    let last = again.next().await.unwrap().unwrap();
    assert_eq!(text(&last.object, "/status/message"), "9999");
}

fn append(folder: &Path, attempt: u32, words: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(format!("{attempt}.log"));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    writeln!(file, "2026-01-01T00:00:00.000000000Z stdout F {words}").unwrap();
}

fn log(pod: &str, container: &str) -> LogRequest {
    LogRequest {
        namespace: "default".to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        ..LogRequest::default()
    }
}

async fn rest(mut body: LogBody) -> String {
    let mut all = Vec::new();
    while let Some(piece) = body.next().await.unwrap() {
        all.extend(piece);
    }
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn logs_are_those_of_the_attempt_that_is_meant() {
    let node = Node::start();
    create(&node, "a").await;
    let waiting = json!({"name": "app", "state": {"waiting": {"reason": "PodInitializing"}}});
    node.status(
        "a",
        json!({"containerStatuses": [waiting], "initContainerStatuses": [ended("init", 2, 0)]}),
    );
    let folder = node.log_folder("a", "init");
    for attempt in 0..3 {
        append(&folder, attempt, &format!("attempt {attempt}"));
    }
    let newest = node.client.logs(&log("a", "init")).await.unwrap();
    assert_eq!(rest(newest).await, "attempt 2\n");
    let first = LogRequest {
        attempt: Some(0),
        ..log("a", "init")
    };
    assert_eq!(
        rest(node.client.logs(&first).await.unwrap()).await,
        "attempt 0\n"
    );
    let every = LogRequest {
        all_attempts: true,
        ..log("a", "init")
    };
    let every = rest(node.client.logs(&every).await.unwrap()).await;
    assert_eq!(every, "attempt 0\nattempt 1\nattempt 2\n");
    for (request, words) in [
        (
            log("a", "app"),
            "container \"app\" in pod \"a\" is waiting to start: PodInitializing",
        ),
        (log("a", "nope"), "container nope is not valid for pod a"),
        (
            log("a", ""),
            "a container name must be specified for pod a, choose one of: [app two] or one of the init containers: [init]",
        ),
        (
            LogRequest {
                previous: true,
                ..log("a", "init")
            },
            "previous terminated container \"init\" in pod \"a\" not found",
        ),
        (
            LogRequest {
                attempt: Some(9),
                ..log("a", "init")
            },
            "container \"init\" in pod \"a\" has no log of attempt 9; kept are: 0, 1, 2",
        ),
    ] {
        let ClientError::Server(error) = node.client.logs(&request).await.unwrap_err() else {
            panic!("{words}");
        };
        assert_eq!(error.message, words);
    }
}

#[tokio::test]
async fn a_followed_log_ends_with_its_container_and_goes_on_with_the_next_attempt_if_asked() {
    let node = Node::start();
    create(&node, "a").await;
    node.status(
        "a",
        json!({"phase": "Running", "containerStatuses": [running("app", 0)]}),
    );
    let folder = node.log_folder("a", "app");
    append(&folder, 0, "one");
    let one = LogRequest {
        follow: true,
        ..log("a", "app")
    };
    let every = LogRequest {
        all_attempts: true,
        ..one.clone()
    };
    let mut one = node.client.logs(&one).await.unwrap();
    let mut every = node.client.logs(&every).await.unwrap();
    for body in [&mut one, &mut every] {
        assert_eq!(body.next().await.unwrap().unwrap(), "one\n");
    }
    append(&folder, 0, "two");
    node.status(
        "a",
        json!({"phase": "Running", "containerStatuses": [ended("app", 0, 1)]}),
    );
    assert_eq!(rest(one).await, "two\n");
    append(&folder, 1, "three");
    node.status(
        "a",
        json!({"phase": "Running", "containerStatuses": [running("app", 1)]}),
    );
    let mut got = Vec::new();
    while got.len() < "two\nthree\n".len() {
        got.extend(every.next().await.unwrap().unwrap());
    }
    assert_eq!(String::from_utf8(got).unwrap(), "two\nthree\n");
    append(&folder, 1, "four");
    node.status(
        "a",
        json!({"phase": "Succeeded", "containerStatuses": [ended("app", 1, 0)]}),
    );
    assert_eq!(rest(every).await, "four\n");
}

fn exec(command: &[&str], stdin: bool) -> ExecRequest {
    ExecRequest {
        namespace: "default".to_owned(),
        pod: "a".to_owned(),
        container: "app".to_owned(),
        command: command.iter().map(|w| (*w).to_owned()).collect(),
        stdin,
        tty: false,
        debug: None,
    }
}

async fn said(mut from: pod_api::client::ExecReceiver) -> (String, String, Result<i32, String>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match from.next().await.unwrap() {
            ExecOutput::Stdout(bytes) => out.extend(bytes),
            ExecOutput::Stderr(bytes) => err.extend(bytes),
            ExecOutput::Ended(how) => {
                let text = |bytes| String::from_utf8(bytes).unwrap();
                return (text(out), text(err), how);
            }
        }
    }
}

#[tokio::test]
async fn exec_passes_input_output_and_the_exit_code() {
    let node = Node::start();
    create(&node, "a").await;
    node.status(
        "a",
        json!({"phase": "Running", "containerStatuses": [running("app", 0)]}),
    );
    let script = "cat; echo err >&2; exit 7";
    let (mut to, from) = node
        .client
        .exec(&exec(&["sh", "-c", script], true))
        .await
        .unwrap();
    to.stdin("héllo & more".as_bytes()).await.unwrap();
    to.close_stdin().await.unwrap();
    let (out, err, how) = said(from).await;
    assert_eq!(
        (out.as_str(), err.as_str(), how),
        ("héllo & more", "err\n", Ok(7))
    );

    let (_to, from) = node.client.exec(&exec(&["true"], false)).await.unwrap();
    assert_eq!(said(from).await.2, Ok(0));
}

#[tokio::test]
async fn a_debugging_session_is_an_exec_where_the_node_says() {
    let node = Node::start();
    create(&node, "a").await;
    let request = |image: Option<&str>, container: &str| ExecRequest {
        container: container.to_owned(),
        debug: Some(Debug {
            image: image.map(str::to_owned),
        }),
        ..exec(&["sh", "-c", "echo here; exit 3"], false)
    };
    let (_sender, mut receiver) = node.client.exec(&request(None, "app")).await.unwrap();
    let mut said = Vec::new();
    let code = loop {
        match receiver.next().await.unwrap() {
            ExecOutput::Stdout(bytes) => said.extend_from_slice(&bytes),
            ExecOutput::Stderr(bytes) => panic!("{bytes:?}"),
            ExecOutput::Ended(how) => break how.unwrap(),
        }
    };
    assert_eq!((said.as_slice(), code), (&b"here\n"[..], 3));
    for (image, container, wanted) in [
        (Some("none"), "app", Reason::NotFound),
        (None, "nobody", Reason::BadRequest),
    ] {
        let refused = node.client.exec(&request(image, container)).await;
        assert_eq!(reason(&refused.map(drop).unwrap_err()), Some(wanted));
    }
}

#[tokio::test]
async fn exec_carries_more_than_any_buffer_holds() {
    let node = Node::start();
    create(&node, "a").await;
    node.status(
        "a",
        json!({"phase": "Running", "containerStatuses": [running("app", 0)]}),
    );
    let (mut to, from) = node.client.exec(&exec(&["wc", "-c"], true)).await.unwrap();
    let sending = tokio::spawn(async move {
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..64 {
            to.stdin(&piece).await.unwrap();
        }
        to.close_stdin().await.unwrap();
        to
    });
    assert_eq!(said(from).await.0.trim(), "4194304");
    drop(sending.await.unwrap());
    let (_to, from) = node
        .client
        .exec(&exec(&["head", "-c", "3000000", "/dev/zero"], false))
        .await
        .unwrap();
    let (out, _, how) = said(from).await;
    assert_eq!((out.len(), how), (3_000_000, Ok(0)));
}

#[tokio::test]
async fn exec_into_what_does_not_run_is_refused_before_anything_starts() {
    let node = Node::start();
    create(&node, "a").await;
    node.status(
        "a",
        json!({"phase": "Pending", "initContainerStatuses": [ended("init", 0, 0)]}),
    );
    for (container, phase, words) in [
        (
            "init",
            "Pending",
            "Internal error occurred: unable to upgrade connection: container not found (\"init\")",
        ),
        (
            "app",
            "Succeeded",
            "cannot exec into a container in a completed pod; current phase is Succeeded",
        ),
        ("x", "Running", "container x is not valid for pod a"),
    ] {
        node.status(
            "a",
            json!({"phase": phase, "initContainerStatuses": [ended("init", 0, 0)]}),
        );
        let request = ExecRequest {
            container: container.to_owned(),
            ..exec(&["true"], false)
        };
        let ClientError::Server(error) = node.client.exec(&request).await.map(drop).unwrap_err()
        else {
            panic!("{words}");
        };
        assert_eq!(error.message, words);
    }
    node.status(
        "a",
        json!({"phase": "Running", "containerStatuses": [running("app", 0)]}),
    );
    let missing = node
        .client
        .exec(&exec(&["/no/such"], false))
        .await
        .map(drop)
        .unwrap_err();
    assert!(missing.to_string().contains("/no/such"), "{missing}");
}

#[tokio::test]
async fn an_archive_is_streamed_and_its_import_told_step_by_step() {
    let node = Node::start();
    let (to, pieces) = mpsc::channel(1);
    let sending = tokio::spawn(async move {
        for _ in 0..40 {
            to.send(Ok(vec![1; 100_000].into())).await.unwrap();
        }
    });
    let steps = node
        .client
        .import_image(Some("busy/box:1"), None, pieces)
        .await
        .unwrap();
    let mut told = Vec::new();
    let images = steps.run(|step| told.push(step.to_owned())).await.unwrap();
    sending.await.unwrap();
    assert_eq!(told, ["reading", "named busy/box:1"]);
    assert_eq!(images[0]["size"], 4_000_000);

    let (to, pieces) = mpsc::channel(1);
    drop(to);
    let steps = node.client.import_image(None, None, pieces).await.unwrap();
    let refused = steps.run(|_| {}).await.unwrap_err();
    assert_eq!(reason(&refused), Some(Reason::BadRequest));
    let done = node.client.remove_image("a/b:c@d", true).await.unwrap();
    assert_eq!(done, ["Untagged: a/b:c@d true"]);
}

#[tokio::test]
async fn events_are_counted_and_selected_by_their_pod() {
    let node = Node::start();
    create(&node, "a").await;
    let event = |pod: &str, message: &str, second: i64| Event {
        pod: pod_model::ids::PodRef {
            namespace: "default".into(),
            name: pod.into(),
            uid: format!("uid-{pod}").into(),
        },
        field_path: String::new(),
        kind: EventKind::Warning,
        reason: "BackOff".to_owned(),
        message: message.to_owned(),
        component: "kubelet".to_owned(),
        first: jiff::Timestamp::from_second(second).unwrap(),
        last: jiff::Timestamp::from_second(second).unwrap(),
        count: 1,
    };
    for second in [1, 2, 3] {
        node.node.events.record(event("a", "again", second));
    }
    node.node.events.record(event("a", "other", 3));
    node.node.events.record(event("b", "again", 3));
    let of_a = Selectors {
        fields: "involvedObject.name=a".to_owned(),
        ..Selectors::default()
    };
    let list = node
        .client
        .list(Resource::Events, Some("default"), &of_a)
        .await
        .unwrap();
    let counts: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["count"])
        .collect();
    assert_eq!(counts, [&json!(3), &json!(1)]);
    let first = pod_api::wire::event_of(&list["items"][0]).unwrap();
    assert_eq!((first.count, first.last.as_second()), (3, 3));
}

#[tokio::test]
async fn connections_are_counted_until_they_end() {
    let node = Node::start();
    create(&node, "a").await;
    let watch = node
        .client
        .watch(Resource::Pods, None, &Selectors::default(), None)
        .await
        .unwrap();
    assert!(node.clients.load(Ordering::SeqCst) >= 1);
    drop(watch);
    let gone = async {
        while node.clients.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_node_tells_of_itself_and_strange_requests_get_a_status() {
    let node = Node::start();
    assert_eq!(node.client.node().await.unwrap().name, "fake");
    create(&node, "a").await;
    assert_eq!(
        node.client.plan_of("default", "a").await.unwrap()["of"],
        "a"
    );
    let missing = node.client.plan_of("default", "zzz").await.unwrap_err();
    assert_eq!(reason(&missing), Some(Reason::NotFound));
    let attempts = node.client.attempts_of("default", "a").await.unwrap();
    assert!(attempts.accepted.is_some() && attempts.runtime.containers.is_empty());
    let missing = node.client.attempts_of("default", "zzz").await;
    assert_eq!(reason(&missing.unwrap_err()), Some(Reason::NotFound));
    let stats = node.client.stats_of("default", "a").await.unwrap();
    assert_eq!(stats.pod.and_then(|u| u.pids), Some(3));
    assert_eq!(stats.containers[0].usage.pids, Some(3));
    let missing = node.client.stats_of("default", "zzz").await;
    assert_eq!(reason(&missing.unwrap_err()), Some(Reason::NotFound));
    let retried = node.client.retry("default", "a", Some("b")).await.unwrap();
    assert_eq!(retried.from, [ContainerName::new("b")]);
    assert_eq!(retried.skipped, [ContainerName::new("a")]);
    let refused = node.client.retry("default", "a", Some("never")).await;
    assert_eq!(reason(&refused.unwrap_err()), Some(Reason::BadRequest));
    let missing = node.client.retry("default", "zzz", None).await;
    assert_eq!(reason(&missing.unwrap_err()), Some(Reason::NotFound));
    let odd = Selectors {
        labels: "a of (b)".to_owned(),
        ..Selectors::default()
    };
    let refused = node
        .client
        .list(Resource::Pods, None, &odd)
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), Some(Reason::BadRequest));
    let mut told = Vec::new();
    let reset = node.client.reset().await.unwrap();
    reset.run(|step| told.push(step.to_owned())).await.unwrap();
    assert_eq!(told, ["resetting"]);
    assert!(node.run.path().join("api.sock").exists());
}
