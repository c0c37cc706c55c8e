//! Bad manifests and the words that they get. The words are part of the product: they are compared whole.

use pod_manifest::{Object, Options, defaults, read_documents, support, to_model, validate_pod};
use proptest::prelude::*;

const HEAD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n";

/// What is said of a text.
fn said(text: &str) -> String {
    match read_documents("pod.yaml", text) {
        Ok(documents) => format!("{} documents", documents.len()),
        Err(problems) => problems.to_string(),
    }
}

/// What is said of a pod with this spec, whose first line is line 6.
fn said_of_spec(spec: &str) -> String {
    said(&format!("{HEAD}spec:\n{spec}"))
}

#[test]
fn an_unknown_field_is_named_with_its_path_its_line_and_what_may_be_meant() {
    for (spec, expected) in [
        (
            "  containers:\n  - name: a\n    comand: [x]\n",
            "pod.yaml:8: unknown field \"spec.containers[0].comand\" (did you mean \"command\"?)",
        ),
        (
            "  container:\n  - name: a\n",
            "pod.yaml:6: unknown field \"spec.container\" (did you mean \"containers\"?)",
        ),
        (
            "  containers:\n  - name: a\n    resources:\n      limit: {cpu: 1}\n",
            "pod.yaml:9: unknown field \"spec.containers[0].resources.limit\" (did you mean \"limits\"?)",
        ),
        (
            "  containers:\n  - name: a\n    hostNetwork: true\n",
            "pod.yaml:8: unknown field \"spec.containers[0].hostNetwork\" (hostNetwork belongs under spec: check the indentation)",
        ),
        ("  zzz: 1\n", "pod.yaml:6: unknown field \"spec.zzz\""),
    ] {
        assert_eq!(said_of_spec(spec), expected, "{spec}");
    }
}

#[test]
fn a_value_of_another_type_is_named_with_what_would_fit() {
    for (spec, expected) in [
        (
            "  containers: [{name: a, env: [{name: A, value: 5}]}]\n",
            "pod.yaml:6: spec.containers[0].env[0].value: expected a string, found an integer 5 (quote it: \"5\")",
        ),
        (
            "  containers: [{name: a, env: [{name: A, value: yes}]}]\n",
            "pod.yaml:6: spec.containers[0].env[0].value: expected a string, found the boolean yes (without quotes YAML 1.1, which Kubernetes reads, takes it as true; quote it: \"yes\")",
        ),
        (
            "  containers: [{name: a, args: [1.5]}]\n",
            "pod.yaml:6: spec.containers[0].args[0]: expected a string, found a number 1.5 (quote it: \"1.5\")",
        ),
        (
            "  containers: [{name: a, ports: [{containerPort: \"80\"}]}]\n",
            "pod.yaml:6: spec.containers[0].ports[0].containerPort: expected an integer, found a string \"80\" (write it without quotes: 80)",
        ),
        (
            "  containers: [{name: a, ports: [{containerPort: 4294967296}]}]\n",
            "pod.yaml:6: spec.containers[0].ports[0].containerPort: expected an integer of 32 bits, found an integer 4294967296",
        ),
        (
            "  containers: [{name: a, tty: \"true\"}]\n",
            "pod.yaml:6: spec.containers[0].tty: expected true or false, found a string \"true\" (write it without quotes: true)",
        ),
        (
            "  containers: {name: a}\n",
            "pod.yaml:6: spec.containers: expected a list, found a map (begin each item with \"- \")",
        ),
        (
            "  containers: [{name: a, command: sleep}]\n",
            "pod.yaml:6: spec.containers[0].command: expected a list, found a string \"sleep\" (begin each item with \"- \")",
        ),
        (
            "  containers: [a]\n",
            "pod.yaml:6: spec.containers[0]: expected a map of fields, found a string \"a\"",
        ),
        (
            "  containers:\n  -\n",
            "pod.yaml:7: spec.containers[0]: expected a value, found nothing (a list item is empty)",
        ),
        (
            "  containers: [{name: a, resources: {limits: {cpu: lots}}}]\n",
            "pod.yaml:6: spec.containers[0].resources.limits[cpu]: \"lots\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            "  containers: [{name: a, resources: {limits: {cpu: 010}}}]\n",
            "pod.yaml:6: spec.containers[0].resources.limits[cpu]: expected an amount in decimal, found an integer 010 (YAML 1.1 reads it as 8: write that, or quote it)",
        ),
        (
            "  nodeSelector: {y: a}\n",
            "pod.yaml:6: the key y is true in YAML 1.1, which Kubernetes reads: quote it: \"y\"",
        ),
        (
            "  containers: [{name: a, livenessProbe: {httpGet: {port: [1]}}}]\n",
            "pod.yaml:6: spec.containers[0].livenessProbe.httpGet.port: expected an integer or a string, found a list",
        ),
    ] {
        assert_eq!(said_of_spec(spec), expected, "{spec}");
    }
}

