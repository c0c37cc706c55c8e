//! Forms of names, keys and numbers, each with the API server's sentence for what is wrong (`apimachinery/pkg/util/validation`).

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

fn lower_alnum(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// Begins and ends with `edge`, has `inner` between.
fn framed(text: &str, edge: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    match text.as_bytes() {
        [] => false,
        [only] => edge(*only),
        [first, middle @ .., last] => {
            edge(*first) && edge(*last) && middle.iter().all(|b| edge(*b) || inner(*b))
        }
    }
}

fn is_label(text: &str) -> bool {
    framed(text, lower_alnum, |b| b == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_label_with_underscore(text: &str) -> bool {
    framed(text.strip_prefix('_').unwrap_or(text), lower_alnum, |b| {
        b == b'-' || b == b'_'
    })
}

fn is_key_name(text: &str) -> bool {
    framed(text, |b| b.is_ascii_alphanumeric(), |b| b"-_.".contains(&b))
}

fn at_most(max: usize, unit: &str) -> String {
    format!("must be no more than {max} {unit}")
}

fn form(message: &str, examples: &[&str], pattern: &str) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    format!(
        "{message} (e.g. {}regex used for validation is '{pattern}')",
        examples.join(" or ")
    )
}

/// A container, volume or host name.
pub(crate) fn is_dns1123_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(at_most(63, "characters"));
    }
    if !is_label(text) {
        wrong.push(if is_subdomain(text) {
            "must not contain dots".to_owned()
        } else {
            form(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                &["my-name", "123-abc"],
                LABEL,
            )
        });
    }
    wrong
}

/// The name of a pod, ConfigMap or Secret.
pub(crate) fn is_dns1123_subdomain(text: &str) -> Vec<String> {
    subdomain(text, "characters")
}

fn subdomain(text: &str, unit: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(at_most(253, unit));
    }
    if !is_subdomain(text) {
        wrong.push(form(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            &["example.com"],
            &format!("{LABEL}(\\.{LABEL})*"),
        ));
    }
    wrong
}

/// A DNS search domain, in which underscores are allowed.
pub(crate) fn is_dns1123_subdomain_with_underscore(text: &str) -> Vec<String> {
    const PART: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(at_most(253, "characters"));
    }
    if !text.split('.').all(is_label_with_underscore) {
        wrong.push(form(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
            &["example.com"],
            &format!("{PART}(\\.{PART})*"),
        ));
    }
    wrong
}

/// The name of an object, of which the end may still come (`generateName`).
pub(crate) fn is_name_prefix(text: &str, name: fn(&str) -> Vec<String>) -> Vec<String> {
    // As upstream masks it: the dash and the letter before it stand for one letter.
    let masked = text
        .strip_suffix('-')
        .filter(|rest| !rest.is_empty())
        .and_then(|rest| rest.get(..rest.len() - 1))
        .map(|rest| format!("{rest}a"));
    name(masked.as_deref().unwrap_or(text))
}

/// The key of a label or annotation, a condition type, a finalizer.
pub(crate) fn is_qualified_name(text: &str) -> Vec<String> {
    const MESSAGE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    const EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];
    let mut wrong = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                let prefixed = subdomain(prefix, "bytes");
                wrong.extend(prefixed.into_iter().map(|m| format!("prefix part {m}")));
            }
            *name
        }
        _ => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                form(MESSAGE, EXAMPLES, KEY)
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push(format!("name part {}", at_most(63, "bytes")));
    }
    if !is_key_name(name) {
        wrong.push(format!("name part {}", form(MESSAGE, EXAMPLES, KEY)));
    }
    wrong
}

/// The value of a label.
pub(crate) fn is_label_value(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(at_most(63, "bytes"));
    }
    if !text.is_empty() && !is_key_name(text) {
        wrong.push(form(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            &["MyValue", "my_value", "12345"],
            &format!("({KEY})?"),
        ));
    }
    wrong
}

/// The name of an environment variable or the prefix of many, as it was before 1.34.
pub(crate) fn is_env_var_name(text: &str) -> Vec<String> {
    let first = |b: u8| b.is_ascii_alphabetic() || b"-._".contains(&b);
    let well_formed = text.bytes().next().is_some_and(first)
        && text.bytes().all(|b| first(b) || b.is_ascii_digit());
    let mut wrong = Vec::new();
    if !well_formed {
        wrong.push(form(
            "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit",
            &["my.env-name", "MY_ENV.NAME", "MyEnvName1"],
            "[-._a-zA-Z][-._a-zA-Z0-9]*",
        ));
    }
    wrong.extend(climbing(text));
    wrong
}

