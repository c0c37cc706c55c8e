//! AppArmor on the node: whether there is one, the default profile loaded, and which others are.

use pod_oci::{AppArmorSupport, DEFAULT_PROFILE, default_profile};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether the kernel enforces profiles: `Y`.
const ENABLED: &str = "/sys/module/apparmor/parameters/enabled";
/// Names of the profiles that are loaded, one a line, each with its mode.
const LOADED: &str = "/sys/kernel/security/apparmor/profiles";
/// Where Debian and others have the program that compiles profiles and gives them to the kernel.
const PARSERS: [&str; 2] = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"];

/// Looks whether profiles can be applied, and loads the default one where it is not loaded yet.
pub(crate) fn ready() -> AppArmorSupport {
    let missing = |cause: String| AppArmorSupport::Missing(cause);
    let enabled = fs::read_to_string(ENABLED).unwrap_or_default();
    if enabled.trim() != "Y" {
        return missing("AppArmor is not enabled on the host".to_owned());
    }
    match is_loaded(DEFAULT_PROFILE) {
        Ok(true) => AppArmorSupport::Ready,
        Ok(false) => match load(&default_profile()) {
            Ok(()) => AppArmorSupport::Ready,
            Err(cause) => {
                let cause = format!("the profile {DEFAULT_PROFILE} cannot be loaded: {cause}");
                eprintln!("AppArmor: {cause}; containers that ask for none run without");
                missing(cause)
            }
        },
        Err(e) => missing(format!("{LOADED} cannot be read: {e}")),
    }
}

/// Whether a profile of that name is loaded.
pub(crate) fn is_loaded(name: &str) -> io::Result<bool> {
    let text = fs::read_to_string(LOADED)?;
    Ok(names(&text).any(|n| n == name))
}

/// The names in the kernel's list: `NAME (MODE)`; a name may hold blanks.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.rsplit_once(" (").map(|(name, _)| name))
}

fn load(profile: &str) -> Result<(), String> {
    let found = PARSERS.iter().find(|p| Path::new(p).exists());
    let parser = found.ok_or("there is no apparmor_parser: install the package apparmor")?;
    // Without a cache: the node's folders stay as they are.
    let mut child = Command::new(parser)
        .args(["--skip-cache", "--replace", "--quiet"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{parser}: {e}"))?;
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut input| input.write_all(profile.as_bytes()));
    let done = child.wait_with_output().map_err(|e| e.to_string())?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{parser}: {}: {}", done.status, said.trim()));
    }
    written.map_err(|e| format!("{parser}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaded_profiles_are_read_as_the_kernel_lists_them() {
        let text =
            "podwright-default-1 (enforce)\n/usr/bin/man (complain)\nwith (two) words (kill)\n";
        let found: Vec<&str> = names(text).collect();
        let want = ["podwright-default-1", "/usr/bin/man", "with (two) words"];
        assert_eq!(found, want);
    }
}
