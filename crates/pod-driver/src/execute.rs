//! Executes one step: turns it into verbs of host, images and network. Chooses nothing.

use crate::hooks;
use crate::host::{Host, HostError, HostErrorKind};
use crate::images::{ImageError, Images, Resolved};
use crate::network::Network;
use crate::queue::Message;
use crate::world::{Clock, Ids, Journal, Objects, Outside, WorldOf};
use pod_model::cgroup::{container_resources, limit_other_page_sizes};
use pod_model::cgroup_name::pod_cgroup_path;
use pod_model::config::{ContainerResources, ImageFacts, NetworkMode, PodCgroup};
use pod_model::event::EventKind;
use pod_model::ids::{CgroupPath, ContainerId, SandboxId};
use pod_model::pod::{Container, ContainerKind, Pod, PullPolicy};
use pod_plan::configs::container::{ContainerFacts, container_config};
use pod_plan::configs::env::EnvFacts;
use pod_plan::configs::sandbox::{SandboxFacts, sandbox_config};
use pod_plan::configs::volumes::volumes_to_prepare;
use pod_plan::events::{self, PodEvent};
use pod_plan::failure::Failure;
use pod_plan::resize::full;
use pod_plan::sizes::Resource;
use pod_plan::step::Step;
use std::os::fd::OwnedFd;
use tokio::sync::mpsc;

/// Reason of the warning that the kubelet gives for each pod where no cluster DNS is configured.
const MISSING_CLUSTER_DNS: &str = "MissingClusterDNS";

/// How a step ended.
#[derive(Debug)]
pub(crate) struct End {
    /// Whether it was done.
    pub(crate) result: Result<(), Failure>,
    /// What was said on the way.
    pub(crate) events: Vec<PodEvent>,
    /// Messages that came meanwhile.
    pub(crate) messages: Vec<Message>,
}

impl From<Result<(), Failure>> for End {
    fn from(result: Result<(), Failure>) -> Self {
        Self {
            result,
            events: Vec::new(),
            messages: Vec::new(),
        }
    }
}

/// Executes a step of the pod's plan. `pod`: with the resources that it was granted. `cgroup`: what its own cgroup is to hold.
pub(crate) async fn execute<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    step: &Step,
    cgroup: Option<PodCgroup>,
    queue: &mut mpsc::UnboundedReceiver<Message>,
) -> End {
    let reference = pod.reference();
    let uid = &reference.uid;
    let host = &world.host;
    match step {
        Step::EnsurePod => ensure_pod::<X>(world, pod, cgroup).await.into(),
        Step::ResizePod { values, .. } => resize_pod::<X>(world, pod, values).await.into(),
        Step::ResizeContainer {
            id,
            kind,
            index,
            what,
            ..
        } => match pod.spec.list(*kind).get(*index) {
            Some(container) => {
                let values = share(container_resources(pod, container, &world.node), *what);
                let done = host.resize_container(uid, id, &values).await;
                done.or_else(gone).map_err(failure).into()
            }
            None => Ok(()).into(),
        },
        Step::PrepareVolumes => prepare_volumes::<X>(world, pod).await.into(),
        Step::RunSandbox { attempt } => run_sandbox::<X>(world, pod, *attempt).await,
        Step::StartContainer {
            kind,
            index,
            sandbox,
            attempt,
            ..
        } => {
            let start = Start {
                kind: *kind,
                index: *index,
                sandbox: sandbox.clone(),
                attempt: *attempt,
            };
            start_container::<X>(world, pod, start, queue).await
        }
        // Begun by the task, which it runs beside.
        Step::PreStop { .. } => Ok(()).into(),
        Step::StopContainer { id, grace_ms, .. } => host
            .stop_container(uid, id, *grace_ms)
            .await
            .or_else(gone)
            .map_err(failure)
            .into(),
        Step::RemoveContainer { id, logs, .. } => host
            .remove_container(uid, id, *logs)
            .await
            .or_else(gone)
            .map_err(failure)
            .into(),
        Step::StopSandbox { id } => stop_sandbox::<X>(world, pod, id).await.into(),
        Step::RemoveSandbox { id } => host
            .remove_sandbox(uid, id)
            .await
            .or_else(gone)
            .map_err(failure)
            .into(),
        Step::RemovePod => remove_pod::<X>(world, pod).await.into(),
    }
}

