//! Names of pods' cgroups, as the two cgroup drivers of the kubelet write them.

use crate::ids::{CgroupPath, CgroupPathError, PodUid};
use crate::pod::Pod;
use crate::qos::qos_class;
use crate::status::QosClass;

/// Who makes cgroups, and so how their paths are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupDriver {
    /// `/kubepods/burstable/pod1-2`.
    Cgroupfs,
    /// `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice`.
    Systemd,
}

/// What the name of a pod's cgroup begins with.
const POD: &str = "pod";
const SLICE: &str = ".slice";

/// The name of a cgroup apart from the driver: its components below the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CgroupName(Vec<String>);

/// Why a component cannot stand in a cgroup's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid character in component {component:?} of cgroup name: it must be non-empty and hold neither '/' nor '_'"
)]
pub struct CgroupNameError {
    /// The component.
    pub component: String,
}

impl CgroupName {
    /// The cgroup of these components below this one. `_` is refused, because systemd's names need it for `-`.
    pub fn child(&self, component: &str) -> Result<Self, CgroupNameError> {
        if component.is_empty() || component.contains(['/', '_']) {
            return Err(CgroupNameError {
                component: component.to_owned(),
            });
        }
        let mut components = self.0.clone();
        components.push(component.to_owned());
        Ok(Self(components))
    }

    /// The name of these components below the root.
    pub fn new<'a>(components: impl IntoIterator<Item = &'a str>) -> Result<Self, CgroupNameError> {
        components
            .into_iter()
            .try_fold(Self::default(), |name, component| name.child(component))
    }

    /// Its components.
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// Its path as that driver writes it; `/` for the root.
    pub fn path(&self, driver: CgroupDriver) -> String {
        match driver {
            CgroupDriver::Cgroupfs => format!("/{}", self.0.join("/")),
            CgroupDriver::Systemd => self.systemd_path(),
        }
    }

    /// Every slice is named by all slices above it, so its path repeats them.
    fn systemd_path(&self) -> String {
        let mut slice = String::new();
        let mut path = String::new();
        for component in self.0.iter().filter(|c| !c.is_empty()) {
            if !slice.is_empty() {
                slice.push('-');
            }
            slice.push_str(&component.replace('-', "_"));
            path.push('/');
            path.push_str(&slice);
            path.push_str(SLICE);
        }
        if path.is_empty() {
            "/".to_owned()
        } else {
            path
        }
    }

    /// The last part of its path; `/` for the root.
    pub fn basename(&self, driver: CgroupDriver) -> String {
        let path = self.path(driver);
        match path.rsplit('/').next() {
            Some(last) if !last.is_empty() => last.to_owned(),
            _ => path,
        }
    }

    /// The name behind a path that that driver wrote. Taken as it stands: a path that no driver writes gives a name that none can
    /// use, with empty parts.
    pub fn parse(path: &str, driver: CgroupDriver) -> Self {
        let components = match driver {
            CgroupDriver::Cgroupfs => {
                let below = path.strip_prefix('/').unwrap_or(path);
                let parts = below.split('/').map(str::to_owned);
                parts.filter(|_| !below.is_empty()).collect()
            }
            CgroupDriver::Systemd if path == "/" => Vec::new(),
            CgroupDriver::Systemd => {
                let last = match path.trim_end_matches('/') {
                    "" if path.is_empty() => ".",
                    "" => "/",
                    path => path.rsplit('/').next().unwrap_or(path),
                };
                let slice = last.strip_suffix(SLICE).unwrap_or(last);
                slice.split('-').map(|c| c.replace('_', "-")).collect()
            }
        };
        Self(components)
    }
}

/// Where pods of each class have their cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QosRoots {
    /// Of Guaranteed pods.
    pub guaranteed: CgroupName,
    /// Of Burstable pods.
    pub burstable: CgroupName,
    /// Of BestEffort pods.
    pub best_effort: CgroupName,
}

impl QosRoots {
    /// The kubelet's below `root`: Guaranteed pods in it, the others in folders of their own.
    pub fn below(root: &CgroupName) -> Result<Self, CgroupNameError> {
        Ok(Self {
            guaranteed: root.clone(),
            burstable: root.child("burstable")?,
            best_effort: root.child("besteffort")?,
        })
    }

    /// Of that class.
    pub fn of(&self, class: QosClass) -> &CgroupName {
        match class {
            QosClass::Guaranteed => &self.guaranteed,
            QosClass::Burstable => &self.burstable,
            QosClass::BestEffort => &self.best_effort,
        }
    }

    /// The pod's cgroup.
    pub fn pod_cgroup(&self, pod: &Pod) -> Result<CgroupName, CgroupNameError> {
        self.of(qos_class(pod))
            .child(&format!("{POD}{}", pod.metadata.uid))
    }

