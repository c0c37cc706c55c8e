//! oom_score_adj of a created process, as far down as this node lets it go.

use crate::failure::{AtStep, Failure};
use std::io::ErrorKind;
use std::path::Path;

/// Writes `wanted` for a process whose folder in /proc is `process`. Where lowering takes CAP_SYS_RESOURCE and that is missing, the
/// lowest value that is let through is written; the answer then says so.
pub(crate) fn set(process: &Path, wanted: i32) -> Result<Option<String>, Failure> {
    let file = process.join("oom_score_adj");
    let doing = || format!("writing {wanted} to {}", file.display());
    if !(-1000..=1000).contains(&wanted) {
        return Err(Failure::new(
            "oom_score_adj",
            format!("{wanted} is not between -1000 and 1000"),
        ));
    }
    let write = |value: i32| match std::fs::write(&file, value.to_string()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    };
    if write(wanted).at("oom_score_adj", doing())? {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&file).at("oom_score_adj", doing())?;
    let now: i32 = text.trim().parse().at("oom_score_adj", doing())?;
    let floor = lowest(wanted, now, |value| {
        write(value).at("oom_score_adj", doing())
    })?;
    Ok(Some(format!(
        "oom_score_adj {wanted} raised to {floor} (CAP_SYS_RESOURCE is missing)"
    )))
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
