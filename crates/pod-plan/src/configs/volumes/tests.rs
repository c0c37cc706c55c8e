//! Volumes and the problems that keep them from being made.

use super::super::testing::{node, pod};
use super::*;
use pod_model::common::FieldRef;
use pod_model::pod::PodSecurityContext;
use pod_model::volume::{DownwardApiSource, ProjectedSecret, Projection};

fn sources() -> Sources {
    let object = |key: &str, value: &str| [(key.to_owned(), value.as_bytes().to_vec())].into();
    Sources {
        config_maps: [("settings".to_owned(), object("colour", "blue"))].into(),
        secrets: [("login".to_owned(), object("password", "x"))].into(),
    }
}

fn settings(items: &[(&str, &str, Option<i32>)]) -> ConfigMapSource {
    ConfigMapSource {
        name: "settings".to_owned(),
        items: items
            .iter()
            .map(|(key, path, mode)| KeyToPath {
                key: (*key).to_owned(),
                path: (*path).to_owned(),
                mode: *mode,
            })
            .collect(),
        default_mode: Some(0o600),
        optional: None,
    }
}

/// Files of the volume as `path=content mode`, or the problem.
fn files(volume: Volume) -> Result<Vec<String>, String> {
    let mut pod = pod();
    pod.metadata.labels = [("app".to_owned(), "web".to_owned())].into();
    pod.spec.volumes = vec![Volume {
        name: "v".into(),
        ..volume
    }];
    let mut made = volumes_to_prepare(&pod, &sources(), &node())
        .map_err(|problems| problems[0].cause.clone())?;
    match made.remove(0).kind {
        PreparedVolume::Files { files, .. } => Ok(files
            .into_iter()
            .map(|(path, file)| {
                let text = String::from_utf8(file.data).unwrap();
                format!("{path}={text} {:o}", file.mode)
            })
            .collect()),
        other => panic!("{other:?} holds no files"),
    }
}

#[test]
fn keys_become_files_with_their_modes() {
    let config_map = |source| {
        files(Volume {
            config_map: Some(source),
            ..Volume::default()
        })
    };
    assert_eq!(
        config_map(settings(&[])),
        Ok(vec!["colour=blue 600".to_owned()])
    );
    assert_eq!(
        config_map(settings(&[
            ("colour", "a/b", Some(0o440)),
            ("colour", "c", None)
        ])),
        Ok(vec!["a/b=blue 440".to_owned(), "c=blue 600".to_owned()])
    );
    for (items, problem) in [
        (
            ("gone", "x", None),
            "configmap references non-existent config key: gone",
        ),
        (
            ("colour", "/x", None),
            "invalid path: must be relative path: /x",
        ),
        (
            ("colour", "a/../b", None),
            "invalid path: must not contain '..': a/../b",
        ),
        (
            ("colour", "..data", None),
            "invalid path: must not start with '..': ..data",
        ),
        (
            ("colour", "x", Some(0o1000)),
            "file mode 512 is not between 0 and 0777 octal (0 and 511 decimal)",
        ),
    ] {
        assert_eq!(config_map(settings(&[items])), Err(problem.to_owned()));
    }
}

#[test]
fn a_source_that_does_not_exist_is_named_unless_it_is_optional() {
    let secret = |optional| {
        files(Volume {
            secret: Some(SecretSource {
                secret_name: "gone".to_owned(),
                optional,
                ..SecretSource::default()
            }),
            ..Volume::default()
        })
    };
    assert_eq!(secret(None), Err("secret \"gone\" not found".to_owned()));
    assert_eq!(secret(Some(true)), Ok(vec![]));
}

#[test]
fn a_projection_gathers_all_its_sources_or_all_their_problems() {
    let field = |path: &str, field: &str| DownwardApiFile {
        path: path.to_owned(),
        field_ref: Some(FieldRef {
            field_path: field.to_owned(),
            api_version: None,
        }),
        ..DownwardApiFile::default()
    };
    let projected = |config_map: ConfigMapSource, path: &str| {
        files(Volume {
            projected: Some(ProjectedSource {
                sources: vec![
                    Projection {
                        config_map: Some(config_map),
                        ..Projection::default()
                    },
                    Projection {
                        secret: Some(ProjectedSecret {
                            name: "login".to_owned(),
                            ..ProjectedSecret::default()
                        }),
                        ..Projection::default()
                    },
                    Projection {
                        downward_api: Some(DownwardApiSource {
                            items: vec![field("./labels", path)],
                            default_mode: None,
                        }),
                        ..Projection::default()
                    },
                ],
                default_mode: None,
            }),
            ..Volume::default()
        })
    };
    assert_eq!(
        projected(settings(&[]), "metadata.labels"),
        Ok(vec![
            "colour=blue 644".to_owned(),
            "labels=app=\"web\" 644".to_owned(),
            "password=x 644".to_owned()
        ])
    );
    assert_eq!(
        projected(settings(&[("gone", "x", None)]), "spec.x"),
        Err(
            "[configmap references non-existent config key: gone, unsupported fieldPath: spec.x]"
                .to_owned()
        )
    );
}

