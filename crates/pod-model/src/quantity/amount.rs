//! The number in a quantity: a mantissa times a power of ten, in 64 bits where it fits and of any length where not.
//!
//! The two are kept apart because Kubernetes does: what it makes of a number that int64 cannot hold depends on which one it used.

use num_bigint::{BigInt, Sign};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// The finest power of ten that is kept.
pub(super) const FINEST: i32 = -9;

/// `mantissa` × 10^`scale`; `scale` is never below [`FINEST`]. Equal amounts are equal however they are held.
#[derive(Clone, Debug)]
pub(super) enum Amount {
    /// Came from a short text, or from sums of such that fit.
    Small { value: i64, scale: i32 },
    /// Everything else.
    Wide { value: BigInt, scale: i32 },
}

impl Default for Amount {
    fn default() -> Self {
        Amount::Small { value: 0, scale: 0 }
    }
}

impl Amount {
    /// A 64-bit amount; finer than 10^-9 is rounded away from zero.
    pub(super) fn small(value: i64, scale: i32) -> Self {
        Amount::Small { value, scale }.not_finer()
    }

    /// An amount of any length; finer than 10^-9 is rounded away from zero.
    pub(super) fn wide(value: BigInt, scale: i32) -> Self {
        Amount::Wide { value, scale }.not_finer()
    }

    fn not_finer(self) -> Self {
        if self.scale() < FINEST {
            self.round_up(FINEST).0
        } else {
            self
        }
    }

    pub(super) fn mantissa(&self) -> BigInt {
        match self {
            Amount::Small { value, .. } => BigInt::from(*value),
            Amount::Wide { value, .. } => value.clone(),
        }
    }

    pub(super) fn scale(&self) -> i32 {
        match self {
            Amount::Small { scale, .. } | Amount::Wide { scale, .. } => *scale,
        }
    }

    pub(super) fn sign(&self) -> i32 {
        match self {
            Amount::Small { value, .. } if *value == 0 => 0,
            Amount::Small { value, .. } if *value < 0 => -1,
            Amount::Small { .. } => 1,
            Amount::Wide { value, .. } => match value.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
        }
    }

    pub(super) fn negated(&self) -> Self {
        match self {
            Amount::Small { value, scale } => match value.checked_neg() {
                Some(value) => Amount::Small {
                    value,
                    scale: *scale,
                },
                None => Amount::Wide {
                    value: -BigInt::from(*value),
                    scale: *scale,
                },
            },
            Amount::Wide { value, scale } => Amount::Wide {
                value: -value,
                scale: *scale,
            },
        }
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        if let (&Amount::Small { value: a, scale: s }, &Amount::Small { value: b, scale: t }) =
            (self, other)
        {
            if b == 0 {
                return self.clone();
            }
            if a == 0 {
                return other.clone();
            }
            let scale = s.min(t);
            let sum = enlarge_i64(a, s - scale)
                .zip(enlarge_i64(b, t - scale))
                .and_then(|(a, b)| a.checked_add(b));
            if let Some(value) = sum {
                return Amount::Small { value, scale };
            }
        }
        let (a, b, scale) = aligned(self, other);
        Amount::Wide {
            value: a + b,
            scale,
        }
    }

    /// The next multiple of 10^`to` away from zero, and whether it was one already.
    pub(super) fn round_up(&self, to: i32) -> (Self, bool) {
        match self {
            Amount::Small { scale, .. } if *scale >= to => (self.clone(), true),
            Amount::Small { value, scale } => {
                let (value, exact) = reduce(&BigInt::from(*value), to.saturating_sub(*scale));
                // It became smaller, or is ±1.
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                (Amount::Small { value, scale: to }, exact)
            }
            Amount::Wide { value, scale } if *scale >= to => {
                let to = to.max(FINEST);
                let value = enlarge(value, scale.saturating_sub(to));
                (Amount::Wide { value, scale: to }, true)
            }
            Amount::Wide { value, scale } => {
                let (value, exact) = reduce(value, to.saturating_sub(*scale));
                (Amount::Wide { value, scale: to }, exact)
            }
        }
    }

    /// The number of units of 10^`to` not below it, as Kubernetes' `ScaledValue` gives it: what grows out of int64 comes out as
    /// its low 64 bits, a 64-bit amount sometimes as 0.
    pub(super) fn scaled(&self, to: i32) -> i64 {
        match self {
            Amount::Small { value, scale } if *scale >= to => {
                scaled_small(*value, scale.saturating_sub(to))
            }
            Amount::Small { .. } => match self.round_up(to).0 {
                Amount::Small { value, .. } => value,
                Amount::Wide { .. } => 0,
            },
            Amount::Wide { value, scale } => scaled_wide(value, to.saturating_sub(*scale)),
        }
    }

