//! Manifests as users and kubectl write them, all the way to the model.

use pod_manifest::{
    Object, Options, config_map_data, defaults, from_model, from_model_status, read_documents,
    secret_data, status_to_model, to_model, validate_config_map, validate_pod, validate_secret,
    wire,
};
use pod_model::pod::{DnsPolicy, PullPolicy, RestartPolicy, TerminationMessagePolicy};

fn read_pod(text: &str) -> wire::Pod {
    let documents = read_documents("pod.yaml", text).unwrap();
    match &documents[0].object {
        Object::Pod(pod) => (**pod).clone(),
        other => panic!("no pod: {other:?}"),
    }
}

const INIT_DEMO: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: demo
  labels: {app: demo, empty: ''}
  annotations:
    note:
spec:
  initContainers:
  - name: first
    image: busybox
    command: [sh, -c, echo one > /work/log]
    volumeMounts: [{name: work, mountPath: /work}]
  containers:
  - name: app
    image: busybox:1.36
    resources:
      limits: {cpu: 1, memory: 64Mi}
    env:
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    volumeMounts: [{name: work, mountPath: /work, readOnly: true}]
  volumes:
  - name: work
  - name: config
    configMap: {name: c, defaultMode: 0400}
";

#[test]
fn a_pod_gets_its_defaults_passes_and_becomes_a_model() {
    let mut pod = read_pod(INIT_DEMO);
    defaults(&mut pod);
    assert_eq!(validate_pod(&pod, &Options::default()), []);
    let model = to_model(&pod).unwrap();
    assert_eq!(model.metadata.namespace, "default");
    assert_eq!(model.metadata.labels["empty"], "");
    assert_eq!(model.metadata.annotations["note"], "");
    assert_eq!(model.spec.restart_policy, Some(RestartPolicy::Always));
    assert_eq!(model.spec.dns_policy, Some(DnsPolicy::ClusterFirst));
    assert_eq!(model.spec.termination_grace_period_seconds, Some(30));
    let (init, app) = (&model.spec.init_containers[0], &model.spec.containers[0]);
    assert_eq!(init.image_pull_policy, Some(PullPolicy::Always));
    assert_eq!(app.image_pull_policy, Some(PullPolicy::IfNotPresent));
    assert_eq!(
        app.termination_message_policy,
        Some(TerminationMessagePolicy::File)
    );
    assert_eq!(
        app.termination_message_path.as_deref(),
        Some("/dev/termination-log")
    );
    assert_eq!(app.resources.requests, app.resources.limits);
    assert_eq!(app.resources.requests["cpu"], "1000m".parse().unwrap());
    assert!(model.spec.volumes[0].empty_dir.is_some());
    let config = model.spec.volumes[1].config_map.as_ref().unwrap();
    assert_eq!(config.default_mode, Some(0o400));
}

#[test]
fn defaults_twice_are_defaults_once() {
    let mut once = read_pod(INIT_DEMO);
    defaults(&mut once);
    let mut twice = once.clone();
    defaults(&mut twice);
    assert_eq!(once, twice);
}

#[test]
fn defaults_at_pod_level_follow_from_the_containers() {
    let mut pod = read_pod(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  resources: {limits: {cpu: 2, memory: 1Gi}}\n  containers:\n  - {name: a, image: i, resources: {requests: {cpu: 100m}}}\n  - {name: b, image: i, resources: {requests: {cpu: 200m}}}\n",
    );
    defaults(&mut pod);
    let model = to_model(&pod).unwrap();
    let resources = model.spec.resources.unwrap();
    assert_eq!(resources.requests["cpu"], "300m".parse().unwrap());
    assert_eq!(resources.requests["memory"], "1Gi".parse().unwrap());
}

#[test]
fn host_network_makes_ports_of_containers_ports_of_the_node() {
    let mut pod = read_pod(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  hostNetwork: true\n  containers: [{name: a, image: i, ports: [{containerPort: 80}]}]\n",
    );
    defaults(&mut pod);
    assert_eq!(validate_pod(&pod, &Options::default()), []);
    let port = &to_model(&pod).unwrap().spec.containers[0].ports[0];
    assert_eq!(
        (port.host_port, port.protocol.as_deref()),
        (Some(80), Some("TCP"))
    );
}

