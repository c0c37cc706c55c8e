//! How long a new daemon takes to find many pods again.

use super::processes::{self, Who};
use super::tally::Tally;
use super::{kills, life};
use crate::node::{Node, until};
use std::time::{Duration, Instant};

/// Most that recovery of 100 pods may take.
pub const MOST: Duration = Duration::from_secs(2);

/// Runs `pods` pods, kills the daemon `rounds` times, and measures how long the next one takes to answer with all pods.
pub fn recovery(pods: u32, rounds: u32) -> Tally {
    let mut tally = Tally::default();
    let node = Node::new(&life::unique());
    let empty = life::empty(&node);
    let one = |n: u32| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: r{n}}}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  \
             - {{name: app, image: busybox, command: [sleep, \"100000\"]}}\n---\n"
        )
    };
    let all: String = (0..pods).map(one).collect();
    node.run(&["create", "-f", &node.file("pods.yaml", &all)])
        .ok();
    let up = || node.run(&["get", "pods"]).out.matches(" Running ").count() == pods as usize;
    until("all pods", Duration::from_secs(300), up);
    for round in 1..=rounds {
        for pid in processes::find(node.word(), Who::Daemon) {
            tally.kills += u64::from(processes::kill(pid));
            until("its end", Duration::from_secs(5), || {
                // Until it has let go of its sockets, somebody may still connect to it.
                !std::path::Path::new(&format!("/proc/{pid}")).exists()
            });
        }
        let start = Instant::now();
        let said = node.run(&["get", "pods"]);
        let took = start.elapsed();
        tally.recovery = tally.recovery.max(took);
        let found = said.out.matches(" Running ").count();
        if found != pods as usize {
            let text = format!("{found} of {pods} run: {}{}", said.out, said.err);
            tally.leak(&format!("round {round}"), &text);
        }
        tally.progress(round as usize, rounds as usize);
    }
    if tally.recovery > MOST {
        let text = format!("took {:?}, {MOST:?} are allowed", tally.recovery);
        tally.leak("recovery", &text);
    }
    node.run(&["delete", "pod", "--all"]).ok();
    kills::check(&node, &empty, &mut tally);
    kills::end(node, &mut tally);
    tally
}
