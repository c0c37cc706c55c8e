//! The pods of this daemon: accepting, deleting, and finding them again after a restart.

use super::outside::Real;
use super::records::{KeptPod, Records};
use jiff::Timestamp;
use pod_api::backend::{ApiResult, DeleteOptions, NewPod, PodRecord};
use pod_api::error::{ApiError, Reason};
use pod_api::feed::{Key, Versioned};
use pod_driver::host::Host;
use pod_driver::queue::{Handle, Message};
use pod_driver::task::{Begin, pod_task};
use pod_driver::world::{Journal, WorldOf};
use pod_model::event::EventKind;
use pod_model::ids::{Namespace, PodRef, PodUid};
use pod_model::pod::Pod;
use pod_model::status::{Phase, PodStatus};
use pod_plan::configs::sysctls::{FORBIDDEN_REASON, sysctls};
use pod_plan::events::{self, PodEvent};
use pod_plan::memory::Memory;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One pod that has a task.
#[derive(Debug)]
struct Entry {
    handle: Handle,
    kept: KeptPod,
}

fn key_of(pod: &Pod) -> Key {
    Key::new(pod.metadata.namespace.as_str(), pod.metadata.name.as_str())
}

/// All pods with a task.
#[derive(Debug)]
pub struct Pods {
    world: WorldOf<Real>,
    records: Records,
    entries: Mutex<BTreeMap<PodUid, Entry>>,
}

