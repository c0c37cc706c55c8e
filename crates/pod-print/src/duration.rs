//! How long ago something was, in the few letters that kubectl gives it.

use jiff::{SignedDuration, Timestamp};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// At most two units: `119s`, `3m10s`, `70m`, `3h1m`, `47h`, `2d1h`, `8d`, `2y1d`. A clock that is up to 2 s ahead reads `0s`,
/// one that is further ahead `<invalid>`.
pub fn human_duration(d: SignedDuration) -> String {
    let seconds = d.as_secs();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 0 {
        return "0s".to_owned();
    }
    let (minutes, hours, days, years) = (
        seconds / MINUTE,
        seconds / HOUR,
        seconds / DAY,
        seconds / YEAR,
    );
    if seconds < 2 * MINUTE {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % MINUTE, "s")
    } else if minutes < 3 * 60 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 8 * 24 {
        two(days, "d", hours % 24, "h")
    } else if days < 2 * 365 {
        format!("{days}d")
    } else if days < 8 * 365 {
        two(years, "y", days % 365, "d")
    } else {
        format!("{years}y")
    }
}

fn two(large: i64, unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large}{unit}")
    } else {
        format!("{large}{unit}{small}{small_unit}")
    }
}

/// One unit: `59s`, `59m`, `23h`, `364d`, `1y`. Counted as kubectl does, in hours with a fraction: what is a few nanoseconds short
/// of a day may be the day.
pub fn short_human_duration(d: SignedDuration) -> String {
    let units = |unit: i64| {
        let rest = (d.as_secs() % unit) * 1_000_000_000 + i64::from(d.subsec_nanos());
        (d.as_secs() / unit) as f64 + rest as f64 / (unit as f64 * 1e9)
    };
    let (seconds, minutes, hours) = (units(1), units(MINUTE), units(HOUR));
    match (seconds as i64, minutes as i64, hours as i64) {
        (..-1, ..) => "<invalid>".to_owned(),
        (-1, ..) => "0s".to_owned(),
        (seconds @ ..60, ..) => format!("{seconds}s"),
        (_, minutes @ ..60, _) => format!("{minutes}m"),
        (.., hours @ ..24) => format!("{hours}h"),
        (.., hours) if hours < 24 * 365 => format!("{}d", hours / 24),
        _ => format!("{}y", (hours / 24.0 / 365.0) as i64),
    }
}

/// How long before `now` that was; `<unknown>` for no time at all.
pub fn since(time: Option<Timestamp>, now: Timestamp) -> String {
    match time {
        Some(time) => human_duration(now.duration_since(time)),
        None => "<unknown>".to_owned(),
    }
}

/// As Go's `time.RFC1123Z` writes it: `Thu, 01 Jan 2026 00:00:00 +0000`. UTC, since the reader may sit anywhere.
/// No time at all is the first moment of year 1, as Go has it.
pub fn rfc1123(time: Option<Timestamp>) -> String {
    match time {
        Some(time) => time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string(),
        None => "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unit_or_two_by_the_length_of_time() {
        for (seconds, long, short) in [
            (-2, "<invalid>", "<invalid>"),
            (-1, "0s", "0s"),
            (0, "0s", "0s"),
            (119, "119s", "1m"),
            (120, "2m", "2m"),
            (599, "9m59s", "9m"),
            (600, "10m", "10m"),
            (3 * HOUR - 1, "179m", "2h"),
            (3 * HOUR + 61, "3h1m", "3h"),
            (8 * HOUR, "8h", "8h"),
            (2 * DAY + HOUR, "2d1h", "2d"),
            (8 * DAY, "8d", "8d"),
            (2 * YEAR - 1, "729d", "1y"),
            (2 * YEAR + DAY, "2y1d", "2y"),
            (8 * YEAR + DAY, "8y", "8y"),
        ] {
            let d = SignedDuration::from_secs(seconds);
            assert_eq!(human_duration(d), long, "{seconds} s");
            assert_eq!(short_human_duration(d), short, "{seconds} s");
        }
    }

    #[test]
    fn a_time_is_printed_in_utc_with_its_day_of_the_week() {
        let time = "2025-12-31T23:59:57Z".parse().ok();
        assert_eq!(rfc1123(time), "Wed, 31 Dec 2025 23:59:57 +0000");
        assert_eq!(rfc1123(None), "Mon, 01 Jan 0001 00:00:00 +0000");
    }

    #[test]
    fn a_short_time_is_counted_in_hours_with_a_fraction() {
        const DAY_NANOS: i64 = 86_400_000_000_000;
        for (nanos, text) in [
            (-1, "0s"),
            (-2_000_000_000, "<invalid>"),
            (59_999_999_999, "59s"),
            (DAY_NANOS, "1d"),
            (179 * DAY_NANOS - 1, "179d"),
            (179 * DAY_NANOS - 1_000_000, "178d"),
            (730 * DAY_NANOS - 1, "2y"),
        ] {
            let got = short_human_duration(SignedDuration::from_nanos(nanos));
            assert_eq!(got, text, "{nanos}");
        }
    }
}