#[test]
fn a_pod_survives_the_way_to_the_model_and_back() {
    let mut pod = read_pod(INIT_DEMO);
    defaults(&mut pod);
    let model = to_model(&pod).unwrap();
    let back = from_model(&model).unwrap();
    assert_eq!(to_model(&back).unwrap(), model);
    let volumes = back.spec.unwrap().volumes.unwrap();
    assert!(
        volumes[0].empty_dir.is_some(),
        "an emptyDir without fields is one still"
    );
}

#[test]
fn times_of_a_status_lose_what_is_finer_than_a_second() {
    let status = pod_model::status::PodStatus {
        start_time: Some("2026-01-01T00:00:00.75Z".parse().unwrap()),
        message: "at 2026-01-01T00:00:00.75Z".to_owned(),
        ..Default::default()
    };
    let wire = from_model_status(&status).unwrap();
    let back = status_to_model(&wire).unwrap();
    assert_eq!(
        back.start_time,
        Some("2026-01-01T00:00:00Z".parse().unwrap())
    );
    assert_eq!(back.message, status.message);
}

#[test]
fn several_documents_lists_and_json_are_read_with_their_lines() {
    let text = "---\n# nothing here\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: p}\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: s}\n";
    let documents = read_documents("-", text).unwrap();
    let lines: Vec<usize> = documents.iter().map(|d| d.line).collect();
    assert_eq!(lines, [4, 11, 14]);
    let json = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"PodList\",\n\t\"items\": [\n\t\t{\"metadata\": {\"name\": \"\\ud83d\\ude00\"}}\n\t]\n}\n";
    let documents = read_documents("-", json).unwrap();
    assert_eq!(documents[0].line, 5);
    let Object::Pod(pod) = &documents[0].object else {
        panic!("no pod");
    };
    assert_eq!(pod.metadata.name.as_deref(), Some("😀"));
}

#[test]
fn anchors_and_merge_keys_are_resolved_and_own_fields_win() {
    let pod = read_pod(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - &base\n    name: a\n    image: i\n    env: &env [{name: A, value: '1'}]\n  - <<: *base\n    name: b\n    env: *env\n",
    );
    let containers = pod.spec.unwrap().containers;
    assert_eq!(containers[1].name, "b");
    assert_eq!(containers[1].image.as_deref(), Some("i"));
    assert_eq!(containers[1].env, containers[0].env);
}

#[test]
fn what_kubectl_prints_can_be_read() {
    let pod = read_pod(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  creationTimestamp: \"2026-01-01T00:00:00Z\"\n  managedFields:\n  - apiVersion: v1\n    fieldsType: FieldsV1\n    fieldsV1:\n      f:spec:\n        k:{\"name\":\"a\"}:\n          .: {}\n    manager: kubectl\n    time: \"2026-01-01T00:00:00Z\"\n  name: p\n  uid: u\nspec:\n  containers: [{name: a, image: i, readinessProbe: {httpGet: {port: 80}}}]\nstatus:\n  phase: Running\n  startTime: null\n",
    );
    assert!(pod.metadata.creation_timestamp.is_some());
    assert_eq!(to_model(&pod).unwrap().status, None);
}

#[test]
fn a_legacy_annotation_gives_a_warning_that_names_the_field_to_use() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n    pod.beta.kubernetes.io/init-containers: '[]'\n";
    let documents = read_documents("pod.yaml", text).unwrap();
    let warnings: Vec<String> = documents[0]
        .warnings
        .iter()
        .map(|w| w.in_source("pod.yaml"))
        .collect();
    assert_eq!(
        warnings,
        [
            "pod.yaml:6: the annotation pod.beta.kubernetes.io/init-containers has had no effect since Kubernetes 1.8: use the field spec.initContainers"
        ]
    );
}

