//! ConfigMaps and Secrets as `describe` shows them, as kubectl 1.36 lays them out.

use crate::describe::{annotations, pairs};
use crate::tabs::{Indented, align};
use std::collections::BTreeMap;

/// What both have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
}

/// A ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigMap {
    /// Whose it is.
    pub head: Head,
    /// `data`.
    pub data: BTreeMap<String, String>,
    /// `binaryData`, decoded.
    pub binary: BTreeMap<String, Vec<u8>>,
}

/// A Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    /// Whose it is.
    pub head: Head,
    /// `type`.
    pub kind: String,
    /// `data`, decoded.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// The text of `describe configmap`; `events`: with the line of its events, of which there are none here.
pub fn describe_config_map(map: &ConfigMap, events: bool) -> String {
    let mut out = begun(&map.head);
    title(&mut out, "Data");
    for (key, value) in &map.data {
        out.line(0, format!("{key}:"));
        out.line(0, "----");
        for line in value.split('\n') {
            out.line(0, line);
        }
        out.line(0, "");
    }
    title(&mut out, "BinaryData");
    for (key, value) in &map.binary {
        out.line(0, format!("{key}: {} bytes", value.len()));
    }
    out.line(0, "");
    if events {
        out.line(0, "Events:\t<none>");
    }
    align(&out.into_text(), 0, 2)
}

/// The text of `describe secret`: how long its values are, not what they say; a token of a service account alone is shown.
pub fn describe_secret(secret: &Secret) -> String {
    let mut out = begun(&secret.head);
    out.line(0, "");
    out.line(0, format!("Type:\t{}", secret.kind));
    title(&mut out, "Data");
    for (key, value) in &secret.data {
        let shown = if key == "token" && secret.kind == "kubernetes.io/service-account-token" {
            String::from_utf8_lossy(value).into_owned()
        } else {
            format!("{} bytes", value.len())
        };
        out.line(0, format!("{key}:\t{shown}"));
    }
    align(&out.into_text(), 0, 2)
}

fn begun(head: &Head) -> Indented {
    let mut out = Indented::new();
    out.line(0, format!("Name:\t{}", head.name));
    out.line(0, format!("Namespace:\t{}", head.namespace));
    pairs(&mut out, "Labels", &head.labels);
    annotations(&mut out, &head.annotations);
    out
}

fn title(out: &mut Indented, text: &str) {
    out.line(0, "");
    out.line(0, text);
    out.line(0, "====");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            name: "settings".to_owned(),
            namespace: "default".to_owned(),
            labels: [("app".to_owned(), "web".to_owned())].into(),
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn a_config_map_shows_its_texts_and_how_long_its_bytes_are() {
        let map = ConfigMap {
            head: head(),
            data: [
                ("a.conf".to_owned(), "x = 1\ny = 2\n".to_owned()),
                ("b".to_owned(), "red \u{1b}[31m".to_owned()),
            ]
            .into(),
            binary: [("logo".to_owned(), vec![0; 5])].into(),
        };
        let text = "Name:         settings\nNamespace:    default\nLabels:       app=web\nAnnotations:  <none>\n\nData\n====\na.conf:\n----\nx = 1\ny = 2\n\n\nb:\n----\nred ^[[31m\n\n\nBinaryData\n====\nlogo: 5 bytes\n\n";
        assert_eq!(describe_config_map(&map, false), text);
        assert_eq!(
            describe_config_map(&map, true),
            format!("{text}Events:  <none>\n")
        );
    }

    #[test]
    fn a_secret_keeps_its_values_to_itself() {
        let mut secret = Secret {
            head: head(),
            kind: "Opaque".to_owned(),
            data: [
                ("password".to_owned(), b"hidden".to_vec()),
                ("token".to_owned(), b"abc".to_vec()),
            ]
            .into(),
        };
        let text = |rest: &str| {
            format!(
                "Name:         settings\nNamespace:    default\nLabels:       app=web\nAnnotations:  <none>\n\n{rest}"
            )
        };
        assert_eq!(
            describe_secret(&secret),
            text("Type:  Opaque\n\nData\n====\npassword:  6 bytes\ntoken:     3 bytes\n")
        );
        secret.kind = "kubernetes.io/service-account-token".to_owned();
        assert_eq!(
            describe_secret(&secret),
            text(
                "Type:  kubernetes.io/service-account-token\n\nData\n====\npassword:  6 bytes\ntoken:     abc\n"
            )
        );
    }
}
