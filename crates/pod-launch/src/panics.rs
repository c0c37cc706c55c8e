//! Panics: libcontainer, and what it is made of, end their process where an error of the kernel leaves them no way on (libpathrs does so
//! where `/proc` gives EIO). Here that is told like every other failure: by the launcher as its answer, by a process that it forked in the report
//! that the launcher reads.

use crate::failure::plain;
use std::panic::PanicHookInfo;
use std::process;

/// From here on a panic of this process is handed to `tell` and ends it with code 1. In a process forked from it, an error event has
/// the words (see [`crate::cause`]), and its standard error, which is the container's.
pub(crate) fn tell_to(tell: impl Fn(String) + Send + Sync + 'static) {
    let own = process::id();
    std::panic::set_hook(Box::new(move |panic| {
        let words = words(panic);
        if process::id() == own {
            tell(words);
        } else {
            tracing::error!("{words}");
            eprintln!("podwright-launch: {words}");
        }
        // Without it the end would be SIGABRT, and perhaps a core file of what this process knows.
        process::exit(1)
    }));
}

fn words(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    let place = panic
        .location()
        .map(|l| format!("{}:{}", of_its_crate(l.file()), l.line()));
    format!(
        "the launcher cannot go on: {} ({})",
        plain(&message.unwrap_or("a panic without words")),
        place.unwrap_or_default()
    )
}

/// A source file by its crate: where the crate was when it was built is nobody's concern.
fn of_its_crate(file: &str) -> &str {
    let below = file.split_once("/registry/src/").map(|(_, rest)| rest);
    below
        .and_then(|rest| rest.split_once('/'))
        .map_or(file, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_its_crate() {
        let file = "/home/x/.cargo/registry/src/index.crates.io-1949/pathrs-0.2.6/src/procfs.rs";
        assert_eq!(of_its_crate(file), "pathrs-0.2.6/src/procfs.rs");
        assert_eq!(of_its_crate("src/main.rs"), "src/main.rs");
    }
}
