//! Image references by Docker's rules for familiar names: `busybox` is `docker.io/library/busybox:latest`.

use crate::digest::{Digest, is_hex64};
use std::fmt;

/// An image name in its full form. Names that mean the same image are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no image reference. Display begins with the words that Kubernetes and Docker use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid reference format: {problem}")]
pub struct ReferenceError {
    /// What was given.
    pub text: String,
    /// What is wrong with it, and how it should look.
    pub problem: String,
}

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
/// Longest `domain/path` (Docker's distribution reference, NameTotalLengthMax).
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

impl Reference {
    /// Reads a name as a user writes it.
    ///
    /// # Errors
    /// Says which part is wrong: registry, repository, tag or digest.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        read(text).map_err(|problem| ReferenceError {
            text: text.chars().take(400).collect(),
            problem,
        })
    }

    /// Registry, such as `docker.io`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// `domain/path`, without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The tag; `latest` if neither tag nor digest was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that was written after `@`.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether both name the same repository.
    pub(crate) fn same_repository(&self, other: &Reference) -> bool {
        self.domain == other.domain && self.path == other.path
    }

    /// The name under which the store keeps an image: with a tag, the digest is only a promise about it.
    pub(crate) fn stored_name(&self) -> Self {
        let digest = match self.tag {
            Some(_) => None,
            None => self.digest.clone(),
        };
        Self {
            digest,
            ..self.clone()
        }
    }

    /// The short form that Docker shows: `busybox:latest` for `docker.io/library/busybox:latest`.
    pub fn familiar(&self) -> String {
        let name = if self.domain == DEFAULT_DOMAIN {
            self.path.strip_prefix(OFFICIAL).unwrap_or(&self.path)
        } else {
            return self.to_string();
        };
        format!("{name}{}", self.suffix())
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|t| format!(":{t}"));
        let digest = self.digest.iter().map(|d| format!("@{d}"));
        tag.chain(digest).collect()
    }
}

impl fmt::Display for Reference {
    /// The full form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.domain, self.path, self.suffix())
    }
}

fn read(text: &str) -> Result<Reference, String> {
    if text.is_empty() {
        return Err("the name is empty".into());
    }
    if is_hex64(text) {
        return Err("64 hexadecimal digits alone are an image id, not a name".into());
    }
    let (rest, digest) = match text.split_once('@') {
        None => (text, None),
        Some((rest, digest)) => (
            rest,
            Some(Digest::parse(digest).map_err(|e| e.to_string())?),
        ),
    };
    let (domain, remainder) = split_domain(rest);
    let (path, tag) = match remainder.split_once(':') {
        None => (remainder, None),
        Some((path, tag)) => (path, Some(tag)),
    };
    check_domain(domain)?;
    let domain = match domain {
        LEGACY_DOMAIN => DEFAULT_DOMAIN,
        other => other,
    };
    let path = if domain == DEFAULT_DOMAIN && !path.contains('/') {
        format!("{OFFICIAL}{path}")
    } else {
        path.to_owned()
    };
    check_path(&path)?;
    if domain.len() + 1 + path.len() > NAME_MAX {
        return Err(format!(
            "repository name must not be more than {NAME_MAX} characters"
        ));
    }
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let tag = match (tag, &digest) {
        (None, None) => Some(DEFAULT_TAG.to_owned()),
        (tag, _) => tag.map(str::to_owned),
    };
    Ok(Reference {
        domain: domain.to_owned(),
        path,
        tag,
        digest,
    })
}

/// The part before the first slash is a registry if it could be no folder of a Docker Hub name:
/// it holds a dot or a colon, is `localhost`, or holds an upper-case letter.
fn split_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(char::is_uppercase) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, text),
    }
}

fn check_domain(domain: &str) -> Result<(), String> {
    let (host, port) = match domain.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6
                .split_once(']')
                .ok_or_else(|| format!("registry {domain:?} has no closing ]"))?;
            let good = !host.is_empty() && host.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            if !good {
                return Err(format!("registry {domain:?} holds no IPv6 address"));
            }
            let port = match after {
                "" => None,
                _ => Some(
                    after
                        .strip_prefix(':')
                        .ok_or_else(|| format!("registry {domain:?}: after ] comes :port"))?,
                ),
            };
            (None, port)
        }
        None => match domain.split_once(':') {
            None => (Some(domain), None),
            Some((host, port)) => (Some(host), Some(port)),
        },
    };
    if let Some(port) = port
        && (port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(format!("registry {domain:?}: the port must be a number"));
    }
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    match host {
        Some(host) if !host.split('.').all(label) => {
            Err(format!("registry {domain:?} is not a host name"))
        }
        _ => Ok(()),
    }
}

