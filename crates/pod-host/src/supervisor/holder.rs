//! The process that works in a sandbox's folder: it holds a lock there for as long as it lives, whether or not it can be spoken with.

use rustix::process::{Flock, FlockType, Signal, fcntl_getlk, pidfd_send_signal};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a killed process may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kills the supervisor that holds `lock`, and waits for its end; its containers live on, for a successor. For one that nobody can connect
/// to: of such a one nobody would ever hear again. `false`: nobody holds the lock.
///
/// # Errors
/// Those of `open`, `fcntl`, `pidfd_open` and `pidfd_send_signal` (then it is not known whether one lives); `TimedOut`.
pub(crate) fn end(lock: &Path) -> io::Result<bool> {
    let file = match File::options().write(true).open(lock) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    let holder = || -> io::Result<Option<i32>> {
        let found = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
        Ok(found.map(|l| l.pid.map_or(0, |pid| pid.as_raw_nonzero().get())))
    };
    let Some(pid) = holder()? else {
        return Ok(false);
    };
    let handle = match pod_sys::pidfd::open(pid) {
        Ok(handle) => handle,
        // It has ended in between.
        Err(_) if holder()?.is_none() => return Ok(true),
        Err(e) => return Err(e),
    };
    // Still the holder: so the pid means it.
    if holder()? == Some(pid) {
        pidfd_send_signal(&handle, Signal::KILL)?;
    }
    let end = Instant::now() + PATIENCE;
    while holder()?.is_some() {
        if Instant::now() > end {
            let text = format!("supervisor {pid} was killed and does not end");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn who_holds_the_lock_is_ended_and_nobody_else() {
        let folder = std::env::temp_dir().join(format!("pod-host-holder-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lock = folder.join("lock");
        assert!(!end(&lock).unwrap(), "no lock");
        std::fs::write(&lock, "").unwrap();
        assert!(!end(&lock).unwrap(), "nobody holds it");
        // A lock of the kind that a supervisor takes: a process's own.
        let script = "import fcntl, sys, time\nf = open(sys.argv[1], 'w')\nfcntl.lockf(f, fcntl.LOCK_EX)\nopen(sys.argv[1] + '.held', 'w')\ntime.sleep(60)";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(&lock)
            .spawn()
            .unwrap();
        let held = folder.join("lock.held");
        let begun = Instant::now();
        while !held.exists() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(end(&lock).unwrap());
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(!end(&lock).unwrap());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
