//! `$(NAME)` in commands, arguments and values of variables.

/// Replaces each `$(NAME)` by what `lookup` knows of it; one pass, values are inserted as they are.
///
/// `$$` is one `$`, so `$$(NAME)` stays `$(NAME)`. What `lookup` does not know, and any other `$`, stays as it stands.
pub fn expand(input: &str, mut lookup: impl FnMut(&str) -> Option<String>) -> String {
    let mut output = String::with_capacity(input.len());
    let mut rest = input;
    while let Some((before, after)) = rest.split_once('$') {
        output.push_str(before);
        if let Some(escaped) = after.strip_prefix('$') {
            output.push('$');
            rest = escaped;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match lookup(name) {
                Some(value) => output.push_str(&value),
                None => {
                    output.push_str("$(");
                    output.push_str(name);
                    output.push(')');
                }
            }
            rest = tail;
        } else {
            output.push('$');
            // What follows is copied unread, so that the `$` of `$($(A)` begins nothing.
            let next = after.chars().next().map_or(0, char::len_utf8);
            let (copied, tail) = after.split_at(next);
            output.push_str(copied);
            rest = tail;
        }
    }
    output.push_str(rest);
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(input: &str, expect: &str) {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            "REF" => Some("$(A)".to_owned()),
            _ => None,
        };
        assert_eq!(expand(input, lookup), expect, "{input}");
    }

    #[test]
    fn a_reference_is_replaced_once_and_an_escaped_one_is_not() {
        for (input, expect) in [
            ("$(A)-$(A)", "1-1"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(REF)", "$(A)"),
            ("[$(EMPTY)]", "[]"),
            ("$(NONE)", "$(NONE)"),
            ("$A ${A} $", "$A ${A} $"),
            ("$(A", "$(A"),
            ("$($(A)", "$($(A)"),
            ("$£$(A)", "$£1"),
            ("", ""),
        ] {
            check(input, expect);
        }
    }

    proptest! {
        #[test]
        fn text_without_dollars_is_left_alone(text in "[^$]*") {
            prop_assert_eq!(expand(&text, |_| Some("x".to_owned())), text);
        }

        #[test]
        fn escaping_every_dollar_gives_the_text_back(text in ".*") {
            let escaped = text.replace('$', "$$");
            prop_assert_eq!(expand(&escaped, |_| Some("x".to_owned())), text);
        }
    }
}
