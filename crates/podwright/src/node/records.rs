//! What the daemon keeps on disk: pods, what their tasks remember, ConfigMaps and Secrets.
//!
//! ```text
//! <root>/records/pods/<uid>.json       the pod as it was accepted, and its deletion once that is asked for
//! <root>/records/memory/<uid>.json     what its task remembers; written a little later, newest value only
//! <root>/records/configs/<kind>_<namespace>_<name>.json     `~<uid>` where the name is too long for a file's
//! <root>/records/services/<namespace>_<name>.json
//! ```
//!
//! Every file is written under a temporary name, synced and renamed, and begins with a checksum of its JSON text. One that is cut off or
//! changed is not read: it is kept in `<root>/quarantine/`, and told about by an event, by `doctor` and in the daemon's log. One that cannot
//! be read now (no descriptor, an error of the disk) is neither gone nor damaged: the daemon does not start, and the next one reads it again.

use anyhow::{Context, Result};
use jiff::Timestamp;
use pod_api::backend::{ConfigRecord, ServiceRecord};
use pod_model::ids::PodUid;
use pod_model::pod::Pod;
use pod_plan::memory::Memory;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest name of a file on the usual file systems (NAME_MAX), in bytes.
const LONGEST_NAME: usize = 255;

/// A pod on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptPod {
    /// As podwright reads it; holds uid, creation and deletion.
    pub pod: Pod,
    /// As the user gave it, with defaults.
    pub object: Value,
    /// When it was accepted.
    pub accepted: Timestamp,
}

/// A file that could not be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Name of the file without its ending: the uid, for pods and what their tasks remember.
    pub name: String,
    /// What was found and where it is kept, in words for a user.
    pub message: String,
}

/// The folder of records.
#[derive(Clone, Debug)]
pub struct Records {
    root: PathBuf,
    damaged: Arc<Mutex<Vec<Damaged>>>,
    pods: PathBuf,
    memory: PathBuf,
    configs: PathBuf,
    services: PathBuf,
}

impl Records {
    /// Makes the folders where they are missing.
    pub fn open(root: &Path) -> Result<Self> {
        let base = root.join("records");
        let records = Self {
            root: root.to_owned(),
            damaged: Arc::default(),
            pods: base.join("pods"),
            memory: base.join("memory"),
            configs: base.join("configs"),
            services: base.join("services"),
        };
        for folder in [
            &records.pods,
            &records.memory,
            &records.configs,
            &records.services,
        ] {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
            remove_unfinished(folder);
        }
        Ok(records)
    }

    /// Every pod, with what its task remembered.
    ///
    /// # Errors
    /// One cannot be read now. Whoever took it for gone would end that pod.
    pub fn pods(&self) -> Result<Vec<(KeptPod, Memory)>> {
        let load = |pod: KeptPod| {
            let memory = self.read(&self.memory_file(&pod.pod.metadata.uid))?;
            Ok((pod, memory.unwrap_or_default()))
        };
        self.read_all(&self.pods)?.into_iter().map(load).collect()
    }

