//! A quantity as text: no fraction, no precision lost, the largest suffix that allows both.

use super::amount::Amount;
use super::format::{Format, LARGEST_LETTER, binary_suffix, decimal_suffix};

/// The canonical text of an amount.
///
/// A binary amount that is small (below 1024) or has a fraction is printed with a decimal suffix.
pub(super) fn text(amount: Amount, format: Format) -> String {
    if amount.sign() == 0 {
        return "0".to_owned();
    }
    match format {
        Format::BinarySI => match whole(amount) {
            Some(value) if value.unsigned_abs() >= 1024 => binary(value),
            _ => decimal(amount, Format::DecimalSI),
        },
        _ => decimal(amount, format),
    }
}

/// The amount as an integer, if it is one.
fn whole(amount: Amount) -> Option<i128> {
    let (rounded, exact) = amount.round_up(0);
    exact.then(|| rounded.nano() / super::amount::NANO)
}

fn binary(mut value: i128) -> String {
    let mut power = 0;
    while value % 1024 == 0 && power < 6 {
        value /= 1024;
        power += 1;
    }
    format!("{value}{}", binary_suffix(power))
}

fn decimal(amount: Amount, format: Format) -> String {
    let (mut value, mut power) = amount.parts();
    while value % 10 == 0 {
        value /= 10;
        power += 1;
    }
    // Kubernetes leaves the suffix away where there is no letter for it, so that 1000E becomes 1; here the number stays.
    let letters_end = format == Format::DecimalSI;
    while power % 3 != 0 || (letters_end && power > LARGEST_LETTER) {
        value = value.saturating_mul(10);
        power -= 1;
    }
    format!("{value}{}", decimal_suffix(power, format))
}
