//! Texts from containers and manifests on their way to a terminal.

/// Takes the power from escape sequences: ESC becomes `^[` and a carriage return `\r`, as kubectl prints them, so that no message of
/// a container can move the cursor or recolour the terminal.
pub fn harmless(text: &str) -> String {
    if !text.contains(['\u{1b}', '\r']) {
        return text.to_owned();
    }
    text.replace('\u{1b}', "^[").replace('\r', "\\r")
}

/// `true` and `false` as `True` and `False`.
pub fn title_bool(b: bool) -> &'static str {
    if b { "True" } else { "False" }
}

/// A number of bytes in at most four digits and the powers of 1000 that image tools use: `4.35MB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = n as f64;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    let decimals = match value {
        _ if unit == UNITS[0] => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_not_obeyed() {
        assert_eq!(harmless("a\u{1b}[31mb\rc\nd"), "a^[[31mb\\rc\nd");
        assert_eq!(harmless("等待"), "等待");
    }

    #[test]
    fn bytes_are_rounded_to_three_digits() {
        for (n, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.00kB"),
            (4_350_000, "4.35MB"),
            (77_800_000, "77.8MB"),
            (999_900, "1.00MB"),
            (123_000_000_000, "123GB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }
}
