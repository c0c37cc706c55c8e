//! Links the pause program without a C library, without start files and statically: it brings its own `_start`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Only the program: a test harness of this package is an ordinary one. No build id, no unwind tables and
    // packed segments keep the file at one page.
    for arg in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,--gc-sections",
        "-Wl,-z,norelro",
        "-Wl,-z,noseparate-code",
    ] {
        println!("cargo::rustc-link-arg-bins={arg}");
    }
}
