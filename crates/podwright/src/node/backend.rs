//! The node behind the API: what a request means here.

use super::chain::chain;
use super::images;
use super::outside::Real;
use super::pods::Pods;
use super::services::Services;
use super::{Places, reset};
use jiff::Timestamp;
use pod_api::backend::{
    ApiResult, Attempts, Backend, ConfigKind, ConfigRecord, DeleteOptions, ImageImport,
    ImageRecord, NewPod, NodeInfo, PodRecord, ProcessInfo, Progress, Retried, ServiceRecord,
};
use pod_api::error::{ApiError, Reason};
use pod_api::feed::{Feed, Key, Versioned};
use pod_driver::host::{ExecSession, Host, HostErrorKind};
use pod_driver::queue::{Answer, Message};
use pod_driver::world::{Ids, WorldOf};
use pod_host::LookInto;
use pod_image::Store;
use pod_model::asked::KEEP_FAILED;
use pod_model::config::ExecConfig;
use pod_model::event::Event;
use pod_model::ids::{ContainerId, ContainerName, ImageName, Namespace, PodRef};
use pod_model::runtime::RunState;
use pod_model::stats::PodStats;
use serde_json::{Value, json};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// The daemon, as the API sees it.
#[derive(Debug)]
pub struct Daemon {
    world: WorldOf<Real>,
    pods: Arc<Pods>,
    services: Arc<Services>,
    places: Places,
    started_at: Timestamp,
    ending: tokio::sync::mpsc::Sender<()>,
    /// Two containers on the same files would spoil them.
    debugging: tokio::sync::Mutex<()>,
}

impl Daemon {
    /// A daemon that began just now. `ending` makes it end.
    pub fn new(
        world: WorldOf<Real>,
        pods: Arc<Pods>,
        services: Arc<Services>,
        places: Places,
        ending: tokio::sync::mpsc::Sender<()>,
    ) -> Self {
        Self {
            world,
            pods,
            services,
            places,
            started_at: Timestamp::now(),
            ending,
            debugging: tokio::sync::Mutex::default(),
        }
    }

    fn store(&self) -> Arc<Store> {
        Arc::clone(&self.world.images.0)
    }

