//! strace: attached to a process, and what it wrote.

use super::list::{Call, List};
use crate::soak::processes::Who;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long an attach may take, or a process to be there.
pub(super) const ATTACH: Duration = Duration::from_secs(10);

/// Calls that change nothing outside of the process and wait for nobody, whatever their arguments. A kill at one of them leaves what a kill
/// at the next other call leaves: descriptors, memory, detached mounts and own attributes go with the process. (Those that do so with some
/// arguments only stand in [`changes`].)
const OWN: &str = " brk munmap mprotect madvise mremap rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack getpid gettid getppid \
getuid geteuid getgid getegid getgroups getcwd uname prctl arch_prctl set_tid_address set_robust_list rseq futex sched_getaffinity \
sched_yield getrandom clock_gettime statfs fstatfs statx fstat newfstatat stat lstat access faccessat faccessat2 readlink \
readlinkat getdents64 lseek pread64 close close_range dup dup2 dup3 pipe2 socket socketpair eventfd2 epoll_create1 epoll_ctl \
timerfd_create timerfd_settime signalfd4 getsockopt setsockopt getsockname getpeername pidfd_open memfd_create umask chdir fchdir setns \
unshare capget capset setgroups setuid setgid setresuid setresgid seccomp personality getxattr lgetxattr open_tree fsopen \
sched_getparam sched_getscheduler getpriority sysinfo ";

/// Calls that take what has come to the process itself. They wait only in a launcher: in the others epoll does.
const TAKING: &str = " recvmsg recvfrom accept4 ";

/// A strace that is attached.
#[derive(Debug)]
pub(super) struct Strace {
    child: Child,
    tracee: i32,
    /// Those that the tracee was seen to have.
    threads: BTreeSet<i32>,
}

impl Strace {
    /// Attaches to `pid`; comes back once all its threads are held.
    ///
    /// # Errors
    /// There is no strace, or the process has gone.
    pub(super) fn attach(pid: i32, arguments: &[&str], out: &Path) -> Result<Self, String> {
        let pid_text = pid.to_string();
        let child = Command::new("strace")
            .args(["-qq", "-o"])
            .arg(out)
            .args(arguments)
            .args(["-p", &pid_text])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("strace: {e}"))?;
        let mut strace = Self {
            child,
            tracee: pid,
            threads: BTreeSet::new(),
        };
        let end = Instant::now() + ATTACH;
        loop {
            let tasks = fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten();
            let statuses: Vec<String> = tasks
                .flatten()
                .filter_map(|t| fs::read_to_string(t.path().join("status")).ok())
                .collect();
            if statuses.is_empty() || Instant::now() > end {
                strace.detach();
                return Err("the process to trace is gone".to_owned());
            }
            let traced = |s: &String| !s.contains("\nTracerPid:\t0\n");
            if statuses.iter().all(traced) {
                strace.look();
                return Ok(strace);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sees which threads the tracee has now.
    pub(super) fn look(&mut self) {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.tracee));
        let names = tasks.into_iter().flatten().flatten().map(|t| t.file_name());
        self.threads
            .extend(names.filter_map(|n| n.to_str()?.parse::<i32>().ok()));
    }

    /// Whether something that was killed is still there, by what strace wrote.
    pub(super) fn dying(&self, text: &str) -> bool {
        dying(text, self.tracee, &self.threads)
    }

