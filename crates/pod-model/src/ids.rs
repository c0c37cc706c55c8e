//! Identifiers as types, so that what looks alike cannot be mixed up.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Component, Path, PathBuf};

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is; whether it is well formed is decided at the door (pod-manifest).
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text of it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether it is the empty text.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    )*};
}

text_id! {
    /// `metadata.uid` of a pod.
    PodUid,
    /// `metadata.name` of a pod.
    PodName,
    /// `metadata.namespace`.
    Namespace,
    /// `metadata.name` of a Service.
    ServiceName,
    /// `name` of a container of any kind, unique within a pod.
    ContainerName,
    /// `name` of a volume of a pod.
    VolumeName,
    /// Name of this node.
    NodeName,
    /// Generated name of one sandbox; 64 lower-case hexadecimal digits as CRI runtimes have it.
    SandboxId,
    /// Generated name of one attempt of a container; 64 lower-case hexadecimal digits.
    ContainerId,
    /// An image as the user wrote it, such as `busybox` or `docker.io/library/busybox:1.36`.
    ImageName,
    /// Digest of an image's config, such as `sha256:…`: what a name stood for when it was resolved.
    ImageId,
}

/// A pod's full name. Two pods of one name never live at the same time; their uids differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodRef {
    /// `metadata.namespace`.
    pub namespace: Namespace,
    /// `metadata.name`.
    pub name: PodName,
    /// `metadata.uid`.
    pub uid: PodUid,
}

/// Most bytes that one file name may have (Linux `NAME_MAX`).
const NAME_MAX: usize = 255;

impl PodRef {
    /// Name of the pod's folder below the log root: `<namespace>_<name>_<uid>`, as the kubelet has it. Namespace (63), name (253)
    /// and uid together may pass what a file name may have; the pod's name is cut then, and the uid still tells pods apart.
    pub fn log_folder(&self) -> String {
        let (namespace, name, uid) = (&self.namespace, self.name.as_str(), &self.uid);
        let rest = namespace.as_str().len() + uid.as_str().len() + 2;
        let room = name.floor_char_boundary(NAME_MAX.saturating_sub(rest));
        format!("{namespace}_{}_{uid}", name.get(..room).unwrap_or_default())
    }
}

/// Path of a cgroup below the mount point of every hierarchy, such as `/podwright/pod1234`.
///
/// It can be neither empty nor the root: libcontainer kills every process of a cgroup whose path is empty (`spec` threat F3),
/// so such a value must not be able to exist. Components hold no `..`, no `.`, no NUL, and are never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CgroupPath(String);

/// Why a text is no cgroup path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cgroup path {text:?}: {problem}")]
pub struct CgroupPathError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl CgroupPath {
    /// Reads an absolute path of at least one component.
    pub fn parse(text: &str) -> Result<Self, CgroupPathError> {
        let fail = |problem| {
            Err(CgroupPathError {
                text: text.to_owned(),
                problem,
            })
        };
        let Some(rest) = text.strip_prefix('/') else {
            return fail("must begin with /");
        };
        if rest.is_empty() {
            return fail("must not be the root");
        }
        if text.contains('\0') || text.contains('\n') {
            return fail("must not hold NUL or a line break");
        }
        for part in rest.split('/') {
            match part {
                "" => return fail("must not hold an empty component"),
                "." | ".." => return fail("must not hold . or .."),
                _ if part.len() > 255 => return fail("a component is longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The cgroup of that name below this one.
    pub fn child(&self, name: &str) -> Result<Self, CgroupPathError> {
        if name.contains('/') {
            return Err(CgroupPathError {
                text: name.to_owned(),
                problem: "a component must not hold /",
            });
        }
        Self::parse(&format!("{}/{name}", self.0))
    }

    /// The path with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading slash, to be joined to a mount point.
    pub fn relative(&self) -> &Path {
        Path::new(self.0.trim_start_matches('/'))
    }

    /// Whether this cgroup is `other` or lies below it.
    pub fn is_within(&self, other: &CgroupPath) -> bool {
        self.relative().starts_with(other.relative())
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CgroupPath {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// An absolute path on the node. Never a path that a pod sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostPath(PathBuf);

impl HostPath {
    /// Takes the path as it is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

/// A path that a container sees, below its own root. Never a path on the node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodPath(PathBuf);

impl PodPath {
    /// Takes the path as it is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// How many components deep it lies: mounts are made in this order.
    pub fn depth(&self) -> usize {
        self.0
            .components()
            .filter(|c| matches!(c, Component::Normal(_)))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_pods_logs_has_its_uid_and_fits_a_file_name() {
        let of = |namespace: usize, name: usize| {
            PodRef {
                namespace: "s".repeat(namespace).into(),
                name: "n".repeat(name).into(),
                uid: "b96d77a3-3d02-4f7d-8c2a-6a87d10b9986".into(),
            }
            .log_folder()
        };
        assert_eq!(of(1, 2), "s_nn_b96d77a3-3d02-4f7d-8c2a-6a87d10b9986");
        for (namespace, name) in [(63, 154), (63, 155), (63, 253), (300, 5)] {
            let folder = of(namespace, name);
            assert!(folder.ends_with("_b96d77a3-3d02-4f7d-8c2a-6a87d10b9986"));
            assert!(namespace > 63 || folder.len() <= NAME_MAX, "{folder}");
        }
        assert_eq!(of(63, 154).len(), 255);
        assert_eq!(of(63, 154), of(63, 155));
    }

    #[test]
    fn a_cgroup_path_can_be_neither_empty_nor_root_nor_climb() {
        for bad in [
            "", "/", "a", "/a//b", "/a/", "/..", "/a/../b", "/a/.", "/a\0b", "/a\nb",
        ] {
            assert!(CgroupPath::parse(bad).is_err(), "{bad:?} was taken");
        }
        let pod = CgroupPath::parse("/podwright/pod1").unwrap();
        assert_eq!(pod.child("c").unwrap().as_str(), "/podwright/pod1/c");
        assert!(pod.child("a/b").is_err() && pod.child("..").is_err() && pod.child("").is_err());
        assert!(pod.is_within(&CgroupPath::parse("/podwright").unwrap()));
        assert!(
            !CgroupPath::parse("/podwright2")
                .unwrap()
                .is_within(&CgroupPath::parse("/podwright").unwrap())
        );
        assert!(serde_json_like(r"/").is_err());
    }

    fn serde_json_like(text: &str) -> Result<CgroupPath, serde::de::value::Error> {
        use serde::de::IntoDeserializer;
        CgroupPath::deserialize(text.to_owned().into_deserializer())
    }

    #[test]
    fn a_component_of_a_cgroup_path_has_255_bytes_at_most() {
        for (length, taken) in [(254, true), (255, true), (256, false), (300, false)] {
            let path = format!("/a/{}", "x".repeat(length));
            let parsed = CgroupPath::parse(&path);
            assert_eq!(parsed.is_ok(), taken, "{length}");
            if let Ok(parsed) = parsed {
                assert_eq!(parsed.to_string(), path);
            }
        }
    }

    #[test]
    fn the_depth_of_a_path_counts_its_names() {
        for (path, depth) in [
            ("/", 0),
            ("/a", 1),
            ("/a/b/", 2),
            ("/a/./b//c", 3),
            ("/..", 0),
        ] {
            assert_eq!(PodPath::new(path).depth(), depth, "{path}");
        }
    }
}