    /// Mantissa without zeros at its end, and its power of ten: the same for equal amounts. Its decimal digits as text.
    pub(super) fn normal(&self) -> (String, i32) {
        let digits = match self {
            Amount::Small { value, .. } => value.to_string(),
            Amount::Wide { value, .. } => value.to_string(),
        };
        let kept = digits.trim_end_matches('0');
        if kept.is_empty() {
            return ("0".to_owned(), 0);
        }
        let zeros = i32::try_from(digits.len() - kept.len()).unwrap_or(i32::MAX);
        (kept.to_owned(), self.scale().saturating_add(zeros))
    }
}

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Amount {}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (&Amount::Small { value: a, scale: s }, &Amount::Small { value: b, scale: t }) =
            (self, other)
        {
            let scale = s.min(t);
            if let Some((a, b)) = enlarge_i64(a, s - scale).zip(enlarge_i64(b, t - scale)) {
                return a.cmp(&b);
            }
        }
        if self.sign() != other.sign() || self.sign() == 0 {
            return self.sign().cmp(&other.sign());
        }
        let (a, b, _) = aligned(self, other);
        a.cmp(&b)
    }
}

impl Hash for Amount {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normal().hash(state);
    }
}

/// Both mantissas for the finer of the two powers of ten, and that.
pub(super) fn aligned(a: &Amount, b: &Amount) -> (BigInt, BigInt, i32) {
    let scale = a.scale().min(b.scale());
    let at = |x: &Amount| enlarge(&x.mantissa(), x.scale().saturating_sub(scale));
    (at(a), at(b), scale)
}

/// `value` × 10^`places`. Out of int64, Kubernetes gives the low 64 bits where it has a product of its own for that many places, else 0.
fn scaled_small(value: i64, places: i32) -> i64 {
    match places {
        1 | 2 | 3 | 6 | 9 if value != i64::MIN => {
            value.wrapping_mul(10_i64.wrapping_pow(places.unsigned_abs()))
        }
        _ => enlarge_i64(value, places).unwrap_or(0),
    }
}

/// `value` / 10^`places` as a 64-bit integer, rounded up where the division leaves a rest; negative `places` multiply.
fn scaled_wide(value: &BigInt, places: i32) -> i64 {
    if places <= 0 {
        return low_bits(value).wrapping_mul(10_i64.wrapping_pow(places.unsigned_abs()));
    }
    // Kubernetes takes its short way for every negative number, also for one that 64 bits cannot hold.
    if *value < BigInt::from(i64::MAX) && places < 19 {
        let divisor = 10_i64.wrapping_pow(places.unsigned_abs()).max(1);
        let short = low_bits(value);
        let up = i64::from(short % divisor != 0);
        return (short / divisor).wrapping_add(up);
    }
    let divisor = power(places);
    let (mut quotient, rest) = (value / &divisor, value % &divisor);
    let up = i64::from(rest.sign() != Sign::NoSign);
    if rest.sign() == Sign::Minus {
        quotient -= 1;
    }
    low_bits(&quotient).wrapping_add(up)
}

/// The low 64 bits, as Go's `big.Int.Int64` gives them.
fn low_bits(value: &BigInt) -> i64 {
    let low = value.iter_u64_digits().next().unwrap_or(0).cast_signed();
    match value.sign() {
        Sign::Minus => low.wrapping_neg(),
        _ => low,
    }
}

fn power(places: i32) -> BigInt {
    BigInt::from(10).pow(u32::try_from(places).unwrap_or(0))
}

/// `value` × 10^`places` (`places` ≥ 0).
pub(super) fn enlarge(value: &BigInt, places: i32) -> BigInt {
    match value.sign() {
        Sign::NoSign => BigInt::ZERO,
        _ => value * power(places),
    }
}

fn enlarge_i64(value: i64, places: i32) -> Option<i64> {
    if value == 0 {
        return Some(0);
    }
    10_i64
        .checked_pow(u32::try_from(places).ok()?)?
        .checked_mul(value)
}

/// `value` / 10^`places` (`places` ≥ 0) rounded away from zero, and whether nothing was lost.
fn reduce(value: &BigInt, places: i32) -> (BigInt, bool) {
    let divisor = power(places);
    let rest = value % &divisor;
    let up = match rest.sign() {
        Sign::Minus => -1,
        Sign::NoSign => 0,
        Sign::Plus => 1,
    };
    (value / divisor + up, rest.sign() == Sign::NoSign)
}
