//! Protections that can be switched off one by one, to show that their tests fail without them, and points at which a test can make this
//! program wait while it changes what was just checked. Only builds with the feature `weakened` can do either; a release cannot be such a
//! build.

#[cfg(all(feature = "weakened", not(debug_assertions)))]
compile_error!(
    "the feature `weakened` can switch protections off: it is for tests, never for a release"
);

#[cfg(feature = "weakened")]
pub use on::{choose, is, pause};

#[cfg(not(feature = "weakened"))]
pub use off::{choose, is, pause};

#[cfg(feature = "weakened")]
mod on {
    use std::fs::File;
    use std::path::Path;
    use std::sync::OnceLock;

    static CHOSEN: OnceLock<String> = OnceLock::new();

    /// Switches a protection off, in a program that has no environment.
    pub fn choose(protection: &str) {
        let _ = CHOSEN.set(protection.to_owned());
    }

    /// Whether that protection is switched off: by [`choose`], else by the variable `PODWRIGHT_WEAKENED`.
    pub fn is(protection: &str) -> bool {
        let chosen = CHOSEN.get_or_init(|| std::env::var("PODWRIGHT_WEAKENED").unwrap_or_default());
        chosen == protection
    }

    /// Waits where a test has put a FIFO of the name `pause-POINT` into `folder`: until it was opened for reading, then for writing.
    pub fn pause(folder: &Path, point: &str) {
        let fifo = folder.join(format!("pause-{point}"));
        if fifo.exists() {
            drop(File::options().write(true).open(&fifo));
            drop(File::open(&fifo));
        }
    }
}

#[cfg(not(feature = "weakened"))]
mod off {
    /// Does nothing in this build.
    pub const fn choose(_protection: &str) {}

    /// Never in this build.
    pub const fn is(_protection: &str) -> bool {
        false
    }

    /// Does nothing in this build.
    pub const fn pause(_folder: &std::path::Path, _point: &str) {}
}
