//! A quantity from its text.

use super::amount::{Amount, FINEST, enlarge};
use super::format::{Factor, Format, interpret};
use num_bigint::{BigInt, Sign};

/// Why a text is no quantity. The texts are the API server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number with a suffix.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// No digits.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// No such suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) amount: Amount,
    pub(super) format: Format,
    /// The text counts as canonical and is printed again as it is.
    pub(super) keep_text: bool,
}

/// A text taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Scanned<'a> {
    negative: bool,
    /// Digits before the point, without leading zeros; `0` if there are none.
    whole: &'a str,
    /// Digits after it.
    fraction: &'a str,
    suffix: &'a str,
    /// Whether the number has any digit.
    has_digits: bool,
}

/// Most digits that int64 can always hold.
const INT64_DIGITS: i64 = 18;

pub(super) fn parse(text: &str) -> Result<Parsed, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Format);
    }
    let scanned = scan(text)?;
    let (factor, format) = interpret(scanned.suffix).ok_or(QuantityError::Suffix)?;
    if let Some(parsed) = short(&scanned, factor, format) {
        return Ok(parsed);
    }
    if !scanned.has_digits {
        return Err(QuantityError::Number);
    }
    Ok(long(&scanned, factor, format))
}

fn scan(text: &str) -> Result<Scanned<'_>, QuantityError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let negative = text.starts_with('-');
    let number_end = unsigned
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at(number_end);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(after) => after.split_at(
            after
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(after.len()),
        ),
        None => ("", rest),
    };
    let exponent = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    if exponent.bytes().any(|b| !b.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    let whole = digits.trim_start_matches('0');
    // A lone sign counts as zero, a lone point before an exponent does not.
    let has_digits = !digits.is_empty() || !fraction.is_empty();
    Ok(Scanned {
        negative,
        whole: if whole.is_empty() { "0" } else { whole },
        fraction,
        suffix,
        has_digits,
    })
}

/// The way of a text that int64 is sure to hold; `None` if this is none.
fn short(scanned: &Scanned<'_>, factor: Factor, format: Format) -> Option<Parsed> {
    let (whole, fraction) = (
        i64::try_from(scanned.whole.len()).ok()?,
        i64::try_from(scanned.fraction.len()).ok()?,
    );
    let (room, scale, mantissa) = match factor {
        Factor::Ten(power) => (INT64_DIGITS - whole - fraction, i64::from(power), 1),
        Factor::Two(power) if fraction == 0 => {
            let digits = i64::from(power) * 3 / 10;
            (15 - whole - digits - 1, 0, 1_i64.checked_shl(power)?)
        }
        Factor::Two(_) => return None,
    };
    let scale = i32::try_from(scale - fraction).ok()?;
    if room < 0 || scale < FINEST {
        return None;
    }
    let digits = format!("{}{}", scanned.whole, scanned.fraction);
    let number: i64 = digits.parse().ok()?;
    let value = number.checked_mul(mantissa)?;
    let keep_text = match factor {
        Factor::Two(_) => number & 7 != 0,
        Factor::Ten(_) => scale % 3 == 0 && !digits.ends_with("000") && !digits.starts_with('0'),
    };
    Some(Parsed {
        amount: Amount::Small {
            value: if scanned.negative { -value } else { value },
            scale,
        },
        format,
        keep_text,
    })
}

/// The way of any other text: rounded up to whole units of 10^-9; a binary one is at most the largest int64.
fn long(scanned: &Scanned<'_>, factor: Factor, format: Format) -> Parsed {
    let (mut value, mut scale) = (units(scanned, factor), FINEST);
    let mut format = format;
    if format == Format::BinarySI {
        let most = BigInt::from(i64::MAX);
        if value > enlarge(&most, -FINEST) {
            (value, scale) = (most, 0);
        }
        // A fraction of one is clearer with a decimal suffix.
        if value.sign() == Sign::Plus && value < enlarge(&BigInt::from(1), -scale) {
            format = Format::DecimalSI;
        }
    }
    Parsed {
        amount: Amount::Wide {
            value: if scanned.negative { -value } else { value },
            scale,
        },
        format,
        keep_text: false,
    }
}

/// The number of units of 10^-9 not below the number without its sign.
fn units(scanned: &Scanned<'_>, factor: Factor) -> BigInt {
    let digits = format!("{}{}", scanned.whole, scanned.fraction);
    let places = i32::try_from(scanned.fraction.len()).unwrap_or(i32::MAX);
    match factor {
        Factor::Ten(power) => {
            let scale = power.saturating_sub(places).saturating_sub(FINEST);
            if scale >= 0 {
                return enlarge(&read(&digits), scale);
            }
            let kept = i32::try_from(digits.len())
                .unwrap_or(i32::MAX)
                .saturating_add(scale);
            let (kept, lost) = digits.split_at(usize::try_from(kept).unwrap_or(0));
            read(kept) + u8::from(lost.bytes().any(|d| d != b'0'))
        }
        Factor::Two(power) => {
            let product = enlarge(&(read(&digits) << power), -FINEST);
            let unit = enlarge(&BigInt::from(1), places);
            let lost = (&product % &unit).sign() != Sign::NoSign;
            product / unit + u8::from(lost)
        }
    }
}

/// Decimal digits as a number; none are 0.
fn read(digits: &str) -> BigInt {
    BigInt::parse_bytes(digits.as_bytes(), 10).unwrap_or(BigInt::ZERO)
}