    /// What could not be trusted since this was asked last.
    pub fn take_damaged(&self) -> Vec<Damaged> {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut damaged)
    }

    /// What a pod's task remembered, for somebody to look at.
    pub fn memory(&self, uid: &PodUid) -> Option<Memory> {
        let read = self.read(&self.memory_file(uid));
        read.inspect_err(|error| eprintln!("{error:#}"))
            .ok()
            .flatten()
    }

    /// Keeps a new pod so that a daemon which is killed now finds it again. [`Records::settle_pod`] makes it outlast a power cut.
    pub fn enter_pod(&self, pod: &KeptPod) -> Result<()> {
        write(&self.pod_file(&pod.pod.metadata.uid), pod, false)
    }

    /// Waits until a pod that was entered is on the disk. One that is gone already needs no more waiting.
    pub fn settle_pod(&self, uid: &PodUid) -> Result<()> {
        let path = self.pod_file(uid);
        let settled = match fs::File::open(&path) {
            Ok(file) => file
                .sync_data()
                .and_then(|()| fs::File::open(&self.pods)?.sync_all()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        };
        settled.with_context(|| format!("keep {}", path.display()))
    }

    /// Keeps a pod with its deletion.
    pub fn keep_pod(&self, pod: &KeptPod) -> Result<()> {
        write(&self.pod_file(&pod.pod.metadata.uid), pod, true)
    }

    /// Forgets that there is a pod, also after a power cut; what its task remembered goes with [`Later::forget`], after what is still to be
    /// written of it.
    pub fn forget_record(&self, uid: &PodUid) -> Result<()> {
        remove_for_good(&self.pod_file(uid))
    }

    /// Forgets a pod and what its task remembered.
    pub fn forget_pod(&self, uid: &PodUid) -> Result<()> {
        remove(&self.memory_file(uid))?;
        remove(&self.pod_file(uid))
    }

    /// Removes what tasks of pods remembered that have no record any more: a daemon was killed between the two.
    pub fn forget_lost_memories(&self) {
        for entry in fs::read_dir(&self.memory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let gone = fs::symlink_metadata(self.pods.join(&name))
                .is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
            if gone && let Err(error) = remove(&entry.path()) {
                eprintln!("{error:#}");
            }
        }
    }

    /// Every ConfigMap and Secret.
    ///
    /// # Errors
    /// One cannot be read now. Whoever took it for gone would empty volumes.
    pub fn configs(&self) -> Result<Vec<ConfigRecord>> {
        self.read_all(&self.configs)
    }

    /// Keeps a ConfigMap or Secret.
    pub fn keep_config(&self, config: &ConfigRecord) -> Result<()> {
        write(&self.config_file(config), config, true)
    }

    /// Forgets a ConfigMap or Secret, also after a power cut.
    pub fn forget_config(&self, config: &ConfigRecord) -> Result<()> {
        remove_for_good(&self.config_file(config))
    }

    /// Every Service.
    ///
    /// # Errors
    /// One cannot be read now. Whoever took it for gone would give its address away.
    pub fn services(&self) -> Result<Vec<ServiceRecord>> {
        self.read_all(&self.services)
    }

    /// Keeps a Service.
    pub fn keep_service(&self, service: &ServiceRecord) -> Result<()> {
        write(&self.service_file(service), service, true)
    }

    /// Forgets a Service, also after a power cut.
    pub fn forget_service(&self, service: &ServiceRecord) -> Result<()> {
        remove_for_good(&self.service_file(service))
    }

    fn service_file(&self, service: &ServiceRecord) -> PathBuf {
        let key = service.key();
        self.services
            .join(format!("{}_{}.json", key.namespace, key.name))
    }

    fn config_file(&self, c: &ConfigRecord) -> PathBuf {
        let kind = c.kind.as_str();
        let whole = format!("{kind}_{}_{}.json", c.namespace, c.name);
        let name = match whole.len() > LONGEST_NAME {
            false => whole,
            // The name may have 253 characters. No name has the sign `~`, so this is none of the others'.
            true => format!("{kind}_{}_~{}.json", c.namespace, c.uid),
        };
        self.configs.join(name)
    }

    fn pod_file(&self, uid: &PodUid) -> PathBuf {
        self.pods.join(format!("{uid}.json"))
    }

    fn memory_file(&self, uid: &PodUid) -> PathBuf {
        self.memory.join(format!("{uid}.json"))
    }

    /// Keeps what a task remembers. Not synced: it only saves work after a restart, the runtime half knows what runs.
    pub fn keep_memory(&self, uid: &PodUid, memory: &Memory) -> Result<()> {
        write(&self.memory_file(uid), memory, false)
    }
}

