//! Text to templates and paths.

use super::{BadPath, Compare, Filter, Operand, Path, Piece, Step};
use serde_json::Value;

/// `range` and filters within each other; more than anybody writes, and no more than the stack holds.
const DEEPEST: usize = 32;

type Read<T> = Result<T, BadPath>;

/// What is left to read.
struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

/// What ends a list of pieces.
#[derive(PartialEq, Eq)]
enum End {
    Text,
    Range,
}

pub(super) fn template(text: &str) -> Read<Vec<Piece>> {
    let mut reader = Reader {
        rest: text,
        depth: 0,
    };
    let mut inside = false;
    let (pieces, end) = reader.pieces(&mut inside)?;
    if end == End::Range {
        return Err(reader.wrong("not in range, nothing to end"));
    }
    Ok(pieces)
}

pub(super) fn alone(text: &str) -> Read<Path> {
    let text = text.trim();
    let inner = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').ok_or_else(|| BadPath {
            why: "unclosed brace".to_owned(),
            rest: String::new(),
        })?,
        None => text,
    };
    if inner.is_empty() {
        return Err(BadPath {
            why: "expected a path (such as .metadata.name)".to_owned(),
            rest: String::new(),
        });
    }
    let dotted = match inner.chars().next() {
        Some('.' | '[' | '$' | '@') => inner.to_owned(),
        _ => format!(".{inner}"),
    };
    let mut reader = Reader {
        rest: &dotted,
        depth: 0,
    };
    let path = reader.path()?;
    if reader.rest.is_empty() {
        Ok(path)
    } else {
        Err(reader.wrong("unexpected text"))
    }
}

