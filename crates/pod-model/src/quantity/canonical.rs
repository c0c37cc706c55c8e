//! A quantity as text: no fraction, no precision lost, the largest suffix that allows both.

use super::amount::{Amount, aligned};
use super::format::{Format, LARGEST_LETTER, binary_suffix, decimal_suffix};
use num_bigint::BigInt;

/// The canonical text of an amount.
///
/// A binary amount that is small (below 1024) or has a fraction is printed with a decimal suffix.
pub(super) fn text(amount: &Amount, format: Format) -> String {
    if amount.sign() == 0 {
        return "0".to_owned();
    }
    match format {
        Format::BinarySI => match whole(amount) {
            Some(value) if *value.magnitude() >= 1024_u32.into() => binary(value),
            _ => decimal(amount, Format::DecimalSI),
        },
        _ => decimal(amount, format),
    }
}

/// The amount as an integer, if it is one.
fn whole(amount: &Amount) -> Option<BigInt> {
    let (rounded, exact) = amount.round_up(0);
    exact.then(|| aligned(&rounded, &Amount::small(1, 0)).0)
}

fn binary(mut value: BigInt) -> String {
    let mut power = 0;
    // 1024 is the tenth power of two.
    while power < 6 && value.trailing_zeros().is_some_and(|zeros| zeros >= 10) {
        value >>= 10;
        power += 1;
    }
    format!("{value}{}", binary_suffix(power))
}

fn decimal(amount: &Amount, format: Format) -> String {
    let (mut digits, mut power) = amount.normal();
    // Kubernetes leaves the suffix away where there is no letter for it, so that 1000E becomes 1; here the number stays.
    let letters_end = format == Format::DecimalSI;
    while power % 3 != 0 || (letters_end && power > LARGEST_LETTER) {
        digits.push('0');
        power -= 1;
    }
    digits.push_str(&decimal_suffix(power, format));
    digits
}
