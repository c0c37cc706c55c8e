//! Whole containers: everything resolved, or one clear error.

use super::super::sources::Sources;
use super::super::testing::{node, pod};
use super::*;
use pod_model::common::FieldRef;
use pod_model::config::{MountSource, Propagation};
use pod_model::ids::HostPath;
use pod_model::pod::{
    EnvFrom, EnvSource, EnvVar, KeyRef, MountPropagation, ObjectRef, SecurityContext, VolumeMount,
};
use pod_model::volume::{ConfigMapSource, HostPathSource, HostPathType, Volume};

fn make(pod: &Pod, sources: &Sources) -> Result<ContainerConfig, String> {
    let node = node();
    let image = ImageFacts {
        id: "sha256:1".into(),
        user: "1000".to_owned(),
        ..ImageFacts::default()
    };
    let facts = ContainerFacts {
        id: "c1".into(),
        sandbox: "s1".into(),
        attempt: 3,
        image: &image,
        pid_target: None,
        env: EnvFacts {
            node: &node,
            pod_ips: &["10.0.0.5".to_owned()],
            services: Some(&[]),
            sources,
        },
    };
    container_config(pod, ContainerKind::App, 0, &facts).map_err(|e| e.to_string())
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    }
}

fn sources() -> Sources {
    Sources {
        config_maps: [(
            "settings".to_owned(),
            [
                ("COLOUR".to_owned(), b"blue".to_vec()),
                ("binary".to_owned(), vec![0xff, 0xfe]),
            ]
            .into(),
        )]
        .into(),
        secrets: [(
            "login".to_owned(),
            [("password".to_owned(), b"$(COLOUR)".to_vec())].into(),
        )]
        .into(),
    }
}

#[test]
fn variables_are_resolved_in_order_expanded_and_sorted() {
    let mut pod = pod();
    let app = &mut pod.spec.containers[0];
    app.env_from = vec![EnvFrom {
        prefix: Some("P_".to_owned()),
        config_map_ref: Some(ObjectRef {
            name: "settings".to_owned(),
            optional: None,
        }),
        secret_ref: None,
    }];
    app.env = vec![
        variable("Z", "$(P_COLOUR)-$(LATER)"),
        variable("LATER", "x"),
        EnvVar {
            name: "IP".to_owned(),
            value_from: Some(EnvSource {
                field_ref: Some(FieldRef {
                    field_path: "status.podIP".to_owned(),
                    api_version: None,
                }),
                ..EnvSource::default()
            }),
            value: None,
        },
        EnvVar {
            name: "PASSWORD".to_owned(),
            value_from: Some(EnvSource {
                secret_key_ref: Some(KeyRef {
                    name: "login".to_owned(),
                    key: "password".to_owned(),
                    optional: None,
                }),
                ..EnvSource::default()
            }),
            value: None,
        },
    ];
    app.command = vec![
        "sh".to_owned(),
        "-c".to_owned(),
        "echo $(Z) $$(Z) $(<X)".to_owned(),
    ];
    let got = make(&pod, &sources()).unwrap();
    let env: Vec<(&str, &str)> = got
        .env
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        env,
        [
            ("IP", "10.0.0.5"),
            ("LATER", "x"),
            ("PASSWORD", "$(COLOUR)"),
            ("P_COLOUR", "blue"),
            ("Z", "blue-$(LATER)"),
        ]
    );
    assert_eq!(got.command[2], "echo blue-$(LATER) $(Z) $(<X)");
    assert_eq!(got.log_path, "app/3.log");
}

#[test]
fn mounts_are_ordered_by_depth_and_sources_of_the_api_are_read_only() {
    let mut pod = pod();
    pod.spec.volumes = vec![
        Volume {
            name: "work".into(),
            ..Volume::default()
        },
        Volume {
            name: "conf".into(),
            config_map: Some(ConfigMapSource::default()),
            ..Volume::default()
        },
        Volume {
            name: "host".into(),
            host_path: Some(HostPathSource {
                path: "/srv".to_owned(),
                kind: HostPathType::Directory,
            }),
            ..Volume::default()
        },
    ];
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.into(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    };
    let app = &mut pod.spec.containers[0];
    app.env = vec![variable("NAME", "n")];
    app.volume_mounts = vec![
        mount("conf", "/a/b/c"),
        VolumeMount {
            sub_path_expr: Some("$(NAME)/log".to_owned()),
            ..mount("work", "data")
        },
        VolumeMount {
            mount_propagation: Some(MountPropagation::HostToContainer),
            ..mount("host", "/a/b")
        },
    ];
    let got = make(&pod, &Sources::default()).unwrap().mounts;
    let summary: Vec<_> = got
        .iter()
        .map(|m| {
            (
                m.volume.as_str(),
                m.target.as_path().to_str().unwrap(),
                m.read_only,
            )
        })
        .collect();
    assert_eq!(
        summary,
        [
            ("work", "/data", false),
            ("host", "/a/b", false),
            ("conf", "/a/b/c", true)
        ]
    );
    assert_eq!(got[0].sub_path.as_deref(), Some("n/log"));
    let host = MountSource::Host(HostPath::new("/srv"), HostPathType::Directory);
    assert_eq!(
        (&got[1].source, got[1].propagation),
        (&host, Propagation::Slave)
    );
}

