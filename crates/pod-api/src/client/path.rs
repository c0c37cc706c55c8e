//! Paths with queries.

use std::fmt::Write;

/// Path and query of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    text: String,
    asks: bool,
}

impl Target {
    /// A fixed path.
    pub(super) fn new(path: &str) -> Self {
        Self {
            text: path.to_owned(),
            asks: false,
        }
    }

    /// One more component; whatever a user typed, it stays one.
    pub(super) fn child(mut self, name: &str) -> Self {
        self.text.push('/');
        encode(&mut self.text, name);
        self
    }

    /// One more parameter.
    pub(super) fn ask(mut self, name: &str, value: &str) -> Self {
        self.text.push(if self.asks { '&' } else { '?' });
        self.asks = true;
        self.text.push_str(name);
        self.text.push('=');
        encode(&mut self.text, value);
        self
    }

    /// The parameter, if there is a value.
    pub(super) fn ask_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.ask(name, &value.to_string()),
            None => self,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_types_stays_one_component_and_one_parameter() {
        let target = Target::new("/a")
            .child("../b?c")
            .ask("x", "1&y=2")
            .ask_if("z", None::<u8>)
            .ask_if("n", Some(3));
        assert_eq!(target.as_str(), "/a/..%2Fb%3Fc?x=1%26y%3D2&n=3");
    }
}