/// What shall be gone and is not there is gone.
fn gone(error: HostError) -> Result<(), HostError> {
    if error.kind == HostErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

fn failure(error: HostError) -> Failure {
    match error.kind {
        HostErrorKind::Config => Failure::Config(error.message),
        HostErrorKind::Create => Failure::Create(error.message),
        HostErrorKind::Start => Failure::Start(error.message),
        HostErrorKind::Volume
        | HostErrorKind::Sandbox
        | HostErrorKind::NotFound
        | HostErrorKind::Other => Failure::Other(error.message),
    }
}

fn cgroup_of<X: Outside>(world: &WorldOf<X>, pod: &Pod) -> Result<CgroupPath, Failure> {
    pod_cgroup_path(&world.node.cgroup_root, pod).map_err(|e| Failure::Other(e.to_string()))
}

/// The values of one resource. What has no limit says so, in case that it had one.
fn share(all: ContainerResources, what: Resource) -> ContainerResources {
    match what {
        Resource::Memory => ContainerResources {
            memory_limit: Some(all.memory_limit.unwrap_or(-1)),
            ..ContainerResources::default()
        },
        Resource::Cpu => ContainerResources {
            cpu_shares: all.cpu_shares,
            cpu_quota: Some(all.cpu_quota.unwrap_or(-1)),
            cpu_period: all.cpu_period,
            ..ContainerResources::default()
        },
    }
}

async fn resize_pod<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    values: &PodCgroup,
) -> Result<(), Failure> {
    let path = cgroup_of::<X>(world, pod)?;
    let done = world.host.resize_pod(&pod.metadata.uid, &path, values);
    done.await.map_err(failure)
}

async fn ensure_pod<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    cgroup: Option<PodCgroup>,
) -> Result<(), Failure> {
    let path = cgroup_of::<X>(world, pod)?;
    let mut values = cgroup.unwrap_or_else(|| full(pod));
    limit_other_page_sizes(&mut values.huge_page_limit, &world.node.page_sizes);
    world
        .host
        .ensure_pod(&pod.reference(), &path, &values)
        .await
        .map_err(failure)
}

async fn prepare_volumes<X: Outside>(world: &WorldOf<X>, pod: &Pod) -> Result<(), Failure> {
    let sources = world.objects.sources(&pod.metadata.namespace);
    let volumes = volumes_to_prepare(pod, &sources, &world.node).map_err(|problems| {
        Failure::Volumes(
            problems
                .into_iter()
                .map(|p| (p.volume.to_string(), p.cause))
                .collect(),
        )
    })?;
    let made = world.host.prepare_volumes(&pod.reference(), &volumes).await;
    made.map_err(|errors| {
        Failure::Volumes(errors.into_iter().map(|e| (e.volume, e.cause)).collect())
    })
}

async fn run_sandbox<X: Outside>(world: &WorldOf<X>, pod: &Pod, attempt: u32) -> End {
    let id = SandboxId::new(world.clock.fresh());
    let reserved = reserve::<X>(world, pod, &id).await;
    let made = reserved.and_then(|(network, address)| {
        let facts = SandboxFacts {
            id: id.clone(),
            attempt,
            node: &world.node,
            network,
            pod_ips: address.as_slice(),
        };
        sandbox_config(pod, &facts).map_err(|e| Failure::Other(e.to_string()))
    });
    let (config, warnings) = match made {
        Ok(made) => made,
        Err(cause) => return Err(let_go::<X>(world, &id, cause).await).into(),
    };
    let mut end = End::from(Ok(()));
    // A node without cluster DNS has none by design; it is no mishap to tell of with every pod.
    let warnings = warnings
        .into_iter()
        .filter(|w| w.reason != MISSING_CLUSTER_DNS);
    end.events
        .extend(warnings.map(|w| PodEvent::of_pod(EventKind::Warning, w.reason, w.message)));
    end.result = match world.host.run_sandbox(&config).await {
        Ok(namespace) => attach::<X>(world, pod, &id, config.network, namespace).await,
        Err(error) => Err(let_go::<X>(world, &id, failure(error)).await),
    };
    end
}

/// The network of a new sandbox, and its address where it has one.
async fn reserve<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    id: &SandboxId,
) -> Result<(NetworkMode, Option<String>), Failure> {
    if pod.spec.host_network {
        return Ok((NetworkMode::Host, None));
    }
    let reserved = world.network.reserve(id).await;
    reserved.map_err(|e| Failure::Other(format!("network: {e}")))
}

