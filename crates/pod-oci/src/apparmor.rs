//! AppArmor: which profile a container gets, and the text of the default one.

use crate::facts::{AppArmorSupport, OciError};
use pod_model::config::{AppArmor, Security};

/// Name of the default profile. Its number changes with its text, so that a profile that is loaded is known by its name.
pub const DEFAULT_PROFILE: &str = "podwright-default-1";

/// The default profile, as apparmor_parser(8) takes it.
///
/// It stands behind the other barriers and not in their place: what a container may do is said by capabilities, namespaces, the system call
/// filter and read-only mounts. It forbids what must not be done even where one of these has a hole: mounting, writing to files of the kernel
/// that are the whole node's, and touching processes of the node.
pub fn default_profile() -> String {
    format!(
        "profile {DEFAULT_PROFILE} flags=(attach_disconnected,mediate_deleted) {{
  capability,
  file,
  network,
  umount,
  deny mount,
  deny pivot_root,

  signal (receive) peer=unconfined,
  signal (send, receive) peer={DEFAULT_PROFILE},
  ptrace (trace, read, tracedby, readby) peer={DEFAULT_PROFILE},

  deny /proc/{{kcore,kallsyms,kmsg,mem,kmem,sysrq-trigger,timer_list,latency_stats}} rwklx,
  deny /proc/{{acpi,asound,bus,driver,fs,irq,scsi,sys,tty}}/** wklx,
  deny /sys/{{block,bus,class,dev,devices,hypervisor,kernel,module,power}}/** wklx,
  deny /sys/fs/{{bpf,btrfs,ext4,f2fs,fuse,pstore,resctrl,selinux,smackfs,xfs}}/** wklx,
  deny /sys/{{firmware,kernel/debug,kernel/security,kernel/tracing}}/** rwklx,
}}
"
    )
}

/// The name of the container's profile; `None` = none. One that nobody asked for is left out where the node has no AppArmor; one that was
/// asked for is not.
pub(crate) fn profile(
    security: &Security,
    node: &AppArmorSupport,
) -> Result<Option<String>, OciError> {
    let name = match &security.app_armor {
        Some(AppArmor::Unconfined) => return Ok(None),
        // As in Kubernetes: a privileged container has no default profile, and may have one of the node.
        None | Some(AppArmor::RuntimeDefault) if security.privileged => return Ok(None),
        None | Some(AppArmor::RuntimeDefault) => DEFAULT_PROFILE,
        Some(AppArmor::Localhost(name)) => name,
    };
    match node {
        AppArmorSupport::Ready => Ok(Some(name.to_owned())),
        AppArmorSupport::Missing(_) if security.app_armor.is_none() => Ok(None),
        AppArmorSupport::Missing(cause) => Err(OciError::AppArmor {
            cause: cause.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_nothing_has_the_default_profile_where_there_is_one() {
        let none = AppArmorSupport::Missing("no AppArmor here".to_owned());
        let of = |app_armor: Option<AppArmor>, privileged, node: &AppArmorSupport| {
            let security = Security {
                app_armor,
                privileged,
                ..Security::default()
            };
            profile(&security, node).map_err(|e| e.to_string())
        };
        let default = Ok(Some(DEFAULT_PROFILE.to_owned()));
        let ready = &AppArmorSupport::Ready;
        let local = || Some(AppArmor::Localhost("mine".to_owned()));
        assert_eq!(of(None, false, ready), default);
        assert_eq!(of(Some(AppArmor::RuntimeDefault), false, ready), default);
        assert_eq!(of(Some(AppArmor::Unconfined), false, ready), Ok(None));
        assert_eq!(of(local(), false, ready), Ok(Some("mine".to_owned())));
        assert_eq!(of(None, true, ready), Ok(None));
        assert_eq!(of(Some(AppArmor::RuntimeDefault), true, ready), Ok(None));
        assert_eq!(of(local(), true, ready), Ok(Some("mine".to_owned())));
        assert_eq!(of(None, false, &none), Ok(None));
        assert_eq!(of(Some(AppArmor::Unconfined), false, &none), Ok(None));
        for asked in [Some(AppArmor::RuntimeDefault), local()] {
            let error = of(asked, false, &none).unwrap_err();
            assert_eq!(error, "Cannot enforce AppArmor: no AppArmor here");
        }
    }

    #[test]
    fn the_default_profiles_name_changes_with_its_text() {
        // FNV-1a. Where this fails, give DEFAULT_PROFILE the next number and put the new value here.
        let hash = default_profile()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
                (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
            });
        assert_eq!(
            (DEFAULT_PROFILE, hash),
            ("podwright-default-1", 0x66f3_1e10_d277_a6b9)
        );
    }
}
