//! Every field has a rule, and the rules say what they should.

use super::rule::Table;
use super::tables::*;
use super::{Support, fields, support};
use crate::decode::field_names;
use crate::read::{Object, read_documents};
use k8s_openapi::api::core::v1 as wire;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

#[test]
fn every_field_of_a_pod_has_a_rule_and_every_rule_a_field() {
    let types: &[(&str, &[&str], &Table)] = &[
        ("Pod", field_names::<wire::Pod>(), &POD),
        ("ObjectMeta", field_names::<ObjectMeta>(), &META),
        ("PodSpec", field_names::<wire::PodSpec>(), &SPEC),
        ("PodOS", field_names::<wire::PodOS>(), &OS),
        ("Container", field_names::<wire::Container>(), &CONTAINER),
        ("Lifecycle", field_names::<wire::Lifecycle>(), &LIFECYCLE),
        (
            "LifecycleHandler",
            field_names::<wire::LifecycleHandler>(),
            &HOOK,
        ),
        ("Probe", field_names::<wire::Probe>(), &PROBE),
        (
            "HTTPGetAction",
            field_names::<wire::HTTPGetAction>(),
            &HTTP_GET,
        ),
        ("EnvVar", field_names::<wire::EnvVar>(), &ENV),
        (
            "EnvVarSource",
            field_names::<wire::EnvVarSource>(),
            &ENV_SOURCE,
        ),
        ("ContainerPort", field_names::<wire::ContainerPort>(), &PORT),
        (
            "ResourceRequirements",
            field_names::<wire::ResourceRequirements>(),
            &RESOURCES,
        ),
        ("VolumeMount", field_names::<wire::VolumeMount>(), &MOUNT),
        (
            "SecurityContext",
            field_names::<wire::SecurityContext>(),
            &SECURITY,
        ),
        (
            "PodSecurityContext",
            field_names::<wire::PodSecurityContext>(),
            &POD_SECURITY,
        ),
        (
            "AppArmorProfile",
            field_names::<wire::AppArmorProfile>(),
            &APP_ARMOR,
        ),
        ("Volume", field_names::<wire::Volume>(), &VOLUME),
        (
            "EmptyDirVolumeSource",
            field_names::<wire::EmptyDirVolumeSource>(),
            &EMPTY_DIR,
        ),
        (
            "ProjectedVolumeSource",
            field_names::<wire::ProjectedVolumeSource>(),
            &PROJECTED,
        ),
        (
            "VolumeProjection",
            field_names::<wire::VolumeProjection>(),
            &PROJECTION,
        ),
    ];
    for (name, fields, table) in types {
        assert!(!fields.is_empty(), "{name} told no field");
        for field in *fields {
            assert!(table.rule(field).is_some(), "{name}.{field} has no rule");
        }
        for (field, _) in table.rows {
            assert!(fields.contains(field), "{name} has no field {field}");
        }
    }
}

fn notes(spec: &str) -> Vec<String> {
    let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n{spec}");
    let documents = read_documents("pod.yaml", &text).unwrap();
    let Object::Pod(pod) = &documents[0].object else {
        panic!("no pod");
    };
    let notes = support(pod).into_iter();
    notes
        .filter(|n| n.support != Support::Honoured)
        .map(|n| n.to_string())
        .collect()
}

#[test]
fn what_is_set_and_not_honoured_is_named_with_its_path() {
    for (spec, expected) in [
        (
            "  containers: [{name: a, image: i, tty: true, livenessProbe: {httpGet: {port: 1, scheme: HTTPS}}}]",
            "spec.containers[0].livenessProbe.httpGet.scheme: not supported yet",
        ),
        (
            "  initContainers: [{name: a}, {name: b, securityContext: {seLinuxOptions: {}}}]",
            "spec.initContainers[1].securityContext.seLinuxOptions: not supported yet",
        ),
        ("  hostUsers: false", "spec.hostUsers: not supported yet"),
        (
            "  tolerations: [{operator: Exists}]",
            "spec.tolerations: has no effect here: there is one node, so nothing is scheduled",
        ),
        ("  os: {name: windows}", "spec.os.name: not supported yet"),
        (
            "  volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]",
            "spec.volumes[0].persistentVolumeClaim: not supported yet",
        ),
        (
            "  volumes: [{name: v, emptyDir: {medium: HugePages}}]",
            "spec.volumes[0].emptyDir.medium: not supported yet",
        ),
        (
            "  volumes: [{name: v, projected: {sources: [{secret: {name: s}}, {serviceAccountToken: {path: t}}]}}]",
            "spec.volumes[0].projected.sources[1].serviceAccountToken: not supported yet",
        ),
        (
            "  containers: [{name: a, securityContext: {procMount: Unmasked}}]",
            "spec.containers[0].securityContext.procMount: not supported yet",
        ),
    ] {
        assert_eq!(notes(spec), [expected], "{spec}");
    }
}

#[test]
fn what_is_honoured_or_says_nothing_gets_no_note() {
    for spec in [
        "  containers: [{name: a, image: i, command: [x], env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}]",
        "  containers: [{name: a, ports: [{containerPort: 80, hostPort: 80, hostIP: 10.1.2.3}]}]",
        "  hostUsers: true\n  os: {name: linux}\n  ephemeralContainers: []",
        "  volumes: [{name: v, emptyDir: {medium: Memory, sizeLimit: 1Mi}}, {name: h, hostPath: {path: /x, type: File}}]",
        "  securityContext: {fsGroup: 1, seccompProfile: {type: RuntimeDefault}, appArmorProfile: {type: Unconfined}}",
        "  containers: [{name: a, securityContext: {appArmorProfile: {type: Localhost, localhostProfile: p}}}]",
    ] {
        assert_eq!(notes(spec), [""; 0], "{spec}");
    }
}

#[test]
fn the_list_of_all_fields_agrees_with_what_is_said_of_a_pod() {
    let rows = fields();
    let paths: Vec<&str> = rows.iter().map(|row| row.path.as_str()).collect();
    for path in [
        "metadata.name",
        "spec.containers[].env[].valueFrom.configMapKeyRef",
        "spec.initContainers[].volumeMounts[].mountPath",
        "spec.volumes[].projected.sources[].secret",
        "spec.securityContext.fsGroup",
    ] {
        assert!(paths.contains(&path), "{path} is missing");
    }
    let mut once = paths.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), paths.len(), "a path stands twice");
    let row = |path: &str| rows.iter().find(|r| r.path == path).unwrap();
    assert_eq!(row("spec.hostUsers").note, "only `true`");
    assert_eq!(row("spec.tolerations").support, Support::NoMeaningHere);
    assert_eq!(row("spec.runtimeClassName").support, Support::NotSupported);
}
