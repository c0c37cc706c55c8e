//! Names of signals, as images write them in `StopSignal`.

use nix::sys::signal::Signal;
use std::str::FromStr;

/// What ends a container whose image names no signal.
const DEFAULT: i32 = Signal::SIGTERM as i32;

/// First and last real-time signal, as glibc and musl count them for programs.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Number of a signal: `SIGQUIT`, `QUIT`, `3`, `SIGRTMIN+3`, `RTMAX-1`. What cannot be read is SIGTERM, as with containerd.
pub(crate) fn number(text: &str) -> i32 {
    parse(text).unwrap_or(DEFAULT)
}

fn parse(text: &str) -> Option<i32> {
    let upper = text.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        _ => rest.strip_prefix(sign)?.parse::<i32>().ok(),
    };
    let real_time = if let Some(rest) = name.strip_prefix("RTMIN") {
        offset(rest, '+').and_then(|n| RTMIN.checked_add(n))
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        offset(rest, '-').and_then(|n| RTMAX.checked_sub(n))
    } else {
        return Signal::from_str(&format!("SIG{name}"))
            .ok()
            .map(|s| s as i32);
    };
    real_time.filter(|n| (RTMIN..=RTMAX).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_signal_is_read_and_others_are_sigterm() {
        let table = [
            ("", 15),
            ("SIGTERM", 15),
            ("quit", 3),
            ("SIGKILL", 9),
            ("3", 3),
            ("SIGRTMIN+3", 37),
            ("RTMIN", 34),
            ("SIGRTMAX-1", 63),
            ("SIGRTMIN+99", 15),
            ("0", 15),
            ("-9", 15),
            ("65", 15),
            ("SIGNOPE", 15),
        ];
        for (text, want) in table {
            assert_eq!(number(text), want, "{text:?}");
        }
    }
}
