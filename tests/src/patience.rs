//! How long is too long, on a slow machine too. The one place where that is scaled.

use std::sync::OnceLock;
use std::time::Duration;

/// The variable that says how many times longer than on a machine of its own everything may take: a whole number. `hack/vm` sets it in
/// guests whose processor is interpreted.
pub const VARIABLE: &str = "PODWRIGHT_PATIENCE";

/// A wait's end or a bound, as long as this machine may take for it. Everything that a case waits for or bounds from above goes through here,
/// in [`crate::node::until`] or at the place itself; what may not come too early is never scaled.
pub fn patient(time: Duration) -> Duration {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    let factor = FACTOR.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(text) => match text.parse() {
            Ok(factor) if factor > 0 => factor,
            _ => panic!("{VARIABLE} is {text:?}, and must be a whole number from 1 on"),
        },
        Err(_) => 1,
    });
    time * *factor
}