#[test]
fn memory_is_limited_by_the_least_of_node_pod_and_volume() {
    let size = |pod_limit: Option<&str>, volume_limit: Option<&str>| {
        let mut pod = pod();
        if let Some(limit) = pod_limit {
            let limits = [(MEMORY.to_owned(), limit.parse().unwrap())];
            pod.spec.containers[0].resources.limits = limits.into();
        }
        pod.spec.volumes = vec![Volume {
            name: "v".into(),
            empty_dir: Some(EmptyDir {
                medium: "Memory".to_owned(),
                size_limit: volume_limit.map(|l| l.parse().unwrap()),
            }),
            ..Volume::default()
        }];
        let made = volumes_to_prepare(&pod, &Sources::default(), &node()).unwrap();
        match made[0].kind {
            PreparedVolume::MemoryEmptyDir { size } => size.map(|bytes| bytes >> 20),
            ref other => panic!("{other:?} is no tmpfs"),
        }
    };
    assert_eq!(size(None, None), Some(8192));
    assert_eq!(size(Some("1Gi"), None), Some(1024));
    assert_eq!(size(Some("1Gi"), Some("64Mi")), Some(64));
    assert_eq!(size(Some("1Gi"), Some("2Gi")), Some(1024));
    assert_eq!(size(None, Some("0")), Some(8192));
}

#[test]
fn all_problems_come_at_once_and_paths_of_the_node_are_not_prepared() {
    let mut pod = pod();
    let volume = |name: &str| Volume {
        name: name.into(),
        ..Volume::default()
    };
    pod.spec.security_context = Some(PodSecurityContext {
        fs_group: Some(2000),
        ..PodSecurityContext::default()
    });
    pod.spec.volumes = vec![
        volume("disk"),
        Volume {
            host_path: Some(HostPathSource::default()),
            ..volume("host")
        },
        Volume {
            host_path: Some(HostPathSource {
                path: "/srv".to_owned(),
                kind: HostPathType::Directory,
            }),
            ..volume("folder")
        },
    ];
    let made = volumes_to_prepare(&pod, &sources(), &node()).unwrap();
    assert_eq!(
        made,
        [
            VolumeToPrepare {
                name: "disk".into(),
                kind: PreparedVolume::EmptyDir,
                fs_group: Some(2000),
                on_root_mismatch: false,
            },
            VolumeToPrepare {
                name: "folder".into(),
                kind: PreparedVolume::HostPath {
                    path: HostPath::new("/srv"),
                    kind: HostPathType::Directory,
                },
                fs_group: None,
                on_root_mismatch: false,
            }
        ]
    );
    let medium = |name: &str, medium: &str| Volume {
        empty_dir: Some(EmptyDir {
            medium: medium.to_owned(),
            size_limit: None,
        }),
        ..volume(name)
    };
    pod.spec.volumes.push(medium("huge", "HugePages-2Mi"));
    pod.spec.volumes.push(medium("odd", "Tape"));
    let problems = volumes_to_prepare(&pod, &sources(), &node()).unwrap_err();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(
        texts[1],
        "MountVolume.SetUp failed for volume \"odd\" : unknown storage medium \"Tape\""
    );
}

#[test]
fn a_key_that_does_not_exist_is_named_unless_it_is_optional() {
    let volume = |optional| {
        files(Volume {
            config_map: Some(ConfigMapSource {
                optional,
                ..settings(&[("colour", "c", None), ("gone", "g", None)])
            }),
            ..Volume::default()
        })
    };
    let missing = "configmap references non-existent config key: gone";
    assert_eq!(volume(None), Err(missing.to_owned()));
    assert_eq!(volume(Some(true)), Ok(vec!["c=blue 600".to_owned()]));
}

#[test]
fn a_path_of_a_file_may_have_4096_characters() {
    for (length, fits) in [(1, true), (4095, true), (4096, true), (4097, false)] {
        let problem = path_problem(&"x".repeat(length));
        assert_eq!(problem.is_none(), fits, "{length}");
    }
}

#[test]
fn memory_on_huge_pages_is_refused_as_what_it_is_and_not_as_unknown() {
    for (medium, text) in [
        (
            "HugePages",
            "emptyDir on huge pages (medium \"HugePages\") is not supported yet",
        ),
        (
            "HugePages-2Mi",
            "emptyDir on huge pages (medium \"HugePages-2Mi\") is not supported yet",
        ),
        ("Tape", "unknown storage medium \"Tape\""),
    ] {
        let refused = files(Volume {
            empty_dir: Some(EmptyDir {
                medium: medium.to_owned(),
                ..EmptyDir::default()
            }),
            ..Volume::default()
        });
        assert!(refused.unwrap_err().contains(text), "{medium}");
    }
}

#[test]
fn a_projected_secret_may_be_missing_only_where_it_says_so() {
    for (optional, told) in [
        (None, Err("secret \"gone\" not found")),
        (Some(false), Err("secret \"gone\" not found")),
        (Some(true), Ok(vec![])),
    ] {
        let got = files(Volume {
            projected: Some(ProjectedSource {
                sources: vec![Projection {
                    secret: Some(ProjectedSecret {
                        name: "gone".to_owned(),
                        optional,
                        ..ProjectedSecret::default()
                    }),
                    ..Projection::default()
                }],
                ..ProjectedSource::default()
            }),
            ..Volume::default()
        });
        assert_eq!(got, told.map_err(str::to_owned), "{optional:?}");
    }
}
