//! Many clients that do random things to one pod at once, and whether what they were told fits any order of what they did: R25.

use super::pod;
use e2e::Node;
use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many clients act at once.
const CLIENTS: u64 = 32;

/// Longest that one call may take.
const MOST: Duration = Duration::from_secs(60);

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// It made the pod of this uid.
    Created(String),
    /// There is one already.
    Exists,
    /// It is deleted.
    Deleted,
    /// It is there and has this uid.
    Found(String),
    /// Its command ran in it.
    Ran,
    /// There is none.
    NotFound,
    /// Its command did not run, or not to its end: the pod is not up yet, or ends. Says nothing of an order.
    Between,
}

/// One call of one client: from when to when, and what came of it.
#[derive(Clone, Debug)]
struct Call<T> {
    began: T,
    ended: T,
    told: Told,
}

/// What there is under the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Nothing,
    Pod(String),
    /// It was deleted, and is still there.
    Ending(String),
}

/// The state after a call that is told this, if it can be told so in that state. A pod that ends is gone at any time.
fn after(state: &State, told: &Told) -> Option<State> {
    match (state, told) {
        (State::Nothing, Told::Created(uid)) => Some(State::Pod(uid.clone())),
        (State::Nothing, Told::NotFound) | (_, Told::Between) => Some(state.clone()),
        (State::Pod(_) | State::Ending(_), Told::Exists | Told::Ran) => Some(state.clone()),
        (State::Pod(uid) | State::Ending(uid), Told::Found(found)) if uid == found => {
            Some(state.clone())
        }
        (State::Pod(uid) | State::Ending(uid), Told::Deleted) => Some(State::Ending(uid.clone())),
        _ => None,
    }
}

/// An order of calls that is being looked for: which are in it (one bit each), and the state after them.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Order {
    taken: Vec<u64>,
    count: usize,
    state: State,
}

impl Order {
    fn has(&self, call: usize) -> bool {
        self.taken[call / 64] >> (call % 64) & 1 == 1
    }

    fn with(&self, call: usize, state: State) -> Self {
        let mut next = self.clone();
        next.taken[call / 64] |= 1 << (call % 64);
        next.count += 1;
        next.state = state;
        next
    }
}

/// Whether the calls fit an order in which each has its whole effect at one moment between its beginning and its end. `calls` are sorted by
/// their beginnings.
fn fits<T: Copy + Ord>(calls: &[Call<T>]) -> bool {
    let mut open = vec![Order {
        taken: vec![0; calls.len().div_ceil(64)],
        count: 0,
        state: State::Nothing,
    }];
    let mut seen = HashSet::new();
    while let Some(order) = open.pop() {
        if order.count == calls.len() {
            return true;
        }
        if !seen.insert(order.clone()) {
            continue;
        }
        assert!(seen.len() < 1_000_000, "too many orders to look at");
        let left = || (0..calls.len()).filter(|c| !order.has(*c));
        // A call can only be next if none that is left ended before it began.
        let first_end = left().map(|c| calls[c].ended).min();
        let next = || left().take_while(|c| first_end.is_none_or(|end| calls[*c].began <= end));
        // What tells of the state and changes nothing may as well be told now, where it fits.
        let reads = |c: &usize| {
            calls[*c].told != Told::Deleted
                && after(&order.state, &calls[*c].told).as_ref() == Some(&order.state)
        };
        if let Some(call) = next().find(reads) {
            let state = order.state.clone();
            open.push(order.with(call, state));
            continue;
        }
        if let State::Ending(_) = order.state {
            open.push(Order {
                state: State::Nothing,
                ..order.clone()
            });
        }
        // Deletions are all alike, so the one that ends first can always be the first of those that are open.
        let is_deletion = |c: &usize| calls[*c].told == Told::Deleted;
        let deletion = next().filter(is_deletion).min_by_key(|c| calls[*c].ended);
        for call in next().filter(|c| !is_deletion(c) || deletion == Some(*c)) {
            if let Some(state) = after(&order.state, &calls[call].told) {
                open.push(order.with(call, state));
            }
        }
    }
    false
}