    /// Ends it. At SIGTERM it lets its tracees go; where it waits for one that is dead it is killed, which lets them go too.
    pub(super) fn detach(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + Duration::from_millis(500);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether something that was killed is still there. `threads`: the tracee's.
fn dying(text: &str, tracee: i32, threads: &BTreeSet<i32>) -> bool {
    let there = |pid: i32| Path::new(&format!("/proc/{pid}")).exists();
    let lines = text
        .lines()
        .filter(|l| l.contains("+++ killed by SIGKILL +++"));
    let killed = lines.filter_map(|l| l.split_whitespace().next()?.parse().ok());
    let mut killed = killed.collect::<Vec<i32>>().into_iter();
    // A process goes with any of its threads, and none of them shows it at every moment on the way.
    killed.any(|pid| there(pid) || (threads.contains(&pid) && there(tracee))) || is_dying(tracee)
}

/// Whether a process has been killed and is not gone yet, by proc(5): SIGKILL waits for it, or it is on its way out.
fn is_dying(pid: i32) -> bool {
    const SIGKILL: u64 = 1 << 8;
    const EXITING: u64 = 4;
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let status = read("status");
    let pending = status.lines().find_map(|l| l.strip_prefix("SigPnd:"));
    let pending = pending.and_then(|m| u64::from_str_radix(m.trim(), 16).ok());
    let stat = read("stat");
    let flags = stat.rsplit_once(") ").and_then(|(_, rest)| {
        let flags = rest.split(' ').nth(6)?;
        flags.parse::<u64>().ok()
    });
    pending.is_some_and(|m| m & SIGKILL != 0) || flags.is_some_and(|f| f & EXITING != 0)
}

/// Enters what `strace -f -y` or `strace -y` wrote: highest counts over all threads, and which calls change something.
pub(super) fn enter(list: &mut List, text: &str, who: Who) {
    let mut threads: BTreeMap<&str, Vec<(&str, u32, bool)>> = BTreeMap::new();
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for line in text.lines() {
        let (thread, rest) = match line.split_once(' ') {
            Some((pid, rest)) if pid.bytes().all(|b| b.is_ascii_digit()) => {
                (pid, rest.trim_start())
            }
            _ => ("", line),
        };
        let Some((name, arguments)) = rest.split_once('(') else {
            continue;
        };
        let call = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        // Of those that do not come back, a kill would be seen as nothing.
        let counted = !name.is_empty()
            && name.bytes().all(call)
            && !matches!(name, "exit" | "exit_group" | "restart_syscall");
        if counted {
            let count = counts.entry((thread, name)).or_default();
            *count += 1;
            let calls = threads.entry(thread).or_default();
            calls.push((name, *count, changes(name, arguments, who)));
        }
    }
    for calls in threads.into_values() {
        // What stands at the end is told by the first call after the last change.
        let last = calls.iter().rposition(|(_, _, changes)| *changes);
        let end = last.map_or(0, |n| n + 1);
        for (n, (name, count, changes)) in calls.into_iter().enumerate() {
            let call: &mut Call = list.calls.entry(name.to_owned()).or_default();
            call.most = call.most.max(count);
            if changes || n == end {
                call.changing.insert(count);
            }
        }
    }
}

/// Whether a call changes something that outlives the process, or may wait for somebody else. What is not known does.
fn changes(name: &str, arguments: &str, who: Who) -> bool {
    let word = format!(" {name} ");
    let first = arguments.split(',').next().unwrap_or_default();
    let open = |a: &str| a.contains("O_CREAT") || a.contains("O_TRUNC");
    let signal = |at: usize| {
        let word = arguments.split(',').nth(at)?;
        Some(word.split(')').next()?.trim())
    };
    match name {
        "open" | "openat" | "openat2" => open(arguments),
        // Of a file it gives what is there; of a pipe, a socket or a terminal it waits, and takes.
        "read" | "readv" => {
            let plain = first.contains("</") && !first.contains("</dev/");
            !plain && !first.contains("<anon_inode:")
        }
        // What is written to shared memory of a file is in the file, and no call shows it.
        "mmap" => arguments.contains("MAP_SHARED") && arguments.contains("PROT_WRITE"),
        // Limits of another process.
        "prlimit64" => first != "0",
        // A lock that is waited for; flags of what others have open too.
        "fcntl" => [
            "SETLKW",
            "F_SETFL",
            "F_SETLEASE",
            "F_NOTIFY",
            "F_SETPIPE_SZ",
        ]
        .iter()
        .any(|a| arguments.contains(a)),
        // It wakes another thread of the same process.
        "write" => !first.contains("<anon_inode:[eventfd]>"),
        "kill" | "pidfd_send_signal" => signal(1) != Some("0"),
        "tgkill" => signal(2) != Some("0"),
        "ioctl" => !["TCGETS", "PIDFD_GET_INFO"]
            .iter()
            .any(|a| arguments.contains(a)),
        _ if OWN.contains(&word) => false,
        _ if TAKING.contains(&word) => who == Who::Launcher,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_told_by_name_and_arguments() {
        for (line, expected) in [
            (
                "openat(AT_FDCWD, \"/proc/1/stat\", O_RDONLY|O_CLOEXEC) = 3",
                false,
            ),
            (
                "openat(AT_FDCWD, \"/run/x.new\", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0600) = 3",
                true,
            ),
            ("read(3</proc/1/stat>, \"\", 10) = 0", false),
            ("read(3<pipe:[12]>, \"\", 10) = 0", true),
            ("write(9<anon_inode:[eventfd]>, \"\\1\", 8) = 8", false),
            ("write(9</run/x.new>, \"{}\", 2) = 2", true),
            (
                "pidfd_send_signal(5<anon_inode:[pidfd]>, 0, NULL, 0) = 0",
                false,
            ),
            (
                "pidfd_send_signal(5<anon_inode:[pidfd]>, SIGKILL, NULL, 0) = 0",
                true,
            ),
            ("recvmsg(4<socket:[1]>, {...}, 0) = 5", false),
            ("read(7</dev/pts/ptmx>, \"x\", 10) = 1", true),
            ("read(7<anon_inode:[timerfd]>, \"x\", 8) = 8", false),
            (
                "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f",
                false,
            ),
            (
                "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_SHARED, 3</x>, 0) = 0x7f",
                true,
            ),
            ("prlimit64(0, RLIMIT_NOFILE, NULL, {...}) = 0", false),
            ("prlimit64(77, RLIMIT_NOFILE, {...}, NULL) = 0", true),
            ("fcntl(4</x>, F_SETFD, FD_CLOEXEC) = 0", false),
            ("fcntl(4</x>, F_SETLK, {...}) = 0", false),
            ("fcntl(4</x>, F_SETLKW, {...}) = 0", true),
            ("fcntl(4<pipe:[1]>, F_SETFL, O_RDONLY|O_NONBLOCK) = 0", true),
            ("ioctl(4<socket:[1]>, FIONBIO, [1]) = 0", true),
            (
                "mount_setattr(5</>, \"\", AT_EMPTY_PATH, {...}, 32) = 0",
                true,
            ),
            ("kill(5, 0) = 0", false),
            ("kill(5, SIGKILL) = 0", true),
            ("tgkill(5, 6, 0) = 0", false),
            ("tgkill(5, 0, SIGKILL) = 0", true),
            ("epoll_wait(4<anon_inode:[eventpoll]>, [], 1, 0) = 0", true),
            ("somethingnew(1) = 0", true),
        ] {
            let (name, arguments) = line.split_once('(').unwrap();
            assert_eq!(
                changes(name, arguments, Who::Supervisor),
                expected,
                "{line}"
            );
        }
        assert!(changes("recvmsg", "3<socket:[1]>, {...}, 0", Who::Launcher));
    }

    #[test]
    fn a_process_of_which_a_thread_was_killed_is_dying_as_long_as_it_is_there() {
        let own = i32::try_from(std::process::id()).unwrap();
        // No process has that number: it is above the highest (PID_MAX_LIMIT).
        let gone = 5_000_000;
        let text = format!("{gone} epoll_wait(3) = 0\n{gone} +++ killed by SIGKILL +++\n");
        assert!(dying(&text, own, &BTreeSet::from([own, gone])));
        assert!(!dying(&text, own, &BTreeSet::from([own])), "another's");
        assert!(
            !dying(&text, gone + 1, &BTreeSet::from([gone])),
            "it is gone"
        );
        assert!(
            !dying("", own, &BTreeSet::from([own])),
            "nothing was killed"
        );
    }

    #[test]
    fn calls_are_counted_by_thread_and_the_end_is_one_call_after_the_last_change() {
        let text = "12  getpid() = 12\n12  rename(\"a\", \"b\") = 0\n13 getpid() = 13\n13 getpid( <unfinished ...>\n\
                    12  close(3</a>) = 0\n12 close(4</b>) = 0\n13 <... getpid resumed>) = 13\n12 exit_group(0) = ?\n";
        let mut list = List::default();
        enter(&mut list, text, Who::Daemon);
        let call = |name: &str| {
            let call = &list.calls[name];
            (
                call.most,
                call.changing.iter().copied().collect::<Vec<u32>>(),
            )
        };
        assert_eq!(call("getpid"), (2, vec![1]));
        assert_eq!(call("rename"), (1, vec![1]));
        assert_eq!(call("close"), (2, vec![1]));
        assert!(!list.calls.contains_key("exit_group"));
    }
}
