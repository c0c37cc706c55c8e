//! Protections that can be switched off one by one, to show that their tests fail without them. Only builds with the feature `weakened`
//! can do so, and a release cannot be such a build.

#[cfg(all(feature = "weakened", not(debug_assertions)))]
compile_error!(
    "the feature `weakened` can switch protections off: it is for tests, never for a release"
);

/// Whether that protection is switched off by the variable `PODWRIGHT_WEAKENED`.
#[cfg(feature = "weakened")]
pub(crate) fn weakened(protection: &str) -> bool {
    std::env::var("PODWRIGHT_WEAKENED").is_ok_and(|chosen| chosen == protection)
}

/// Never in this build.
#[cfg(not(feature = "weakened"))]
pub(crate) const fn weakened(_protection: &str) -> bool {
    false
}
