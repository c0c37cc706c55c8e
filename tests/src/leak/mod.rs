//! The leak check: what a case left on the machine that was not there before.
//!
//! A [`Snapshot`] is a set of [`Thing`]s. Each either names the node (its word stands in the thing's own text, or a process of the node
//! holds it) or belongs to the machine. What names the node is counted in every case. What belongs to the machine (a link, a firewall
//! rule, a mount that says nothing of its owner, a kernel parameter) can only be laid at this node's door while no other node runs: with
//! several cases at once it is compared when the last of them ends ([`Machine`]), and a foreign podwright on the machine turns it into
//! a note. `hack/e2e` runs each case in a process of its own and compares it once more around all of them (`src/bin/stock.rs`).
//!
//! | kind | where it is looked for |
//! |---|---|
//! | process, zombie | `/proc`: arguments, cgroups, environment, program, root, working directory |
//! | mount | mountinfo of every mount namespace, by namespace, of this node's processes and of the machine |
//! | namespace | by identity, of every kind: held by processes, threads, descriptors or mounts |
//! | descriptor | of any process, on a file of the node |
//! | cgroup | every hierarchy |
//! | link, address, route, nft, iptables | this network namespace |
//! | socket | abstract and named unix sockets, listening ports |
//! | System V, shared memory, message queue, loop device | this IPC namespace, `/dev/shm`, `/dev/mqueue`, `/sys/block` |
//! | kernel parameter, host file | `/proc/sys` but what changes by itself; names in `/`, `/etc` and `/dev`; podwright's own programs |
//!
//! Beside these: [`Canary`], a tree of files that nobody may touch; [`rest`], what may remain under root, run and logs once every pod is
//! deleted, and what a quiet daemon may hold.

mod host;
mod machine;
mod network;
mod owner;
mod processes;
pub mod rest;
mod tree;

pub use machine::Machine;
pub use processes::{cpu_ticks, descriptors_and_threads};
pub use tree::{Canary, files};

use owner::Owners;
use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

/// One thing on the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    /// What it is: `mount`, `cgroup`, …
    pub kind: &'static str,
    /// Which one, in words that name it for good: two things of one text are the same thing.
    pub text: String,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text)
    }
}

/// Everything on the machine that a node could leave behind.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    node: BTreeSet<Thing>,
    machine: BTreeSet<Thing>,
    /// Whether no other node ran while this was taken.
    alone: bool,
}

impl Snapshot {
    /// Takes stock. `words` are what belongs to the node: its folders' and its cgroup's name.
    pub fn take(words: &[&str]) -> Self {
        let processes = processes::all();
        let owners = Owners::of(words, &processes);
        let mut all = Self {
            alone: owners.alone(),
            ..Self::default()
        };
        processes::look(&processes, &owners, &mut all);
        network::look(&owners, &mut all);
        host::look(&owners, &mut all);
        all
    }

    /// Notes a thing by what its text names; one that names another node is none of ours.
    fn note(&mut self, owners: &Owners, kind: &'static str, text: impl Into<String>) {
        let text = text.into();
        if owners.ours(&text) {
            self.node.insert(Thing { kind, text });
        } else if !owners.foreign(&text) {
            self.machine.insert(Thing { kind, text });
        }
    }

    /// Notes a thing that is the node's whatever its text says.
    fn ours(&mut self, kind: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.node.insert(Thing { kind, text });
    }

    /// What names the node, is here and was not in `before`.
    pub fn since(&self, before: &Snapshot) -> Vec<String> {
        let new = self.node.difference(&before.node);
        new.map(ToString::to_string).collect()
    }

    /// What belongs to the machine, is here and was not in `before`, and what was there and is gone.
    pub fn changes_of_the_machine(&self, before: &Snapshot) -> Vec<String> {
        let came = self.machine.difference(&before.machine);
        let went = before.machine.difference(&self.machine);
        let came = came.map(|t| format!("new {t}"));
        came.chain(went.map(|t| format!("gone {t}"))).collect()
    }

    /// What belongs to the machine and names no node.
    pub fn of_the_machine(&self) -> impl Iterator<Item = &Thing> {
        self.machine.iter()
    }

    /// Whether no other node ran while this was taken.
    pub fn is_alone(&self) -> bool {
        self.alone
    }
}

/// Takes stock again until nothing of the node is left over or `patience` is over; gives what is left then.
pub fn left_over(words: &[&str], before: &Snapshot, patience: Duration) -> Vec<String> {
    again(patience, || Snapshot::take(words).since(before))
}

/// Looks again until nothing is found or `patience` is over.
pub(crate) fn again(patience: Duration, mut look: impl FnMut() -> Vec<String>) -> Vec<String> {
    let end = Instant::now() + crate::patient(patience);
    loop {
        let left = look();
        if left.is_empty() || Instant::now() > end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
