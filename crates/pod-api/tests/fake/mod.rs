//! A node without containers: pods change when a test says so, exec runs programs of this machine, logs are files that a test writes.

#![allow(dead_code, reason = "each file of tests uses its part")]

use jiff::Timestamp;
use pod_api::backend::{
    ApiResult, Attempts, Backend, ConfigKind, ConfigRecord, DeleteOptions, ImageImport,
    ImageRecord, NewPod, NodeInfo, PodRecord, Progress, Retried, ServiceRecord,
};
use pod_api::client::{Client, ClientError, Resource};
use pod_api::error::{ApiError, Reason};
use pod_api::events::EventLog;
use pod_api::feed::{Feed, Key, Versioned, Versions};
use pod_api::server::Server;
use pod_driver::host::{ExecSession, ExecStreams};
use pod_model::config::ExecConfig;
use pod_model::event::Event;
use pod_model::ids::{ContainerName, PodRef};
use pod_model::pod::Pod;
use pod_model::stats::{ContainerStats, PodStats, Usage};
use pod_model::status::PodStatus;
use serde_json::{Value, json};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

pub(crate) struct Fake {
    pods: Arc<Feed<PodRecord>>,
    pub(crate) events: EventLog,
    maps: Arc<Feed<ConfigRecord>>,
    secrets: Arc<Feed<ConfigRecord>>,
    services: Arc<Feed<ServiceRecord>>,
    logs: PathBuf,
}

/// A served fake node and its client.
pub(crate) struct Node {
    pub(crate) node: Arc<Fake>,
    pub(crate) client: Client,
    pub(crate) clients: Arc<AtomicUsize>,
    pub(crate) run: TempDir,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Node {
    pub(crate) fn start() -> Self {
        let run = tempfile::tempdir().unwrap();
        let versions = Versions::after(1000);
        let node = Arc::new(Fake {
            pods: Arc::new(Feed::new(versions.clone())),
            events: EventLog::new(versions.clone()),
            maps: Arc::new(Feed::new(versions.clone())),
            secrets: Arc::new(Feed::new(versions.clone())),
            services: Arc::new(Feed::new(versions)),
            logs: run.path().join("logs"),
        });
        let server = Server::bind(run.path(), Arc::clone(&node)).unwrap();
        let clients = Arc::new(AtomicUsize::new(0));
        let count = clients.clone();
        let serving = tokio::spawn(server.serve(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Counted(count.clone())
        }));
        Self {
            node,
            client: Client::new(run.path()),
            clients,
            run,
            serving,
        }
    }

    /// Gives a pod another status.
    pub(crate) fn status(&self, name: &str, status: Value) {
        let key = Key::new("default", name);
        let record = self.node.pods.get(&key).unwrap().value;
        let mut pod = Pod::clone(&record.pod);
        pod.status = Some(serde_json::from_value::<PodStatus>(status).unwrap());
        let record = PodRecord {
            pod: Arc::new(pod),
            ..PodRecord::clone(&record)
        };
        self.node.pods.put(key, record);
    }

    /// Takes a pod away.
    pub(crate) fn remove(&self, name: &str) {
        self.node.pods.remove(&Key::new("default", name)).unwrap();
    }

    /// Folder of a container's logs.
    pub(crate) fn log_folder(&self, pod: &str, container: &str) -> PathBuf {
        let record = self.node.pods.get(&Key::new("default", pod)).unwrap().value;
        self.node
            .log_directory(&record.pod.reference())
            .join(container)
    }
}

impl Backend for Fake {
    fn pods(&self) -> &Arc<Feed<PodRecord>> {
        &self.pods
    }

    fn events(&self) -> &Arc<Feed<Event>> {
        self.events.feed()
    }

    fn configs(&self, kind: ConfigKind) -> &Arc<Feed<ConfigRecord>> {
        match kind {
            ConfigKind::ConfigMap => &self.maps,
            ConfigKind::Secret => &self.secrets,
        }
    }

