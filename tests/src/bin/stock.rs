//! Prints what is on the machine and belongs to no node, a line each: `hack/e2e` compares it before and after all cases.

use e2e::leak::Snapshot;
use std::io::{self, Write, stdout};

fn main() -> io::Result<()> {
    let mut out = stdout().lock();
    for thing in Snapshot::take(&[]).of_the_machine() {
        writeln!(out, "{thing}")?;
    }
    Ok(())
}