impl Pods {
    /// None yet.
    pub fn new(world: WorldOf<Real>, records: Records) -> Self {
        Self {
            world,
            records,
            entries: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PodUid, Entry>> {
        // Single insertions and removals: a panic elsewhere leaves the map whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a task for every pod that was kept, and takes away what runs of a pod that nothing is known of any more.
    ///
    /// # Errors
    /// A record cannot be read now: nothing has begun, and nothing was taken away.
    pub fn find_again(&self) -> anyhow::Result<()> {
        let all = self.records.pods()?;
        let lives =
            |(kept, _): &(KeptPod, Memory)| (!kept.pod.is_deleted()).then(|| key_of(&kept.pod));
        let names: BTreeSet<Key> = all.iter().filter_map(lives).collect();
        for (kept, memory) in all {
            if kept.pod.is_deleted() && names.contains(&key_of(&kept.pod)) {
                // It was gone, or its name would not have been free; only its record could not be removed.
                if let Err(error) = self.records.forget_pod(&kept.pod.metadata.uid) {
                    eprintln!("{error:#}");
                }
                continue;
            }
            let mut pod = kept.pod.clone();
            pod.status = Some(memory.status.clone());
            self.feed(&pod, &kept);
            let log_attempts = super::logs::attempts(&self.log_directory(&kept.pod.reference()));
            self.begin(
                kept,
                Begin {
                    memory: Some(memory),
                    log_attempts,
                },
            );
        }
        self.records.forget_lost_memories();
        self.tell_of_damage();
        self.take_away_unknown();
        Ok(())
    }

    /// An event for each pod of which a file could not be trusted.
    fn tell_of_damage(&self) {
        let all = self.references();
        let runs = self.world.host.pods();
        for damaged in self.records.take_damaged() {
            let known = all.iter().chain(runs.iter().map(|(pod, _)| pod));
            // Of a pod that neither has a record nor runs nobody knows the name: the log and `doctor` tell.
            if let Some(pod) = known.into_iter().find(|p| p.uid.as_str() == damaged.name) {
                let event = PodEvent::of_pod(EventKind::Warning, "RecordDamaged", damaged.message);
                self.world.journal.event(pod, event, Timestamp::now());
            }
        }
        for (pod, message) in self.world.host.take_damaged() {
            eprintln!("{message}");
            if let Some(pod) = pod {
                let event = PodEvent::of_pod(EventKind::Warning, "RecordDamaged", message);
                self.world.journal.event(&pod, event, Timestamp::now());
            }
        }
    }

    /// Pods whose record is lost (set aside because it cannot be read): nobody could ever delete them.
    fn take_away_unknown(&self) {
        let known = self.lock();
        let all = self.world.host.pods().into_iter();
        for (pod, cgroup) in all.filter(|(pod, _)| !known.contains_key(&pod.uid)) {
            eprintln!(
                "pod {}/{} ({}) has no record any more; what runs of it is ended and removed",
                pod.namespace, pod.name, pod.uid
            );
            let host = Arc::clone(&self.world.host);
            self.world.journal.later.forget(&pod.uid);
            tokio::spawn(async move {
                if let Err(error) = host.remove_pod(&pod, &cgroup).await {
                    eprintln!("pod {}/{} ({}): {error}", pod.namespace, pod.name, pod.uid);
                }
            });
        }
    }

    /// Takes a new pod, and comes back once it is on the disk. It begins to run meanwhile: a power cut that loses its record has ended
    /// its processes too.
    pub async fn create(&self, new: NewPod) -> ApiResult<Versioned<PodRecord>> {
        let taken = self.accept(new)?;
        let pod = taken.value.pod.reference();
        let (records, uid) = (self.records.clone(), pod.uid.clone());
        let settled = tokio::task::spawn_blocking(move || records.settle_pod(&uid)).await;
        match settled.map_err(ApiError::internal)? {
            Ok(()) => Ok(taken),
            Err(error) => {
                let key = Key::new(pod.namespace.as_str(), pod.name.as_str());
                let now = DeleteOptions {
                    grace_period_seconds: Some(0),
                    ..DeleteOptions::default()
                };
                // Not accepted, so it must not go on; a pod that is gone already is what is wanted.
                let _ = self.delete(&key, &now);
                Err(ApiError::internal(format!("{error:#}")))
            }
        }
    }

    fn accept(&self, new: NewPod) -> ApiResult<Versioned<PodRecord>> {
        let now = Timestamp::now();
        let NewPod { mut pod, object } = new;
        if let Err(error) = sysctls(&pod) {
            // The kubelet takes such a pod and fails it at once; with no scheduler between, refusing it is clearer.
            return Err(ApiError::new(
                Reason::Invalid,
                format!("{FORBIDDEN_REASON}: {error}"),
            ));
        }
        let key = key_of(&pod);
        pod.metadata.uid = PodUid::new(uuid::Uuid::new_v4().to_string());
        pod.metadata.creation_timestamp = Some(now);
        pod.metadata.generation = Some(1);
        pod.spec.node_name = Some(self.world.node.name.clone());
        pod.status = Some(PodStatus {
            phase: Some(Phase::Pending),
            ..PodStatus::default()
        });
        let kept = KeptPod {
            pod: pod.clone(),
            object,
            accepted: now,
        };
        let reference = pod.reference();
        let taken = {
            // Held while looking and taking, so that of two pods of one name one is told that it exists.
            let _one_at_a_time = self.lock();
            if self.world.journal.pods.get(&key).is_some() {
                return Err(ApiError::already_exists("pods", &key.name));
            }
            self.records
                .enter_pod(&kept)
                .map_err(|e| ApiError::internal(format!("{e:#}")))?;
            self.feed(&pod, &kept)
        };
        self.world.journal.event(
            &reference,
            events::scheduled(&pod, &self.world.node.name),
            now,
        );
        self.begin(kept, Begin::default());
        Ok(taken)
    }

    fn feed(&self, pod: &Pod, kept: &KeptPod) -> Versioned<PodRecord> {
        let key = key_of(pod);
        let record = PodRecord {
            pod: Arc::new(pod.clone()),
            object: Arc::new(kept.object.clone()),
            node: self.world.node.name.to_string(),
        };
        self.world.journal.pods.put(key, record)
    }

    fn begin(&self, kept: KeptPod, begin: Begin) {
        let (handle, task) = pod_task::<Real>(self.world.clone(), kept.pod.clone(), begin);
        self.lock()
            .insert(kept.pod.metadata.uid.clone(), Entry { handle, kept });
        tokio::spawn(task);
    }

    /// Puts new labels, annotations and spec in the place of the old ones; the disk has them before anything acts on them.
    pub fn update(&self, key: &Key, new: NewPod) -> ApiResult<()> {
        let NewPod { pod: new, object } = new;
        let Some(record) = self.world.journal.pods.get(key) else {
            return Err(ApiError::not_found("pods", &key.name));
        };
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&record.value.pod.metadata.uid) else {
            return Err(ApiError::not_found("pods", &key.name));
        };
        let mut kept = entry.kept.clone();
        kept.object = object;
        kept.pod.metadata.labels = new.metadata.labels;
        kept.pod.metadata.annotations = new.metadata.annotations;
        let spec = pod_model::pod::PodSpec {
            node_name: kept.pod.spec.node_name.clone(),
            ..new.spec
        };
        if spec != kept.pod.spec {
            // As an API server counts: labels and annotations are no new generation.
            let generation = kept.pod.metadata.generation;
            kept.pod.metadata.generation = Some(generation.unwrap_or(1).saturating_add(1));
        }
        kept.pod.spec = spec;
        self.records
            .keep_pod(&kept)
            .map_err(|e| ApiError::internal(format!("{e:#}")))?;
        let shown = Pod {
            metadata: kept.pod.metadata.clone(),
            spec: kept.pod.spec.clone(),
            status: record.value.pod.status.clone(),
        };
        entry.kept = kept;
        self.feed(&shown, &entry.kept);
        entry
            .handle
            .send(Message::Update(Box::new(entry.kept.pod.clone())));
        Ok(())
    }

    /// Begins a deletion, or shortens one.
    pub fn delete(&self, key: &Key, options: &DeleteOptions) -> ApiResult<()> {
        let now = Timestamp::now();
        let Some(record) = self.world.journal.pods.get(key) else {
            return Err(ApiError::not_found("pods", &key.name));
        };
        let uid = &record.value.pod.metadata.uid;
        if options
            .uid
            .as_ref()
            .is_some_and(|asked| asked != uid.as_str())
        {
            let message = format!(
                "pod {:?} has another uid than the one to delete: {uid}",
                key.name
            );
            return Err(ApiError::new(Reason::Conflict, message));
        }
        let asked = options
            .grace_period_seconds
            .or(record.value.pod.spec.termination_grace_period_seconds)
            .unwrap_or(30);
        let asked = u64::try_from(asked).unwrap_or(1);
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(uid) else {
            return Err(ApiError::not_found("pods", &key.name));
        };
        let metadata = &mut entry.kept.pod.metadata;
        let before = metadata
            .deletion_grace_period_seconds
            .and_then(|s| u64::try_from(s).ok());
        if before.is_none_or(|b| asked < b) {
            metadata.deletion_timestamp.get_or_insert(now);
            metadata.deletion_grace_period_seconds = i64::try_from(asked).ok();
            // A full disk must not keep a pod from being deleted: the wish is then not kept, but done.
            if let Err(error) = self.records.keep_pod(&entry.kept) {
                eprintln!("deletion of pod {}/{}: {error:#}", key.namespace, key.name);
            }
            let shown = Pod {
                metadata: entry.kept.pod.metadata.clone(),
                ..Pod::clone(&record.value.pod)
            };
            self.feed(&shown, &entry.kept);
        }
        entry.handle.send(Message::Delete {
            at: now,
            grace_seconds: Some(asked),
        });
        Ok(())
    }

    /// Passes a message to one pod's task.
    pub fn send(&self, uid: &PodUid, message: Message) {
        if let Some(entry) = self.lock().get(uid) {
            entry.handle.send(message);
        }
    }

    /// Passes a message to every pod's task, or to those of one namespace.
    pub fn send_all(&self, namespace: Option<&Namespace>, message: &Message) {
        for entry in self.lock().values() {
            if namespace.is_none_or(|n| *n == entry.kept.pod.metadata.namespace) {
                entry.handle.send(message.clone());
            }
        }
    }

    /// Takes a pod off the list: its task has ended.
    pub fn gone(&self, uid: &PodUid) {
        self.lock().remove(uid);
    }

    /// How many pods there are.
    pub fn left(&self) -> usize {
        self.world.journal.pods.list().0.len()
    }

    /// What a pod's task remembers, as it told last.
    pub fn memory(&self, uid: &PodUid) -> Option<Memory> {
        let newest = self.world.journal.later.newest(uid);
        newest
            .map(|memory| Memory::clone(&memory))
            .or_else(|| self.records.memory(uid))
    }

    /// Whether any pod still has something to do: it is not finished, or it is being deleted.
    pub fn busy(&self) -> bool {
        let (all, _) = self.world.journal.pods.list();
        all.iter().any(|(_, p)| {
            let phase = p.value.pod.status.as_ref().and_then(|s| s.phase);
            !phase.is_some_and(Phase::is_terminal) || p.value.pod.is_deleted()
        })
    }

    /// `namespace/name` of a pod, "" of none.
    pub fn name_of(&self, uid: Option<&PodUid>) -> String {
        let entries = self.lock();
        let found = uid
            .and_then(|u| entries.get(u))
            .map(|e| e.kept.pod.reference());
        found
            .map(|r| format!("{}/{}", r.namespace, r.name))
            .unwrap_or_default()
    }

    /// Every full name.
    pub fn references(&self) -> Vec<PodRef> {
        self.lock()
            .values()
            .map(|e| e.kept.pod.reference())
            .collect()
    }

    /// Folder of a pod's logs.
    pub fn log_directory(&self, pod: &PodRef) -> std::path::PathBuf {
        pod_plan::configs::sandbox::log_directory(pod, &self.world.node.log_root)
            .as_path()
            .to_owned()
    }
}