#[test]
fn all_problems_come_at_once_in_the_order_of_their_lines() {
    let spec = "  containers:\n  - name: a\n    tty: maybe\n    image: 5\n  restartpolicy: Never\n  hostname: [a]\n";
    assert_eq!(
        said_of_spec(spec),
        "pod.yaml:8: spec.containers[0].tty: expected true or false, found a string \"maybe\"\n\
         pod.yaml:9: spec.containers[0].image: expected a string, found an integer 5 (quote it: \"5\")\n\
         pod.yaml:10: unknown field \"spec.restartpolicy\" (did you mean \"restartPolicy\"?)\n\
         pod.yaml:11: spec.hostname: expected a string, found a list"
    );
}

#[test]
fn a_key_that_stands_twice_is_refused_with_both_lines() {
    let spec = "  hostname: a\n  subdomain: b\n  hostname: c\n";
    assert_eq!(
        said_of_spec(spec),
        "pod.yaml:8: key \"spec.hostname\" stands here twice (first in line 6)"
    );
    assert_eq!(
        said("{\"apiVersion\": \"v1\",\n\"kind\": \"Pod\",\n\"kind\": \"Pod\"}"),
        "pod.yaml:3: key \"kind\" stands here twice (first in line 2)"
    );
}

#[test]
fn text_that_is_no_yaml_is_refused_with_line_and_column() {
    for (text, start) in [
        ("a: b: c\n", "pod.yaml:1:"),
        ("a: [1\nb: 2\n", "pod.yaml:2:"),
        ("a: \"x\n", "pod.yaml:"),
        ("a:\n\tb: 1\n", "pod.yaml:2:"),
        ("a: *nowhere\n", "pod.yaml:1:"),
    ] {
        let said = said(text);
        assert!(said.starts_with(start), "{text:?}: {said}");
        assert!(said.contains("not valid YAML: "), "{text:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn kinds_that_are_not_run_are_refused_with_what_to_do() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 1\n  template:\n    spec: {}\n";
    for (text, expected) in [
        (
            deployment,
            "pod.yaml:2: kind Deployment is not run by podwright; its pod template stands under spec.template (line 7): write a document with apiVersion: v1 and kind: Pod, and give it that template's metadata and spec",
        ),
        (
            "apiVersion: batch/v1\nkind: CronJob\n",
            "pod.yaml:2: kind CronJob is not run by podwright; its pod template would stand under spec.jobTemplate.spec.template, but there is none",
        ),
        (
            "apiVersion: v1\nkind: PersistentVolume\n",
            "pod.yaml:2: kind PersistentVolume is not supported yet",
        ),
        (
            "apiVersion: v2\nkind: Service\n",
            "pod.yaml:1: apiVersion: expected \"v1\" for kind Service, found \"v2\"",
        ),
        (
            "apiVersion: v1\nkind: Service\nspec:\n  prots: []\n",
            "pod.yaml:4: unknown field \"spec.prots\" (did you mean \"ports\"?)",
        ),
        (
            "apiVersion: v1\nkind: pod\n",
            "pod.yaml:2: kind \"pod\" is not known (did you mean \"Pod\"?)",
        ),
        (
            "apiVersion: v1\nkind: Namespace\n",
            "pod.yaml:2: kind \"Namespace\" is not known (podwright takes Pod, Service, ConfigMap, Secret, PersistentVolumeClaim and List)",
        ),
        (
            "metadata: {}\n",
            "pod.yaml:1: kind is missing: podwright takes Pod, Service, ConfigMap, Secret, PersistentVolumeClaim and List",
        ),
        (
            "kind: Pod\n",
            "pod.yaml:1: apiVersion is missing: kind Pod has \"v1\"",
        ),
        (
            "apiVersion: v2\nkind: Pod\n",
            "pod.yaml:1: apiVersion: expected \"v1\" for kind Pod, found \"v2\"",
        ),
        (
            "just words\n",
            "pod.yaml:1: a document must be a map with apiVersion, kind and metadata",
        ),
        (
            "apiVersion: v1\nkind: Secret\ndata: {k: '*'}\n",
            "pod.yaml:3: data[k]: not base64: Invalid symbol 42, offset 0. (for plain text use stringData in a Secret, data in a ConfigMap)",
        ),
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn aliases_that_expand_without_end_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..10 {
        let alias = format!("*a{}", n - 1);
        let items = vec![alias; 9].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{items}]\n"));
    }
    let said = said(&text);
    assert!(
        said.ends_with("the aliases of this text expand to more than 4 MiB: refused"),
        "{said}"
    );
    assert!(read_documents("pod.yaml", "a: &a [*a]\n").is_err());
}

#[test]
fn nesting_without_end_is_refused() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
    ] {
        assert!(read_documents("pod.yaml", &text).is_err());
    }
    let mut chain = String::from("a0: &a0 x\n");
    for n in 1..20_000 {
        chain.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
    }
    assert!(said(&chain).ends_with("refused"), "{}", said(&chain));
    let json = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read_documents("pod.yaml", &json).is_err());
}

