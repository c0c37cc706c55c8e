//! A case in namespaces of its own: processes, mounts, network, IPC and host name, with a first process that reaps.
//!
//! What such a case does to its mounts, links or processes never reaches the machine. Cgroups, loop devices and files are the
//! machine's.

use std::process::{Command, Stdio};

/// Tells the program that it runs apart already, and which case.
const MARK: &str = "PODWRIGHT_CASE_APART";

/// The number of the process that a case is on the machine, where it runs apart.
const NUMBER: &str = "PODWRIGHT_CASE_NUMBER";

/// A number that no other case has that runs on the machine now: this process's, as the machine counts it.
pub fn number() -> String {
    std::env::var(NUMBER).unwrap_or_else(|_| std::process::id().to_string())
}

/// Runs `body` apart: this test program is started again in fresh namespaces for this one case. `module` is `module_path!()`,
/// `case` the name of the test function that calls this.
#[track_caller]
pub fn apart(module: &str, case: &str, body: impl FnOnce()) {
    apart_with(module, case, &[], body);
}

/// Likewise, with these variables in the environment.
#[track_caller]
pub fn apart_with(module: &str, case: &str, variables: &[(&str, &str)], body: impl FnOnce()) {
    let path = module
        .split_once("::")
        .map_or(case.to_owned(), |(_, m)| format!("{m}::{case}"));
    if std::env::var(MARK).is_ok_and(|m| m == path) {
        return body();
    }
    let own = std::env::current_exe().expect("the test program's own path");
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount", "--net", "--ipc", "--uts"])
        .args(["--mount-proc", "--kill-child", "--propagation", "private"])
        // The shell is the first process: it waits for every child that it gets.
        .args(["sh", "-c", "\"$@\"; exit $?", "sh"])
        .arg(own)
        .args(["--exact", &path, "--nocapture", "--include-ignored"])
        .envs(variables.iter().copied())
        .env(MARK, &path)
        .env(NUMBER, number())
        .stdin(Stdio::null())
        .output()
        .expect("start unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{path}, apart: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
