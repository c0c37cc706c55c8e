//! What an ordinary Kubernetes client asks first: which version, which groups, which resources.

use axum::Json;
use serde_json::{Value, json};

pub(super) async fn version() -> Json<Value> {
    Json(json!({
        "major": "1",
        "minor": "36",
        "gitVersion": format!("v1.36.2+podwright-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("linux/{}", std::env::consts::ARCH),
        "podwright": env!("CARGO_PKG_VERSION"),
    }))
}

pub(super) async fn healthz() -> &'static str {
    "ok"
}

pub(super) async fn api() -> Json<Value> {
    Json(json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [],
    }))
}

pub(super) async fn apis() -> Json<Value> {
    let version = json!({"groupVersion": "podwright.io/v1", "version": "v1"});
    Json(json!({
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "podwright.io", "versions": [version], "preferredVersion": version}],
    }))
}

pub(super) async fn core() -> Json<Value> {
    let resource = |name: &str, singular: &str, kind: &str, short: &[&str], verbs: &[&str]| {
        json!({
            "name": name, "singularName": singular, "namespaced": true, "kind": kind,
            "shortNames": short, "verbs": verbs,
        })
    };
    let config = [
        "create", "delete", "get", "list", "patch", "update", "watch",
    ];
    let pod = config;
    Json(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "v1",
        "resources": [
            resource("configmaps", "configmap", "ConfigMap", &["cm"], &config),
            resource("events", "event", "Event", &["ev"], &["get", "list", "watch"]),
            resource("pods", "pod", "Pod", &["po"], &pod),
            resource(
                "pods/ephemeralcontainers",
                "",
                "Pod",
                &[],
                &["get", "patch", "update"],
            ),
            resource("pods/exec", "", "PodExecOptions", &[], &["create", "get"]),
            resource("pods/log", "", "Pod", &[], &["get"]),
            resource("pods/resize", "", "Pod", &[], &["get", "patch", "update"]),
            resource("pods/status", "", "Pod", &[], &["get"]),
            resource("secrets", "secret", "Secret", &[], &config),
            resource("services", "service", "Service", &["svc"], &config),
        ],
    }))
}

pub(super) async fn own() -> Json<Value> {
    let resource = |name: &str, namespaced: bool, kind: &str, verbs: &[&str]| json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs});
    Json(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "podwright.io/v1",
        "resources": [
            resource("images", false, "Image", &["create", "delete", "list"]),
            resource("node", false, "NodeInfo", &["get"]),
            resource("pods/plan", true, "Plan", &["get"]),
            resource("pods/attempts", true, "Attempts", &["get"]),
            resource("pods/debug", true, "PodExecOptions", &["create", "get"]),
            resource("pods/retry", true, "Retried", &["create"]),
            resource("pods/stats", true, "Stats", &["get"]),
        ],
    }))
}
