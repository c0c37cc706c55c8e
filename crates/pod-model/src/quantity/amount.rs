//! The number in a quantity: a mantissa times a power of ten, in 64 bits where it fits and in 128 where not.
//!
//! The two widths are kept apart because Kubernetes does: what it makes of a number that int64 cannot hold depends on which one it used.

/// How many of the finest units make one.
pub const NANO: i128 = 1_000_000_000;

/// The finest power of ten that is kept.
pub(super) const FINEST: i32 = -9;

/// `mantissa` × 10^`scale`; `scale` is never below [`FINEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// Came from a short text, or from sums of such that fit.
    Small { value: i64, scale: i32 },
    /// Everything else.
    Wide { value: i128, scale: i32 },
}

impl Default for Amount {
    fn default() -> Self {
        Amount::Small { value: 0, scale: 0 }
    }
}

impl Amount {
    /// A 64-bit amount; finer than 10^-9 is rounded away from zero.
    pub(super) fn small(value: i64, scale: i32) -> Self {
        let amount = Amount::Small { value, scale };
        if scale < FINEST {
            amount.round_up(FINEST).0
        } else {
            amount
        }
    }

    /// A 128-bit amount; finer than 10^-9 is rounded away from zero.
    pub(super) fn wide(value: i128, scale: i32) -> Self {
        let amount = Amount::Wide { value, scale };
        if scale < FINEST {
            amount.round_up(FINEST).0
        } else {
            amount
        }
    }

    /// Mantissa and power of ten.
    pub(super) fn parts(self) -> (i128, i32) {
        match self {
            Amount::Small { value, scale } => (i128::from(value), scale),
            Amount::Wide { value, scale } => (value, scale),
        }
    }

    pub(super) fn sign(self) -> i32 {
        self.parts().0.signum() as i32
    }

    /// The number of units of 10^-9; at most the ends of i128.
    pub(super) fn nano(self) -> i128 {
        let (value, scale) = self.parts();
        enlarge(value, scale.saturating_sub(FINEST))
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Amount::Small { value, scale } => match value.checked_neg() {
                Some(value) => Amount::Small { value, scale },
                None => Amount::Wide {
                    value: -i128::from(value),
                    scale,
                },
            },
            Amount::Wide { value, scale } => Amount::Wide {
                value: value.saturating_neg(),
                scale,
            },
        }
    }

    pub(super) fn add(self, other: Self) -> Self {
        if let (Amount::Small { value: a, scale: s }, Amount::Small { value: b, scale: t }) =
            (self, other)
        {
            if b == 0 {
                return self;
            }
            if a == 0 {
                return other;
            }
            let scale = s.min(t);
            let sum = enlarge_i64(a, s - scale)
                .zip(enlarge_i64(b, t - scale))
                .and_then(|(a, b)| a.checked_add(b));
            if let Some(value) = sum {
                return Amount::Small { value, scale };
            }
        }
        let ((a, s), (b, t)) = (self.parts(), other.parts());
        let scale = s.min(t);
        let sum =
            enlarge(a, s.saturating_sub(scale)).saturating_add(enlarge(b, t.saturating_sub(scale)));
        Amount::Wide { value: sum, scale }
    }

    /// The next multiple of 10^`to` away from zero, and whether it was one already.
    pub(super) fn round_up(self, to: i32) -> (Self, bool) {
        match self {
            Amount::Small { scale, .. } if scale >= to => (self, true),
            Amount::Small { value, scale } => {
                let (value, exact) = reduce(i128::from(value), to.saturating_sub(scale));
                // It became smaller, or is ±1.
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                (Amount::Small { value, scale: to }, exact)
            }
            Amount::Wide { value, scale } if scale >= to => {
                let to = to.max(FINEST);
                let value = enlarge(value, scale.saturating_sub(to));
                (Amount::Wide { value, scale: to }, true)
            }
            Amount::Wide { value, scale } => {
                let (value, exact) = reduce(value, to.saturating_sub(scale));
                (Amount::Wide { value, scale: to }, exact)
            }
        }
    }

    /// The number of units of 10^`to` not below it, as Kubernetes' `ScaledValue` gives it: what grows out of int64 comes out as
    /// its low 64 bits, a 64-bit amount sometimes as 0.
    pub(super) fn scaled(self, to: i32) -> i64 {
        match self {
            Amount::Small { value, scale } if scale >= to => {
                scaled_small(value, scale.saturating_sub(to))
            }
            Amount::Small { .. } => match self.round_up(to).0 {
                Amount::Small { value, .. } => value,
                Amount::Wide { .. } => 0,
            },
            Amount::Wide { value, scale } => scaled_wide(value, to.saturating_sub(scale)),
        }
    }
}

/// `value` × 10^`places`. Out of int64, Kubernetes gives the low 64 bits where it has a product of its own for that many places, else 0.
fn scaled_small(value: i64, places: i32) -> i64 {
    match places {
        1 | 2 | 3 | 6 | 9 if value != i64::MIN => {
            let factor = power(places).map_or(1, low_bits);
            value.wrapping_mul(factor)
        }
        _ => enlarge_i64(value, places).unwrap_or(0),
    }
}

/// `value` / 10^`places` as a 64-bit integer, rounded up where the division leaves a rest; negative `places` multiply.
fn scaled_wide(value: i128, places: i32) -> i64 {
    if places <= 0 {
        let factor = power(places.saturating_neg()).map_or(0, low_bits);
        return if places == 0 {
            low_bits(value)
        } else {
            low_bits(value).wrapping_mul(factor)
        };
    }
    let divisor = power(places);
    // Kubernetes takes its short way for every negative number, also for one that 64 bits cannot hold.
    if value < i128::from(i64::MAX) && places < 19 {
        let divisor = divisor.map_or(1, low_bits).max(1);
        let short = low_bits(value);
        let up = i64::from(short % divisor != 0);
        return (short / divisor).wrapping_add(up);
    }
    match divisor {
        Some(divisor) => {
            let up = i64::from(value.rem_euclid(divisor) != 0);
            low_bits(value.div_euclid(divisor)).wrapping_add(up)
        }
        None => value.signum().max(0) as i64,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low 64 bits are what Go's big.Int.Int64 gives"
)]
fn low_bits(value: i128) -> i64 {
    value as i64
}

/// 10^`places`, if it fits.
fn power(places: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(places).ok()?)
}

/// `value` × 10^`places` (`places` ≥ 0), at most the ends of i128.
pub(super) fn enlarge(value: i128, places: i32) -> i128 {
    let end = match value.signum() {
        0 => return 0,
        1 => i128::MAX,
        _ => -i128::MAX,
    };
    power(places)
        .and_then(|p| value.checked_mul(p))
        .unwrap_or(end)
}

fn enlarge_i64(value: i64, places: i32) -> Option<i64> {
    if value == 0 {
        return Some(0);
    }
    i64::try_from(power(places)?).ok()?.checked_mul(value)
}

/// `value` / 10^`places` (`places` ≥ 0) rounded away from zero, and whether nothing was lost.
pub(super) fn reduce(value: i128, places: i32) -> (i128, bool) {
    match power(places) {
        Some(divisor) => {
            let rest = value % divisor;
            (value / divisor + rest.signum(), rest == 0)
        }
        None => (value.signum(), value == 0),
    }
}