/// The name of an environment variable since 1.34: printable ASCII without `=`.
pub(crate) fn is_relaxed_env_var_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.is_empty() {
        wrong.push("environment variable name must be non-empty".to_owned());
    }
    let printable = |c: char| c == ' ' || c.is_ascii_graphic();
    if !text.chars().all(|c| printable(c) && c != '=') {
        wrong.push(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
                .to_owned(),
        );
    }
    wrong
}

/// A key of a ConfigMap or Secret, which becomes a file name.
pub(crate) fn is_config_map_key(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(at_most(253, "characters"));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if text.is_empty() || !text.bytes().all(allowed) {
        wrong.push(form(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            &["key.name", "KEY_NAME", "key-name"],
            "[-._a-zA-Z0-9]+",
        ));
    }
    wrong.extend(climbing(text));
    wrong
}

/// Names that would lead out of a folder.
fn climbing(text: &str) -> Option<String> {
    match text {
        "." => Some("must not be '.'".to_owned()),
        ".." => Some("must not be '..'".to_owned()),
        _ if text.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    }
}

/// The name of a port.
pub(crate) fn is_port_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 15 {
        wrong.push(at_most(15, "characters"));
    }
    if text.is_empty() || !text.bytes().all(|b| lower_alnum(b) || b == b'-') {
        wrong.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        );
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_owned());
    }
    wrong
}

/// The name of a header of an HTTP request.
pub(crate) fn is_http_header_name(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    vec![form(
        "a valid HTTP header must consist of alphanumeric characters or '-'",
        &["X-Header-Name"],
        "[-A-Za-z0-9]+",
    )]
}

/// A number of a range, both ends included.
pub(crate) fn in_range(number: i64, low: i64, high: i64) -> Option<String> {
    let inside = (low..=high).contains(&number);
    (!inside).then(|| format!("must be between {low} and {high}, inclusive"))
}

/// A TCP or UDP port.
pub(crate) fn is_port_number(port: i64) -> Option<String> {
    in_range(port, 1, 65535)
}

/// A user or group id.
pub(crate) fn is_id(id: i64) -> Option<String> {
    in_range(id, 0, i64::from(i32::MAX))
}

/// Whether a sysctl's name is well formed, with dots or slashes between its parts.
pub(crate) fn is_sysctl_name(text: &str) -> bool {
    text.len() <= 253
        && text
            .split(['.', '/'])
            .all(|part| framed(part, lower_alnum, |b| b == b'-' || b == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_be_63_long_and_neither_dotted_nor_upper_case() {
        assert!(is_dns1123_label(&"a".repeat(63)).is_empty());
        assert_eq!(
            is_dns1123_label(&"a".repeat(64)),
            ["must be no more than 63 characters"]
        );
        assert_eq!(is_dns1123_label("a.b"), ["must not contain dots"]);
        for bad in ["", "A", "-a", "a-", "a_b", "ä", ".", "a..b"] {
            let wrong = is_dns1123_label(bad);
            assert_eq!(wrong.len(), 1, "{bad:?}");
            assert!(wrong[0].ends_with("(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_may_have_one_prefix_that_is_a_domain() {
        for good in ["a", "A.b_c-d", "example.com/a", "1"] {
            assert!(is_qualified_name(good).is_empty(), "{good:?}");
        }
        for (bad, count) in [
            ("", 2),
            ("/a", 1),
            ("a/", 2),
            ("A/b", 1),
            ("a/b/c", 1),
            ("-", 1),
        ] {
            assert_eq!(is_qualified_name(bad).len(), count, "{bad:?}");
        }
    }

    #[test]
    fn a_name_prefix_may_end_with_a_dash() {
        assert!(is_name_prefix("web-", is_dns1123_subdomain).is_empty());
        assert!(!is_name_prefix("-", is_dns1123_subdomain).is_empty());
        assert!(!is_name_prefix("Web-", is_dns1123_subdomain).is_empty());
        assert!(!is_name_prefix("ä-", is_dns1123_subdomain).is_empty());
    }
}
