//! Who a container runs as and what it may do: the pod's `securityContext` under the container's.

use pod_model::config::{AppArmor, Seccomp, Security};
use pod_model::ids::HostPath;
use pod_model::node::NodeFacts;
use pod_model::pod::{
    Container, Pod, PodSecurityContext, ProcMount, Profile, ProfileType, SecurityContext,
    SupplementalGroupsPolicy,
};
use std::path::{Component, Path, PathBuf};

/// Why a container may not run so. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// `runAsUser: 0` with `runAsNonRoot`.
    #[error("container's runAsUser breaks non-root policy (pod: {pod:?}, container: {container})")]
    RootByUser {
        /// `name_namespace(uid)`.
        pod: String,
        /// Its name.
        container: String,
    },
    /// The image's user is root.
    #[error(
        "container has runAsNonRoot and image will run as root (pod: {pod:?}, container: {container})"
    )]
    RootByImage {
        /// `name_namespace(uid)`.
        pod: String,
        /// Its name.
        container: String,
    },
    /// The image's user is a name, and nobody can tell whose.
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: {pod:?}, container: {container})"
    )]
    UserByName {
        /// The image's user.
        user: String,
        /// `name_namespace(uid)`.
        pod: String,
        /// Its name.
        container: String,
    },
    /// The image's user is no user id.
    #[error(
        "container has runAsNonRoot and image has an invalid user id ({uid}). (Must be 1-({})): must be between 0 and {}, inclusive (pod: {pod:?}, container: {container})",
        i32::MAX,
        i32::MAX
    )]
    InvalidImageUser {
        /// The id.
        uid: i64,
        /// `name_namespace(uid)`.
        pod: String,
        /// Its name.
        container: String,
    },
    /// `type: Localhost` without a path.
    #[error("localhostProfile must be set if seccompProfile type is Localhost.")]
    NoLocalhostProfile,
    /// An id that is none.
    #[error(
        "{field} {id} is no id: it must be between 0 and {}, inclusive",
        i32::MAX
    )]
    Id {
        /// Which field.
        field: &'static str,
        /// Its value.
        id: i64,
    },
}

/// The user that an image names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageUser {
    /// By number.
    Uid(i64),
    /// By name.
    Name(String),
    /// Nobody knows.
    Unknown,
}

impl ImageUser {
    /// From `config.User` of the image (`uid`, `name`, either with `:group`); none is root.
    pub fn parse(text: &str) -> Self {
        let user = text.split(':').next().unwrap_or(text);
        match user.parse() {
            Ok(uid) => ImageUser::Uid(uid),
            Err(_) if user.is_empty() => ImageUser::Uid(0),
            Err(_) => ImageUser::Name(user.to_owned()),
        }
    }
}

/// The container's `securityContext` with the pod's where it says nothing. Capabilities, privileges and file systems are
/// the container's alone.
pub fn effective(pod: &Pod, container: &Container) -> SecurityContext {
    let own = container.security_context.clone().unwrap_or_default();
    let of_pod = pod.spec.security_context.clone().unwrap_or_default();
    SecurityContext {
        run_as_user: own.run_as_user.or(of_pod.run_as_user),
        run_as_group: own.run_as_group.or(of_pod.run_as_group),
        run_as_non_root: own.run_as_non_root.or(of_pod.run_as_non_root),
        seccomp_profile: own.seccomp_profile.or(of_pod.seccomp_profile),
        app_armor_profile: own.app_armor_profile.or(of_pod.app_armor_profile),
        ..own
    }
}

/// `runAsNonRoot`: refuses a container that runs as root, or may.
pub fn verify_run_as_non_root(
    pod: &Pod,
    container: &Container,
    image_user: &ImageUser,
) -> Result<(), SecurityError> {
    let security = effective(pod, container);
    if security.run_as_non_root != Some(true) {
        return Ok(());
    }
    let reference = pod.reference();
    let pod = format!(
        "{}_{}({})",
        reference.name, reference.namespace, reference.uid
    );
    let container = container.name.to_string();
    match (security.run_as_user, image_user) {
        (Some(0), _) => Err(SecurityError::RootByUser { pod, container }),
        (Some(_), _) | (None, ImageUser::Unknown) => Ok(()),
        (None, ImageUser::Name(user)) => Err(SecurityError::UserByName {
            user: user.clone(),
            pod,
            container,
        }),
        (None, ImageUser::Uid(0)) => Err(SecurityError::RootByImage { pod, container }),
        (None, ImageUser::Uid(uid)) if !(0..=i64::from(i32::MAX)).contains(uid) => {
            Err(SecurityError::InvalidImageUser {
                uid: *uid,
                pod,
                container,
            })
        }
        (None, ImageUser::Uid(_)) => Ok(()),
    }
}