fn write<T: Serialize>(path: &Path, value: &T, sync: bool) -> Result<()> {
    let text = serde_json::to_vec(value).context("write a record as JSON")?;
    let temporary = path.with_extension("new");
    let result = (|| {
        let mut options = fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(
            options.write(true).create(true).truncate(true),
            0o600,
        );
        let mut file = options.open(&temporary)?;
        file.write_all(&pod_host::sealed(&text))?;
        if sync {
            file.sync_data()?;
        }
        fs::rename(&temporary, path)?;
        if sync && let Some(folder) = path.parent() {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok::<(), std::io::Error>(())
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.with_context(|| format!("keep {}", path.display()))
}

/// Removes what a daemon that was killed while it wrote has left.
fn remove_unfinished(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let unfinished = entries.map(|e| e.path());
    for path in unfinished.filter(|p| p.extension().is_some_and(|e| e == "new")) {
        // Left, it is tried again at the next start.
        let _ = fs::remove_file(path);
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a file so that it stays removed. One that is gone already may have been so for a moment only: its folder is written out too.
fn remove_for_good(path: &Path) -> Result<()> {
    remove(path)?;
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    fs::File::open(folder)
        .and_then(|f| f.sync_all())
        .with_context(|| format!("remove {} for good", path.display()))
}

impl Records {
    /// `None`: it is not there, or was damaged.
    fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("read record {}", path.display())),
        };
        let body = pod_host::unsealed(&bytes).map_err(|e| e.to_string());
        let value = body.and_then(|b| serde_json::from_slice(b).map_err(|e| e.to_string()));
        match value {
            Ok(value) => Ok(Some(value)),
            Err(cause) => {
                self.set_aside(path, &cause);
                Ok(None)
            }
        }
    }

    fn set_aside(&self, path: &Path, cause: &str) {
        let kept = match pod_host::set_aside(&self.root, path) {
            Ok(kept) => format!("kept as {}", kept.display()),
            Err(e) => format!("it could not be set aside: {e}"),
        };
        let message = format!("record {} is damaged ({cause}); {kept}", path.display());
        eprintln!("{message}");
        let name = path.file_stem().unwrap_or_default();
        let damaged = Damaged {
            name: name.to_string_lossy().into_owned(),
            message,
        };
        let mut all = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(damaged);
    }

    fn read_all<T: DeserializeOwned>(&self, folder: &Path) -> Result<Vec<T>> {
        let entries = fs::read_dir(folder).and_then(Iterator::collect);
        let entries: Vec<fs::DirEntry> =
            entries.with_context(|| format!("list records in {}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        files.sort();
        files
            .iter()
            .filter(|f| f.extension().is_some_and(|e| e == "json"))
            .filter_map(|f| self.read(f).transpose())
            .collect()
    }
}

/// Writes what tasks remember, off their way: the newest value of each pod, a little after it came.
#[derive(Clone, Debug)]
pub struct Later {
    sender: tokio::sync::mpsc::UnboundedSender<(PodUid, Option<Arc<Memory>>)>,
    told: Arc<Mutex<BTreeMap<PodUid, Arc<Memory>>>>,
}

impl Later {
    fn told(&self) -> std::sync::MutexGuard<'_, BTreeMap<PodUid, Arc<Memory>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keep this, soon.
    pub fn keep(&self, uid: &PodUid, memory: &Memory) {
        let memory = Arc::new(memory.clone());
        self.told().insert(uid.clone(), Arc::clone(&memory));
        let _ = self.sender.send((uid.clone(), Some(memory)));
    }

    /// Forget the pod and all that was kept of it. Done in the same order as the writes, so nothing comes after it.
    pub fn forget(&self, uid: &PodUid) {
        self.told().remove(uid);
        let _ = self.sender.send((uid.clone(), None));
    }

    /// What was told last of that pod since this daemon began, whether it has been written or not.
    pub fn newest(&self, uid: &PodUid) -> Option<Arc<Memory>> {
        self.told().get(uid).cloned()
    }
}

/// How long values are gathered after a write, so that a pod that changes often is written a few times a second at most.
const GATHER: std::time::Duration = std::time::Duration::from_millis(300);

type Newest = BTreeMap<PodUid, Option<Arc<Memory>>>;

/// Starts the writer. The first value after a rest is written at once. It ends when every [`Later`] is gone.
pub fn later(records: Records) -> (Later, tokio::task::JoinHandle<()>) {
    let (sender, mut queue) = tokio::sync::mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        while let Some((uid, memory)) = queue.recv().await {
            let mut newest = Newest::from([(uid, memory)]);
            while !newest.is_empty() {
                keep(&records, std::mem::take(&mut newest)).await;
                let gather = tokio::time::sleep(GATHER);
                tokio::pin!(gather);
                loop {
                    tokio::select! {
                        () = &mut gather => break,
                        next = queue.recv() => match next {
                            Some((uid, memory)) => { newest.insert(uid, memory); }
                            None => break,
                        },
                    }
                }
            }
        }
    });
    let told = Arc::default();
    (Later { sender, told }, task)
}

async fn keep(records: &Records, newest: Newest) {
    let records = records.clone();
    let written = tokio::task::spawn_blocking(move || {
        for (uid, memory) in newest {
            let written = match memory {
                Some(memory) => records.keep_memory(&uid, &memory),
                None => records.forget_pod(&uid),
            };
            if let Err(error) = written {
                eprintln!("{error:#}");
            }
        }
    });
    // It only fails when the runtime ends.
    let _ = written.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_pods_one_whose_record_is_torn_or_changed_anywhere_is_set_aside_and_the_other_is_found()
     {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let pod = |uid: &str| {
            let mut pod = Pod::default();
            pod.metadata.uid = uid.into();
            KeptPod {
                pod,
                object: serde_json::json!({"spec": {}}),
                accepted: Timestamp::UNIX_EPOCH,
            }
        };
        records.keep_pod(&pod("good")).unwrap();
        records.keep_pod(&pod("bad")).unwrap();
        let path = dir.path().join("records/pods/bad.json");
        let whole = fs::read(&path).unwrap();
        let torn = (0..whole.len()).map(|n| whole[..n].to_vec());
        let changed = (0..whole.len()).map(|n| {
            let mut bytes = whole.clone();
            bytes[n] ^= 1 << (n % 8);
            bytes
        });
        for bytes in torn.chain(changed) {
            fs::write(&path, &bytes).unwrap();
            let found = records.pods().unwrap();
            let uids: Vec<&str> = found
                .iter()
                .map(|(p, _)| p.pod.metadata.uid.as_str())
                .collect();
            assert_eq!(uids, ["good"]);
            let told = records.take_damaged();
            assert_eq!(told.len(), 1);
            assert_eq!(told[0].name, "bad");
            assert!(
                !path.exists() && told[0].message.contains("kept as"),
                "{told:?}"
            );
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(records.pods().unwrap().len(), 2);
        assert!(records.take_damaged().is_empty());
    }

    #[test]
    fn a_record_that_cannot_be_read_is_neither_gone_nor_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let base = dir.path().join("records");
        let mut pod = Pod::default();
        pod.metadata.uid = PodUid::new("here");
        let kept = KeptPod {
            pod,
            object: Value::Null,
            accepted: Timestamp::UNIX_EPOCH,
        };
        records.keep_pod(&kept).unwrap();
        for file in [
            "pods/u.json",
            "memory/here.json",
            "configs/Secret_default_s.json",
            "services/default_s.json",
        ] {
            // A link to itself: it is there, and every read of it fails.
            let path = base.join(file);
            std::os::unix::fs::symlink(&path, &path).unwrap();
            let told = [
                records.pods().err(),
                records.configs().err(),
                records.services().err(),
            ];
            let told: Vec<String> = told.iter().flatten().map(|e| format!("{e:#}")).collect();
            assert!(told.len() == 1 && told[0].contains(file), "{told:?}");
            assert!(records.take_damaged().is_empty() && path.is_symlink());
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(records.pods().unwrap().len(), 1);
        for folder in ["pods", "configs", "services"] {
            // A file where a folder was cannot be listed.
            let folder = base.join(folder);
            fs::rename(&folder, base.join("away")).unwrap();
            fs::write(&folder, "").unwrap();
            let found = (records.pods(), records.configs(), records.services());
            assert!(
                found.0.is_err() || found.1.is_err() || found.2.is_err(),
                "{}",
                folder.display()
            );
            fs::remove_file(&folder).unwrap();
            fs::rename(base.join("away"), &folder).unwrap();
        }
    }

    #[test]
    fn a_config_of_the_longest_name_is_kept_replaced_found_again_and_forgotten() {
        use pod_api::backend::ConfigKind;
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let config = |name: String, uid: &str| ConfigRecord {
            kind: ConfigKind::ConfigMap,
            namespace: "n".repeat(63),
            name,
            uid: uid.to_owned(),
            created: None,
            object: Value::Null,
            data: BTreeMap::new(),
        };
        // Two that differ in their last letter only, and one that just fits.
        let long = |last: &str| format!("{}{last}", "a".repeat(252));
        let fits = "b".repeat(LONGEST_NAME - "ConfigMap__".len() - 63 - ".json".len());
        let all = [
            config(long("x"), "u1"),
            config(long("y"), "u2"),
            config(fits, "u3"),
        ];
        for _ in 0..2 {
            for one in &all {
                records.keep_config(one).unwrap();
            }
        }
        let mut found: Vec<_> = records
            .configs()
            .unwrap()
            .into_iter()
            .map(|c| c.uid)
            .collect();
        found.sort();
        assert_eq!(found, ["u1", "u2", "u3"]);
        records.forget_config(&all[0]).unwrap();
        assert_eq!(records.configs().unwrap().len(), 2);
    }

    #[test]
    fn what_a_killed_daemon_had_half_written_is_gone_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        Records::open(dir.path()).unwrap();
        let half = dir.path().join("records/pods/u.new");
        fs::write(&half, "hal").unwrap();
        Records::open(dir.path()).unwrap();
        assert!(!half.exists());
    }

    #[test]
    fn what_was_remembered_of_a_pod_without_a_record_goes_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let mut pod = Pod::default();
        pod.metadata.uid = PodUid::new("here");
        let kept = KeptPod {
            pod,
            object: serde_json::Value::Null,
            accepted: Timestamp::UNIX_EPOCH,
        };
        records.enter_pod(&kept).unwrap();
        for uid in ["here", "gone"] {
            let uid = PodUid::new(uid);
            records.keep_memory(&uid, &Memory::default()).unwrap();
        }
        records.forget_lost_memories();
        assert!(records.memory(&PodUid::new("here")).is_some());
        assert!(records.memory(&PodUid::new("gone")).is_none());
    }

    #[test]
    fn what_a_task_remembers_and_a_config_are_set_aside_when_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let uid = PodUid::new("u");
        records.keep_memory(&uid, &Memory::default()).unwrap();
        assert!(records.memory(&uid).is_some());
        let memory = dir.path().join("records/memory/u.json");
        let config = dir.path().join("records/configs/ConfigMap_default_x.json");
        fs::write(&config, "half").unwrap();
        let mut bytes = fs::read(&memory).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 4;
        fs::write(&memory, bytes).unwrap();
        assert!(records.memory(&uid).is_none());
        assert!(records.configs().unwrap().is_empty());
        let names: Vec<String> = records.take_damaged().into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["u", "ConfigMap_default_x"]);
    }
}
