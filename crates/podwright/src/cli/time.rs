//! Durations as users and Go write them: `10s`, `1m30s`, `1.5h`, `300ms`.

use super::exit::{Failure, Outcome};
use std::time::Duration;

/// Reads a duration; a plain number counts as seconds. Negative ones as `None`.
pub fn duration(option: &str, text: &str) -> Outcome<Option<Duration>> {
    let wrong = || {
        Failure::usage(format!(
            "error: invalid argument {text:?} for {option}: a duration looks like 10s, 5m, 1h30m or 300ms"
        ))
    };
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let seconds = if rest.is_empty() {
        return Err(wrong());
    } else if let Ok(number) = rest.parse::<f64>() {
        number
    } else {
        sum(rest).ok_or_else(wrong)?
    };
    if negative && seconds > 0.0 {
        return Ok(None);
    }
    Duration::try_from_secs_f64(seconds)
        .map(Some)
        .map_err(|_| wrong())
}

fn sum(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at_checked(letters.unwrap_or(after.len()))?;
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, ms) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            ("0", 0),
            ("30", 30_000),
        ] {
            let read = duration("--timeout", text).unwrap();
            assert_eq!(read, Some(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(duration("--timeout", "-1s").unwrap(), None);
        for bad in ["", "s", "10x", "1h-3m", "ten", "-", "NaN", "inf"] {
            assert!(duration("--timeout", bad).is_err(), "{bad:?} was read");
        }
    }
}
