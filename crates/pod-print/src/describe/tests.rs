//! The whole of `describe pod` for a pod that waits in its first init container.

use super::field::{field_text, resource_text};
use super::*;
use pod_model::event::EventKind;
use pod_model::pod::{
    Container, ExecAction, Handler, HttpGetAction, IntOrString, Probe, ResourceFieldRef,
};

const POD: &str = r#"{
  "metadata": {"name": "myapp-pod", "namespace": "default", "uid": "u", "labels": {"app": "myapp", "tier": "web"},
    "annotations": {"note": "two\nlines", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
  "spec": {"nodeName": "node-1", "serviceAccountName": "default",
    "initContainers": [{"name": "init-a", "image": "busybox", "command": ["sh", "-c", "exit 0"]}],
    "containers": [{"name": "app", "image": "busybox", "ports": [{"containerPort": 80, "protocol": "TCP"}],
      "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
              {"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
              {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
              {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
      "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "100m"}},
      "volumeMounts": [{"name": "work", "mountPath": "/work"}, {"name": "conf", "mountPath": "/conf", "readOnly": true}]}],
    "volumes": [{"name": "work", "emptyDir": {}}, {"name": "conf", "configMap": {"name": "cm"}}]},
  "status": {"phase": "Pending", "hostIP": "10.0.0.1", "startTime": "2026-01-01T00:00:00Z", "qosClass": "Burstable",
    "conditions": [{"type": "Initialized", "status": "False"}],
    "initContainerStatuses": [{"name": "init-a", "image": "busybox", "imageID": "sha256:1", "containerID": "podwright://1",
      "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}, "ready": false, "restartCount": 0}],
    "containerStatuses": [{"name": "app", "image": "busybox", "imageID": "",
      "state": {"waiting": {"reason": "PodInitializing"}}, "ready": false, "restartCount": 0}]}
}"#;

const TEXT: &str = "\
Name:             myapp-pod
Namespace:        default
Service Account:  default
Node:             node-1/10.0.0.1
Start Time:       Thu, 01 Jan 2026 00:00:00 +0000
Labels:           app=myapp
                  tier=web
Annotations:      note:
                    two
                    lines
Status:           Pending
IP:               
IPs:              <none>
Init Containers:
  init-a:
    Container ID:  podwright://1
    Image:         busybox
    Image ID:      sha256:1
    Port:          <none>
    Host Port:     <none>
    Command:
      sh
      -c
      exit 0
    State:          Running
      Started:      Thu, 01 Jan 2026 00:00:01 +0000
    Ready:          False
    Restart Count:  0
    Environment:    <none>
    Mounts:         <none>
Containers:
  app:
    Container ID:   
    Image:          busybox
    Image ID:       
    Port:           80/TCP
    Host Port:      0/TCP
    State:          Waiting
      Reason:       PodInitializing
    Ready:          False
    Restart Count:  0
    Limits:
      memory:  64Mi
    Requests:
      cpu:  100m
    Environment:
      NODE:  myapp-pod (v1:metadata.name)
      IP:     (v1:status.podIP)
      MEM:   64 (limits.memory)
      KEY:   <set to the key 'k' in secret 's'>  Optional: false
    Mounts:
      /conf from conf (ro)
      /work from work (rw)
Conditions:
  Type          Status
  Initialized   False 
Volumes:
  work:
    Type:       EmptyDir (a temporary directory that shares a pod's lifetime)
    Medium:     
    SizeLimit:  <unset>
  conf:
    Type:        ConfigMap (a volume populated by a ConfigMap)
    Name:        cm
    Optional:    false
QoS Class:       Burstable
Node-Selectors:  <none>
Tolerations:     <none>
";

fn pod() -> Pod {
    serde_json::from_str(POD).unwrap()
}

fn now() -> Timestamp {
    "2026-01-01T00:02:00Z".parse().unwrap()
}

fn event(message: &str, count: u32) -> Event {
    Event {
        pod: pod().reference(),
        field_path: "spec.initContainers{init-a}".to_owned(),
        kind: EventKind::Normal,
        reason: "Started".to_owned(),
        message: message.to_owned(),
        component: "kubelet".to_owned(),
        first: "2026-01-01T00:00:01Z".parse().unwrap(),
        last: "2026-01-01T00:01:50Z".parse().unwrap(),
        count,
    }
}

fn described(events: Option<&[Event]>) -> String {
    describe_pod(Described {
        pod: &pod(),
        extras: &Extras::default(),
        events,
        now: now(),
    })
}

#[test]
fn a_pod_is_described_as_kubectl_does() {
    assert_eq!(described(None), TEXT);
}

#[test]
fn no_events_stand_in_the_column_of_what_comes_before() {
    assert_eq!(
        described(Some(&[])),
        format!("{TEXT}Events:          <none>\n")
    );
}

#[test]
fn events_are_laid_out_by_themselves_behind_their_container() {
    let text = described(Some(&[
        event("Container started ", 1),
        event("b\u{1b}[2J", 3),
    ]));
    let events = text.strip_prefix(TEXT).unwrap();
    assert_eq!(
        events,
        "Events:
  Type    Reason   Age                 From     Message
  ----    ------   ----                ----     -------
  Normal  Started  119s                kubelet  spec.initContainers{init-a}: Container started
  Normal  Started  10s (x3 over 119s)  kubelet  spec.initContainers{init-a}: b^[[2J
"
    );
}

#[test]
fn a_pod_being_deleted_tells_for_how_long_and_its_grace_period() {
    let mut pod = pod();
    pod.metadata.deletion_timestamp = "2026-01-01T00:01:30Z".parse().ok();
    pod.metadata.deletion_grace_period_seconds = Some(30);
    let text = describe_pod(Described {
        pod: &pod,
        extras: &Extras::default(),
        events: None,
        now: now(),
    });
    assert!(text.contains(
        "Status:                    Terminating (lasts 30s)\nTermination Grace Period:  30s\n"
    ));
}

#[test]
fn a_probe_is_one_line() {
    let exec = Probe {
        handler: Handler {
            exec: Some(ExecAction {
                command: vec!["cat".to_owned(), "/x".to_owned()],
            }),
            ..Handler::default()
        },
        timeout_seconds: Some(1),
        period_seconds: Some(10),
        success_threshold: Some(1),
        failure_threshold: Some(3),
        ..Probe::default()
    };
    assert_eq!(
        probe_text(&exec),
        "exec [cat /x] delay=0s timeout=1s period=10s #success=1 #failure=3"
    );
    let get = Probe {
        handler: Handler {
            http_get: Some(HttpGetAction {
                path: Some("/ok?a b".to_owned()),
                port: IntOrString::String("web".to_owned()),
                host: None,
                scheme: Some("HTTP".to_owned()),
                http_headers: Vec::new(),
            }),
            ..Handler::default()
        },
        ..Probe::default()
    };
    assert!(probe_text(&get).starts_with("http-get http://:web/ok%3Fa%20b delay=0s "));
    let mut bare = get.clone();
    if let Some(get) = &mut bare.handler.http_get {
        get.scheme = None;
    }
    assert!(probe_text(&bare).starts_with("http-get //:web/ok%3Fa%20b delay=0s "));
}

#[test]
fn kubectl_knows_two_fields_and_leaves_the_others_to_the_node() {
    let mut pod = pod();
    pod.metadata.namespace = "ns".into();
    for (path, text) in [
        ("metadata.name", Some("myapp-pod")),
        ("metadata.namespace", Some("ns")),
        ("metadata.uid", None),
        ("metadata.labels", None),
        ("metadata.labels['app']", None),
        ("status.podIP", None),
    ] {
        assert_eq!(field_text(&pod, path).as_deref(), text, "{path}");
    }
}

#[test]
fn a_resource_and_its_divisor_are_whole_units_before_they_are_divided() {
    let mut container = Container::default();
    let limits = &mut container.resources.limits;
    limits.insert("memory".to_owned(), "1500m".parse().unwrap());
    limits.insert("cpu".to_owned(), "1500m".parse().unwrap());
    for (resource, divisor, text) in [
        ("limits.memory", "1m", "2"),
        ("limits.cpu", "1m", "1500"),
        ("limits.cpu", "1", "2"),
        ("requests.cpu", "1", "0"),
    ] {
        let field = ResourceFieldRef {
            container_name: None,
            resource: resource.to_owned(),
            divisor: Some(divisor.parse().unwrap()),
        };
        let got = resource_text(&container, &field);
        assert_eq!(got.as_deref(), Some(text), "{resource} / {divisor}");
    }
}
