//! What a scalar means. Kubernetes reads YAML 1.1, where bare `yes` is a boolean and `0644` is octal, so this does too.

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// The text after the syntax's own unescaping.
    pub(crate) text: String,
    /// Without quotes, so that it may be something else than a string.
    pub(crate) plain: bool,
}

/// What a scalar is once read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    Null,
    Bool(bool),
    Integer(i64),
    /// An integer that no field can hold, or a number with a fraction or exponent.
    Number,
    String,
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        self.meaning() == Meaning::Null
    }

    pub(crate) fn is_string(&self) -> bool {
        self.meaning() == Meaning::String
    }

    /// Whether it is one of the words that are booleans in YAML 1.1 only.
    pub(crate) fn is_old_boolean(&self) -> bool {
        matches!(self.meaning(), Meaning::Bool(_))
            && !self.text.eq_ignore_ascii_case("true")
            && !self.text.eq_ignore_ascii_case("false")
    }

    pub(crate) fn meaning(&self) -> Meaning {
        if !self.plain {
            return Meaning::String;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                Meaning::Bool(true)
            }
            "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off"
            | "OFF" => Meaning::Bool(false),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
            | "-.INF" | ".nan" | ".NaN" | ".NAN" => Meaning::Number,
            text => number(text),
        }
    }
}

/// Reads a number as Go's `strconv.ParseInt(text, 0, 64)` and the YAML 1.1 pattern of floats do.
fn number(text: &str) -> Meaning {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Meaning::String;
    }
    let digits: String = unsigned.chars().filter(|c| *c != '_').collect();
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = if let Some(body) = lower.strip_prefix("0x") {
        (16, body)
    } else if let Some(body) = lower.strip_prefix("0b") {
        (2, body)
    } else if let Some(body) = lower.strip_prefix("0o") {
        (8, body)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.get(1..).unwrap_or_default())
    } else {
        (10, lower.as_str())
    };
    if !body.is_empty() && body.chars().all(|c| c.is_digit(radix)) {
        let sign = if text.starts_with('-') { "-" } else { "" };
        return match i64::from_str_radix(&format!("{sign}{body}"), radix) {
            Ok(n) => Meaning::Integer(n),
            Err(_) => Meaning::Number,
        };
    }
    if is_float(&digits) {
        Meaning::Number
    } else {
        Meaning::String
    }
}

/// `[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?` or `\.[0-9]+(…)?`.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |t: &str| t.chars().all(|c| c.is_ascii_digit());
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && all_digits(e)
    });
    (!whole.is_empty() || !fraction.is_empty())
        && all_digits(whole)
        && all_digits(fraction)
        && exponent_ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_word_means_what_yaml_1_1_says() {
        for (text, meaning) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("null", Meaning::Null),
            ("yes", Meaning::Bool(true)),
            ("On", Meaning::Bool(true)),
            ("n", Meaning::Bool(false)),
            ("oN", Meaning::String),
            ("5", Meaning::Integer(5)),
            ("-5", Meaning::Integer(-5)),
            ("+5", Meaning::Integer(5)),
            ("0644", Meaning::Integer(0o644)),
            ("0o644", Meaning::Integer(0o644)),
            ("0x1F", Meaning::Integer(31)),
            ("0b11", Meaning::Integer(3)),
            ("1_000", Meaning::Integer(1000)),
            ("0", Meaning::Integer(0)),
            ("09", Meaning::Number),
            ("1.5", Meaning::Number),
            ("1e3", Meaning::Number),
            (".5", Meaning::Number),
            ("5.", Meaning::Number),
            (".inf", Meaning::Number),
            ("9223372036854775807", Meaning::Integer(i64::MAX)),
            ("-9223372036854775808", Meaning::Integer(i64::MIN)),
            ("9223372036854775808", Meaning::Number),
            (".", Meaning::String),
            ("-", Meaning::String),
            ("1e", Meaning::String),
            ("1.2.3", Meaning::String),
            ("100m", Meaning::String),
            ("2001-01-01", Meaning::String),
            ("0x", Meaning::String),
            ("12:30", Meaning::String),
        ] {
            let scalar = Scalar {
                text: text.to_owned(),
                plain: true,
            };
            assert_eq!(scalar.meaning(), meaning, "{text:?}");
        }
    }

    #[test]
    fn a_quoted_word_is_a_string() {
        let scalar = Scalar {
            text: "yes".to_owned(),
            plain: false,
        };
        assert!(scalar.is_string() && !scalar.is_old_boolean());
    }
}
