//! Names of images: whether they are well formed, and the tag that one without tag and digest has.

/// Why a text is no image name. The texts are those that the kubelet shows (`InvalidImageName`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("couldn't parse image name {image:?}: {problem}")]
pub struct ImageNameError {
    /// As it was written.
    pub image: String,
    /// What is wrong.
    pub problem: String,
}

const INVALID: &str = "invalid reference format";
/// Longest repository name.
const NAME_MAX: usize = 255;

/// Adds `:latest` to a name without tag and digest; the name stays as it was written otherwise.
pub fn apply_default_image_tag(image: &str) -> Result<String, ImageNameError> {
    match check(image) {
        Ok(true) => Ok(image.to_owned()),
        Ok(false) => Ok(format!("{image}:latest")),
        Err(problem) => Err(ImageNameError {
            image: image.to_owned(),
            problem,
        }),
    }
}

/// Whether it has a tag or digest.
fn check(image: &str) -> Result<bool, String> {
    let invalid = || INVALID.to_owned();
    if image.len() == 64 && image.bytes().all(is_hex) {
        return Err(format!(
            "invalid repository name ({image}), cannot specify 64-byte hexadecimal strings"
        ));
    }
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let (name, tag) = match rest.rsplit_once(':') {
        // A colon before the last slash is a registry's port.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let (domain, path) = match name.split_once('/') {
        Some((domain, path)) if is_registry(domain) => (Some(domain), path),
        _ => (None, name),
    };
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!(
            "invalid reference format: repository name ({path}) must be lowercase"
        ));
    }
    let is_path = |text: &str| text.split('/').all(is_component);
    let is_name = match domain {
        // What cannot be a registry may still be a folder.
        Some(domain) => (is_domain(domain) && is_path(path)) || is_path(name),
        None => is_path(path),
    };
    if !is_name || !tag.is_none_or(is_tag) || !digest.is_none_or(is_digest) {
        return Err(invalid());
    }
    // A name without a registry is one of docker.io, and the whole counts.
    let prefix = match domain {
        Some(_) => 0,
        None if path.contains('/') => "docker.io/".len(),
        None => "docker.io/library/".len(),
    };
    if prefix + name.len() > NAME_MAX {
        return Err(format!(
            "repository name must not be more than {NAME_MAX} characters"
        ));
    }
    Ok(tag.is_some() || digest.is_some())
}

/// Whether the first part of a name means a registry and no folder of docker.io.
fn is_registry(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost" || part.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_hex(b: u8) -> bool {
    b.is_ascii_digit() || (b'a'..=b'f').contains(&b)
}

/// Host with an optional port; an IPv6 address stands in brackets.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        Some((address, after)) => {
            let is_address = address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            return is_address
                && !address.is_empty()
                && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port));
        }
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_label = |label: &str| {
        let outer = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        outer(label.bytes().next())
            && outer(label.bytes().last())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Lower-case letters and digits, parted by one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_separator = |s: &str| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-');
    text.bytes().next().is_some_and(is_inner)
        && text.bytes().last().is_some_and(is_inner)
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(is_separator)
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

/// `sha256:` and 64 digits, or the longer ones of its family.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, digits)) = text.split_once(':') else {
        return false;
    };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    digits.len() == length && digits.bytes().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_tag_and_digest_gets_latest_and_no_other_change() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let same = |text: &str| (text.to_owned(), Ok(text.to_owned()));
        let tagged = |text: &str| (text.to_owned(), Ok(format!("{text}:latest")));
        let wrong = |text: &str, problem: &str| (text.to_owned(), Err(problem.to_owned()));
        for (image, expect) in [
            tagged("busybox"),
            tagged("library/busybox"),
            tagged("localhost:5000/a/b"),
            tagged("[fd00::1]:5000/a"),
            tagged("a.b-c__d/e"),
            same("busybox:1.36"),
            same("localhost:5000/a:v1"),
            same(&format!("busybox@{digest}")),
            same(&format!("busybox:1@{digest}")),
            tagged("Localhost/a"),
            tagged("a-b.c:5000/d"),
            tagged(&format!("a.b/{}", "x".repeat(251))),
            tagged(&"x".repeat(237)),
            tagged(&format!("a/{}", "x".repeat(243))),
            same(&format!("a:{}", "t".repeat(128))),
            same("a:_T.1-x"),
            same(&format!("a@sha384:{}", "0f".repeat(48))),
            same(&format!("a@sha512:{}", "0f".repeat(64))),
            wrong(&format!("a:{}", "t".repeat(129)), INVALID),
            wrong("a:.t", INVALID),
            wrong("a:t+", INVALID),
            wrong(&format!("a@sha256:{}", "g".repeat(64)), INVALID),
            wrong(&format!("a@sha256:{}", "A".repeat(64)), INVALID),
            wrong(&format!("a@sha384:{}", "0f".repeat(32)), INVALID),
            wrong(&format!("a@md5:{}", "0f".repeat(16)), INVALID),
            wrong("a.b:port/c", INVALID),
            wrong("a.b:/c", INVALID),
            wrong("[fd00::1]:/a", INVALID),
            wrong("[fd00::1]x/a", INVALID),
            wrong("[]:1/a", INVALID),
            wrong("[g.0]/a", INVALID),
            wrong("A-/a", INVALID),
            wrong("-A/a", INVALID),
            wrong("A_b/a", INVALID),
            wrong("a.b/c//d", INVALID),
            wrong("A/b+", INVALID),
            wrong(
                &format!("a.b/{}", "x".repeat(252)),
                "repository name must not be more than 255 characters",
            ),
            wrong(
                &"x".repeat(238),
                "repository name must not be more than 255 characters",
            ),
            wrong(
                &format!("a/{}", "x".repeat(244)),
                "repository name must not be more than 255 characters",
            ),
            wrong("", INVALID),
            wrong("a b", INVALID),
            wrong("busybox:", INVALID),
            wrong("a//b", INVALID),
            wrong("a..b", INVALID),
            wrong("a___b", INVALID),
            wrong("-a", INVALID),
            wrong("busybox@sha256:12", INVALID),
            wrong(
                "BusyBox",
                "invalid reference format: repository name (BusyBox) must be lowercase",
            ),
            wrong(
                &"x".repeat(250),
                "repository name must not be more than 255 characters",
            ),
            wrong(
                &"a".repeat(64),
                &format!(
                    "invalid repository name ({}), cannot specify 64-byte hexadecimal strings",
                    "a".repeat(64)
                ),
            ),
        ] {
            assert_eq!(
                apply_default_image_tag(&image).map_err(|e| e.problem),
                expect,
                "{image}"
            );
        }
    }
}