    fn images_wanted(&self) -> Vec<ImageName> {
        let (all, _) = self.world.journal.pods.list();
        all.iter()
            .flat_map(|(_, p)| {
                p.value
                    .pod
                    .spec
                    .all()
                    .map(|(_, _, c)| c.image.clone())
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

impl Backend for Daemon {
    fn pods(&self) -> &Arc<Feed<PodRecord>> {
        &self.world.journal.pods
    }

    fn events(&self) -> &Arc<Feed<Event>> {
        self.world.journal.events.feed()
    }

    fn configs(&self, kind: ConfigKind) -> &Arc<Feed<ConfigRecord>> {
        self.world.objects.feed(kind)
    }

    async fn create_pod(&self, pod: NewPod) -> ApiResult<Versioned<PodRecord>> {
        self.pods.create(pod).await
    }

    async fn update_pod(&self, key: &Key, pod: NewPod) -> ApiResult<()> {
        self.pods.update(key, pod)
    }

    async fn delete_pod(&self, key: &Key, options: DeleteOptions) -> ApiResult<()> {
        self.pods.delete(key, &options)
    }

    async fn exec(
        &self,
        pod: &PodRef,
        container: &str,
        config: &ExecConfig,
    ) -> ApiResult<ExecSession> {
        let runtime = self.world.host.observe(&pod.uid).await;
        let running = runtime
            .containers
            .iter()
            .find(|c| c.name == container && c.state == RunState::Running);
        let Some(record) = running else {
            return Err(ApiError::internal(format!(
                "unable to upgrade connection: container not found ({container:?})"
            )));
        };
        self.world
            .host
            .exec(&pod.uid, &record.id, config)
            .await
            .map_err(|error| match error.kind {
                HostErrorKind::NotFound => ApiError::not_found("containers", container),
                HostErrorKind::Start => ApiError::new(Reason::BadRequest, error.message),
                _ => ApiError::internal(error.message),
            })
    }

    async fn debug(&self, pod: &PodRef, target: &str, image: Option<&str>) -> ApiResult<String> {
        let _one_at_a_time = self.debugging.lock().await;
        let host = &self.world.host;
        let left = host
            .left_of(&pod.uid, target)
            .map_err(|e| ApiError::new(Reason::NotFound, e.message))?;
        if left.running && image.is_none() {
            return Ok(target.to_owned());
        }
        let tools = image.map(ImageName::new);
        let wanted = tools.clone();
        let wanted = wanted.unwrap_or_else(|| ImageName::new(left.image.to_string()));
        let store = self.store();
        let found = tokio::task::spawn_blocking(move || store.facts(&wanted)).await;
        let found = found.map_err(ApiError::internal)?;
        let found = found.map_err(|e| ApiError::bad_request(chain(&e)))?;
        let ask = LookInto {
            id: &left.id,
            own: ContainerId::new(self.world.clock.fresh()),
            image: &found.facts,
            tools: tools.as_ref(),
        };
        let made = host.look_into(pod, ask).await;
        let name = made.map_err(|error| match error.kind {
            HostErrorKind::Sandbox => ApiError::bad_request(format!(
                "the namespaces of pod {:?} are gone, because it has ended; \
                 to keep them, run it with --keep-failed, or annotate it with {KEEP_FAILED}: \"true\"",
                pod.name.as_str()
            )),
            _ => ApiError::internal(error.message),
        })?;
        Ok(name.to_string())
    }

    async fn retry(&self, key: &Key, from: Option<ContainerName>) -> ApiResult<Retried> {
        let Some(record) = self.world.journal.pods.get(key) else {
            return Err(ApiError::not_found("pods", &key.name));
        };
        let (answer, mut answered) = Answer::new();
        let uid = &record.value.pod.metadata.uid;
        self.pods.send(uid, Message::Retry { from, answer });
        match answered.recv().await {
            Some(Ok(retried)) => Ok(retried),
            Some(Err(error)) => Err(ApiError::bad_request(error.to_string())),
            // Its task has ended meanwhile.
            None => Err(ApiError::not_found("pods", &key.name)),
        }
    }

    fn resize(&self, terminal: &OwnedFd, columns: u16, rows: u16) -> ApiResult<()> {
        self.world
            .host
            .resize(terminal, columns, rows)
            .map_err(|e| ApiError::internal(e.message))
    }

    fn log_directory(&self, pod: &PodRef) -> PathBuf {
        self.pods.log_directory(pod)
    }

    async fn put_config(&self, config: ConfigRecord, replace: bool) -> ApiResult<()> {
        let namespace = Namespace::new(config.namespace.clone());
        self.world.objects.put(config, replace, Timestamp::now())?;
        self.pods.send_all(Some(&namespace), &Message::Sources);
        Ok(())
    }

    fn services(&self) -> &Arc<Feed<ServiceRecord>> {
        self.services.feed()
    }

    async fn put_service(&self, service: ServiceRecord, replace: bool) -> ApiResult<()> {
        let subnets = self.world.network.subnets();
        self.services
            .put(service, replace, subnets.as_ref(), Timestamp::now())
    }

    async fn delete_service(&self, key: &Key) -> ApiResult<()> {
        self.services.delete(key)
    }

    async fn delete_config(&self, kind: ConfigKind, key: &Key) -> ApiResult<()> {
        self.world.objects.delete(kind, key)?;
        // Pods that have volumes of it keep them, and tell.
        let namespace = Namespace::new(&key.namespace);
        self.pods.send_all(Some(&namespace), &Message::Sources);
        Ok(())
    }

    async fn images(&self) -> ApiResult<Vec<ImageRecord>> {
        images::list(self.store()).await
    }

    async fn import_image(
        &self,
        request: ImageImport,
        archive: Box<dyn Read + Send>,
        progress: Progress,
    ) -> ApiResult<Vec<ImageRecord>> {
        let imported = images::import(self.store(), request, archive, progress).await?;
        for message in images::arrived(&imported, &self.images_wanted()) {
            self.pods.send_all(None, &message);
        }
        Ok(imported)
    }

    async fn remove_image(&self, name: &str, force: bool) -> ApiResult<Vec<String>> {
        let wanted = if force {
            Vec::new()
        } else {
            self.images_wanted()
        };
        images::remove(self.store(), name.to_owned(), wanted).await
    }

    async fn node_info(&self) -> ApiResult<NodeInfo> {
        let processes = self.world.host.processes();
        Ok(NodeInfo {
            name: self.world.node.name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: Some(self.started_at),
            on_demand: self.places.idle.is_some(),
            root: self.places.root.clone(),
            run: self.places.run.clone(),
            logs: self.places.logs.clone(),
            cgroup_root: self.places.cgroup_root.to_string(),
            cgroup_layout: self.world.host.cgroup_layout().to_owned(),
            processes: processes
                .into_iter()
                .map(|p| ProcessInfo {
                    pid: p.pid.unsigned_abs(),
                    role: p.role.to_owned(),
                    pod: self.pods.name_of(p.pod.as_ref()),
                })
                .collect(),
        })
    }

    async fn reset(&self, progress: Progress) -> ApiResult<()> {
        reset::reset(&self.world, &self.pods, &self.places, &progress)
            .await
            .map_err(|e| ApiError::internal(format!("{e:#}")))?;
        // Given up only by a daemon that is ending already.
        let _ = self.ending.try_send(());
        Ok(())
    }

    async fn attempts_of(&self, key: &Key) -> ApiResult<Attempts> {
        let Some(record) = self.world.journal.pods.get(key) else {
            return Err(ApiError::not_found("pods", &key.name));
        };
        let metadata = &record.value.pod.metadata;
        Ok(Attempts {
            accepted: metadata.creation_timestamp,
            runtime: self.world.host.observe(&metadata.uid).await,
        })
    }

    async fn stats_of(&self, key: &Key) -> ApiResult<PodStats> {
        let Some(record) = self.world.journal.pods.get(key) else {
            return Err(ApiError::not_found("pods", &key.name));
        };
        let pod = &record.value.pod;
        let mut stats = self.world.host.stats(&pod.metadata.uid);
        let order = |name: &str| pod.spec.all().position(|(_, _, c)| c.name == name);
        stats.containers.sort_by_key(|c| order(&c.name));
        Ok(stats)
    }

    async fn plan_of(&self, key: &Key) -> ApiResult<Value> {
        let Some(record) = self.world.journal.pods.get(key) else {
            return Err(ApiError::not_found("pods", &key.name));
        };
        let pod = &record.value.pod;
        let observed = pod_plan::observed::Observed {
            runtime: self.world.host.observe(&pod.metadata.uid).await,
            host_ips: self.world.node.ips.clone(),
            allocatable: self.world.node.allocatable.clone(),
            limits: self.world.limits,
            memory: self.pods.memory(&pod.metadata.uid).unwrap_or_default(),
            ..Default::default()
        };
        let plan = pod_plan::plan::plan(pod, &observed, Timestamp::now());
        Ok(json!({ "steps": plan.steps, "wakeAt": plan.wake_at, "why": plan.why }))
    }
}
