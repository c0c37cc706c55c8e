//! Kills at random points of pods' lives.

use super::life::{self, Empty, Life, Op};
use super::processes::{self, Ground, Who};
use super::tally::Tally;
use crate::node::Node;
use std::time::{Duration, Instant};

/// How long a process that is to be killed is looked for.
const LOOK: Duration = Duration::from_millis(700);

/// The whole leak check comes after so many pods; a cheap one after each.
const EVERY: u64 = 50;

/// Kills `count` times: daemon, supervisor, launcher, or daemon and supervisor at once, while something is done with a pod. `only`: nothing
/// but this is killed.
pub fn kills(count: u64, seed: u64, only: Option<Who>) -> Tally {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut tally = Tally::default();
    let node = Node::new(&life::unique());
    let empty = life::empty(&node);
    let mut number = 0_u64;
    let total = usize::try_from(count).unwrap_or(usize::MAX);
    while tally.kills < count {
        number += 1;
        let op = Op::ALL[random.usize(..Op::ALL.len())];
        let killed: &[Who] = match random.u32(..12) {
            0..=5 => &[Who::Daemon],
            6..=8 => &[Who::Supervisor],
            9..=10 => &[Who::Launcher],
            _ => &[Who::Daemon, Who::Supervisor],
        };
        let killed = only.as_ref().map_or(killed, std::slice::from_ref);
        let wait = Duration::from_micros(random.u64(..longest(op)));
        let names: Vec<&str> = killed.iter().map(|w| w.as_str()).collect();
        let what = format!(
            "seed {seed}, pod {number}, {} killed {:.1} ms into {}",
            names.join(" and "),
            wait.as_secs_f64() * 1e3,
            op.as_str()
        );
        let life = Life::new(&node, &empty, format!("k{number}"));
        let begun = match life.before(op).and_then(|()| life.act(op)) {
            Ok(begun) => begun,
            Err(problem) => {
                tally.leak(&what, &format!("before the kill: {problem}"));
                life.conclude(&what, Op::Stop, &[], None, &mut tally);
                continue;
            }
        };
        let hit = strike(node.word(), killed, wait);
        if hit {
            tally.kills += 1;
        }
        life.conclude(&what, op, killed, begun, &mut tally);
        if number.is_multiple_of(EVERY) {
            check(&node, &empty, &mut tally);
        }
        tally.progress(usize::try_from(tally.kills).unwrap_or(total), total);
    }
    check(&node, &empty, &mut tally);
    end(node, &mut tally);
    tally
}

/// How long `op` takes at most on a machine that is not busy, and a little more, in µs.
fn longest(op: Op) -> u64 {
    match op {
        Op::Create => 200_000,
        Op::Start => 80_000,
        Op::Run => 10_000,
        Op::Exec => 60_000,
        Op::End => 50_000,
        Op::Stop => 200_000,
        Op::Delete => 80_000,
    }
}

/// Waits, then kills; what does not run yet is waited for. `false`: there was none to kill.
fn strike(word: &str, killed: &[Who], wait: Duration) -> bool {
    let end = Instant::now() + LOOK;
    let mut targets = Vec::new();
    for who in killed {
        loop {
            let found = processes::find(word, *who);
            if let Some(pid) = found.last() {
                targets.push(*pid);
                break;
            }
            if Instant::now() > end {
                return false;
            }
        }
    }
    // A launcher lives for some 30 ms once it works.
    let launcher = killed.contains(&Who::Launcher);
    std::thread::sleep(if launcher { wait / 4 } else { wait });
    let hit = targets.iter().filter(|pid| processes::kill(**pid)).count();
    // Until it has let go of its sockets, somebody may still connect to it.
    // Reaped: only then has its last thread let go.
    let there = |pid: &i32| std::path::Path::new(&format!("/proc/{pid}")).exists();
    while targets.iter().any(there) {
        std::thread::yield_now();
    }
    hit > 0
}

/// The whole leak check.
pub fn check(node: &Node, empty: &Empty, tally: &mut Tally) {
    for leak in life::leaks(node, empty) {
        tally.leak(node.word(), &leak);
    }
}

/// Takes the node away; what is left of it counts. What belongs to the machine is not looked at: others may work on it.
pub fn end(node: Node, tally: &mut Tally) {
    let word = node.word().to_owned();
    let reset = node.run(&["reset", "--yes"]);
    if reset.status != 0 {
        tally.leak(&word, &format!("reset: {}", reset.err));
        return;
    }
    let mut left = processes::others(&word);
    left.extend(Ground::of(&word).since(&Ground::default()));
    for folder in [node.root(), node.run_dir()] {
        let files = crate::leak::files(&folder).into_iter();
        left.extend(files.map(|f| folder.join(f).display().to_string()));
    }
    if !left.is_empty() {
        tally.leak(&word, &format!("after the reset: {}", left.join("; ")));
        return;
    }
    for folder in [
        node.folder().to_owned(),
        node.folder().with_extension("canary"),
    ] {
        let _ = std::fs::remove_dir_all(folder);
    }
    // It has ended well: what it does when it is dropped is for cases that failed.
    std::mem::forget(node);
}