    async fn create_pod(&self, new: NewPod) -> ApiResult<Versioned<PodRecord>> {
        let mut pod = new.pod;
        let key = Key::new(pod.metadata.namespace.as_str(), pod.metadata.name.as_str());
        if self.pods.get(&key).is_some() {
            return Err(ApiError::already_exists("pods", &key.name));
        }
        pod.metadata.uid = format!("uid-{}", key.name).into();
        pod.metadata.creation_timestamp = "2026-01-01T00:00:00Z".parse().ok();
        let record = PodRecord {
            pod: Arc::new(pod),
            object: Arc::new(new.object),
            node: "fake".to_owned(),
        };
        let taken = self.pods.put(key.clone(), record);
        // Somebody deletes this one before its creator is answered.
        if key.name == "brief" {
            self.pods.remove(&key);
        }
        Ok(taken)
    }

    async fn update_pod(&self, key: &Key, new: NewPod) -> ApiResult<()> {
        let Some(old) = self.pods.get(key) else {
            return Err(ApiError::not_found("pods", &key.name));
        };
        let mut pod = new.pod;
        pod.metadata.uid = old.value.pod.metadata.uid.clone();
        let record = PodRecord {
            pod: Arc::new(pod),
            object: Arc::new(new.object),
            node: old.value.node.clone(),
        };
        self.pods.put(key.clone(), record);
        Ok(())
    }

    async fn delete_pod(&self, key: &Key, options: DeleteOptions) -> ApiResult<()> {
        let record = self.pods.get(key).unwrap().value;
        if options.grace_period_seconds == Some(0) {
            self.pods.remove(key);
            return Ok(());
        }
        let mut pod = Pod::clone(&record.pod);
        pod.metadata.deletion_timestamp = Some(Timestamp::UNIX_EPOCH);
        pod.metadata.deletion_grace_period_seconds = options.grace_period_seconds.or(Some(30));
        let record = PodRecord {
            pod: Arc::new(pod),
            ..PodRecord::clone(&record)
        };
        self.pods.put(key.clone(), record);
        Ok(())
    }

