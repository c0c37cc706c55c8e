//! The table of `image ls`.

use crate::duration::since;
use crate::table::Table;
use crate::text::bytes;
use jiff::Timestamp;

/// One image under one of its names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageRow {
    /// Full name, such as `docker.io/library/busybox:latest`; empty for an image without a name.
    pub name: String,
    /// Digest of its config, `sha256:…`.
    pub id: String,
    /// Bytes of its blobs.
    pub size: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it is pinned.
    pub pinned: bool,
}

/// The table: names shortened as users write them unless `full`.
pub fn image_table(images: &[ImageRow], full: bool, now: Timestamp) -> Table {
    let mut table = Table::new(["IMAGE", "TAG", "IMAGE ID", "CREATED", "SIZE", "PINNED"]);
    for image in images {
        let (name, tag) = split(&image.name);
        let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
        let cells = [
            name.to_owned(),
            tag.to_owned(),
            if full {
                image.id.clone()
            } else {
                id.chars().take(12).collect()
            },
            match image.created {
                Some(_) => format!("{} ago", since(image.created, now)),
                None => "<unknown>".to_owned(),
            },
            bytes(image.size),
            if image.pinned { "yes" } else { "no" }.to_owned(),
        ];
        table.rows.push(cells.to_vec());
    }
    table
}

/// Name and tag; a digest stands in the place of a tag.
fn split(name: &str) -> (&str, &str) {
    if name.is_empty() {
        return ("<none>", "<none>");
    }
    if let Some((name, digest)) = name.split_once('@') {
        return (name, digest);
    }
    match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => (before, tag),
        _ => (name, "<none>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_a_registry_is_no_tag() {
        assert_eq!(split("r:5000/a/b"), ("r:5000/a/b", "<none>"));
        assert_eq!(split("r:5000/a/b:1"), ("r:5000/a/b", "1"));
        assert_eq!(split("a@sha256:12"), ("a", "sha256:12"));
        assert_eq!(split(""), ("<none>", "<none>"));
    }

    #[test]
    fn an_image_is_a_row() {
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        let image = ImageRow {
            name: "docker.io/library/busybox:latest".to_owned(),
            id: "sha256:0123456789abcdef".to_owned(),
            size: 4_350_000,
            created: "2026-01-01T00:00:00Z".parse().ok(),
            pinned: true,
        };
        let text = image_table(&[image], false, now).render(false);
        assert_eq!(
            text,
            "docker.io/library/busybox   latest   0123456789ab   24h ago   4.35MB   yes\n"
        );
    }
}
