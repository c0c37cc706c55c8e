//! ConfigMaps and Secrets of the pod's namespace, as far as they were found.

use std::collections::BTreeMap;

/// Keys and values of one ConfigMap or Secret (`data` and `binaryData` together).
pub type Object = BTreeMap<String, Vec<u8>>;

/// All of them, by name. What is not in it does not exist.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// ConfigMaps.
    pub config_maps: BTreeMap<String, Object>,
    /// Secrets, decoded.
    pub secrets: BTreeMap<String, Object>,
}

impl std::fmt::Debug for Sources {
    /// Names and keys only: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = |objects: &BTreeMap<String, Object>| -> Vec<String> {
            let names = |(name, object): (&String, &Object)| {
                let keys: Vec<&str> = object.keys().map(String::as_str).collect();
                format!("{name}[{}]", keys.join(","))
            };
            objects.iter().map(names).collect()
        };
        f.debug_struct("Sources")
            .field("config_maps", &keys(&self.config_maps))
            .field("secrets", &keys(&self.secrets))
            .finish()
    }
}

/// Which of the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl SourceKind {
    /// As error texts of the API write it.
    pub fn resource(self) -> &'static str {
        match self {
            SourceKind::ConfigMap => "configmap",
            SourceKind::Secret => "secret",
        }
    }

    /// The name of its type.
    pub fn type_name(self) -> &'static str {
        match self {
            SourceKind::ConfigMap => "ConfigMap",
            SourceKind::Secret => "Secret",
        }
    }
}

/// A ConfigMap or Secret that does not exist. The text is the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {name:?} not found", kind.resource())]
pub struct SourceNotFound {
    /// Which kind.
    pub kind: SourceKind,
    /// Its name.
    pub name: String,
}

impl Sources {
    /// That object.
    pub fn get(&self, kind: SourceKind, name: &str) -> Result<&Object, SourceNotFound> {
        let objects = match kind {
            SourceKind::ConfigMap => &self.config_maps,
            SourceKind::Secret => &self.secrets,
        };
        objects.get(name).ok_or_else(|| SourceNotFound {
            kind,
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