impl Reader<'_> {
    fn wrong(&self, why: &str) -> BadPath {
        BadPath {
            why: why.to_owned(),
            rest: self.rest.to_owned(),
        }
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, text: &str) -> Read<()> {
        if self.eat(text) {
            Ok(())
        } else {
            Err(self.wrong(&format!("expected {text:?}")))
        }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn while_true(&mut self, wanted: impl Fn(char) -> bool) -> &str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth == DEEPEST {
            return Err(self.wrong("too many levels"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Pieces until the text or the `range` ends. `inside`: between braces.
    fn pieces(&mut self, inside: &mut bool) -> Read<(Vec<Piece>, End)> {
        let mut found = Vec::new();
        loop {
            if !*inside {
                let text = self.while_true(|c| c != '{');
                if !text.is_empty() {
                    found.push(Piece::Text(text.to_owned()));
                }
                if self.rest.is_empty() {
                    return Ok((found, End::Text));
                }
                self.need("{")?;
                *inside = true;
            }
            self.blanks();
            if self.eat("}") {
                *inside = false;
            } else if self.word("end") {
                return Ok((found, End::Range));
            } else if self.word("range") {
                self.blanks();
                let path = self.path()?;
                let (inner, end) = self.deeper(|r| r.pieces(inside))?;
                if end == End::Text {
                    return Err(self.wrong("unclosed range, {end} is missing"));
                }
                found.push(Piece::Range(path, inner));
            } else {
                found.push(match self.rest.chars().next() {
                    None => return Err(self.wrong("unclosed brace")),
                    Some('"' | '\'') => Piece::Text(self.quoted()?),
                    Some('.' | '[' | '$' | '@') => Piece::Path(self.path()?),
                    Some(_) => {
                        return Err(
                            self.wrong("expected a path (such as .metadata.name), text in quotes, range or end")
                        );
                    }
                });
            }
        }
    }

    /// A word that does not go on.
    fn word(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) if !rest.starts_with(name_char) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn quoted(&mut self) -> Read<String> {
        let quote = self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.wrong("unclosed quotes")),
                c if c == quote => return Ok(text),
                Some('\\') => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(c) => text.push(c),
                    None => return Err(self.wrong("unclosed quotes")),
                },
                Some(c) => text.push(c),
            }
        }
    }

    fn path(&mut self) -> Read<Path> {
        let from_root = self.eat("$");
        if !from_root {
            self.eat("@");
        }
        let mut steps = Vec::new();
        loop {
            if self.eat("..") {
                steps.push(Step::Deep);
                if !self.rest.starts_with('[') {
                    steps.push(self.field()?);
                }
            } else if self.eat(".") {
                // A dot alone is the value itself; one before a bracket says nothing.
                match self.rest.chars().next() {
                    Some(c) if c == '*' || c == '\\' || name_char(c) => steps.push(self.field()?),
                    Some('[') => {}
                    _ if steps.is_empty() => {}
                    _ => return Err(self.wrong("expected a name")),
                }
            } else if self.eat("[") {
                steps.push(self.deeper(Self::bracket)?);
            } else {
                return Ok(Path { from_root, steps });
            }
        }
    }

    /// A name after a dot; `\` takes the next character as it is.
    fn field(&mut self) -> Read<Step> {
        if self.eat("*") {
            return Ok(Step::All);
        }
        let mut name = self.while_true(name_char).to_owned();
        while self.eat("\\") {
            name.extend(self.next());
            name.push_str(self.while_true(name_char));
        }
        if name.is_empty() {
            return Err(self.wrong("expected a name"));
        }
        Ok(Step::Field(name))
    }

    /// What stands in brackets, with the closing one.
    fn bracket(&mut self) -> Read<Step> {
        self.blanks();
        if self.eat("?(") {
            let filter = self.filter()?;
            self.need("]")?;
            return Ok(Step::Filter(Box::new(filter)));
        }
        let mut steps = Vec::new();
        loop {
            self.blanks();
            steps.push(match self.rest.chars().next() {
                Some('*') => {
                    self.eat("*");
                    Step::All
                }
                Some('"' | '\'') => Step::Field(self.quoted()?),
                _ => self.numbers()?,
            });
            self.blanks();
            if self.eat("]") {
                break;
            }
            self.need(",")?;
        }
        Ok(match steps.pop() {
            Some(one) if steps.is_empty() => one,
            last => {
                steps.extend(last);
                Step::Any(steps)
            }
        })
    }

    /// `0`, `-1`, `1:3`, `:2`, `::2`.
    fn numbers(&mut self) -> Read<Step> {
        let from = self.number()?;
        if !self.eat(":") {
            let index =
                from.ok_or_else(|| self.wrong("expected a number, a name in quotes or *"))?;
            return Ok(Step::Index(index));
        }
        let to = self.number()?;
        let by = if self.eat(":") { self.number()? } else { None };
        let by = usize::try_from(by.unwrap_or(1)).unwrap_or(0);
        if by == 0 {
            return Err(self.wrong("a step must be 1 or more"));
        }
        Ok(Step::Slice { from, to, by })
    }

    fn number(&mut self) -> Read<Option<i64>> {
        let before = self.rest;
        let text = self.while_true(|c| c == '-' || c.is_ascii_digit());
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse().ok();
        match number {
            Some(number) => Ok(Some(number)),
            None => {
                self.rest = before;
                Err(self.wrong("expected a number"))
            }
        }
    }

    /// The inside of `?(…)`, with the closing parenthesis.
    fn filter(&mut self) -> Read<Filter> {
        self.blanks();
        let left = self.path()?;
        self.blanks();
        let compare = [
            ("==", Compare::Equal),
            ("!=", Compare::NotEqual),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("<", Compare::Less),
            (">", Compare::Greater),
        ]
        .into_iter()
        .find(|(sign, _)| self.eat(sign));
        let right = match compare {
            None => None,
            Some((_, compare)) => {
                self.blanks();
                Some((compare, self.operand()?))
            }
        };
        self.blanks();
        self.need(")")?;
        Ok(Filter { left, right })
    }

    fn operand(&mut self) -> Read<Operand> {
        match self.rest.chars().next() {
            Some('"' | '\'') => Ok(Operand::Literal(Value::String(self.quoted()?))),
            Some('@' | '$' | '[') => Ok(Operand::Path(self.path()?)),
            _ => {
                let before = self.rest;
                let word = self.while_true(|c| name_char(c) || c == '.');
                match serde_json::from_str(word) {
                    Ok(value) => Ok(Operand::Literal(value)),
                    Err(_) => {
                        self.rest = before;
                        Err(self.wrong("expected text in quotes, a number, true or false"))
                    }
                }
            }
        }
    }
}

/// What a name after a dot may consist of.
fn name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '/')
}
