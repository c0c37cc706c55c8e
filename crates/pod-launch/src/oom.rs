//! oom_score_adj of a created process, as far down as this node lets it go.

use crate::failure::{AtStep, Failure};
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;

const STEP: &str = "oom_score_adj";
const FILE: &str = "oom_score_adj";

/// Writes `wanted` for a process whose folder in procfs is `process`. Where lowering takes CAP_SYS_RESOURCE and that is missing, the
/// lowest value that is let through is written; the answer then says so.
pub(crate) fn set(process: impl AsFd, wanted: i32) -> Result<Option<String>, Failure> {
    if !(-1000..=1000).contains(&wanted) {
        return Err(Failure::new(
            STEP,
            format!("{wanted} is not between -1000 and 1000"),
        ));
    }
    let write = |value: i32| {
        let file = openat(
            &process,
            FILE,
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .at(STEP, "opening it")?;
        match File::from(file).write_all(value.to_string().as_bytes()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
            Err(error) => Err(error).at(STEP, format!("writing {value}")),
        }
    };
    if write(wanted)? {
        return Ok(None);
    }
    let floor = lowest(wanted, get(&process)?, write)?;
    Ok(Some(format!(
        "oom_score_adj {wanted} raised to {floor} (CAP_SYS_RESOURCE is missing)"
    )))
}

/// What it is now.
pub(crate) fn get(process: impl AsFd) -> Result<i32, Failure> {
    let file = openat(
        process,
        FILE,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(STEP, "opening it")?;
    let mut text = String::new();
    File::from(file)
        .read_to_string(&mut text)
        .at(STEP, "reading it")?;
    text.trim().parse().at(STEP, "reading it")
}

/// The lowest value in `refused+1 ..= allowed` that `try_value` takes, taken last.
fn lowest<E>(
    mut refused: i32,
    mut allowed: i32,
    mut try_value: impl FnMut(i32) -> Result<bool, E>,
) -> Result<i32, E> {
    while refused + 1 < allowed {
        let middle = refused + (allowed - refused) / 2;
        match try_value(middle)? {
            true => allowed = middle,
            false => refused = middle,
        }
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_value_that_is_let_through_is_the_one_written() {
        for floor in [-997, -500, 0, 17, 100] {
            let mut written = 100;
            let found = lowest(-998, 100, |value| {
                let ok = value >= floor;
                if ok {
                    written = value;
                }
                Ok::<_, ()>(ok)
            });
            assert_eq!((found, written), (Ok(floor), floor));
        }
    }
}
