//! How soon the kernel takes this process for memory: as late as the node lets it be.

use std::io;

const FILE: &str = "/proc/self/oom_score_adj";

/// Wanted: as the kubelet has it for what pods depend on; -1000 would be never.
const WANTED: i32 = -998;

/// Lowers this process's oom_score_adj as far as may be. Without CAP_SYS_RESOURCE it cannot go below what somebody with it has set.
pub(crate) fn be_last() -> io::Result<()> {
    let now = std::fs::read_to_string(FILE)?;
    let now = now.trim().parse().map_err(io::Error::other)?;
    if set(WANTED) {
        return Ok(());
    }
    lowest(WANTED, now, set);
    Ok(())
}

fn set(value: i32) -> bool {
    std::fs::write(FILE, value.to_string()).is_ok()
}

/// The lowest value in `refused + 1 ..= allowed` that is taken; it is the last one taken.
fn lowest(mut refused: i32, mut allowed: i32, mut take: impl FnMut(i32) -> bool) -> i32 {
    while refused + 1 < allowed {
        let middle = refused + (allowed - refused) / 2;
        match take(middle) {
            true => allowed = middle,
            false => refused = middle,
        }
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_value_that_may_be_set_is_the_one_set() {
        for floor in [-997, -500, 0, 17, 100] {
            let mut set = 100;
            let found = lowest(-998, 100, |value| {
                let taken = value >= floor;
                if taken {
                    set = value;
                }
                taken
            });
            assert_eq!((found, set), (floor, floor));
        }
    }
}
