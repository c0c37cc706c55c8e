use super::{PatchKind, patched};
use serde_json::{Value, json};

fn after(kind: PatchKind, object: &Value, patch: &Value) -> Result<Value, String> {
    patched(kind, object, patch.to_string().as_bytes()).map_err(|e| e.message)
}

fn pod() -> Value {
    json!({
        "metadata": { "labels": { "a": "1", "b": "2" }, "finalizers": ["x"] },
        "spec": {
            "containers": [
                {
                    "name": "app", "image": "i:1", "args": ["1", "2"],
                    "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
                    "ports": [{ "containerPort": 80, "name": "web" }],
                },
                { "name": "side", "image": "s:1" },
            ],
            "volumes": [{ "name": "v", "emptyDir": {} }],
        },
    })
}

#[test]
fn a_strategic_merge_patch_merges_lists_by_their_keys() {
    for (name, patch, place, wanted) in [
        (
            "a field of one container",
            json!({ "spec": { "containers": [{ "name": "side", "image": "s:2" }] } }),
            "/spec/containers/1",
            json!({ "name": "side", "image": "s:2" }),
        ),
        (
            "the other stays",
            json!({ "spec": { "containers": [{ "name": "side", "image": "s:2" }] } }),
            "/spec/containers/0",
            pod()["spec"]["containers"][0].clone(),
        ),
        (
            "another variable behind those that are there",
            json!({ "spec": { "containers": [{ "name": "app", "env": [{ "name": "C", "value": null }, { "name": "A", "value": "3" }] }] } }),
            "/spec/containers/0/env",
            json!([{ "name": "A", "value": "3" }, { "name": "B", "value": "2" }, { "name": "C" }]),
        ),
        (
            "a variable less, and an order",
            json!({ "spec": { "containers": [{
                "name": "app",
                "env": [{ "name": "A", "$patch": "delete" }, { "name": "C", "value": "3" }],
                "$setElementOrder/env": [{ "name": "C" }, { "name": "B" }],
            }] } }),
            "/spec/containers/0/env",
            json!([{ "name": "C", "value": "3" }, { "name": "B", "value": "2" }]),
        ),
        (
            "ports have the key of containers",
            json!({ "spec": { "containers": [{ "name": "app", "ports": [{ "containerPort": 80, "hostPort": 8080 }] }] } }),
            "/spec/containers/0/ports",
            json!([{ "containerPort": 80, "name": "web", "hostPort": 8080 }]),
        ),
        (
            "a list without a key is replaced",
            json!({ "spec": { "containers": [{ "name": "app", "args": ["3"] }] } }),
            "/spec/containers/0/args",
            json!(["3"]),
        ),
        (
            "a list that is replaced whole",
            json!({ "spec": { "containers": [{ "$patch": "replace" }, { "name": "new" }] } }),
            "/spec/containers",
            json!([{ "name": "new" }]),
        ),
        (
            "another kind of volume",
            json!({ "spec": { "volumes": [{ "name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": { "path": "/x" } }] } }),
            "/spec/volumes",
            json!([{ "name": "v", "hostPath": { "path": "/x" } }]),
        ),
        (
            "null removes",
            json!({ "metadata": { "labels": { "a": null, "c": "3" } } }),
            "/metadata/labels",
            json!({ "b": "2", "c": "3" }),
        ),
        (
            "a map that is replaced whole",
            json!({ "metadata": { "labels": { "$patch": "replace", "c": "3" } } }),
            "/metadata/labels",
            json!({ "c": "3" }),
        ),
        (
            "plain values are added once, and taken away",
            json!({ "metadata": { "finalizers": ["y"], "$deleteFromPrimitiveList/finalizers": ["x"] } }),
            "/metadata/finalizers",
            json!(["y"]),
        ),
    ] {
        let got = after(PatchKind::Strategic, &pod(), &patch).unwrap();
        assert_eq!(got.pointer(place), Some(&wanted), "{name}");
    }
    let service = json!({ "spec": { "ports": [{ "port": 80 }, { "port": 81 }] } });
    let patch = json!({ "spec": { "ports": [{ "port": 81, "targetPort": 8081 }] } });
    let got = after(PatchKind::Strategic, &service, &patch).unwrap();
    let ports = json!([{ "port": 80 }, { "port": 81, "targetPort": 8081 }]);
    assert_eq!(got["spec"]["ports"], ports);
}

#[test]
fn merge_patches_replace_lists_and_json_patches_do_single_operations() {
    let patch = json!({ "spec": { "volumes": [] }, "metadata": { "labels": { "a": null } } });
    let got = after(PatchKind::Merge, &pod(), &patch).unwrap();
    assert_eq!(got["spec"]["volumes"], json!([]));
    assert_eq!(got["metadata"]["labels"], json!({ "b": "2" }));
    let patch = json!([
        { "op": "test", "path": "/spec/containers/0/name", "value": "app" },
        { "op": "replace", "path": "/spec/containers/0/image", "value": "i:2" },
        { "op": "remove", "path": "/metadata/labels/a" },
    ]);
    let got = after(PatchKind::Json, &pod(), &patch).unwrap();
    assert_eq!(got["spec"]["containers"][0]["image"], "i:2");
    assert_eq!(got["metadata"]["labels"], json!({ "b": "2" }));
}

#[test]
fn a_patch_that_makes_no_sense_is_refused_with_its_cause() {
    for (kind, patch, part) in [
        (PatchKind::Merge, json!([1]), "must be an object"),
        (PatchKind::Json, json!({ "a": 1 }), "error decoding patch"),
        (
            PatchKind::Json,
            json!([{ "op": "test", "path": "/spec/containers/0/name", "value": "other" }]),
            "/spec/containers/0/name",
        ),
        (
            PatchKind::Strategic,
            json!({ "spec": { "containers": [{ "image": "i" }] } }),
            "has no \"name\"",
        ),
        (
            PatchKind::Strategic,
            json!({ "spec": { "$patch": "burn" } }),
            "\"burn\"",
        ),
        (
            PatchKind::Strategic,
            json!({ "spec": { "$retainKeys": "containers" } }),
            "must be a list",
        ),
    ] {
        let got = after(kind, &pod(), &patch).unwrap_err();
        assert!(got.contains(part), "{patch}: {got}");
    }
    assert!(PatchKind::of("application/json").is_err());
    let own = PatchKind::of("application/merge-patch+json; charset=utf-8");
    assert_eq!(own, Ok(PatchKind::Merge));
}
