//! Label and field selectors of list and watch.

use std::collections::BTreeMap;

/// A label selector: all of its requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// What is wrong with a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse requirement {part:?} of selector {text:?}: {problem}")]
pub struct SelectorError {
    /// The whole.
    pub text: String,
    /// The part that cannot be read.
    pub part: String,
    /// Why.
    pub problem: &'static str,
}

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h`. The empty text matches everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let parts = split(text);
        let requirements = parts
            .into_iter()
            .map(|part| {
                requirement(part).map_err(|problem| SelectorError {
                    text: text.to_owned(),
                    part: part.to_owned(),
                    problem,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self(requirements))
    }

    /// Whether an object with these labels is meant.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|r| match r {
            Requirement::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Requirement::NotIn(key, values) => !labels.get(key).is_some_and(|v| values.contains(v)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        })
    }
}

/// Splits at commas outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

fn requirement(part: &str) -> Result<Requirement, &'static str> {
    if let Some(key) = part.strip_prefix('!') {
        return Ok(Requirement::Absent(name(key)?));
    }
    if let Some(list) = part.strip_suffix(')') {
        let (head, values) = list.split_once('(').ok_or("found ')' without '('")?;
        let values = values.split(',').map(|v| v.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Ok(Requirement::In(name(key)?, values)),
            (Some(key), Some("notin"), None) => Ok(Requirement::NotIn(name(key)?, values)),
            _ => Err("expected KEY in (…) or KEY notin (…)"),
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(
            name(key)?,
            vec![value.trim().to_owned()],
        ));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(name(key)?, vec![value.trim().to_owned()]));
    }
    Ok(Requirement::Exists(name(part)?))
}

fn name(key: &str) -> Result<String, &'static str> {
    let key = key.trim();
    if key.is_empty() {
        return Err("the label's name is missing");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !key.chars().all(allowed) {
        return Err("a label's name consists of letters, digits, '-', '_', '.' and one '/'");
    }
    Ok(key.to_owned())
}

/// A field selector: `field=value` or `field!=value`, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// Reads the selector; `known` are the fields that this kind of object can be selected by.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, SelectorError> {
        let mut all = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let fail = |problem| SelectorError {
                text: text.to_owned(),
                part: part.to_owned(),
                problem,
            };
            let (field, equal, value) = if let Some((field, value)) = part.split_once("!=") {
                (field, false, value)
            } else {
                let pair = part.split_once("==").or_else(|| part.split_once('='));
                let (field, value) = pair.ok_or_else(|| fail("expected FIELD=VALUE"))?;
                (field, true, value)
            };
            if !known.contains(&field.trim()) {
                return Err(fail("field label not supported"));
            }
            all.push((field.trim().to_owned(), equal, value.trim().to_owned()));
        }
        Ok(Self(all))
    }

    /// Whether an object is meant whose fields `value` tells.
    pub fn matches(&self, value: impl Fn(&str) -> String) -> bool {
        self.0
            .iter()
            .all(|(field, equal, wanted)| (value(field) == *wanted) == *equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> BTreeMap<String, String> {
        [("app", "web"), ("tier", "front"), ("empty", "")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    }

    #[test]
    fn every_form_of_a_requirement_selects() {
        for (text, meant) in [
            ("", true),
            ("app=web", true),
            ("app==web, tier=front", true),
            ("app=db", false),
            ("app!=db", true),
            ("missing!=x", true),
            ("app in (web, db),tier notin (back)", true),
            ("app in (db)", false),
            ("missing notin (x)", true),
            ("app", true),
            ("missing", false),
            ("!missing", true),
            ("!app", false),
            ("empty=", true),
            ("example.com/app", false),
        ] {
            let selector = LabelSelector::parse(text).unwrap();
            assert_eq!(selector.matches(&labels()), meant, "{text:?}");
        }
        for bad in ["=x", "a in", "a in x)", "(a)", "a b", "!", "a of (b)"] {
            assert!(LabelSelector::parse(bad).is_err(), "{bad:?} was read");
        }
    }

    #[test]
    fn a_field_selector_knows_its_fields() {
        let known = ["metadata.name", "status.phase"];
        let selector =
            FieldSelector::parse("metadata.name=p,status.phase!=Failed", &known).unwrap();
        let phase =
            |p: &'static str| move |f: &str| if f == "metadata.name" { "p" } else { p }.to_owned();
        assert!(selector.matches(phase("Running")));
        assert!(!selector.matches(phase("Failed")));
        assert!(FieldSelector::parse("spec.color=red", &known).is_err());
        assert!(FieldSelector::parse("metadata.name", &known).is_err());
    }
}
