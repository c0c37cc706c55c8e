//! `subPath` and `subPathExpr` of a mount.

use super::expansion::expand;
use pod_model::pod::VolumeMount;
use std::collections::{BTreeMap, BTreeSet};

/// Why a mount has no path below its volume. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubPathError {
    /// Variables that are not set, or empty.
    #[error("missing value for {}", names.join(", "))]
    Missing {
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// Begins with `/`.
    #[error("error SubPath `{path}` must not be an absolute path")]
    Absolute {
        /// The path.
        path: String,
    },
    /// Holds `..`.
    #[error("unable to provision SubPath `{path}`: must not contain '..'")]
    Backsteps {
        /// The path.
        path: String,
    },
}

/// `subPathExpr` with the container's variables in it.
pub fn expand_sub_path(
    mount: &VolumeMount,
    env: &BTreeMap<String, String>,
) -> Result<String, SubPathError> {
    let mut missing = BTreeSet::new();
    let text = mount.sub_path_expr.as_deref().unwrap_or_default();
    let path = expand(text, |name| {
        let value = env.get(name).cloned().unwrap_or_default();
        if value.is_empty() {
            missing.insert(name.to_owned());
        }
        Some(value)
    });
    if missing.is_empty() {
        Ok(path)
    } else {
        Err(SubPathError::Missing {
            names: missing.into_iter().collect(),
        })
    }
}

/// The path below the volume that the mount shows; `None` for the volume itself.
pub fn sub_path(
    mount: &VolumeMount,
    env: &BTreeMap<String, String>,
) -> Result<Option<String>, SubPathError> {
    let has_expression = mount
        .sub_path_expr
        .as_deref()
        .is_some_and(|e| !e.is_empty());
    let path = if has_expression {
        expand_sub_path(mount, env)?
    } else {
        mount.sub_path.clone().unwrap_or_default()
    };
    if path.is_empty() {
        return Ok(None);
    }
    if path.starts_with('/') {
        return Err(SubPathError::Absolute { path });
    }
    if path.split('/').any(|part| part == "..") {
        return Err(SubPathError::Backsteps { path });
    }
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_path_stays_below_its_volume() {
        let env: BTreeMap<String, String> =
            [("A", "a"), ("UP", ".."), ("ROOT", "/"), ("EMPTY", "")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into();
        for (path, expression, expect) in [
            (None, None, Ok(None)),
            (Some("x/y"), None, Ok(Some("x/y"))),
            (None, Some("$(A)/log"), Ok(Some("a/log"))),
            (
                Some("../x"),
                None,
                Err("unable to provision SubPath `../x`: must not contain '..'"),
            ),
            (
                None,
                Some("x/$(UP)/y"),
                Err("unable to provision SubPath `x/../y`: must not contain '..'"),
            ),
            (
                None,
                Some("$(ROOT)etc"),
                Err("error SubPath `/etc` must not be an absolute path"),
            ),
            (
                None,
                Some("$(NO)$(EMPTY)$(A)"),
                Err("missing value for EMPTY, NO"),
            ),
            (Some("..x"), None, Ok(Some("..x"))),
        ] {
            let mount = VolumeMount {
                sub_path: path.map(str::to_owned),
                sub_path_expr: expression.map(str::to_owned),
                ..VolumeMount::default()
            };
            let got = sub_path(&mount, &env).map_err(|e| e.to_string());
            let expect = expect.map(|p| p.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(got, expect, "{path:?} {expression:?}");
        }
    }
}
