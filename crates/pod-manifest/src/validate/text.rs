//! Optional texts: absent and empty mean the same in the Kubernetes API.

/// The text, empty where there is none.
pub(super) fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// The list, empty where there is none.
pub(super) fn list<T>(field: &Option<Vec<T>>) -> &[T] {
    field.as_deref().unwrap_or_default()
}
