//! Amounts of a resource (`resource.Quantity`): parsed, compared by value, printed in canonical form.
//!
//! Texts, canonical forms and the integers taken from a quantity are those of `k8s.io/apimachinery/pkg/api/resource`, its wrap-around
//! at the ends of int64 included: a manifest must get the same limit here as on a cluster.

mod amount;
mod canonical;
mod format;
mod parse;
#[cfg(test)]
mod tests;

pub use format::Format;
pub use parse::QuantityError;

use amount::{Amount, aligned};
use num_bigint::{BigInt, Sign};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// An amount such as `500m`, `1Gi` or `1e3`. Compared by value (`1024Mi` equals `1Gi`), printed in canonical form.
///
/// The finest unit is 10^-9, finer amounts are rounded away from zero.
#[derive(Clone, Default)]
pub struct Quantity {
    amount: Amount,
    format: Format,
    /// What was parsed, where that is to be printed again as it is.
    text: Option<Box<str>>,
}

impl Quantity {
    /// A whole number.
    pub fn from_value(value: i64, format: Format) -> Self {
        Self::from_amount(Amount::small(value, 0), format)
    }

    /// A number of thousandths.
    pub fn from_milli(milli: i64, format: Format) -> Self {
        Self::from_amount(Amount::small(milli, -3), format)
    }

    /// `unscaled` × 10^`scale`.
    pub fn from_scaled(unscaled: i128, scale: i32, format: Format) -> Self {
        Self::from_amount(Amount::wide(BigInt::from(unscaled), scale), format)
    }

    fn from_amount(amount: Amount, format: Format) -> Self {
        Self {
            amount,
            format,
            text: None,
        }
    }

    /// How it is printed: the family of its suffix.
    pub fn format(&self) -> Format {
        self.format
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        self.amount.sign()
    }

    /// Whether it is nothing at all.
    pub fn is_zero(&self) -> bool {
        self.sign() == 0
    }

    /// The whole number not below it. As in Kubernetes, what int64 cannot hold comes out as 0 or wrapped (`12E` is 0):
    /// [`Quantity::saturating_value`] for uses of one's own.
    pub fn value(&self) -> i64 {
        self.amount.scaled(0)
    }

    /// The number of thousandths not below it, with the same ends as [`Quantity::value`].
    pub fn milli_value(&self) -> i64 {
        self.amount.scaled(-3)
    }

    /// The whole number next to it, away from zero, at most the ends of int64.
    pub fn saturating_value(&self) -> i64 {
        let (whole, _) = self.amount.round_up(0);
        let (whole, _, _) = aligned(&whole, &Amount::small(1, 0));
        saturated(&whole)
    }

    /// The next multiple of 10^`scale` away from zero, and whether it was one already.
    #[must_use]
    pub fn round_up(&self, scale: i32) -> (Self, bool) {
        let (amount, exact) = self.amount.round_up(scale);
        // The text stays where nothing had to be counted.
        let text = self.text.clone().filter(|_| self.amount.scale() >= scale);
        let rounded = Self {
            amount,
            format: self.format,
            text,
        };
        (rounded, exact)
    }

    /// Their sum, in the format of `self`, or of `other` where `self` is zero.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Self::from_amount(self.amount.add(&other.amount), format)
    }

    /// Their difference, in the format of `self`, or of `other` where `self` is zero.
    #[must_use]
    pub fn sub(&self, other: &Self) -> Self {
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Self::from_amount(self.amount.add(&other.amount.negated()), format)
    }

    /// `self` / `divisor` rounded up to the next whole number away from zero; `None` for a zero divisor. At most the ends of int64.
    pub fn ceil_div(&self, divisor: &Self) -> Option<i64> {
        if divisor.is_zero() {
            return None;
        }
        let (n, d, _) = aligned(&self.amount, &divisor.amount);
        let (quotient, rest) = (&n / &d, &n % &d);
        let up = match rest.sign() {
            Sign::NoSign => 0,
            _ if n.sign() == d.sign() => 1,
            _ => -1,
        };
        Some(saturated(&(quotient + up)))
    }
}

/// The integer, or the end of int64 that is next to it.
fn saturated(value: &BigInt) -> i64 {
    i64::try_from(value).unwrap_or(match value.sign() {
        Sign::Minus => i64::MIN,
        _ => i64::MAX,
    })
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.amount.cmp(&other.amount)
    }
}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.amount.hash(state);
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.pad(text),
            None => f.pad(&canonical::text(&self.amount, self.format)),
        }
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quantity({self})")
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let parsed = parse::parse(text)?;
        Ok(Self {
            amount: parsed.amount,
            format: parsed.format,
            text: parsed.keep_text.then(|| text.into()),
        })
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// From a string or a number; null is zero, and blanks around the text are left out, as the API server does.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as 500m or 1Gi")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quantity, E> {
                text.trim().parse().map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Quantity, E> {
                Ok(Quantity::from_value(value, Format::DecimalSI))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Quantity, E> {
                value.to_string().parse().map_err(E::custom)
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Quantity, E> {
                value.to_string().parse().map_err(E::custom)
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Quantity, E> {
                Ok(Quantity::default())
            }

            fn visit_none<E: serde::de::Error>(self) -> Result<Quantity, E> {
                Ok(Quantity::default())
            }
        }

        deserializer
            .deserialize_any(Reader)
            .map_err(D::Error::custom)
    }
}
