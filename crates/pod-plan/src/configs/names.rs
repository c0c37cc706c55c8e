//! Forms of names, with the API server's words for what is wrong.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !text.is_empty()
        && text.bytes().all(|b| inner(b) || b == b'-')
        && text.bytes().next().is_some_and(inner)
        && text.bytes().last().is_some_and(inner)
}

/// What is wrong with a DNS label of at most 63 characters.
pub(super) fn dns_label(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > 63 {
        problems.push("must be no more than 63 characters".to_owned());
    }
    if !is_dns_label(text) {
        problems.push(if text.split('.').all(is_dns_label) {
            "must not contain dots".to_owned()
        } else {
            format!(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
                 with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
            )
        });
    }
    problems
}

/// What is wrong with a DNS subdomain of at most 253 characters.
pub(super) fn dns_subdomain(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > 253 {
        problems.push("must be no more than 253 characters".to_owned());
    }
    if !text.split('.').all(is_dns_label) {
        problems.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end \
             with an alphanumeric character (e.g. 'example.com', regex used for validation is '{LABEL}(\\.{LABEL})*')"
        ));
    }
    problems
}

/// What is wrong with the key of a label or annotation: a name, or a DNS subdomain, `/` and a name.
pub(super) fn label_key(text: &str) -> Vec<String> {
    const NAME: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                        character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                        '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let mut problems = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                let wrong = dns_subdomain(prefix);
                problems.extend(wrong.into_iter().map(|p| {
                    // This check counts bytes and says so, the others say characters.
                    format!("prefix part {}", p.replace("253 characters", "253 bytes"))
                }));
            }
            *name
        }
        _ => {
            return vec![format!(
                "a valid label key {NAME} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        problems.push("name part must be no more than 63 bytes".to_owned());
    }
    let outer = |b: u8| b.is_ascii_alphanumeric();
    let is_name = name
        .bytes()
        .all(|b| outer(b) || matches!(b, b'-' | b'_' | b'.'))
        && name.bytes().next().is_some_and(outer)
        && name.bytes().last().is_some_and(outer);
    if !is_name {
        problems.push(format!("name part {NAME}"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of each problem, up to its first comma or parenthesis.
    fn short(problems: &[String]) -> Vec<&str> {
        let of = |p: &'_ String| p.find([',', '(']).unwrap_or(p.len());
        let cut = problems.iter().map(|p| p.split_at(of(p)).0.trim());
        cut.collect()
    }

    const BAD_LABEL: &str =
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'";
    const BAD_SUBDOMAIN: &str =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters";
    const BAD_NAME: &str = "name part must consist of alphanumeric characters";

    #[test]
    fn a_label_has_letters_digits_and_inner_hyphens_63_at_most() {
        let long = |n| "a".repeat(n);
        for (text, problems) in [
            ("a".to_owned(), &[][..]),
            ("0-a".to_owned(), &[]),
            (long(63), &[]),
            (long(64), &["must be no more than 63 characters"]),
            (long(70), &["must be no more than 63 characters"]),
            ("a.b".to_owned(), &["must not contain dots"]),
            (String::new(), &[BAD_LABEL]),
            ("-a".to_owned(), &[BAD_LABEL]),
            ("a-".to_owned(), &[BAD_LABEL]),
            ("aB".to_owned(), &[BAD_LABEL]),
            ("a_b".to_owned(), &[BAD_LABEL]),
            ("a..b".to_owned(), &[BAD_LABEL]),
        ] {
            assert_eq!(short(&dns_label(&text)), problems, "{text:?}");
        }
    }

    #[test]
    fn a_subdomain_is_labels_between_dots_253_characters_at_most() {
        let long = |n: usize| "a".repeat(n);
        for (text, problems) in [
            ("a.b-c.0".to_owned(), &[][..]),
            (long(253), &[]),
            (long(254), &["must be no more than 253 characters"]),
            (long(300), &["must be no more than 253 characters"]),
            ("a..b".to_owned(), &[BAD_SUBDOMAIN]),
            (String::new(), &[BAD_SUBDOMAIN]),
        ] {
            assert_eq!(short(&dns_subdomain(&text)), problems, "{text:?}");
        }
    }

    #[test]
    fn a_key_is_a_name_perhaps_behind_a_subdomain() {
        let long = |n: usize| "a".repeat(n);
        for (text, problems) in [
            ("a".to_owned(), &[][..]),
            ("My_name.1-x".to_owned(), &[]),
            ("example.com/a".to_owned(), &[]),
            (long(63), &[]),
            (long(64), &["name part must be no more than 63 bytes"]),
            (long(80), &["name part must be no more than 63 bytes"]),
            ("-a".to_owned(), &[BAD_NAME]),
            ("a-".to_owned(), &[BAD_NAME]),
            ("a b".to_owned(), &[BAD_NAME]),
            ("/a".to_owned(), &["prefix part must be non-empty"]),
            ("a/".to_owned(), &["name part must be non-empty", BAD_NAME]),
            (
                format!("{}/a", long(254)),
                &["prefix part must be no more than 253 bytes"],
            ),
            (
                "a/b/c".to_owned(),
                &["a valid label key must consist of alphanumeric characters"],
            ),
        ] {
            assert_eq!(short(&label_key(&text)), problems, "{text:?}");
        }
    }
}
