//! Many containers that end at once, each with a code of its own.

use super::kills;
use super::life;
use super::tally::Tally;
use crate::node::Node;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Containers of one pod.
const BATCH: u64 = 25;

/// Pods at a time.
const AT_ONCE: usize = 3;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Exits {
    /// Containers whose end was told.
    pub told: u64,
    /// Ends told with another code, signal or reason than the container's own.
    pub wrong: u64,
    /// Ends that were told as unknown.
    pub unknown: u64,
    /// Containers whose end was never told, or told twice (a restart).
    pub lost: u64,
    /// What was left on the node.
    pub leaks: u64,
    /// How long all of it took.
    pub took: Duration,
}

impl Exits {
    /// Whether every one was right.
    pub fn is_clean(&self) -> bool {
        self.wrong + self.unknown + self.lost + self.leaks == 0
    }
}

impl fmt::Display for Exits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64().max(0.001);
        write!(
            f,
            "{} exits: {} wrong, {} unknown, {} lost, {} leaks, {:.0} a second",
            self.told,
            self.wrong,
            self.unknown,
            self.lost,
            self.leaks,
            self.told as f64 / seconds
        )
    }
}

/// Runs `all` containers that end at once: by themselves with any code, or by a signal.
pub fn exits(all: u64) -> Exits {
    let node = Node::new(&life::unique());
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Exits::default()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= all {
                        break;
                    }
                    let found = one_pod(&node, first..all.min(first + BATCH));
                    let Ok(mut sum) = sum.lock() else { break };
                    sum.told += found.told;
                    sum.wrong += found.wrong;
                    sum.unknown += found.unknown;
                    sum.lost += found.lost;
                    if sum.told % 500 < found.told {
                        eprintln!("{} of {all}", sum.told);
                    }
                }
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_default();
    sum.took = begun.elapsed();
    let mut left = Tally::default();
    kills::end(node, &mut left);
    sum.leaks = left.leaks;
    sum
}

/// One pod whose containers have these numbers.
fn one_pod(node: &Node, numbers: Range<u64>) -> Exits {
    let name = format!("x{}", numbers.start);
    let mut text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 0\n  containers:\n"
    );
    for n in numbers.clone() {
        let (script, _) = way(n);
        text.push_str(&format!(
            "  - {{name: c{n}, image: busybox, command: [sh, -c, {script:?}]}}\n"
        ));
    }
    let file = node.file(&format!("{name}.yaml"), &text);
    let ran = node.run(&["run", "--keep", &file]);
    let said = node.run(&["get", "pod", &name, "-o", "json"]);
    let pod: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let deleted = node.run(&["delete", "pod", &name]);
    if deleted.status != 0 {
        eprintln!("{name}: {}", deleted.err);
    }
    let mut found = Exits::default();
    let statuses = pod["status"]["containerStatuses"].as_array();
    let statuses: BTreeMap<&str, &Value> = statuses
        .into_iter()
        .flatten()
        .filter_map(|s| Some((s["name"].as_str()?, s)))
        .collect();
    for n in numbers {
        let (script, code) = way(n);
        let status = statuses.get(format!("c{n}").as_str());
        let ended = status.map(|s| &s["state"]["terminated"]);
        let told = ended.and_then(|e| e["exitCode"].as_i64());
        let reason = ended.and_then(|e| e["reason"].as_str()).unwrap_or("");
        let wanted = if code == 0 { "Completed" } else { "Error" };
        let again = status.is_some_and(|s| s["restartCount"].as_u64() != Some(0));
        match told {
            None => found.lost += 1,
            Some(_) if again => found.lost += 1,
            Some(_) if reason == "ContainerStatusUnknown" => found.unknown += 1,
            Some(told) if told == code && reason == wanted => {}
            Some(_) => found.wrong += 1,
        }
        found.told += u64::from(told.is_some());
        if told != Some(code) || reason != wanted || again {
            eprintln!(
                "c{n} ({script}): {}{}",
                status.map_or("no status", |_| ""),
                ended.unwrap_or(&Value::Null)
            );
            if told.is_none() && !ran.err.is_empty() {
                eprintln!("{}", ran.err);
            }
        }
    }
    found
}

/// What the container of that number does, and the code that must be told of it.
fn way(n: u64) -> (String, i64) {
    match n % 10 {
        // A first process cannot be killed from within; its child can.
        0 => ("sleep 99 & kill -9 $!; wait $!; exit $?".to_owned(), 137),
        1 => ("sleep 99 & kill -6 $!; wait $!; exit $?".to_owned(), 134),
        // Its children live longer than it, and hold its output open.
        2 => ("(sleep 5 &) ; exit 37".to_owned(), 37),
        _ => {
            let code = i64::try_from(n * 7 % 256).unwrap_or(0);
            (format!("exit {code}"), code)
        }
    }
}
