use super::super::testing::{node, pod};
use super::*;
use pod_model::common::FieldRef;
use pod_model::pod::{EnvFrom, EnvVar, FileKeyRef, KeyRef, ObjectRef};

fn sources() -> Sources {
    let object = || {
        let keys: [(&str, &[u8]); 3] = [("text", b"t"), ("bytes", &[0xff]), ("nul", b"a\0b")];
        keys.map(|(key, data)| (key.to_owned(), data.to_vec()))
            .into()
    };
    Sources {
        config_maps: [("m".to_owned(), object())].into(),
        secrets: [("s".to_owned(), object())].into(),
    }
}

/// The variables of a container as `NAME=VALUE`, or the problem.
fn env(change: impl FnOnce(&mut Pod), services: Option<&[Service]>) -> Result<Vec<String>, String> {
    let mut pod = pod();
    change(&mut pod);
    let facts = EnvFacts {
        node: &node(),
        pod_ips: &["10.0.0.5".to_owned()],
        services,
        sources: &sources(),
    };
    let made = make_environment_variables(&pod, &pod.spec.containers[0], &facts);
    let made = made.map_err(|e| e.to_string())?;
    Ok(made.iter().map(|(k, v)| format!("{k}={v}")).collect())
}

fn key(name: &str, key: &str, optional: Option<bool>) -> Option<KeyRef> {
    Some(KeyRef {
        name: name.to_owned(),
        key: key.to_owned(),
        optional,
    })
}

#[test]
fn only_a_pod_that_the_nodes_own_files_brought_begins_before_services_are_known() {
    for (source, begins) in [(None, false), (Some("api"), false), (Some("file"), true)] {
        let got = env(
            |pod| {
                let source = source.map(|s| (CONFIG_SOURCE.to_owned(), s.to_owned()));
                pod.metadata.annotations.extend(source);
            },
            None,
        );
        assert_eq!(got.is_ok(), begins, "{source:?}");
    }
}

const CONFIG_SOURCE: &str = "kubernetes.io/config.source";

#[test]
fn what_is_no_text_is_left_out_of_a_config_map_and_refused_of_a_secret() {
    let of = |secret: bool| {
        env(
            |pod| {
                let reference = |name: &str| {
                    Some(ObjectRef {
                        name: name.to_owned(),
                        optional: None,
                    })
                };
                pod.spec.containers[0].env_from = vec![EnvFrom {
                    config_map_ref: reference("m").filter(|_| !secret),
                    secret_ref: reference("s").filter(|_| secret),
                    prefix: Some("P_".to_owned()),
                }];
            },
            Some(&[]),
        )
    };
    assert_eq!(of(false), Ok(vec!["P_text=t".to_owned()]));
    assert!(of(true).unwrap_err().contains("it is not UTF-8"));
}

#[test]
fn a_variable_has_its_value_or_that_of_its_source() {
    let ip = || EnvSource {
        field_ref: Some(FieldRef {
            field_path: "status.podIP".to_owned(),
            api_version: None,
        }),
        ..EnvSource::default()
    };
    let of_map = |k: &str, optional| EnvSource {
        config_map_key_ref: key("m", k, optional),
        ..EnvSource::default()
    };
    let of_none = |optional| EnvSource {
        secret_key_ref: key("none", "k", optional),
        ..EnvSource::default()
    };
    let of_file = EnvSource {
        file_key_ref: Some(FileKeyRef::default()),
        ..EnvSource::default()
    };
    for (value, source, told) in [
        (Some("v"), None, Ok(Some("v"))),
        (None, None, Ok(Some(""))),
        (Some(""), None, Ok(Some(""))),
        (None, Some(ip()), Ok(Some("10.0.0.5"))),
        // An empty value is none.
        (Some(""), Some(ip()), Ok(Some("10.0.0.5"))),
        (None, Some(of_map("text", None)), Ok(Some("t"))),
        (None, Some(of_map("nul", None)), Err("it holds a NUL byte")),
        (
            None,
            Some(of_map("bytes", Some(true))),
            Err("it is not UTF-8"),
        ),
        (
            None,
            Some(of_map("gone", None)),
            Err("couldn't find key gone"),
        ),
        (
            None,
            Some(of_map("gone", Some(false))),
            Err("couldn't find key gone"),
        ),
        (None, Some(of_map("gone", Some(true))), Ok(None)),
        (None, Some(of_none(None)), Err("secret \"none\" not found")),
        (None, Some(of_none(Some(true))), Ok(None)),
        (None, Some(EnvSource::default()), Ok(Some(""))),
        (None, Some(of_file), Err("X")),
    ] {
        let text = format!("{value:?} {source:?}");
        let got = env(
            |pod| {
                pod.spec.containers[0].env = vec![EnvVar {
                    name: "X".to_owned(),
                    value: value.map(str::to_owned),
                    value_from: source,
                }];
            },
            Some(&[]),
        );
        match (got, told) {
            (Ok(env), Ok(value)) => {
                let wanted = value.map(|v| format!("X={v}"));
                assert_eq!(env, Vec::from_iter(wanted), "{text}");
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }
}
