//! The three ways to print a quantity, and their suffixes.

/// How a quantity is printed: the family of its suffix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `12M`: powers of 1000 by letter.
    #[default]
    DecimalSI,
    /// `12Mi`: powers of 1024 by letter.
    BinarySI,
    /// `12e6`: powers of ten by number.
    DecimalExponent,
}

impl Format {
    /// Its name in Kubernetes.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::DecimalSI => "DecimalSI",
            Format::BinarySI => "BinarySI",
            Format::DecimalExponent => "DecimalExponent",
        }
    }
}

/// Letters of powers of ten.
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// Letters of powers of two.
const BINARY: [(&str, u32); 6] = [
    ("Ki", 10),
    ("Mi", 20),
    ("Gi", 30),
    ("Ti", 40),
    ("Pi", 50),
    ("Ei", 60),
];

/// What a suffix multiplies by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Factor {
    /// 10 to that power.
    Ten(i32),
    /// 2 to that power.
    Two(u32),
}

/// The highest power of ten that has a letter.
pub(super) const LARGEST_LETTER: i32 = 18;

/// The highest power of ten that is told apart.
const MOST: i64 = 10_000;

/// Reads a suffix; `None` if there is no such one.
pub(super) fn interpret(suffix: &str) -> Option<(Factor, Format)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Some((Factor::Ten(*power), Format::DecimalSI));
    }
    if let Some((_, power)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        return Some((Factor::Two(*power), Format::BinarySI));
    }
    let digits = suffix.strip_prefix(['e', 'E']).filter(|d| !d.is_empty())?;
    let power: i64 = digits.parse().ok()?;
    // No resource comes in such amounts: the ends stand for all powers beyond them, so that a long number costs no time.
    let power = i32::try_from(power.clamp(-MOST, MOST)).ok()?;
    Some((Factor::Ten(power), Format::DecimalExponent))
}

/// The suffix for a power of ten, a multiple of 3 from -9 on.
pub(super) fn decimal_suffix(power: i32, format: Format) -> String {
    if format == Format::DecimalExponent {
        return if power == 0 {
            String::new()
        } else {
            format!("e{power}")
        };
    }
    DECIMAL
        .iter()
        .find(|(_, p)| *p == power)
        .map_or(String::new(), |(s, _)| (*s).to_owned())
}

/// The suffix for 1024 to that power, 0 to 6.
pub(super) fn binary_suffix(power: u32) -> &'static str {
    BINARY
        .iter()
        .find(|(_, p)| *p == power * 10)
        .map_or("", |(s, _)| s)
}
