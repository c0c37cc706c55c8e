//! Names of system calls for the default filter, by what allows them. Names that a kernel or an architecture lacks are skipped when the
//! filter is made.

/// Files, folders, paths and their attributes.
pub(crate) const FILES: &[&str] = &[
    "access", "faccessat", "faccessat2", "open", "openat", "openat2", "creat", "close", "close_range", "name_to_handle_at",
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2",
    "lseek", "_llseek", "readahead", "sendfile", "sendfile64", "splice", "tee", "vmsplice", "copy_file_range",
    "dup", "dup2", "dup3", "fcntl", "fcntl64", "flock", "ioctl", "umask",
    "stat", "stat64", "lstat", "lstat64", "fstat", "fstat64", "fstatat64", "newfstatat", "statx",
    "statfs", "statfs64", "fstatfs", "fstatfs64", "statmount", "listmount",
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32",
    "utime", "utimes", "futimesat", "utimensat", "utimensat_time64",
    "mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat",
    "rename", "renameat", "renameat2", "readlink", "readlinkat", "getcwd", "chdir", "fchdir", "getdents", "getdents64",
    "truncate", "truncate64", "ftruncate", "ftruncate64", "fallocate", "fadvise64", "fadvise64_64",
    "sync", "syncfs", "fsync", "fdatasync", "sync_file_range",
    "getxattr", "lgetxattr", "fgetxattr", "getxattrat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat",
    "listxattr", "llistxattr", "flistxattr", "listxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
    "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "fanotify_mark",
    "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "cachestat",
];

/// Memory.
pub(crate) const MEMORY: &[&str] = &[
    "brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "remap_file_pages",
    "mlock", "mlock2", "mlockall", "munlock", "munlockall", "memfd_create", "memfd_secret", "membarrier",
    "pkey_alloc", "pkey_free", "pkey_mprotect", "map_shadow_stack", "mseal", "process_mrelease",
    "shmget", "shmat", "shmdt", "shmctl",
];

/// Processes, threads, ids, limits and scheduling.
pub(crate) const PROCESSES: &[&str] = &[
    "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "waitpid", "kill", "tkill", "tgkill",
    "pidfd_open", "pidfd_send_signal", "prctl", "capget", "capset", "seccomp", "rseq", "getpid", "getppid", "gettid",
    "set_tid_address", "set_robust_list", "get_robust_list", "set_thread_area", "get_thread_area",
    "getpgid", "getpgrp", "setpgid", "getsid", "setsid", "uname", "sysinfo", "getcpu", "times",
    "getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid", "getegid32",
    "getresuid", "getresuid32", "getresgid", "getresgid32", "getgroups", "getgroups32",
    "setuid", "setuid32", "setgid", "setgid32", "setreuid", "setreuid32", "setregid", "setregid32",
    "setresuid", "setresuid32", "setresgid", "setresgid32", "setfsuid", "setfsuid32", "setfsgid", "setfsgid32",
    "setgroups", "setgroups32", "getrlimit", "ugetrlimit", "setrlimit", "prlimit64", "getrusage", "getpriority", "setpriority",
    "ioprio_get", "ioprio_set", "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_setparam",
    "sched_getscheduler", "sched_setscheduler", "sched_getattr", "sched_setattr", "sched_get_priority_max",
    "sched_get_priority_min", "sched_rr_get_interval", "sched_rr_get_interval_time64",
    // Since kernel 4.8 these two ask for the same rights as /proc/PID/mem: no capability is needed to trace one's own children.
    "ptrace", "process_vm_readv", "process_vm_writev",
];

/// Signals, timers, clocks, waiting and locks.
pub(crate) const WAITING: &[&str] = &[
    "rt_sigaction", "rt_sigprocmask", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "rt_sigqueueinfo", "rt_tgsigqueueinfo", "rt_sigreturn", "sigaltstack", "sigprocmask", "sigreturn", "signalfd", "signalfd4",
    "restart_syscall", "uretprobe", "pause", "alarm", "nanosleep", "clock_nanosleep", "clock_nanosleep_time64",
    "getitimer", "setitimer", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64",
    "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
    "timerfd_settime64", "time", "gettimeofday", "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64",
    "adjtimex", "clock_adjtime", "clock_adjtime64",
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_wait", "epoll_wait_old", "epoll_pwait", "epoll_pwait2",
    "eventfd", "eventfd2", "futex", "futex_time64", "futex_wait", "futex_waitv", "futex_wake", "futex_requeue", "getrandom",
];

/// Pipes, sockets (`socket` itself has a rule of its own), message queues and asynchronous I/O.
pub(crate) const TALKING: &[&str] = &[
    "pipe", "pipe2", "socketpair", "socketcall", "bind", "listen", "accept", "accept4", "connect", "shutdown",
    "getsockname", "getpeername", "getsockopt", "setsockopt", "send", "sendto", "sendmsg", "sendmmsg",
    "recv", "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64",
    "ipc", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semctl", "semtimedop", "semtimedop_time64",
    "mq_open", "mq_unlink", "mq_notify", "mq_getsetattr", "mq_timedsend", "mq_timedsend_time64", "mq_timedreceive",
    "mq_timedreceive_time64",
    "io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
];

/// Only on x86.
pub(crate) const X86: &[&str] = &["arch_prctl", "modify_ldt"];

/// Only on ARM.
pub(crate) const ARM: &[&str] = &[
    "arm_fadvise64_64",
    "arm_sync_file_range",
    "sync_file_range2",
    "breakpoint",
    "cacheflush",
    "set_tls",
];

/// With CAP_SYS_ADMIN.
pub(crate) const SYS_ADMIN: &[&str] = &[
    "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "mount",
    "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname",
    "setns", "syslog", "umount", "umount2", "unshare",
];

/// With CAP_SYS_PTRACE.
pub(crate) const SYS_PTRACE: &[&str] = &["kcmp", "pidfd_getfd", "process_madvise"];

/// With CAP_SYS_MODULE.
pub(crate) const SYS_MODULE: &[&str] = &["delete_module", "init_module", "finit_module"];

/// With CAP_SYS_TIME.
pub(crate) const SYS_TIME: &[&str] = &["settimeofday", "stime", "clock_settime", "clock_settime64"];

/// With CAP_SYS_NICE.
pub(crate) const SYS_NICE: &[&str] = &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"];

/// All that the pause process needs, from the moment its filter is set: libcontainer's last steps before exec, then its own loop.
pub(crate) const PAUSE: &[&str] = &[
    "accept", "accept4", "arch_prctl", "brk", "capget", "capset", "chdir", "clock_gettime", "close", "close_range", "dup", "dup2",
    "dup3", "epoll_ctl", "epoll_pwait", "epoll_wait", "execve", "execveat", "exit", "exit_group", "faccessat", "faccessat2", "fcntl",
    "fstat", "fstatfs", "futex", "getcwd", "getdents64", "getegid", "geteuid", "getgid", "getpid", "getppid", "getrandom", "gettid",
    "getuid", "ioctl", "lseek", "madvise", "mmap", "mprotect", "mremap", "munmap", "nanosleep", "newfstatat", "openat", "openat2",
    "pause", "poll", "ppoll", "prctl", "pread64", "prlimit64", "read", "readlink", "readlinkat", "readv", "recvfrom", "recvmsg",
    "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "sched_yield", "sendmsg", "sendto", "set_robust_list", "set_tid_address", "shutdown", "sigaltstack", "statx",
    "unlink", "unlinkat", "wait4", "waitid", "write", "writev",
];
