//! Device nodes, and which devices the container's cgroup lets it use.

use crate::facts::HostDevice;
use oci_spec::runtime::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};

/// Character devices that every container may use: (major, minor); no minor = all of that major.
/// null, zero, full, random, urandom, tty, console, ptmx, and the pseudo terminals.
const USABLE: [(i64, Option<i64>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// Device nodes that libcontainer makes by itself in every container.
const MADE_ANYWAY: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/tty",
    "/dev/urandom",
    "/dev/random",
];

/// Rules for the device cgroup, in order: nothing, then any node may be made, then the harmless ones may be used.
/// A privileged container may use everything.
pub(crate) fn rules(privileged: bool) -> Vec<LinuxDeviceCgroup> {
    if privileged {
        return vec![rule(true, LinuxDeviceType::A, None, None, "rwm")];
    }
    let mut out = vec![
        rule(false, LinuxDeviceType::A, None, None, "rwm"),
        rule(true, LinuxDeviceType::C, None, None, "m"),
        rule(true, LinuxDeviceType::B, None, None, "m"),
    ];
    let usable = USABLE
        .iter()
        .map(|(major, minor)| rule(true, LinuxDeviceType::C, Some(*major), *minor, "rwm"));
    out.extend(usable);
    out
}

/// The node's devices for a privileged container's /dev, without those that every container has.
pub(crate) fn nodes(host: &[HostDevice]) -> Vec<LinuxDevice> {
    let ours = |d: &&HostDevice| !MADE_ANYWAY.iter().any(|m| d.path.as_os_str() == *m);
    host.iter().filter(ours).map(node).collect()
}

fn node(device: &HostDevice) -> LinuxDevice {
    let mut out = LinuxDevice::default();
    out.set_path(device.path.clone())
        .set_typ(if device.block {
            LinuxDeviceType::B
        } else {
            LinuxDeviceType::C
        })
        .set_major(device.major)
        .set_minor(device.minor)
        .set_file_mode(Some(device.mode))
        .set_uid(Some(device.uid))
        .set_gid(Some(device.gid));
    out
}

fn rule(
    allow: bool,
    typ: LinuxDeviceType,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    let mut out = LinuxDeviceCgroup::default();
    out.set_allow(allow)
        .set_typ(Some(typ))
        .set_major(major)
        .set_minor(minor)
        .set_access(Some(access.to_owned()));
    out
}