/// All steps of the door, whatever comes out; false if the first one refuses the text.
fn go_through(text: &str) -> bool {
    let Ok(documents) = read_documents("pod.yaml", text) else {
        return false;
    };
    for document in documents {
        let Object::Pod(mut pod) = document.object else {
            continue;
        };
        support(&pod);
        defaults(&mut pod);
        let errors = validate_pod(&pod, &Options::default());
        let _model = to_model(&pod);
        assert!(errors.iter().all(|e| !e.to_string().is_empty()));
    }
    true
}

/// A pod with many kinds of fields: `@` stands for a text, `#` for a number, `%` for an amount.
const TEMPLATE: &str = "  hostname: @
  restartPolicy: @
  dnsPolicy: @
  runtimeClassName: @
  nodeSelector: {a: @}
  os: {name: @}
  activeDeadlineSeconds: #
  terminationGracePeriodSeconds: #
  hostUsers: false
  overhead: {cpu: %}
  resources: {limits: {hugepages-2Mi: %, memory: %}, requests: {cpu: %}}
  tolerations: [{key: @, operator: @, value: @}]
  hostAliases: [{ip: @, hostnames: [@]}]
  dnsConfig: {nameservers: [@], searches: [@], options: [{name: @}]}
  securityContext: {fsGroup: #, sysctls: [{name: @, value: @}], seccompProfile: {type: @, localhostProfile: @}}
  volumes:
  - {name: @, emptyDir: {medium: @, sizeLimit: %}}
  - {name: v, hostPath: {path: @, type: @}}
  - {name: @, secret: {secretName: @, defaultMode: #, items: [{key: @, path: @}]}}
  - {name: @, iscsi: {targetPortal: @, iqn: @, lun: #, initiatorName: @}}
  - {name: @, quobyte: {registry: @, volume: @}}
  - {name: @, csi: {driver: @}}
  - name: p
    projected:
      sources:
      - downwardAPI: {items: [{path: @, resourceFieldRef: {containerName: @, resource: @, divisor: %}}]}
      - clusterTrustBundle: {name: @, path: @}
      - podCertificate: {signerName: @, keyType: @, keyPath: @}
  initContainers:
  - name: @
    image: @
    restartPolicy: @
    restartPolicyRules: [{action: @, exitCodes: {operator: @, values: [#]}}]
  containers:
  - name: @
    image: @
    env: [{name: @, value: @, valueFrom: {fieldRef: {fieldPath: @}}}]
    envFrom: [{prefix: @, secretRef: {name: @}}]
    ports: [{name: @, containerPort: #, hostPort: #, protocol: @}]
    resources: {limits: {cpu: %, example.com/gpu: %}, requests: {cpu: %, hugepages-1Gi: %}}
    volumeMounts: [{name: v, mountPath: @, subPath: @, mountPropagation: @}]
    livenessProbe: {httpGet: {port: @, path: @}, periodSeconds: #}
    lifecycle: {stopSignal: @, preStop: {sleep: {seconds: #}}}
    securityContext: {runAsUser: #, procMount: @, windowsOptions: {runAsUserName: @}}
";

/// Names, addresses, paths: well formed ones and others.
const TEXTS: &[&str] = &[
    "'x'",
    "'-x'",
    "''",
    "'..'",
    "/a/../b",
    "Localhost",
    "Always",
    "Never",
    "linux",
    "windows",
    "'é-'",
    "'é'",
    "net.core/somaxconn",
    "10.0.0.1",
    "'010.0.0.1'",
    "'::ffff:1.2.3.4'",
    "\"metadata.labels['é']\"",
    "\"['a']\"",
    "limits.cpu",
    "iqn.2015-02.example.com:t",
    "'eui.é'",
    "'é-é'",
    "'[::1]:80'",
    "'a\\b'",
    "'a:b:c'",
    "Exists",
    "Lt",
    "'9223372036854775808'",
    "SIGTERM",
    "a.b/c",
    "",
];
const NUMBERS: &[&str] = &["1", "0", "-1", "80", "2147483647", "-2147483648", ""];
const AMOUNTS: &[&str] = &[
    "1",
    "0",
    "-1m",
    "1Gi",
    "3Mi",
    "1E",
    "0.5",
    "1e3",
    "9223372036854775807",
    "",
];

proptest! {
    #[test]
    fn no_pod_makes_a_step_of_the_door_panic(
        choices in prop::collection::vec(any::<prop::sample::Index>(), 150),
    ) {
        let mut choices = choices.iter().cycle();
        let mut pick = |from: &[&'static str]| choices.next().map_or("", |index| from[index.index(from.len())]);
        let mut spec = String::new();
        for sign in TEMPLATE.chars() {
            match sign {
                '@' => spec.push_str(pick(TEXTS)),
                '#' => spec.push_str(pick(NUMBERS)),
                '%' => spec.push_str(pick(AMOUNTS)),
                other => spec.push(other),
            }
        }
        let text = format!("{HEAD}spec:\n{spec}");
        prop_assert!(go_through(&text), "{}", said(&text));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _either = read_documents("pod.yaml", &text);
    }

    #[test]
    fn no_text_of_yaml_signs_makes_the_reader_panic(text in "[-:{}\\[\\]&*!<>|'\"#,? \n\ta-c0-2~.%@]{0,80}") {
        let _either = read_documents("pod.yaml", &text);
    }

    #[test]
    fn no_value_in_any_field_makes_the_reader_panic(
        field in prop::sample::select(vec!["containers", "volumes", "restartPolicy", "hostNetwork", "dnsConfig", "resources", "tolerations", "priority"]),
        value in "[-:{}\\[\\]'\", a-z0-9]{0,40}",
    ) {
        go_through(&format!("{HEAD}spec:\n  {field}: {value}\n"));
    }
}