/// Components of lower-case letters and digits, joined within by `.`, `_`, `__` or any number of `-`.
fn check_path(path: &str) -> Result<(), String> {
    let shown = path.strip_prefix(OFFICIAL).unwrap_or(path);
    if path.chars().any(char::is_uppercase) {
        return Err(format!("repository name ({shown}) must be lowercase"));
    }
    for component in path.split('/') {
        if component.is_empty() {
            return Err(format!(
                "repository name ({shown}) has an empty part; write it as registry/folder/name:tag"
            ));
        }
        if !good_component(component) {
            return Err(format!(
                "{component:?} is no part of a repository name: lower-case letters and digits, with single . or _, __ or - between them"
            ));
        }
    }
    Ok(())
}

fn good_component(component: &str) -> bool {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !component.starts_with(alnum) || !component.ends_with(alnum) {
        return false;
    }
    component
        .split(alnum)
        .filter(|separator| !separator.is_empty())
        .all(|separator| {
            matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

fn check_tag(tag: &str) -> Result<(), String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let good = tag.len() <= TAG_MAX
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-');
    if good {
        return Ok(());
    }
    Err(format!(
        "tag {tag:?} must be 1 to {TAG_MAX} letters, digits, _ . or -, and begin with none of . and -"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full(text: &str) -> String {
        Reference::parse(text)
            .unwrap_or_else(|e| panic!("{text}: {e}"))
            .to_string()
    }

    #[test]
    fn names_of_one_image_are_equal() {
        for name in [
            "busybox",
            "busybox:latest",
            "library/busybox",
            "docker.io/busybox",
            "docker.io/library/busybox",
            "docker.io/library/busybox:latest",
            "index.docker.io/library/busybox",
            "index.docker.io/busybox:latest",
        ] {
            assert_eq!(full(name), "docker.io/library/busybox:latest", "{name}");
            assert_eq!(Reference::parse(name).unwrap().familiar(), "busybox:latest");
        }
    }

    #[test]
    fn the_first_part_is_a_registry_only_if_it_can_be_no_folder() {
        for (name, expect) in [
            ("foo/bar", "docker.io/foo/bar:latest"),
            ("localhost/bar", "localhost/bar:latest"),
            ("localhost:5000/bar:1", "localhost:5000/bar:1"),
            ("quay.io/a/b_c/d-e:v1.2", "quay.io/a/b_c/d-e:v1.2"),
            ("Registry/bar", "Registry/bar:latest"),
            ("[::1]:5000/bar", "[::1]:5000/bar:latest"),
            ("test:5000/repo", "test:5000/repo:latest"),
            ("alpine/curl:7.83", "docker.io/alpine/curl:7.83"),
            ("a--b/c__d/e.f", "docker.io/a--b/c__d/e.f:latest"),
        ] {
            assert_eq!(full(name), expect, "{name}");
        }
    }

    #[test]
    fn a_digest_needs_no_tag_and_keeps_the_one_it_has() {
        let d = format!("sha256:{}", "0".repeat(64));
        assert_eq!(
            full(&format!("busybox@{d}")),
            format!("docker.io/library/busybox@{d}")
        );
        let both = Reference::parse(&format!("busybox:1@{d}")).unwrap();
        assert_eq!(both.tag(), Some("1"));
        assert_eq!(both.digest().unwrap().as_str(), d);
        assert_eq!(
            both.stored_name().to_string(),
            "docker.io/library/busybox:1"
        );
    }

    #[test]
    fn a_bad_name_says_which_part_is_wrong() {
        let long = "a".repeat(256);
        let tag = format!("a:{}", "t".repeat(129));
        let hex = "a".repeat(64);
        for (name, part) in [
            ("", "empty"),
            (" busybox", "repository name"),
            ("busybox ", "repository name"),
            ("Busybox", "must be lowercase"),
            ("a/Busybox", "must be lowercase"),
            ("busybox:", "tag"),
            ("busybox:-1", "tag"),
            ("busybox:a b", "tag"),
            (&tag, "tag"),
            ("busybox@sha256:1", "digest"),
            ("busybox@", "digest"),
            ("https://docker.io/busybox", "registry"),
            ("a//b", "empty part"),
            ("/a", "empty part"),
            ("a/", "empty part"),
            ("a..b", "repository name"),
            ("a___b", "repository name"),
            ("-a", "repository name"),
            ("a\nb", "repository name"),
            ("../etc", "registry"),
            ("host.example:x/a", "port"),
            ("[zz]/a", "repository name"),
            ("[zz:1]/a", "IPv6"),
            (&long, "255"),
            (&hex, "image id"),
        ] {
            let error = Reference::parse(name).unwrap_err();
            assert!(error.problem.contains(part), "{name:?}: {error}");
            assert!(error.to_string().starts_with("invalid reference format"));
        }
    }

    proptest! {
        #[test]
        fn the_full_and_the_short_form_read_back_as_the_same_name(
            name in "([a-z0-9]{1,8}(\\.[a-z]{2,3}(:[0-9]{1,4})?)?/)?[a-z0-9]{1,9}([._-][a-z0-9]{1,4})?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,9})?"
        ) {
            if let Ok(reference) = Reference::parse(&name) {
                prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
                prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(name in ".{0,80}") {
            let _ = Reference::parse(&name);
        }
    }
}