    /// The uid of the pod whose cgroup that is, if it is one: a child of one of the roots, named `pod` and a uid.
    pub fn pod_of(&self, path: &str, driver: CgroupDriver) -> Option<PodUid> {
        let name = CgroupName::parse(path, driver);
        let (last, parent) = name.0.split_last()?;
        let is_root = [&self.guaranteed, &self.burstable, &self.best_effort]
            .iter()
            .any(|root| root.0 == parent);
        let uid = last.strip_prefix(POD).filter(|_| is_root)?;
        (!uid.contains(POD)).then(|| PodUid::from(uid))
    }
}

/// Path of the pod's cgroup below `root`, as the cgroupfs driver names it: `<root>/pod<uid>`, `<root>/burstable/pod<uid>` or
/// `<root>/besteffort/pod<uid>`.
pub fn pod_cgroup_path(root: &CgroupPath, pod: &Pod) -> Result<CgroupPath, CgroupPathError> {
    let name = format!("{POD}{}", pod.metadata.uid);
    match qos_class(pod) {
        QosClass::Guaranteed => root.child(&name),
        QosClass::Burstable => root.child("burstable")?.child(&name),
        QosClass::BestEffort => root.child("besteffort")?.child(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_each_driver_does() {
        for (components, cgroupfs, systemd) in [
            (&[][..], "/", "/"),
            (&["system"], "/system", "/system.slice"),
            (
                &["kubepods", "burstable", "pod1-2"],
                "/kubepods/burstable/pod1-2",
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice",
            ),
        ] {
            let name = CgroupName::new(components.iter().copied()).unwrap();
            for (driver, path) in [
                (CgroupDriver::Cgroupfs, cgroupfs),
                (CgroupDriver::Systemd, systemd),
            ] {
                assert_eq!(name.path(driver), path);
                assert_eq!(CgroupName::parse(path, driver), name, "{path} read back");
            }
        }
    }

    #[test]
    fn a_component_that_systemd_could_not_write_is_refused() {
        for bad in ["a_b", "a/b", ""] {
            assert!(CgroupName::new([bad]).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_cgroup_elsewhere_is_no_pod_whatever_its_name() {
        let roots = QosRoots::below(&CgroupName::new(["podwright"]).unwrap()).unwrap();
        for (path, uid) in [
            ("/podwright/pod1", Some("1")),
            ("/podwright/burstable/pod2", Some("2")),
            ("/podwright/besteffort/pod3", Some("3")),
            ("/podwright/burstable", None),
            ("/podwright/pod1/container", None),
            ("/elsewhere/pod4", None),
        ] {
            let found = roots.pod_of(path, CgroupDriver::Cgroupfs);
            assert_eq!(found.as_ref().map(PodUid::as_str), uid, "{path}");
        }
    }

    #[test]
    fn a_path_that_no_driver_writes_gives_a_name_with_parts_that_none_can_have() {
        for (path, driver, components) in [
            ("/", CgroupDriver::Cgroupfs, &[][..]),
            ("/a/b", CgroupDriver::Cgroupfs, &["a", "b"]),
            ("/a/", CgroupDriver::Cgroupfs, &["a", ""]),
            ("//", CgroupDriver::Cgroupfs, &["", ""]),
            ("/a.slice/a-b_c.slice", CgroupDriver::Systemd, &["a", "b-c"]),
            ("/a.slice/", CgroupDriver::Systemd, &["a"]),
            ("/-.slice", CgroupDriver::Systemd, &["", ""]),
            ("/", CgroupDriver::Systemd, &[]),
            ("//", CgroupDriver::Systemd, &["/"]),
            ("", CgroupDriver::Systemd, &["."]),
        ] {
            let name = CgroupName::parse(path, driver);
            assert_eq!(name.components(), components, "{path:?} {driver:?}");
        }
    }

    #[test]
    fn every_class_has_its_place_and_a_pod_lies_below_it() {
        let root = CgroupName::new(["podwright"]).unwrap();
        let roots = QosRoots::below(&root).unwrap();
        for (class, path) in [
            (QosClass::Guaranteed, "/podwright/pod7"),
            (QosClass::Burstable, "/podwright/burstable/pod7"),
            (QosClass::BestEffort, "/podwright/besteffort/pod7"),
        ] {
            let mut pod = Pod::default();
            pod.metadata.uid = "7".into();
            pod.status = Some(crate::status::PodStatus {
                qos_class: Some(class),
                ..crate::status::PodStatus::default()
            });
            let name = roots.pod_cgroup(&pod).unwrap();
            assert_eq!(name.path(CgroupDriver::Cgroupfs), path);
            assert_eq!(name.basename(CgroupDriver::Cgroupfs), "pod7");
            let top = CgroupPath::parse("/podwright").unwrap();
            assert_eq!(pod_cgroup_path(&top, &pod).unwrap().as_str(), path);
        }
        assert_eq!(CgroupName::default().basename(CgroupDriver::Systemd), "/");
    }
}