    async fn exec(&self, _: &PodRef, _: &str, config: &ExecConfig) -> ApiResult<ExecSession> {
        let (program, arguments) = config.command.split_first().unwrap();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(if config.stdin {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| ApiError::bad_request(format!("{program}: {e}")))?;
        let streams = ExecStreams::Pipes {
            stdin: child.stdin.take().map(OwnedFd::from),
            stdout: child.stdout.take().unwrap().into(),
            stderr: child.stderr.take().unwrap().into(),
        };
        let (to, exit) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let code = child.wait().unwrap().code();
            // The session may be over.
            let _ = to.send(code.unwrap_or(255));
        });
        Ok(ExecSession {
            name: String::new(),
            streams,
            exit,
        })
    }

    async fn debug(&self, _: &PodRef, target: &str, image: Option<&str>) -> ApiResult<String> {
        match image {
            Some("none") => Err(ApiError::not_found("images", "none")),
            _ => Ok(format!("{target}.debug")),
        }
    }

    fn resize(&self, _: &OwnedFd, _: u16, _: u16) -> ApiResult<()> {
        Ok(())
    }

    fn log_directory(&self, pod: &PodRef) -> PathBuf {
        self.logs
            .join(format!("{}_{}_{}", pod.namespace, pod.name, pod.uid))
    }

    async fn put_config(&self, config: ConfigRecord, replace: bool) -> ApiResult<()> {
        let feed = self.configs(config.kind);
        match (feed.get(&config.key()), replace) {
            (Some(_), false) => {
                return Err(ApiError::already_exists(
                    config.kind.resource(),
                    &config.name,
                ));
            }
            (None, true) => return Err(ApiError::not_found(config.kind.resource(), &config.name)),
            _ => {}
        }
        feed.put(config.key(), config);
        Ok(())
    }

    fn services(&self) -> &Arc<Feed<ServiceRecord>> {
        &self.services
    }

    async fn put_service(&self, service: ServiceRecord, replace: bool) -> ApiResult<()> {
        match (self.services.get(&service.key()), replace) {
            (Some(_), false) => {
                let name = service.key().name;
                return Err(ApiError::already_exists("services", &name));
            }
            (None, true) => return Err(ApiError::not_found("services", &service.key().name)),
            _ => {}
        }
        self.services.put(service.key(), service);
        Ok(())
    }

    async fn delete_service(&self, key: &Key) -> ApiResult<()> {
        self.services.remove(key);
        Ok(())
    }

    async fn delete_config(&self, kind: ConfigKind, key: &Key) -> ApiResult<()> {
        self.configs(kind).remove(key);
        Ok(())
    }

    async fn images(&self) -> ApiResult<Vec<ImageRecord>> {
        Ok(vec![image(7)])
    }

    async fn import_image(
        &self,
        request: ImageImport,
        mut archive: Box<dyn Read + Send>,
        progress: Progress,
    ) -> ApiResult<Vec<ImageRecord>> {
        progress.step("reading");
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            archive.read_to_end(&mut all).map(|_| all.len())
        });
        let size = read.await.unwrap().map_err(ApiError::internal)?;
        if size == 0 {
            return Err(ApiError::bad_request("an empty archive"));
        }
        progress.step(format!("named {}", request.name.unwrap_or_default()));
        Ok(vec![image(size as u64)])
    }

    async fn remove_image(&self, name: &str, force: bool) -> ApiResult<Vec<String>> {
        Ok(vec![format!("Untagged: {name} {force}")])
    }

    async fn node_info(&self) -> ApiResult<NodeInfo> {
        Ok(NodeInfo {
            name: "fake".to_owned(),
            ..NodeInfo::default()
        })
    }

    async fn reset(&self, progress: Progress) -> ApiResult<()> {
        progress.step("resetting");
        Ok(())
    }

    async fn attempts_of(&self, key: &Key) -> ApiResult<Attempts> {
        let record = self.pods.get(key).unwrap().value;
        Ok(Attempts {
            accepted: record.pod.metadata.creation_timestamp,
            ..Attempts::default()
        })
    }

    async fn stats_of(&self, _: &Key) -> ApiResult<PodStats> {
        let usage = Usage {
            pids: Some(3),
            ..Usage::default()
        };
        Ok(PodStats {
            pod: Some(usage.clone()),
            containers: vec![ContainerStats {
                name: "app".to_owned(),
                usage,
            }],
        })
    }

    async fn retry(&self, key: &Key, from: Option<ContainerName>) -> ApiResult<Retried> {
        match from {
            Some(name) if name == "never" => Err(ApiError::bad_request("no such init container")),
            from => Ok(Retried {
                from: from.into_iter().collect(),
                skipped: vec![key.name.as_str().into()],
                new_sandbox: true,
            }),
        }
    }

    async fn plan_of(&self, key: &Key) -> ApiResult<Value> {
        Ok(json!({"of": key.name}))
    }
}

fn image(size: u64) -> ImageRecord {
    ImageRecord {
        id: "sha256:1".to_owned(),
        size,
        ..ImageRecord::default()
    }
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "tolerations": [{"operator": "Exists"}],
            "initContainers": [{"name": "init", "image": "i"}],
            "containers": [{"name": "app", "image": "i"}, {"name": "two", "image": "i"}],
        },
    })
}

pub(crate) async fn create(node: &Node, name: &str) -> Value {
    let pod = pod(name);
    let created = node.client.create(Resource::Pods, "default", &pod, false);
    created.await.unwrap().object
}

pub(crate) fn reason(error: &ClientError) -> Option<Reason> {
    error.reason()
}

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
