//! Capabilities: names, numbers, and the sets that a container gets.

use crate::facts::OciError;
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities};
use pod_model::config::Security;

/// Every capability at its number (include/uapi/linux/capability.h).
const BY_NUMBER: [Capability; 41] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::LinuxImmutable,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::SysModule,
    Capability::SysRawio,
    Capability::SysChroot,
    Capability::SysPtrace,
    Capability::SysPacct,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysNice,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Mknod,
    Capability::Lease,
    Capability::AuditWrite,
    Capability::AuditControl,
    Capability::Setfcap,
    Capability::MacOverride,
    Capability::MacAdmin,
    Capability::Syslog,
    Capability::WakeAlarm,
    Capability::BlockSuspend,
    Capability::AuditRead,
    Capability::Perfmon,
    Capability::Bpf,
    Capability::CheckpointRestore,
];

/// What a container has if nothing is said: the default set of containerd.
const DEFAULT: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// All capabilities that have a number.
const ALL: u64 = (1 << BY_NUMBER.len()) - 1;

/// The capability sets of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sets {
    /// What it, and whatever it executes, can ever have.
    pub(crate) bounding: u64,
    /// What its first process has: nothing unless it runs as uid 0, as the kernel would take it away at exec.
    pub(crate) effective: u64,
}

impl Sets {
    /// Whether the container's processes may have `capability`.
    pub(crate) fn has(self, capability: Capability) -> bool {
        self.bounding & bit(capability) != 0
    }

    /// As the spec has it: inheritable and ambient are always empty (threat S04).
    pub(crate) fn to_spec(self) -> LinuxCapabilities {
        let mut out = LinuxCapabilities::default();
        out.set_bounding(Some(set(self.bounding)))
            .set_effective(Some(set(self.effective)))
            .set_permitted(Some(set(self.effective)))
            .set_inheritable(Some(Capabilities::new()))
            .set_ambient(Some(Capabilities::new()));
        out
    }
}

/// The sets that `security` asks for, for a first process of that uid, cut to `node_bounding`; what was cut comes as text.
///
/// Order as containerd has it: `ALL` added, `ALL` dropped, then each addition, then each drop.
pub(crate) fn sets(
    security: &Security,
    uid: u32,
    node_bounding: u64,
) -> Result<(Sets, Vec<String>), OciError> {
    let add = parse(&security.add_capabilities)?;
    let drop = parse(&security.drop_capabilities)?;
    let mut wanted = DEFAULT.iter().fold(0, |mask, c| mask | bit(*c));
    if security.privileged {
        wanted = ALL;
    } else {
        if add.all {
            wanted = ALL;
        }
        if drop.all {
            wanted = 0;
        }
        wanted |= add.named;
        wanted &= !drop.named;
    }
    let bounding = wanted & node_bounding;
    let missing: Vec<String> = names(wanted & !node_bounding);
    let clamped = if missing.is_empty() {
        Vec::new()
    } else {
        vec![format!(
            "capabilities {}: not granted, this node does not have them itself",
            missing.join(" ")
        )]
    };
    let effective = if uid == 0 { bounding } else { 0 };
    Ok((
        Sets {
            bounding,
            effective,
        },
        clamped,
    ))
}

struct Parsed {
    all: bool,
    named: u64,
}

fn parse(list: &[String]) -> Result<Parsed, OciError> {
    let mut out = Parsed {
        all: false,
        named: 0,
    };
    for text in list {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if name == "ALL" {
            out.all = true;
            continue;
        }
        let capability: Capability = name
            .parse()
            .map_err(|_| OciError::UnknownCapability { name: text.clone() })?;
        out.named |= bit(capability);
    }
    Ok(out)
}

fn bit(capability: Capability) -> u64 {
    BY_NUMBER
        .iter()
        .position(|c| *c == capability)
        .map_or(0, |n| 1 << n)
}

fn set(mask: u64) -> Capabilities {
    numbered(mask).collect()
}

fn names(mask: u64) -> Vec<String> {
    numbered(mask).map(|c| c.to_string()).collect()
}

fn numbered(mask: u64) -> impl Iterator<Item = Capability> {
    BY_NUMBER
        .into_iter()
        .enumerate()
        .filter(move |(n, _)| mask & (1 << n) != 0)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: u64 = ALL & !(1 << 24);

    fn of(add: &[&str], drop: &[&str], uid: u32) -> (Sets, Vec<String>) {
        let security = Security {
            add_capabilities: add.iter().map(|s| (*s).to_owned()).collect(),
            drop_capabilities: drop.iter().map(|s| (*s).to_owned()).collect(),
            ..Security::default()
        };
        sets(&security, uid, NODE).unwrap()
    }

    #[test]
    fn the_default_set_is_the_fourteen_of_containerd() {
        assert_eq!(of(&[], &[], 0).0.bounding, 0xa804_25fb);
    }

    #[test]
    fn all_is_added_first_then_dropped_then_names_apply() {
        let table: &[(&[&str], &[&str], u64)] = &[
            (&["ALL"], &[], NODE),
            (&[], &["ALL"], 0),
            (&["ALL"], &["ALL"], 0),
            (&["NET_ADMIN"], &["ALL"], 1 << 12),
            (&["CAP_NET_ADMIN"], &["all"], 1 << 12),
            (&["NET_ADMIN"], &["ALL", "NET_ADMIN"], 0),
            (&["ALL"], &["SYS_ADMIN"], NODE & !(1 << 21)),
        ];
        for (add, drop, want) in table {
            assert_eq!(
                of(add, drop, 0).0.bounding,
                *want,
                "add {add:?} drop {drop:?}"
            );
        }
    }

    #[test]
    fn another_user_than_root_keeps_the_bounding_set_and_has_nothing() {
        let (sets, _) = of(&[], &[], 1000);
        assert_eq!((sets.bounding, sets.effective), (0xa804_25fb, 0));
        let spec = sets.to_spec();
        assert_eq!(spec.permitted().as_ref().unwrap().len(), 0);
        assert_eq!(spec.bounding().as_ref().unwrap().len(), 14);
    }

    #[test]
    fn what_the_node_lacks_is_named_and_left_out() {
        let (sets, clamped) = of(&["SYS_RESOURCE"], &[], 0);
        assert!(!sets.has(Capability::SysResource));
        assert_eq!(
            clamped,
            ["capabilities SYS_RESOURCE: not granted, this node does not have them itself"]
        );
    }

    #[test]
    fn inheritable_and_ambient_are_always_empty() {
        let spec = of(&["ALL"], &[], 0).0.to_spec();
        assert!(spec.inheritable().as_ref().unwrap().is_empty());
        assert!(spec.ambient().as_ref().unwrap().is_empty());
    }

    #[test]
    fn an_unknown_capability_is_an_error_that_names_it() {
        let security = Security {
            add_capabilities: vec!["NET_ADMIM".into()],
            ..Security::default()
        };
        let error = sets(&security, 0, NODE).unwrap_err();
        assert!(error.to_string().contains("NET_ADMIM"), "{error}");
    }

    #[test]
    fn every_number_is_used_once() {
        let all = BY_NUMBER.iter().fold(0, |mask, c| mask | bit(*c));
        assert_eq!(all, ALL);
    }
}
