//! Where everything of a node lies on disk. Pure.

use pod_model::ids::{ContainerId, ContainerName, PodUid, SandboxId, VolumeName};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Plugin folders below a pod's `volumes`, as the kubelet names them; the second is podwright's own.
const EMPTY_DIR: &str = "kubernetes.io~empty-dir";
const FILES: &str = "podwright~files";

/// Roots of a node's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// Survives a reboot (`/var/lib/podwright`).
    root: PathBuf,
    /// Does not (`/run/podwright`).
    run: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: PathBuf, run: PathBuf) -> Self {
        Self { root, run }
    }

    pub(crate) fn pods(&self) -> PathBuf {
        self.root.join("pods")
    }

    pub(crate) fn pod(&self, uid: &PodUid) -> PathBuf {
        self.pods().join(uid.as_str())
    }

    pub(crate) fn empty_dir(&self, uid: &PodUid, volume: &VolumeName) -> PathBuf {
        self.volume(uid, EMPTY_DIR, volume)
    }

    pub(crate) fn files(&self, uid: &PodUid, volume: &VolumeName) -> PathBuf {
        self.volume(uid, FILES, volume)
    }

    fn volume(&self, uid: &PodUid, plugin: &str, volume: &VolumeName) -> PathBuf {
        let volumes = self.pod(uid).join("volumes");
        volumes.join(plugin).join(volume.as_str())
    }

    /// Where mount `index` of a container is placed when it is bound by descriptor.
    pub(crate) fn sub_path(
        &self,
        uid: &PodUid,
        volume: &VolumeName,
        container: &ContainerName,
        index: usize,
    ) -> PathBuf {
        let volume = self.pod(uid).join("volume-subpaths").join(volume.as_str());
        volume.join(container.as_str()).join(index.to_string())
    }

    /// Folder of a container's termination messages, one file an attempt.
    pub(crate) fn messages(&self, uid: &PodUid, container: &ContainerName) -> PathBuf {
        self.pod(uid).join("containers").join(container.as_str())
    }

    /// The termination message file of one attempt: eight digits of its id.
    pub(crate) fn message(
        &self,
        uid: &PodUid,
        container: &ContainerName,
        id: &ContainerId,
    ) -> PathBuf {
        let short: String = id.as_str().chars().take(8).collect();
        self.messages(uid, container).join(short)
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(crate) fn snapshot(&self, id: &str) -> PathBuf {
        self.snapshots().join(id)
    }

    pub(crate) fn pause_roots(&self) -> PathBuf {
        self.root.join("pause")
    }

    pub(crate) fn sandboxes(&self) -> PathBuf {
        self.run.join("sandboxes")
    }

    /// What has begun and not come to its end.
    pub(crate) fn intents(&self) -> PathBuf {
        self.run.join("intents")
    }

    pub(crate) fn run(&self) -> &Path {
        &self.run
    }

    pub(crate) fn sandbox(&self, id: &SandboxId) -> SandboxDir {
        SandboxDir(self.sandboxes().join(id.as_str()))
    }
}

/// Run folder of one sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SandboxDir(PathBuf);

impl SandboxDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    /// What a supervisor leaves for its successor; its own matter but for its being there.
    pub(crate) fn supervised(&self) -> PathBuf {
        self.0.join("state")
    }

    /// Held by its supervisor for as long as that lives.
    pub(crate) fn lock(&self) -> PathBuf {
        self.supervised().join("lock")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("supervisor.sock")
    }

    pub(crate) fn shm(&self) -> PathBuf {
        self.0.join("shm")
    }

    pub(crate) fn hosts(&self) -> PathBuf {
        self.0.join("hosts")
    }

    pub(crate) fn hostname(&self) -> PathBuf {
        self.0.join("hostname")
    }

    pub(crate) fn resolv_conf(&self) -> PathBuf {
        self.0.join("resolv.conf")
    }

    /// State root of libcontainer.
    pub(crate) fn oci(&self) -> PathBuf {
        self.0.join("oci")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    /// The folders of all containers.
    ///
    /// # Errors
    /// They cannot be listed now.
    pub(crate) fn every_container(&self) -> io::Result<Vec<ContainerDir>> {
        let entries = match fs::read_dir(self.containers()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries.map(|e| Ok(ContainerDir(e?.path()))).collect()
    }

    /// Folder of one container; the pause process has one too, by the sandbox's id.
    pub(crate) fn container(&self, id: &str) -> ContainerDir {
        ContainerDir(self.containers().join(id))
    }
}

/// Run folder of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerDir(PathBuf);

impl ContainerDir {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.0.join("bundle")
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    /// Exit record, written by the supervisor.
    pub(crate) fn exit(&self) -> PathBuf {
        self.0.join("exit")
    }

    /// What the node made of it, with reason and message.
    pub(crate) fn ended(&self) -> PathBuf {
        self.0.join("ended.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_lies_where_the_design_says() {
        let paths = Paths::new("/var/lib/podwright".into(), "/run/podwright".into());
        let uid = PodUid::new("u1");
        let show = |p: PathBuf| p.display().to_string();
        assert_eq!(
            show(paths.empty_dir(&uid, &"data".into())),
            "/var/lib/podwright/pods/u1/volumes/kubernetes.io~empty-dir/data"
        );
        assert_eq!(
            show(paths.sub_path(&uid, &"data".into(), &"app".into(), 2)),
            "/var/lib/podwright/pods/u1/volume-subpaths/data/app/2"
        );
        let id = ContainerId::new("0123456789abcdef");
        assert_eq!(
            show(paths.message(&uid, &"app".into(), &id)),
            "/var/lib/podwright/pods/u1/containers/app/01234567"
        );
        assert_eq!(
            show(paths.sandbox(&"s".into()).container("c").bundle()),
            "/run/podwright/sandboxes/s/containers/c/bundle"
        );
    }
}
