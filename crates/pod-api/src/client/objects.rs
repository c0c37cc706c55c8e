//! Create, get, list, delete.

use super::path::Target;
use super::{Client, ClientError, build, read_json};
use crate::backend::{Attempts, Retried};
use crate::patch::PatchKind;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue, WARNING};
use pod_model::stats::PodStats;
use serde_json::{Value, json};

/// A kind of object that the API lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum Resource {
    Pods,
    ConfigMaps,
    Secrets,
    Services,
    Claims,
    Events,
}

impl Resource {
    /// `pods`, `configmaps`, …
    pub fn plural(self) -> &'static str {
        match self {
            Resource::Pods => "pods",
            Resource::ConfigMaps => "configmaps",
            Resource::Secrets => "secrets",
            Resource::Services => "services",
            Resource::Claims => "persistentvolumeclaims",
            Resource::Events => "events",
        }
    }

    /// `pod`, `configmap`, …
    pub fn singular(self) -> &'static str {
        match self {
            Resource::Pods => "pod",
            Resource::ConfigMaps => "configmap",
            Resource::Secrets => "secret",
            Resource::Services => "service",
            Resource::Claims => "persistentvolumeclaim",
            Resource::Events => "event",
        }
    }

    pub(super) fn collection(self, namespace: Option<&str>) -> Target {
        let target = Target::new("/api/v1");
        match namespace {
            Some(namespace) => target
                .child("namespaces")
                .child(namespace)
                .child(self.plural()),
            None => target.child(self.plural()),
        }
    }

    pub(super) fn one(self, namespace: &str, name: &str) -> Target {
        self.collection(Some(namespace)).child(name)
    }
}

/// Which objects of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// Label selector; "" = all.
    pub labels: String,
    /// Field selector; "" = all.
    pub fields: String,
}

impl Selectors {
    /// The one object of that name.
    pub fn name(name: &str) -> Self {
        Self {
            labels: String::new(),
            fields: format!("metadata.name={name}"),
        }
    }

    pub(super) fn add_to(&self, target: Target) -> Target {
        let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
        target
            .ask_if("labelSelector", text(&self.labels))
            .ask_if("fieldSelector", text(&self.fields))
    }
}

/// What a create answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// The object as it is kept.
    pub object: Value,
    /// What the node has to say about it.
    pub warnings: Vec<String>,
}

impl Client {
    /// One object.
    pub async fn get(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Value, ClientError> {
        self.json(Method::GET, &resource.one(namespace, name), None)
            .await
    }

    /// A list (`v1.PodList`, …).
    pub async fn list(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        selectors: &Selectors,
    ) -> Result<Value, ClientError> {
        let target = selectors.add_to(resource.collection(namespace));
        self.json(Method::GET, &target, None).await
    }

    /// Creates an object. `allow_unsupported` is for pods: run it although this version does not honour all of it.
    pub async fn create(
        &self,
        resource: Resource,
        namespace: &str,
        object: &Value,
        allow_unsupported: bool,
    ) -> Result<Created, ClientError> {
        let allow = allow_unsupported.then_some("true");
        let target = resource
            .collection(Some(namespace))
            .ask_if("allowUnsupported", allow);
        let request = build(Method::POST, &target, Some(object.to_string().into()))?;
        let response = self.request(request).await?;
        let warnings = response.headers().get_all(WARNING);
        let warnings = warnings
            .iter()
            .filter_map(|w| warning_text(std::str::from_utf8(w.as_bytes()).ok()?))
            .collect();
        Ok(Created {
            object: read_json(response, &target).await?,
            warnings,
        })
    }

    /// Puts a part of a pod in the place of the one it has: `ephemeralcontainers`, or `resize` for amounts of cpu and memory.
    pub async fn replace_part(
        &self,
        part: &str,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<Value, ClientError> {
        let target = Resource::Pods.one(namespace, name);
        let target = target.child(part);
        self.json(Method::PUT, &target, Some(object)).await
    }

    /// Replaces an object; of a pod only what may change while it lives.
    pub async fn replace(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<Value, ClientError> {
        let target = resource.one(namespace, name);
        self.json(Method::PUT, &target, Some(object)).await
    }

    /// Changes an object, or a part of a pod, by a patch of that kind.
    pub async fn patch(
        &self,
        (resource, part): (Resource, Option<&str>),
        namespace: &str,
        name: &str,
        (kind, patch): (PatchKind, &Value),
    ) -> Result<Value, ClientError> {
        let target = resource.one(namespace, name);
        let target = match part {
            Some(part) => target.child(part),
            None => target,
        };
        let mut request = build(Method::PATCH, &target, Some(patch.to_string().into()))?;
        let media_type = HeaderValue::from_static(kind.media_type());
        request.headers_mut().insert(CONTENT_TYPE, media_type);
        read_json(self.request(request).await?, &target).await
    }

    /// Deletes an object; of a pod only that of the uid, if one is given.
    pub async fn delete(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        grace_period_seconds: Option<i64>,
        uid: Option<&str>,
    ) -> Result<Value, ClientError> {
        // What is null counts as absent.
        let options = json!({
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": grace_period_seconds,
            "preconditions": {"uid": uid},
        });
        let target = resource.one(namespace, name);
        self.json(Method::DELETE, &target, Some(&options)).await
    }

    /// Why a pod is where it is.
    pub async fn plan_of(&self, namespace: &str, name: &str) -> Result<Value, ClientError> {
        let target = Target::new("/apis/podwright.io/v1/namespaces")
            .child(namespace)
            .child("pods")
            .child(name)
            .child("plan");
        self.json(Method::GET, &target, None).await
    }

    /// When everything of a pod ran.
    pub async fn attempts_of(&self, namespace: &str, name: &str) -> Result<Attempts, ClientError> {
        let target = Target::new("/apis/podwright.io/v1/namespaces")
            .child(namespace)
            .child("pods")
            .child(name)
            .child("attempts");
        self.json(Method::GET, &target, None).await
    }

    /// Gives a pod a second chance: at that init container, else at what has failed.
    pub async fn retry(
        &self,
        namespace: &str,
        name: &str,
        from: Option<&str>,
    ) -> Result<Retried, ClientError> {
        let target = Target::new("/apis/podwright.io/v1/namespaces")
            .child(namespace)
            .child("pods")
            .child(name)
            .child("retry")
            .ask_if("from", from);
        self.json(Method::POST, &target, None).await
    }

    /// What a pod and its running containers use now.
    pub async fn stats_of(&self, namespace: &str, name: &str) -> Result<PodStats, ClientError> {
        let target = Target::new("/apis/podwright.io/v1/namespaces")
            .child(namespace)
            .child("pods")
            .child(name)
            .child("stats");
        self.json(Method::GET, &target, None).await
    }
}

/// The text of a `Warning: 299 - "…"`.
fn warning_text(header: &str) -> Option<String> {
    let text = header.split_once('"')?.1.strip_suffix('"')?;
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}