/// One random act of a client.
fn act(node: &Node, file: &str, random: &mut fastrand::Rng) -> Call<Instant> {
    let began = Instant::now();
    let line = match random.u32(0..10) {
        0..3 => vec!["create", "-f", file, "-o", "json"],
        3..5 => vec!["delete", "pod", "p", "--force"],
        5..7 => vec!["get", "pod", "p", "-o", "json"],
        7 => vec!["delete", "pod", "p", "--grace-period", "1"],
        _ => vec!["exec", "p", "--", "true"],
    };
    let outcome = node.run(&line);
    let ended = Instant::now();
    assert!(
        ended - began < e2e::patient(MOST),
        "{line:?} took {:?}",
        ended - began
    );
    let said = |word: &str| outcome.err.contains(word);
    let uid = || {
        let value: serde_json::Value = serde_json::from_str(&outcome.out).expect("a pod in JSON");
        value["metadata"]["uid"].as_str().expect("a uid").to_owned()
    };
    let told = match (line[0], outcome.status) {
        ("create", 0) => Told::Created(uid()),
        ("create", _) if said("already exists") => Told::Exists,
        ("delete", 0) => Told::Deleted,
        ("get", 0) => Told::Found(uid()),
        ("exec", 0) => Told::Ran,
        (_, _) if said("\"p\" not found") => Told::NotFound,
        ("exec", 137) => Told::Between,
        ("exec", _)
            if [
                "not found",
                "completed pod",
                "supervisor is gone",
                "has ended",
                "is not running",
            ]
            .iter()
            .any(|w| said(w)) =>
        {
            Told::Between
        }
        _ => panic!("{line:?}: {outcome:?}"),
    };
    Call { began, ended, told }
}

#[test]
fn r25_what_many_clients_are_told_of_one_pod_fits_one_order_and_nothing_is_stuck() {
    let node = Node::new("r25history");
    let file = node.file("p.yaml", &pod("p", "exec sleep 1000"));
    let rounds = std::env::var("PODWRIGHT_ROUNDS").ok();
    let acts = rounds.and_then(|n| n.parse().ok()).unwrap_or(60_u32) / 10;
    let seed = 0x5025;
    let history = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (node, file, history) = (&node, &file, &history);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed + client);
                for _ in 0..acts {
                    let call = act(node, file, &mut random);
                    history.lock().unwrap().push(call);
                }
            });
        }
    });
    let mut history = history.into_inner().unwrap();
    history.sort_by_key(|call| call.began);
    let made = |call: &&Call<Instant>| matches!(call.told, Told::Created(_));
    assert!(history.iter().filter(made).count() > 1, "{history:#?}");
    assert!(fits(&history), "no order fits: {history:#?}");
    // No lock is held, no task is stuck.
    node.run(&["delete", "pod", "p", "--force", "--ignore-not-found"])
        .ok();
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("p", &["Running"]);
    node.finish();
}

#[test]
fn r25_a_history_that_fits_no_order_is_found() {
    let created = |uid: &str| Told::Created(uid.to_owned());
    let found = |uid: &str| Told::Found(uid.to_owned());
    let run = |list: &[(u32, u32, Told)]| {
        let call = |(began, ended, told): &(u32, u32, Told)| Call {
            began: *began,
            ended: *ended,
            told: told.clone(),
        };
        let mut calls: Vec<_> = list.iter().map(call).collect();
        calls.sort_by_key(|c| c.began);
        fits(&calls)
    };
    for good in [
        vec![
            (1, 2, created("a")),
            (3, 4, found("a")),
            (5, 6, Told::Deleted),
        ],
        // Two deletions at once, each of another pod.
        vec![
            (1, 2, created("a")),
            (3, 20, Told::Deleted),
            (4, 21, Told::Deleted),
            (6, 7, created("b")),
            (8, 30, created("c")),
        ],
        // Told late of what was there.
        vec![
            (1, 9, created("a")),
            (1, 5, Told::NotFound),
            (2, 8, Told::Exists),
        ],
    ] {
        assert!(run(&good), "{good:?}");
    }
    for bad in [
        // Two of one name.
        vec![(1, 2, created("a")), (3, 4, created("b"))],
        vec![
            (1, 2, created("a")),
            (3, 4, Told::Deleted),
            (5, 6, created("b")),
            (7, 8, created("c")),
        ],
        // There and not there.
        vec![(1, 2, created("a")), (3, 4, Told::NotFound)],
        vec![(1, 2, Told::Exists)],
        vec![(1, 2, Told::Deleted)],
        // Another one than was made.
        vec![(1, 2, created("a")), (3, 4, found("b"))],
        // A deletion that came too late to make room.
        vec![
            (1, 2, created("a")),
            (3, 4, created("b")),
            (5, 6, Told::Deleted),
        ],
    ] {
        assert!(!run(&bad), "{bad:?}");
    }
}
