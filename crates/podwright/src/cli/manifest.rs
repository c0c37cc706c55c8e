//! Manifests from files, folders and standard input.

use super::exit::{Code, Failure, Outcome};
use pod_api::client::Resource;
use pod_manifest::{Compat, Document, Object};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// One object of a manifest and where it was written.
#[derive(Clone, Debug)]
pub struct Source {
    /// `pod.yaml:3`, for messages.
    pub place: String,
    /// The object as it was written.
    pub object: Object,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
}

impl Source {
    /// Which collection it belongs to.
    pub fn resource(&self) -> Resource {
        match &self.object {
            Object::Pod(_) => Resource::Pods,
            Object::ConfigMap(_) => Resource::ConfigMaps,
            Object::Secret(_) => Resource::Secrets,
            Object::Service(_) => Resource::Services,
            Object::Claim(_) => Resource::Claims,
        }
    }

    fn metadata(&self) -> (Option<&str>, Option<&str>) {
        let meta = match &self.object {
            Object::Pod(pod) => &pod.metadata,
            Object::ConfigMap(map) => &map.metadata,
            Object::Secret(secret) => &secret.metadata,
            Object::Service(service) => &service.metadata,
            Object::Claim(claim) => &claim.metadata,
        };
        (meta.namespace.as_deref(), meta.name.as_deref())
    }

    /// Its name; "" if the node is to make one.
    pub fn name(&self) -> &str {
        self.metadata().1.unwrap_or_default()
    }

    /// The namespace that it names, or that of the command line, or `default`. Two different ones are an error, as with kubectl.
    pub fn namespace(&self, asked: Option<&str>) -> Outcome<String> {
        let own = self.metadata().0.filter(|n| !n.is_empty());
        match (own, asked) {
            (Some(own), Some(asked)) if own != asked => Err(Failure::new(
                Code::Data,
                format!(
                    "error: the namespace from the provided object \"{own}\" does not match the namespace \"{asked}\". You must pass '--namespace={own}' to perform this operation. ({})",
                    self.place
                ),
            )),
            (own, asked) => Ok(own.or(asked).unwrap_or("default").to_owned()),
        }
    }

    /// Adds an annotation, if it is a pod.
    pub fn annotate(&mut self, key: &str, value: &str) {
        if let Object::Pod(pod) = &mut self.object {
            let annotations = pod.metadata.annotations.get_or_insert_default();
            annotations.insert(key.to_owned(), value.to_owned());
        }
    }

    /// The object as JSON.
    pub fn json(&self) -> Outcome<Value> {
        let value = match &self.object {
            Object::Pod(pod) => serde_json::to_value(pod),
            Object::ConfigMap(map) => serde_json::to_value(map),
            Object::Secret(secret) => serde_json::to_value(secret),
            Object::Service(service) => serde_json::to_value(service),
            Object::Claim(claim) => serde_json::to_value(claim),
        };
        value.map_err(|e| Failure::new(Code::Software, format!("error: {}: {e}", self.place)))
    }
}

/// Every object of these files, in their order; in a folder by name.
pub fn read(files: &[PathBuf]) -> Outcome<Vec<Source>> {
    read_as(files, Compat::Current)
}

/// The same for manifests that were written for an older Kubernetes.
pub fn read_as(files: &[PathBuf], compat: Compat) -> Outcome<Vec<Source>> {
    let mut all = Vec::new();
    let mut failures = Vec::new();
    for path in files {
        for file in expand(path)? {
            let (name, text) = text_of(&file)?;
            match pod_manifest::read_documents_as(&name, &text, compat) {
                Ok(documents) => all.extend(documents.into_iter().map(|d| source(&name, d))),
                Err(problems) => failures.push(problems.to_string()),
            }
        }
    }
    if !failures.is_empty() {
        return Err(Failure::new(Code::Data, failures.join("\n")));
    }
    if all.is_empty() {
        let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        return Err(Failure::new(
            Code::Data,
            format!("error: no objects in {}", names.join(", ")),
        ));
    }
    Ok(all)
}

fn source(name: &str, document: Document) -> Source {
    Source {
        place: format!("{name}:{}", document.line),
        object: document.object,
        warnings: document
            .warnings
            .iter()
            .map(|w| w.in_source(name))
            .collect(),
    }
}

/// A folder stands for the manifests in it.
fn expand(path: &Path) -> Outcome<Vec<PathBuf>> {
    if path == Path::new("-") || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| Failure::file("list", path, &e))? {
        let entry = entry.map_err(|e| Failure::file("list", path, &e))?.path();
        let known = entry.extension().and_then(|e| e.to_str());
        if matches!(known, Some("yaml" | "yml" | "json")) && entry.is_file() {
            found.push(entry);
        }
    }
    if found.is_empty() {
        return Err(Failure::new(
            Code::NoInput,
            format!(
                "error: no manifests in {}: they end in .yaml, .yml or .json",
                path.display()
            ),
        ));
    }
    found.sort();
    Ok(found)
}

fn text_of(path: &Path) -> Outcome<(String, String)> {
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        read.map_err(|e| Failure::new(Code::Io, format!("read standard input: {e}")))?;
        ("-".to_owned(), bytes)
    } else {
        let bytes = std::fs::read(path).map_err(|e| Failure::file("read", path, &e))?;
        (path.display().to_string(), bytes)
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok((name, text)),
        Err(e) => Err(Failure::new(
            Code::Data,
            format!("{name}: not UTF-8 text: {e}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: own}\nspec: {containers: [{name: c, image: i}]}\n";
    const MAP: &str = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}"#;

    #[test]
    fn a_folder_stands_for_its_manifests_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("b.yaml", &format!("---\n{POD}---\n{POD}"));
        put("a.json", MAP);
        put("notes.txt", "not: a manifest: at all");
        let sources = read(&[folder.path().to_owned()]).unwrap();
        let names: Vec<&str> = sources.iter().map(Source::name).collect();
        assert_eq!(names, ["m", "p", "p"]);
        let last = sources.last().unwrap();
        assert!(last.place.ends_with("b.yaml:7"), "{}", last.place);
    }

    #[test]
    fn a_namespace_may_not_be_contradicted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.yaml");
        std::fs::write(&file, format!("{POD}---\n{MAP}")).unwrap();
        let sources = read(&[file]).unwrap();
        let [pod, map] = sources.as_slice() else {
            panic!("{sources:?}");
        };
        assert_eq!(pod.namespace(None).unwrap(), "own");
        assert_eq!(pod.namespace(Some("own")).unwrap(), "own");
        assert_eq!(pod.namespace(Some("x")).unwrap_err().code, Code::Data);
        assert_eq!(map.namespace(None).unwrap(), "default");
        assert_eq!(map.namespace(Some("x")).unwrap(), "x");
    }

    #[test]
    fn every_bad_file_is_told_of_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let one = put("one.yaml", "kind: Job\napiVersion: batch/v1\n");
        let two = put("two.yaml", &POD.replace("image", "imgae"));
        let failure = read(&[one, two]).unwrap_err();
        assert_eq!(failure.code, Code::Data);
        assert!(failure.message.contains("one.yaml:1"), "{failure}");
        assert!(failure.message.contains("two.yaml:4"), "{failure}");
        let missing = read(&[folder.path().join("none.yaml")]).unwrap_err();
        assert_eq!(missing.code, Code::NoInput);
        assert!(read(&[put("empty.yaml", "")]).is_err());
    }
}