/// Gives back what was reserved for a sandbox that does not come to be; a failure of that is told besides the cause.
async fn let_go<X: Outside>(world: &WorldOf<X>, id: &SandboxId, cause: Failure) -> Failure {
    match world.network.detach(id).await {
        Ok(()) => cause,
        Err(undo) => Failure::Other(format!(
            "{}; and giving its address back failed: {undo}",
            cause.text()
        )),
    }
}

/// Attaches a new sandbox to the network; takes it away again if that fails.
async fn attach<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    id: &SandboxId,
    mode: NetworkMode,
    namespace: Option<OwnedFd>,
) -> Result<(), Failure> {
    let address = match namespace {
        None => Ok(None),
        Some(namespace) => world
            .network
            .attach(id, mode, namespace)
            .await
            .map_err(|e| Failure::Other(format!("network: {e}"))),
    };
    let noted = match address {
        Ok(address) => world
            .host
            .set_address(&pod.metadata.uid, id, address)
            .await
            .map_err(failure),
        Err(cause) => Err(cause),
    };
    match noted {
        Ok(()) => Ok(()),
        Err(cause) => Err(undo_sandbox::<X>(world, pod, id, cause).await),
    }
}

/// Takes a sandbox away that could not be attached; a failure of that is told besides the cause.
async fn undo_sandbox<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    id: &SandboxId,
    cause: Failure,
) -> Failure {
    let uid = &pod.metadata.uid;
    let undone = async {
        world.network.detach(id).await.map_err(|e| e.to_string())?;
        world
            .host
            .stop_sandbox(uid, id)
            .await
            .map_err(|e| e.message)?;
        world
            .host
            .remove_sandbox(uid, id)
            .await
            .map_err(|e| e.message)
    };
    match undone.await {
        Ok(()) => cause,
        Err(undo) => Failure::Other(format!(
            "{}; and taking the sandbox away again failed: {undo}",
            cause.text()
        )),
    }
}

async fn stop_sandbox<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    id: &SandboxId,
) -> Result<(), Failure> {
    world
        .network
        .detach(id)
        .await
        .map_err(|e| Failure::Other(format!("network: {e}")))?;
    world
        .host
        .stop_sandbox(&pod.metadata.uid, id)
        .await
        .or_else(gone)
        .map_err(failure)
}

async fn remove_pod<X: Outside>(world: &WorldOf<X>, pod: &Pod) -> Result<(), Failure> {
    let path = cgroup_of::<X>(world, pod)?;
    world
        .host
        .remove_pod(&pod.reference(), &path)
        .await
        .map_err(failure)
}

/// Which container to start, and as what.
struct Start {
    kind: ContainerKind,
    index: usize,
    sandbox: SandboxId,
    attempt: u32,
}

async fn start_container<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    start: Start,
    queue: &mut mpsc::UnboundedReceiver<Message>,
) -> End {
    let Some(container) = pod.spec.list(start.kind).get(start.index) else {
        return Err(Failure::Other(format!(
            "the pod has no {:?} container {}",
            start.kind, start.index
        )))
        .into();
    };
    let mut end = End::from(Ok(()));
    let image = match ensure_image::<X>(world, pod, &start, queue, &mut end).await {
        Ok(image) => image,
        Err(failure) => {
            return End {
                result: Err(failure),
                ..end
            };
        }
    };
    let pod_ips = pod_ips::<X>(world, pod).await;
    let facts = ContainerFacts {
        id: ContainerId::new(world.clock.fresh()),
        sandbox: start.sandbox,
        attempt: start.attempt,
        image: &image.facts,
        pid_target: pid_target::<X>(world, pod, container).await,
        env: EnvFacts {
            node: &world.node,
            pod_ips: &pod_ips,
            services: Some(&world.objects.services()),
            sources: &world.objects.sources(&pod.metadata.namespace),
        },
    };
    let config = match container_config(pod, start.kind, start.index, &facts) {
        Ok(config) => config,
        Err(error) => {
            return End {
                result: Err(Failure::Config(error.to_string())),
                ..end
            };
        }
    };
    let reference = pod.reference();
    let own;
    let image_facts = match container
        .lifecycle
        .as_ref()
        .and_then(|l| l.stop_signal.clone())
    {
        None => image.facts.as_ref(),
        // The container's own signal goes before its image's.
        Some(stop_signal) => {
            own = ImageFacts {
                stop_signal,
                ..ImageFacts::clone(&image.facts)
            };
            &own
        }
    };
    match world
        .host
        .start_container(&reference, &config, image_facts)
        .await
    {
        Ok(()) => {
            end.events
                .push(events::created(start.kind, &container.name));
            end.events
                .push(events::started(start.kind, &container.name));
            let runtime = world.host.observe(&reference.uid).await;
            let made = runtime.containers.iter().find(|c| c.id == config.id);
            if let Some(made) = made.filter(|c| !c.clamped.is_empty()) {
                end.events
                    .push(events::clamped(start.kind, &container.name, &made.clamped));
            }
            end.result = after_start::<X>(world, pod, container, &config.id, queue, &mut end).await;
        }
        Err(error) => {
            if error.kind == HostErrorKind::Start {
                end.events
                    .push(events::created(start.kind, &container.name));
            }
            end.result = Err(failure(error));
        }
    }
    end
}