#[test]
fn config_maps_and_secrets_give_their_bytes() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: ns}\ndata: {a: text}\nbinaryData: {b: AAE=}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\ndata: {a: b25l, b: dHdv}\nstringData: {a: plain}\n";
    let documents = read_documents("-", text).unwrap();
    let (Object::ConfigMap(config_map), Object::Secret(secret)) =
        (&documents[0].object, &documents[1].object)
    else {
        panic!("other kinds");
    };
    assert_eq!(validate_config_map(config_map), []);
    assert_eq!(validate_secret(secret), []);
    let data = config_map_data(config_map);
    assert_eq!(
        (data["a"].as_slice(), data["b"].as_slice()),
        (&b"text"[..], &[0, 1][..])
    );
    let data = secret_data(secret);
    assert_eq!(
        (data["a"].as_slice(), data["b"].as_slice()),
        (&b"plain"[..], &b"two"[..])
    );
}

#[test]
fn bad_config_maps_and_secrets_are_refused_in_the_servers_words() {
    let big = "x".repeat((1 << 20) + 1);
    for (text, expected) in [
        ("kind: ConfigMap\nmetadata: {name: c, namespace: ns}\ndata: {..: x}\n".to_owned(), "data[..]: Invalid value: \"..\": must not be '..'"),
        ("kind: ConfigMap\nmetadata: {name: c, namespace: ns}\ndata: {a: x}\nbinaryData: {a: AAE=}\n".to_owned(), "data[a]: Invalid value: \"a\": duplicate of key present in binaryData"),
        (format!("kind: ConfigMap\nmetadata: {{name: c, namespace: ns}}\ndata: {{a: {big}}}\n"), "[]: Too long: may not be more than 1048576 bytes"),
        ("kind: Secret\nmetadata: {name: s}\n".to_owned(), "metadata.namespace: Required value"),
        ("kind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: s, namespace: ns}\ndata: {tls.key: ''}\n".to_owned(), "data[tls.crt]: Required value"),
    ] {
        let documents = read_documents("-", &format!("apiVersion: v1\n{text}")).unwrap();
        let errors = match &documents[0].object {
            Object::ConfigMap(c) => validate_config_map(c),
            Object::Secret(s) => validate_secret(s),
            Object::Pod(_) | Object::Service(_) | Object::Claim(_) => Vec::new(),
        };
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, [expected]);
    }
}

#[test]
fn a_pod_that_is_wrong_gets_all_its_errors_in_the_servers_order() {
    let mut pod = read_pod(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: P_}\nspec:\n  restartPolicy: Sometimes\n  initContainers: [{name: a, image: i, livenessProbe: {exec: {command: [x]}}}]\n  containers:\n  - {name: a, image: \" i\", volumeMounts: [{name: v, mountPath: /v}]}\n  - {name: a, image: i, resources: {requests: {cpu: 2}, limits: {cpu: 1}}}\n",
    );
    defaults(&mut pod);
    let errors = validate_pod(&pod, &Options::default());
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "metadata.name: Invalid value: \"P_\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
            "spec.containers[1].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            "spec.containers[1].name: Duplicate value: \"a\"",
            "spec.initContainers[0].name: Duplicate value: \"a\"",
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace",
        ]
    );
}

#[test]
fn numbers_mean_what_kubernetes_reads_in_them() {
    let pod = read_pod(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  activeDeadlineSeconds: 1e3\n  terminationGracePeriodSeconds: 0o17\n  hostNetwork: yes\n  containers:\n  - {name: a, image: i, resources: {limits: {cpu: 0.5, memory: 1e6}}}\n  volumes: [{name: v, secret: {secretName: s, defaultMode: 0440}}]\n",
    );
    let spec = to_model(&pod).unwrap().spec;
    assert_eq!(spec.active_deadline_seconds, Some(1000));
    assert_eq!(spec.termination_grace_period_seconds, Some(15));
    assert!(spec.host_network);
    let limits = &spec.containers[0].resources.limits;
    assert_eq!(limits["cpu"], "500m".parse().unwrap());
    assert_eq!(limits["memory"], "1M".parse().unwrap());
    assert_eq!(
        spec.volumes[0].secret.as_ref().unwrap().default_mode,
        Some(0o440)
    );
}
