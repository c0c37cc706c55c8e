//! What was begun. Before an operation makes or takes away anything, a tiny file in `<run>/intents/` says so; it goes when the operation has
//! come to its end. What a killed daemon leaves there tells the next one which operations were cut off: each is then done or undone
//! ([`crate::verbs::settle`]).
//!
//! ```text
//! pod-<uid>            from the first thing made of a pod to the last one taken away      nobody asks for the pod any more: taken away
//! run-<sandbox>        a sandbox is being made                                            does not run: taken away
//! start-<container>    a container is being made                                          neither runs nor ran: taken away
//! remove-<container>   a container is being taken away                                    gone on with
//! end-<sandbox>        a sandbox is being taken away                                      gone on with
//! ```
//!
//! Verbs that only change what is there already (stop, set an address, bring volumes up to date) need none: asked again, they do the rest.

use crate::records;
use pod_model::ids::{CgroupPath, ContainerId, ContainerName, PodRef, PodUid, SandboxId};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// An operation and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Intent {
    /// There is something of that pod.
    Pod { pod: PodRef, cgroup: CgroupPath },
    /// A sandbox is being made.
    Run { pod: PodUid, sandbox: SandboxId },
    /// A container is being made.
    Start(Container),
    /// A container is being taken away, with its log or without.
    Remove {
        container: Container,
        log: Option<PathBuf>,
    },
    /// A sandbox is being taken away.
    End { pod: PodUid, sandbox: SandboxId },
}

/// Where everything of a container lies follows from this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Container {
    pub(crate) pod: PodUid,
    pub(crate) sandbox: SandboxId,
    pub(crate) id: ContainerId,
    pub(crate) name: ContainerName,
}

impl Intent {
    fn file(&self) -> String {
        match self {
            Intent::Pod { pod, .. } => format!("pod-{}", pod.uid),
            Intent::Run { sandbox, .. } => format!("run-{sandbox}"),
            Intent::Start(container) => format!("start-{}", container.id),
            Intent::Remove { container, .. } => format!("remove-{}", container.id),
            Intent::End { sandbox, .. } => format!("end-{sandbox}"),
        }
    }
}

/// An operation that has begun. Dropped, its file stays: the operation has not come to its end.
#[derive(Debug)]
#[must_use = "an operation that is over says so"]
pub(crate) struct Begun(PathBuf);

impl Begun {
    /// The operation is done or undone.
    pub(crate) fn over(self) {
        // Left behind, it is settled once more at the next start.
        let _ = fs::remove_file(self.0);
    }
}

/// Writes down that an operation begins.
///
/// # Errors
/// The file cannot be written: what makes something must not begin then.
pub(crate) fn begin(folder: &Path, intent: &Intent) -> io::Result<Begun> {
    let path = folder.join(intent.file());
    records::save(&path, intent)?;
    Ok(Begun(path))
}

/// That an operation began before, in this daemon or an earlier one.
pub(crate) fn begun(folder: &Path, intent: &Intent) -> Begun {
    Begun(folder.join(intent.file()))
}

/// Every operation that has not come to its end, and the files that are damaged.
///
/// # Errors
/// One cannot be read now: it is not to be forgotten.
pub(crate) fn left(folder: &Path) -> io::Result<(Vec<Intent>, Vec<PathBuf>)> {
    let (mut intents, mut damaged) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "new") {
            // Cut off before its operation began.
            let _ = fs::remove_file(&path);
            continue;
        }
        match records::load(&path) {
            Ok(Some(intent)) => intents.push(intent),
            Ok(None) => {}
            Err(e) if records::is_damage(&e) => damaged.push(path),
            Err(e) => {
                let text = format!("{}: {e}", path.display());
                return Err(io::Error::new(e.kind(), text));
            }
        }
    }
    Ok((intents, damaged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_that_cannot_be_read_is_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        // A link to itself: it is there, and every read of it fails.
        let path = dir.path().join("start-x");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let told = left(dir.path()).unwrap_err();
        assert!(told.to_string().contains("start-x"), "{told}");
    }

    #[test]
    fn what_has_begun_is_found_until_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let run = Intent::Run {
            pod: "u".into(),
            sandbox: "s".into(),
        };
        let end = Intent::End {
            pod: "u".into(),
            sandbox: "s".into(),
        };
        let first = begin(dir.path(), &run).unwrap();
        drop(begin(dir.path(), &end).unwrap());
        fs::write(dir.path().join("start-x"), "half").unwrap();
        fs::write(dir.path().join("start-y.new"), "").unwrap();
        let (mut found, damaged) = left(dir.path()).unwrap();
        found.sort_by_key(Intent::file);
        assert_eq!(found, [end.clone(), run]);
        assert_eq!(damaged, [dir.path().join("start-x")]);
        first.over();
        assert_eq!(left(dir.path()).unwrap().0, std::slice::from_ref(&end));
        begun(dir.path(), &end).over();
        assert!(left(dir.path()).unwrap().0.is_empty());
    }
}