/// The system call filter: the container's, else the pod's, else the node's default. Profiles of the node are named below `root`.
pub fn seccomp_profile(
    of_pod: Option<&Profile>,
    of_container: Option<&Profile>,
    default_is_runtime: bool,
    root: &HostPath,
) -> Result<Seccomp, SecurityError> {
    let Some(profile) = of_container.or(of_pod) else {
        return Ok(if default_is_runtime {
            Seccomp::RuntimeDefault
        } else {
            Seccomp::Unconfined
        });
    };
    match profile.kind {
        ProfileType::RuntimeDefault => Ok(Seccomp::RuntimeDefault),
        ProfileType::Unconfined => Ok(Seccomp::Unconfined),
        ProfileType::Localhost => match profile.localhost_profile.as_deref() {
            None | Some("") => Err(SecurityError::NoLocalhostProfile),
            Some(path) => {
                let below = path.trim_start_matches('/');
                let joined = cleaned(&root.as_path().join(below));
                Ok(Seccomp::Localhost(HostPath::new(joined)))
            }
        },
    }
}

/// The path with its `.` and `..` resolved by their text alone. (Validation lets no `..` in.)
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// Everything that the runtime half must know of it.
pub fn security(
    pod: &Pod,
    container: &Container,
    image_user: &ImageUser,
    node: &NodeFacts,
) -> Result<Security, SecurityError> {
    verify_run_as_non_root(pod, container, image_user)?;
    let of_pod = pod.spec.security_context.clone().unwrap_or_default();
    let own = container.security_context.as_ref();
    let effective = effective(pod, container);
    let capabilities = effective.capabilities.unwrap_or_default();
    let group = effective
        .run_as_group
        .map(|g| id("runAsGroup", g))
        .transpose()?;
    let mut user = effective
        .run_as_user
        .map(|u| id("runAsUser", u))
        .transpose()?;
    if let (None, Some(_), ImageUser::Uid(uid)) = (user, group, image_user) {
        // A group needs a user beside it.
        user = Some(id("user of the image", *uid)?);
    }
    Ok(Security {
        user,
        group,
        supplemental_groups: supplemental_groups(&of_pod)?,
        merge_image_groups: of_pod.supplemental_groups_policy
            != Some(SupplementalGroupsPolicy::Strict),
        run_as_non_root: effective.run_as_non_root == Some(true),
        privileged: effective.privileged == Some(true),
        read_only_rootfs: effective.read_only_root_filesystem == Some(true),
        no_new_privileges: effective.allow_privilege_escalation == Some(false),
        add_capabilities: bare_names(&capabilities.add),
        drop_capabilities: bare_names(&capabilities.drop),
        seccomp: seccomp_profile(
            of_pod.seccomp_profile.as_ref(),
            own.and_then(|s| s.seccomp_profile.as_ref()),
            node.seccomp_default,
            &node.seccomp_root,
        )?,
        app_armor: effective.app_armor_profile.as_ref().map(app_armor),
        unmasked_proc: effective.proc_mount == Some(ProcMount::Unmasked),
    })
}

fn app_armor(profile: &Profile) -> AppArmor {
    match profile.kind {
        ProfileType::Unconfined => AppArmor::Unconfined,
        ProfileType::RuntimeDefault => AppArmor::RuntimeDefault,
        // Validation demands a name.
        ProfileType::Localhost => {
            AppArmor::Localhost(profile.localhost_profile.clone().unwrap_or_default())
        }
    }
}

fn supplemental_groups(of_pod: &PodSecurityContext) -> Result<Vec<u32>, SecurityError> {
    let fs_group = of_pod.fs_group.map(|g| id("fsGroup", g));
    let others = of_pod
        .supplemental_groups
        .iter()
        .map(|g| id("supplementalGroups", *g));
    fs_group.into_iter().chain(others).collect()
}

/// A user or group id as the kernel takes it.
pub(super) fn id(field: &'static str, id: i64) -> Result<u32, SecurityError> {
    u32::try_from(id)
        .ok()
        .filter(|n| i32::try_from(*n).is_ok())
        .ok_or(SecurityError::Id { field, id })
}