/// Runs the postStart hook, which may take long: what was said before is told at once.
async fn after_start<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    container: &Container,
    id: &ContainerId,
    queue: &mut mpsc::UnboundedReceiver<Message>,
    end: &mut End,
) -> Result<(), Failure> {
    let hooks = container.lifecycle.as_ref();
    let Some(hook) = hooks.and_then(|l| l.post_start.as_ref()) else {
        return Ok(());
    };
    for event in end.events.drain(..) {
        world
            .journal
            .event(&pod.reference(), event, world.clock.now());
    }
    let ips = pod_ips::<X>(world, pod).await;
    let ip = ips.first().map(String::as_str).unwrap_or_default();
    let work = hooks::run::<X>(world, pod, container, id, ip, hook);
    match interruptible(work, queue, &mut end.messages).await {
        Some(done) => done.map_err(Failure::PostStart),
        None => Err(Failure::Interrupted),
    }
}

/// Does it, and gathers the messages that come meanwhile. `None`: a deletion came, so it was given up.
async fn interruptible<T>(
    work: impl Future<Output = T>,
    queue: &mut mpsc::UnboundedReceiver<Message>,
    messages: &mut Vec<Message>,
) -> Option<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            Some(message) = queue.recv() => {
                let urgent = matches!(message, Message::Delete { .. });
                messages.push(message);
                if urgent {
                    return None;
                }
            }
        }
    }
}

/// The image, as the container's policy asks. A deletion that comes meanwhile interrupts it.
async fn ensure_image<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    start: &Start,
    queue: &mut mpsc::UnboundedReceiver<Message>,
    end: &mut End,
) -> Result<Resolved, Failure> {
    let container = pod
        .spec
        .list(start.kind)
        .get(start.index)
        .ok_or_else(|| Failure::Other("no such container".to_owned()))?;
    let policy = container
        .image_pull_policy
        .unwrap_or(PullPolicy::IfNotPresent);
    let began = world.clock.now();
    let ensure = world.images.ensure(&container.image, policy);
    let Some(ensured) = interruptible(ensure, queue, &mut end.messages).await else {
        return Err(Failure::Interrupted);
    };
    match ensured {
        Ok(image) => {
            end.events.push(if image.already_present {
                events::already_present(start.kind, &container.name, &container.image)
            } else {
                let took = world.clock.now().duration_since(began);
                events::pulled(
                    start.kind,
                    &container.name,
                    &container.image,
                    took,
                    image.size,
                )
            });
            Ok(image)
        }
        Err(ImageError::InvalidName { name, cause }) => Err(Failure::ImageName(format!(
            "couldn't parse image name {name:?}: {cause}"
        ))),
        Err(error @ ImageError::NeverPull { .. }) => {
            Err(Failure::ImageNeverPull(error.to_string()))
        }
        Err(ImageError::Pull { cause }) => Err(Failure::ImagePull(cause)),
    }
}

/// The running container whose processes an ephemeral container is to see.
async fn pid_target<X: Outside>(
    world: &WorldOf<X>,
    pod: &Pod,
    container: &Container,
) -> Option<ContainerId> {
    let target = container.target_container_name.as_ref()?;
    let runtime = world.host.observe(&pod.metadata.uid).await;
    runtime.newest(target).map(|r| r.id.clone())
}

async fn pod_ips<X: Outside>(world: &WorldOf<X>, pod: &Pod) -> Vec<String> {
    if pod.spec.host_network {
        return world.node.ips.clone();
    }
    let runtime = world.host.observe(&pod.metadata.uid).await;
    let ip = runtime
        .sandboxes
        .into_iter()
        .find(|s| s.ready)
        .and_then(|s| s.ip);
    ip.into_iter().filter(|ip| !ip.is_empty()).collect()
}
