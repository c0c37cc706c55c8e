//! `podwright reset`: ends and removes everything that this node made.

use super::Places;
use super::outside::Real;
use super::pods::Pods;
use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use pod_api::backend::{DeleteOptions, Progress};
use pod_api::feed::Key;
use pod_driver::world::WorldOf;
use pod_model::ids::CgroupPath;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the end of all pods is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends all pods at once, then removes images, records, logs and cgroups.
pub async fn reset(
    world: &WorldOf<Real>,
    pods: &Pods,
    places: &Places,
    progress: &Progress,
) -> Result<()> {
    let all = pods.references();
    if !all.is_empty() {
        progress.step(format!("ending {} pods", all.len()));
    }
    let mut watch = world.journal.pods.watch(world.journal.pods.list().1);
    for pod in &all {
        let key = Key::new(pod.namespace.as_str(), pod.name.as_str());
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            ..DeleteOptions::default()
        };
        // A pod that is gone meanwhile is what was wanted.
        let _ = pods.delete(&key, &options);
    }
    let ended = tokio::time::timeout(PATIENCE, async {
        while pods.left() > 0 {
            // Forgotten changes matter as little as seen ones: what counts is the list.
            let _ = watch.next().await;
        }
    });
    if ended.await.is_err() {
        let left = world.journal.pods.list().0;
        let names: Vec<String> = left
            .iter()
            .map(|(k, _)| format!("{}/{}", k.namespace, k.name))
            .collect();
        bail!(
            "pods did not end within {} s: {}; nothing else was removed",
            PATIENCE.as_secs(),
            names.join(", ")
        );
    }
    world.network.end().await?;
    progress.step("removing images, records and logs");
    let (root, logs) = (places.root.clone(), places.logs.clone());
    tokio::task::spawn_blocking(move || {
        for name in [
            "images",
            "layers",
            "snapshots",
            "pods",
            "pause",
            "records",
            pod_host::QUARANTINE,
            "tmp",
        ] {
            remove_tree(&root.join(name))?;
        }
        remove_if_empty(&logs);
        for entry in std::fs::read_dir(&root).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_file()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        remove_if_empty(&root);
        Ok::<(), anyhow::Error>(())
    })
    .await??;
    Ok(())
}

fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The folder may be the user's own and hold other things: then it stays.
fn remove_if_empty(path: &Path) {
    let _ = std::fs::remove_dir(path);
}

/// The rest of a reset, for the client: what the daemon itself stood on, removed once it has ended.
pub fn sweep(run: &Path, root: &Path, logs: &Path, cgroup_root: &str) -> Result<()> {
    let lock = wait_for_end(run)?;
    let cgroup_root = CgroupPath::parse(cgroup_root)?;
    pod_host::remove_empty_cgroups(&cgroup_root).context("remove cgroups")?;
    for name in ["sandboxes", "intents", "network", pod_host::QUARANTINE] {
        remove_tree(&run.join(name))?;
    }
    for file in [pod_api::socket::NAME, "node.lock", "node.log"] {
        let path = run.join(file);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
    }
    let _ = std::fs::remove_file(root.join("node.lock"));
    drop(lock);
    for folder in [logs, run, root] {
        remove_if_empty(folder);
    }
    Ok(())
}

/// The lock of the run folder, which a daemon holds for as long as it lives.
fn wait_for_end(run: &Path) -> Result<Option<Flock<File>>> {
    let path = run.join("node.lock");
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("open {}", path.display())),
    };
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(lock)),
            Err(_) if Instant::now() > until => bail!("the daemon has not ended"),
            Err((again, _)) => file = again,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