/// Capabilities without `CAP_`, in capitals.
fn bare_names(names: &[String]) -> Vec<String> {
    names
        .iter()
        .map(|name| {
            let name = name.to_uppercase();
            name.strip_prefix("CAP_").unwrap_or(&name).to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::node;
    use super::*;
    use pod_model::pod::Capabilities;

    fn pod(of_pod: PodSecurityContext, of_container: SecurityContext) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = "p".into();
        pod.metadata.namespace = "ns".into();
        pod.metadata.uid = "u".into();
        pod.spec.security_context = Some(of_pod);
        pod.spec.containers = vec![Container {
            name: "c".into(),
            security_context: Some(of_container),
            ..Container::default()
        }];
        pod
    }

    #[test]
    fn the_container_wins_over_the_pod_field_by_field() {
        let pod = pod(
            PodSecurityContext {
                run_as_user: Some(1000),
                run_as_group: Some(2000),
                fs_group: Some(3000),
                supplemental_groups: vec![4000],
                supplemental_groups_policy: Some(SupplementalGroupsPolicy::Strict),
                ..PodSecurityContext::default()
            },
            SecurityContext {
                run_as_user: Some(5),
                allow_privilege_escalation: Some(false),
                capabilities: Some(Capabilities {
                    add: vec!["CAP_NET_ADMIN".to_owned()],
                    drop: vec!["all".to_owned()],
                }),
                ..SecurityContext::default()
            },
        );
        let user = ImageUser::parse("");
        let got = security(&pod, &pod.spec.containers[0], &user, &node()).unwrap();
        assert_eq!(
            got,
            Security {
                user: Some(5),
                group: Some(2000),
                supplemental_groups: vec![3000, 4000],
                no_new_privileges: true,
                add_capabilities: vec!["NET_ADMIN".to_owned()],
                drop_capabilities: vec!["ALL".to_owned()],
                ..Security::default()
            }
        );
    }

    #[test]
    fn a_non_root_container_is_refused_unless_its_user_is_known_not_to_be_root() {
        let non_root = |user: Option<i64>| {
            let context = SecurityContext {
                run_as_non_root: Some(true),
                run_as_user: user,
                ..SecurityContext::default()
            };
            pod(PodSecurityContext::default(), context)
        };
        let check = |user: Option<i64>, image: &str| {
            let pod = non_root(user);
            verify_run_as_non_root(&pod, &pod.spec.containers[0], &ImageUser::parse(image))
                .map_err(|e| e.to_string())
        };
        assert_eq!(check(Some(1), ""), Ok(()));
        assert_eq!(check(None, "1000:0"), Ok(()));
        for (user, image, text) in [
            (
                Some(0),
                "1",
                "container's runAsUser breaks non-root policy (pod: \"p_ns(u)\", container: c)",
            ),
            (
                None,
                "",
                "container has runAsNonRoot and image will run as root (pod: \"p_ns(u)\", container: c)",
            ),
            (
                None,
                "0:5",
                "container has runAsNonRoot and image will run as root (pod: \"p_ns(u)\", container: c)",
            ),
            (
                None,
                "bob:users",
                "container has runAsNonRoot and image has non-numeric user (bob), cannot verify user is non-root (pod: \"p_ns(u)\", container: c)",
            ),
        ] {
            assert_eq!(check(user, image), Err(text.to_owned()));
        }
    }

    #[test]
    fn an_id_that_the_kernel_does_not_know_is_refused() {
        let pod = pod(
            PodSecurityContext::default(),
            SecurityContext {
                run_as_user: Some(1 << 40),
                ..SecurityContext::default()
            },
        );
        let error = security(&pod, &pod.spec.containers[0], &ImageUser::Unknown, &node());
        assert!(matches!(
            error,
            Err(SecurityError::Id {
                field: "runAsUser",
                ..
            })
        ));
    }

    #[test]
    fn the_path_of_a_seccomp_profile_is_resolved_by_its_text() {
        let root = HostPath::new("/var/lib/seccomp/");
        for (path, file) in [
            ("a.json", "/var/lib/seccomp/a.json"),
            ("./a//b", "/var/lib/seccomp/a/b"),
            ("a/../b", "/var/lib/seccomp/b"),
        ] {
            let profile = Profile {
                kind: ProfileType::Localhost,
                localhost_profile: Some(path.to_owned()),
            };
            let got = seccomp_profile(Some(&profile), None, true, &root);
            assert_eq!(got, Ok(Seccomp::Localhost(HostPath::new(file))), "{path}");
        }
    }

    #[test]
    fn what_the_container_does_not_say_is_as_the_pod_says() {
        let profile = |name: &str| Profile {
            kind: ProfileType::Localhost,
            localhost_profile: Some(name.to_owned()),
        };
        let of_pod = PodSecurityContext {
            run_as_user: Some(1),
            run_as_group: Some(2),
            run_as_non_root: Some(true),
            seccomp_profile: Some(profile("pod")),
            app_armor_profile: Some(profile("pod")),
            ..PodSecurityContext::default()
        };
        let own = SecurityContext {
            run_as_user: Some(3),
            run_as_group: Some(4),
            run_as_non_root: Some(false),
            seccomp_profile: Some(profile("own")),
            app_armor_profile: Some(profile("own")),
            privileged: Some(true),
            ..SecurityContext::default()
        };
        let whole = pod(of_pod.clone(), own.clone());
        assert_eq!(effective(&whole, &whole.spec.containers[0]), own);
        let silent = pod(of_pod, SecurityContext::default());
        let wanted = SecurityContext {
            run_as_user: Some(1),
            run_as_group: Some(2),
            run_as_non_root: Some(true),
            seccomp_profile: Some(profile("pod")),
            app_armor_profile: Some(profile("pod")),
            ..SecurityContext::default()
        };
        assert_eq!(effective(&silent, &silent.spec.containers[0]), wanted);
    }
}
