//! Changes of objects: what is answered, and what is refused; over a real socket, a fake node behind it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod fake;

use fake::{Node, create, reason, text};
use pod_api::client::Resource;
use pod_api::error::Reason;
use pod_api::patch::PatchKind;
use serde_json::{Value, json};

#[tokio::test]
async fn a_patch_changes_what_a_replace_may_and_nothing_else() {
    let node = Node::start();
    create(&node, "p").await;
    let pods = async |part, kind, patch: &Value| {
        let whole = (Resource::Pods, part);
        let done = node.client.patch(whole, "default", "p", (kind, patch));
        done.await
    };
    let (strategic, merge, operations) = (PatchKind::Strategic, PatchKind::Merge, PatchKind::Json);
    let patch = json!({"spec": {"containers": [{"name": "two", "image": "other"}]}});
    let new = pods(None, strategic, &patch).await.unwrap();
    assert_eq!(text(&new, "/spec/containers/0/image"), "i");
    assert_eq!(text(&new, "/spec/containers/1/image"), "other");
    let patch = json!({"metadata": {"labels": {"app": null, "more": "1"}}});
    let new = pods(None, merge, &patch).await.unwrap();
    assert_eq!(new["metadata"]["labels"], json!({"more": "1"}));
    let patch = json!([{"op": "replace", "path": "/spec/containers/0/image", "value": "third"}]);
    let new = pods(None, operations, &patch).await.unwrap();
    assert_eq!(text(&new, "/spec/containers/0/image"), "third");
    // A part takes its own fields only.
    let patch = json!({
        "metadata": {"labels": {"more": "2"}},
        "spec": {"ephemeralContainers": [{"name": "e", "image": "i"}]},
    });
    let new = pods(Some("ephemeralcontainers"), strategic, &patch)
        .await
        .unwrap();
    assert_eq!(text(&new, "/spec/ephemeralContainers/0/name"), "e");
    assert_eq!(text(&new, "/metadata/labels/more"), "1");
    for (kind, patch, wanted) in [
        (
            strategic,
            json!({"spec": {"hostname": "x"}}),
            Reason::Invalid,
        ),
        (merge, json!({"spec": {"containers": []}}), Reason::Invalid),
        (
            merge,
            json!({"spec": {"no": "such field"}}),
            Reason::BadRequest,
        ),
        (
            merge,
            json!({"metadata": {"name": "q"}}),
            Reason::BadRequest,
        ),
        (
            merge,
            json!({"metadata": {"resourceVersion": "0"}}),
            Reason::Conflict,
        ),
        (
            operations,
            json!([{"op": "remove", "path": "/spec/no"}]),
            Reason::Invalid,
        ),
    ] {
        let refused = pods(None, kind, &patch).await.unwrap_err();
        assert_eq!(reason(&refused), Some(wanted), "{patch}: {refused}");
    }
    let (gone, nothing) = ((Resource::ConfigMaps, None), json!({}));
    let gone = node.client.patch(gone, "default", "m", (merge, &nothing));
    assert_eq!(reason(&gone.await.unwrap_err()), Some(Reason::NotFound));
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}});
    let maps = Resource::ConfigMaps;
    let created = node.client.create(maps, "default", &map, false);
    created.await.unwrap();
    let patch = json!({"data": {"b": "2"}});
    let new = node
        .client
        .patch((maps, None), "default", "m", (merge, &patch));
    assert_eq!(new.await.unwrap()["data"], json!({"a": "1", "b": "2"}));
}

#[tokio::test]
async fn config_maps_and_secrets_are_kept_and_replaced() {
    let node = Node::start();
    let map = |value: &str, immutable: bool| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": value}, "immutable": immutable});
    let maps = Resource::ConfigMaps;
    node.client
        .create(maps, "default", &map("1", false), false)
        .await
        .unwrap();
    let twice = node
        .client
        .create(maps, "default", &map("2", false), false)
        .await
        .unwrap_err();
    assert_eq!(reason(&twice), Some(Reason::AlreadyExists));
    let replaced = node
        .client
        .replace(maps, "default", "m", &map("2", true))
        .await
        .unwrap();
    assert_eq!(replaced["data"]["k"], "2");
    let fixed = node
        .client
        .replace(maps, "default", "m", &map("3", true))
        .await
        .unwrap_err();
    assert_eq!(
        fixed.to_string(),
        "Error from server (Invalid): ConfigMap \"m\" is invalid: data: Forbidden: field is immutable when `immutable` is set"
    );

    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hidden"}});
    let kept = node
        .client
        .create(Resource::Secrets, "default", &secret, false)
        .await
        .unwrap();
    assert_eq!(kept.object["data"]["k"], "aGlkZGVu");
    assert_eq!(kept.object["type"], "Opaque");
    assert!(kept.object["stringData"].is_null());
    let mut typed = secret.clone();
    typed["type"] = json!("other");
    let refused = node
        .client
        .replace(Resource::Secrets, "default", "s", &typed)
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Error from server (Invalid): Secret \"s\" is invalid: type: Invalid value: \"other\": field is immutable"
    );
    node.client
        .delete(Resource::Secrets, "default", "s", None, None)
        .await
        .unwrap();
    let gone = node
        .client
        .get(Resource::Secrets, "default", "s")
        .await
        .unwrap_err();
    assert_eq!(
        gone.to_string(),
        "Error from server (NotFound): secrets \"s\" not found"
    );
    let wrong = node
        .client
        .create(maps, "default", &secret, false)
        .await
        .unwrap_err();
    assert_eq!(reason(&wrong), Some(Reason::BadRequest));
}

#[tokio::test]
async fn a_change_of_an_older_version_is_refused_whatever_the_kind() {
    let node = Node::start();
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "o"}, "spec": {"ports": [{"port": 80}]}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o"}});
    for (kind, object) in [
        (Resource::Pods, fake::pod("o")),
        (Resource::ConfigMaps, map),
        (Resource::Services, service),
    ] {
        let created = node.client.create(kind, "default", &object, false);
        let first = created.await.unwrap().object;
        let old = text(&first, "/metadata/resourceVersion").to_owned();
        let label = |value: &str| json!({"metadata": {"labels": {"n": value}}});
        let patch = async |patch: &Value| {
            let change = (PatchKind::Merge, patch);
            node.client
                .patch((kind, None), "default", "o", change)
                .await
        };
        let second = patch(&label("1")).await.unwrap();
        assert_ne!(text(&second, "/metadata/resourceVersion"), old);
        let mut late = label("2");
        late["metadata"]["resourceVersion"] = json!(old);
        let refused = [
            patch(&late).await,
            node.client.replace(kind, "default", "o", &first).await,
        ];
        for answer in refused {
            let error = answer.unwrap_err();
            assert_eq!(reason(&error), Some(Reason::Conflict), "{error}");
        }
        let third = patch(&label("3")).await.unwrap();
        assert_eq!(text(&third, "/metadata/labels/n"), "3");
    }
}

#[tokio::test]
async fn who_creates_a_pod_is_told_of_that_pod_though_it_is_gone_by_then() {
    let node = Node::start();
    let told = create(&node, "brief").await;
    assert_eq!(text(&told, "/metadata/uid"), "uid-brief");
    let gone = node.client.get(Resource::Pods, "default", "brief").await;
    assert_eq!(reason(&gone.unwrap_err()), Some(Reason::NotFound));
}