#[test]
fn each_thing_that_is_missing_is_named_in_the_kubelets_words() {
    type Change = fn(&mut Container);
    let cases: [(Change, &str); 6] = [
        (
            |c| {
                c.volume_mounts = vec![VolumeMount {
                    name: "v".into(),
                    ..VolumeMount::default()
                }];
            },
            "cannot find volume \"v\" to mount into container \"app\"",
        ),
        (
            |c| {
                c.env_from = vec![EnvFrom {
                    config_map_ref: Some(ObjectRef {
                        name: "gone".to_owned(),
                        optional: None,
                    }),
                    ..EnvFrom::default()
                }];
            },
            "configmap \"gone\" not found",
        ),
        (
            |c| {
                c.env = vec![EnvVar {
                    name: "X".to_owned(),
                    value_from: Some(EnvSource {
                        config_map_key_ref: Some(KeyRef {
                            name: "settings".to_owned(),
                            key: "gone".to_owned(),
                            optional: None,
                        }),
                        ..EnvSource::default()
                    }),
                    value: None,
                }];
            },
            "couldn't find key gone in ConfigMap ns/settings",
        ),
        (
            |c| {
                c.env = vec![EnvVar {
                    name: "X".to_owned(),
                    value_from: Some(EnvSource {
                        field_ref: Some(FieldRef {
                            field_path: "spec.whoops".to_owned(),
                            api_version: None,
                        }),
                        ..EnvSource::default()
                    }),
                    value: None,
                }];
            },
            "field label not supported: spec.whoops",
        ),
        (
            |c| {
                c.security_context = Some(SecurityContext {
                    run_as_non_root: Some(true),
                    run_as_user: Some(0),
                    ..SecurityContext::default()
                });
            },
            "container's runAsUser breaks non-root policy (pod: \"web_ns(1-2)\", container: app)",
        ),
        (
            |c| {
                c.env = vec![EnvVar {
                    name: "X".to_owned(),
                    value_from: Some(EnvSource {
                        config_map_key_ref: Some(KeyRef {
                            name: "settings".to_owned(),
                            key: "binary".to_owned(),
                            optional: None,
                        }),
                        ..EnvSource::default()
                    }),
                    value: None,
                }];
            },
            "key binary in ConfigMap settings cannot be the value of a variable: it is not UTF-8",
        ),
    ];
    for (change, expect) in cases {
        let mut pod = pod();
        change(&mut pod.spec.containers[0]);
        assert_eq!(make(&pod, &sources()), Err(expect.to_owned()));
    }
}

#[test]
fn what_is_optional_may_be_missing() {
    let mut pod = pod();
    let app = &mut pod.spec.containers[0];
    app.env_from = vec![EnvFrom {
        secret_ref: Some(ObjectRef {
            name: "gone".to_owned(),
            optional: Some(true),
        }),
        ..EnvFrom::default()
    }];
    app.env = vec![EnvVar {
        name: "X".to_owned(),
        value_from: Some(EnvSource {
            secret_key_ref: Some(KeyRef {
                name: "login".to_owned(),
                key: "gone".to_owned(),
                optional: Some(true),
            }),
            ..EnvSource::default()
        }),
        value: None,
    }];
    assert!(make(&pod, &sources()).unwrap().env.is_empty());
}

#[test]
fn resources_are_the_containers_own() {
    let mut pod = pod();
    let limits = [("cpu", "500m"), ("memory", "64Mi")];
    pod.spec.containers[0].resources.limits = limits
        .map(|(k, v)| (k.to_owned(), v.parse().unwrap()))
        .into();
    let got = make(&pod, &Sources::default()).unwrap().resources;
    assert_eq!(got.cpu_shares, Some(512));
    assert_eq!(
        (got.cpu_quota, got.cpu_period),
        (Some(50_000), Some(100_000))
    );
    assert_eq!(got.memory_limit, Some(64 << 20));
    assert_eq!(got.huge_page_limit, [(2 << 20, 0)].into());
    assert_eq!(got.oom_score_adj, 999);
    let unified: Vec<_> = got
        .unified
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(unified, ["memory.oom.group=1", "memory.swap.max=0"]);
}

#[test]
fn only_who_asks_for_it_has_its_log_for_a_last_message() {
    for (policy, from_log) in [
        (None, false),
        (Some(TerminationMessagePolicy::File), false),
        (Some(TerminationMessagePolicy::FallbackToLogsOnError), true),
    ] {
        let mut pod = pod();
        pod.spec.containers[0].termination_message_policy = policy;
        let config = make(&pod, &Sources::default()).unwrap();
        assert_eq!(config.message_from_log, from_log, "{policy:?}");
    }
}

#[test]
fn an_empty_folder_or_path_of_a_last_message_is_none() {
    for (text, kept) in [(None, None), (Some(""), None), (Some("/x"), Some("/x"))] {
        let mut pod = pod();
        let app = &mut pod.spec.containers[0];
        app.working_dir = text.map(str::to_owned);
        app.termination_message_path = text.map(str::to_owned);
        let config = make(&pod, &Sources::default()).unwrap();
        assert_eq!(config.working_dir.as_deref(), kept);
        assert_eq!(config.termination_message_path, kept.map(PodPath::new));
    }
}
