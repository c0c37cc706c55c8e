//! Rules of the API server, one pod each, with its exact words.

use pod_manifest::validate::update::validate_pod_update;
use pod_manifest::{Object, Options, defaults, read_documents, validate_pod, wire};

fn pod(spec: &str) -> wire::Pod {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, resourceVersion: '1'}}\nspec:\n{spec}"
    );
    let documents = read_documents("pod.yaml", &text).unwrap();
    let Object::Pod(pod) = &documents[0].object else {
        panic!("no pod");
    };
    let mut pod = (**pod).clone();
    defaults(&mut pod);
    pod
}

/// Checks what is said of a pod with this one container more than its name and image.
fn check_container(fields: &str, expected: &[&str]) {
    let spec = format!(
        "  volumes: [{{name: v, emptyDir: {{}}}}]\n  containers: [{{name: a, image: i, {fields}}}]\n"
    );
    check(&spec, expected);
}

fn check(spec: &str, expected: &[&str]) {
    let errors = validate_pod(&pod(spec), &Options::default());
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, expected, "{spec}");
}

#[test]
fn env_ports_and_mounts_are_checked_in_the_servers_words() {
    for (fields, expected) in [
        (
            "env: [{name: 'A=B'}]",
            "spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable name must consist only of printable ASCII characters other than '='",
        ),
        (
            "env: [{name: A, valueFrom: {}}]",
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ),
        (
            "env: [{name: A, value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]",
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        ),
        (
            "env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.nam}}}]",
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.nam\": error converting fieldPath: field label not supported: metadata.nam",
        ),
        (
            "envFrom: [{prefix: X_}]",
            "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
        ),
        (
            "ports: [{containerPort: 65536}]",
            "spec.containers[0].ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
        ),
        (
            "ports: [{containerPort: 1, protocol: tcp}]",
            "spec.containers[0].ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        (
            "ports: [{containerPort: 1, hostPort: 8080}, {containerPort: 2, hostPort: 8080}]",
            "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//8080\"",
        ),
        (
            "volumeMounts: [{name: v, mountPath: /a, subPath: ../x}]",
            "spec.containers[0].volumeMounts.subPath: Invalid value: \"../x\": must not contain '..'",
        ),
        (
            "volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /a}]",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
        ),
        (
            "volumeMounts: [{name: v, mountPath: /a, mountPropagation: Bidirectional}]",
            "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
        ),
        (
            "imagePullPolicy: Sometimes",
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            "resources: {limits: {gpu: 1}}",
            "spec.containers[0].resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
        ),
        (
            "securityContext: {privileged: true, allowPrivilegeEscalation: false}",
            "spec.containers[0].securityContext: Invalid value: {\"allowPrivilegeEscalation\":false,\"privileged\":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        ),
        (
            "livenessProbe: {exec: {command: [x]}, successThreshold: 2}",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            "lifecycle: {preStop: {sleep: {seconds: 31}}}",
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
        ),
        (
            "restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [1]}}]",
            "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
        ),
    ] {
        // An unknown resource is named a second time for containers, and again as the request that it becomes.
        if fields.contains("gpu") {
            let also = "spec.containers[0].resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers";
            let (limit, request) = ("limits", "requests");
            let (a, b) = (
                expected.replace(limit, request),
                also.replace(limit, request),
            );
            check_container(fields, &[expected, also, &a, &b]);
        } else {
            check_container(fields, &[expected]);
        }
    }
}

#[test]
fn fields_of_the_pod_are_checked_in_the_servers_words() {
    const C: &str = "  containers: [{name: a, image: i}]\n";
    for (spec, expected) in [
        ("  containers: []\n".to_owned(), "spec.containers: Required value"),
        (format!("{C}  dnsConfig: {{options: [{{name: \"ndots\\nnameserver 192.0.2.9\"}}]}}\n"), "spec.dnsConfig.options[0].name: Invalid value: \"ndots\\nnameserver 192.0.2.9\": must not contain control characters"),
        (format!("{C}  dnsPolicy: None\n"), "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        (format!("{C}  activeDeadlineSeconds: 0\n"), "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"),
        (format!("{C}  hostAliases: [{{ip: 010.0.0.1}}]\n"), "spec.hostAliases[0].ip: Invalid value: \"010.0.0.1\": must not have leading 0s"),
        (format!("{C}  hostPID: true\n  shareProcessNamespace: true\n"), "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"),
        (format!("{C}  hostUsers: false\n  hostNetwork: true\n"), "spec.hostNetwork: Forbidden: when `hostUsers` is false"),
        (format!("{C}  ephemeralContainers: [{{name: e, image: i}}]\n"), "spec.ephemeralContainers: Forbidden: cannot be set on create"),
        (format!("{C}  volumes: [{{name: v, emptyDir: {{}}, hostPath: {{path: /x}}}}]\n"), "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"),
        (format!("{C}  volumes: [{{name: v, hostPath: {{path: /x, type: Folder}}}}]\n"), "spec.volumes[0].hostPath.type: Unsupported value: \"Folder\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\""),
        (format!("{C}  volumes: [{{name: v, secret: {{secretName: s, defaultMode: 01000}}}}]\n"), "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive"),
        (format!("{C}  securityContext: {{seccompProfile: {{type: Localhost}}}}\n"), "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"),
        ("  resources: {requests: {cpu: 100m}}\n  containers: [{name: a, image: i, resources: {requests: {cpu: 200m}}}]\n".to_owned(), "spec.resources.requests[cpu]: Invalid value: \"100m\": must be greater than or equal to aggregate container requests of 200m"),
    ] {
        check(&spec, &[expected]);
    }
}

#[test]
fn of_a_living_pod_only_a_few_fields_may_change() {
    const OLD: &str = "  containers: [{name: a, image: i, resources: {requests: {cpu: 500m}}}]\n";
    for (new, expected) in [
        (
            "  containers: [{name: a, image: other, resources: {requests: {cpu: 0.5}}}]\n  activeDeadlineSeconds: 5\n",
            None,
        ),
        (
            "  containers: [{name: a, image: i, resources: {requests: {cpu: 600m}}}]\n",
            Some("spec: Forbidden: pod updates may not change fields other than "),
        ),
        (
            "  containers: [{name: a, image: i}, {name: b, image: i}]\n",
            Some("spec.containers: Forbidden: pod updates may not add or remove containers"),
        ),
    ] {
        let errors = validate_pod_update(&pod(new), &pod(OLD), &Options::default());
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors.len(),
            usize::from(expected.is_some()),
            "{new}: {errors:?}"
        );
        for (error, start) in errors.iter().zip(expected) {
            assert!(error.starts_with(start), "{new}: {error}");
        }
    }
}
