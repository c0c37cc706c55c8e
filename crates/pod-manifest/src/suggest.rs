//! What the user may have meant.

/// The most alike of the names, if one is alike enough.
pub(crate) fn closest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let lower = text.to_lowercase();
    names
        .iter()
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
            (distance, *name)
        })
        .filter(|(distance, name)| *distance <= 2.min(name.len() / 3).max(1))
        .min()
        .or_else(|| extended(&lower, names))
        .map(|(_, name)| name)
}

/// A name that the text is a beginning of, or the other way round (`limit` for `limits`, `environment` for `env`).
fn extended<'a>(lower: &str, names: &[&'a str]) -> Option<(usize, &'a str)> {
    if lower.len() < 3 {
        return None;
    }
    names
        .iter()
        .filter(|name| {
            let name = name.to_lowercase();
            name.len() >= 3 && (name.starts_with(lower) || lower.starts_with(&name))
        })
        .map(|name| (name.len().abs_diff(lower.len()), *name))
        .min()
}

/// Where well-known fields belong that are often set at a wrong place: field, its place.
const HOMES: &[(&str, &str)] = &[
    ("activeDeadlineSeconds", "spec"),
    ("annotations", "metadata"),
    ("args", "spec.containers[]"),
    ("capabilities", "spec.containers[].securityContext"),
    ("command", "spec.containers[]"),
    ("env", "spec.containers[]"),
    ("fsGroup", "spec.securityContext"),
    ("hostNetwork", "spec"),
    ("image", "spec.containers[]"),
    ("imagePullPolicy", "spec.containers[]"),
    ("initContainers", "spec"),
    ("labels", "metadata"),
    ("limits", "resources"),
    ("namespace", "metadata"),
    ("ports", "spec.containers[]"),
    ("privileged", "spec.containers[].securityContext"),
    (
        "readOnlyRootFilesystem",
        "spec.containers[].securityContext",
    ),
    ("requests", "resources"),
    ("restartPolicy", "spec"),
    ("runAsUser", "securityContext"),
    ("securityContext", "spec or spec.containers[]"),
    ("terminationGracePeriodSeconds", "spec"),
    ("volumeMounts", "spec.containers[]"),
    ("volumes", "spec"),
    ("workingDir", "spec.containers[]"),
];

/// The words to put behind an unknown field's name; empty if nothing comes to mind.
pub(crate) fn field(name: &str, known: &[&str]) -> String {
    if let Some(close) = closest(name, known) {
        return format!(" (did you mean {close:?}?)");
    }
    match HOMES.iter().find(|(field, _)| *field == name) {
        Some((_, home)) => format!(" ({name} belongs under {home}: check the indentation)"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_leads_to_the_one_meant() {
        let container = &["args", "command", "env", "envFrom", "image", "name"];
        for (text, expected) in [
            ("comand", " (did you mean \"command\"?)"),
            ("Command", " (did you mean \"command\"?)"),
            ("env_from", " (did you mean \"envFrom\"?)"),
            ("environment", " (did you mean \"env\"?)"),
            ("arg", " (did you mean \"args\"?)"),
            (
                "volumes",
                " (volumes belongs under spec: check the indentation)",
            ),
            ("zzz", ""),
            ("", ""),
        ] {
            assert_eq!(field(text, container), expected, "{text:?}");
        }
    }
}
