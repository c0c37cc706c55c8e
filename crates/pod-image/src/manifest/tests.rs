//! Documents with anything in the place of anything: they are read or refused, and nothing else.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn index() -> Value {
    json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": DIGEST, "size": 7,
         "platform": {"os": "linux", "architecture": "amd64", "variant": "v1"}, "annotations": {"a": "b"}}
    ]})
}

fn manifest() -> Value {
    json!({"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 7},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": DIGEST, "size": 7}]})
}

fn config() -> Value {
    json!({"architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"User": "1:2", "Env": ["A=b"], "Entrypoint": ["/x"], "Cmd": ["y"], "Labels": {"a": "b"}, "Volumes": {"/v": {}},
                   "WorkingDir": "/", "StopSignal": "SIGTERM", "ExposedPorts": {"80/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [DIGEST]}, "history": [{"created_by": "x", "empty_layer": true}]})
}

/// Every place in a document, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(below, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(list) => {
            for (n, below) in list.iter().enumerate() {
                places(below, &format!("{at}/{n}"), found);
            }
        }
        _ => {}
    }
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "sha(256|512)?:[0-9a-fA-F./]{0,70}".prop_map(Value::from),
        Just(json!("sha256:../../../../etc/passwd")),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{}, [], null])),
        Just(json!(u64::MAX)),
        Just(json!(-1)),
        Just(index()),
        Just(manifest()),
    ]
}

/// The document with some of its places filled with something else.
fn changed(document: fn() -> Value) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec((any::<prop::sample::Index>(), anything()), 0..4).prop_map(
        move |changes| {
            let mut value = document();
            for (place, new) in changes {
                let mut found = Vec::new();
                places(&value, "", &mut found);
                let place = place.get(&found);
                if let Some(there) = value.pointer_mut(place) {
                    *there = new;
                }
            }
            value.to_string().into_bytes()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s26_no_document_makes_its_reader_panic(
        index in changed(index), manifest in changed(manifest), config in changed(config), raw in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        for bytes in [&index, &raw] {
            if let Ok(index) = read_index(bytes, None) {
                let _ = pick(&index);
                for descriptor in index.manifests() {
                    let _ = (kind_of(descriptor), digest_of(descriptor));
                }
            }
        }
        let limits = Limits { layers: 1, ..Limits::default() };
        for bytes in [&manifest, &raw] {
            if let Ok(read) = read_manifest(bytes, Some(&MediaType::ImageManifest)) {
                for config in [&config, &raw] {
                    if let Ok(image) = Image::new(&read, u64::MAX, config, &limits) {
                        prop_assert_eq!(image.layers.len(), 1, "what comes through is whole");
                        let _ = image.check_platform();
                    }
                }
            }
        }
    }
}
