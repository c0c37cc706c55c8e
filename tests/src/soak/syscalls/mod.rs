//! A kill at every system call: recorded by name and count, then killed there, the kill injected by strace.
//!
//! strace counts each call of each thread by itself: point (openat, 7) is hit by the first thread that comes to its seventh openat. A kill
//! comes before the call is done. So one at a call that changes nothing outside of the process and waits for nobody leaves the same as one at
//! the next call that does: these are the points that are run, all others only with `--all`.
//!
//! One pod serves for several points: one while it is created, one while its app is started, some execs, and one while it is stopped (or
//! ends, and is deleted). A point that a run does not come to (what a thread pool does differs from run to run) is tried three times and
//! then left open.
//!
//! ```text
//! mod ─▶ rig (a pod from create to delete, killed at its points) ─▶ trace, list
//! ```

mod errors;
pub mod list;
mod rig;
mod trace;

use super::kills;
use super::life::Op;
use super::processes::Who;
use super::tally::Tally;
use list::List;
use rig::{Came, Plan, Rig};
use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use list::merge;
pub use rig::stand_in;

/// The whole leak check comes after so many pods; a cheap one after each.
const EVERY: usize = 50;

/// So often a point is tried that a run does not come to.
const TRIES: u32 = 3;

/// Execs that one pod serves for.
const EXECS: usize = 4;

/// What is done while one of its processes is killed.
pub const ALL: [(Op, Who); 12] = [
    (Op::Create, Who::Daemon),
    (Op::Create, Who::Supervisor),
    (Op::Start, Who::Daemon),
    (Op::Start, Who::Supervisor),
    (Op::Start, Who::Launcher),
    (Op::Exec, Who::Daemon),
    (Op::Exec, Who::Supervisor),
    (Op::Exec, Who::Launcher),
    (Op::Stop, Who::Daemon),
    (Op::Stop, Who::Supervisor),
    (Op::Delete, Who::Daemon),
    (Op::End, Who::Supervisor),
];

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the lists.
    pub folder: PathBuf,
    /// This shard and how many there are.
    pub shard: (usize, usize),
    /// Only so many points, by seed; nothing is noted then.
    pub sample: Option<(usize, u64)>,
    /// Leave out what is covered.
    pub resume: bool,
    /// Also the points that change nothing.
    pub all: bool,
    /// Only these operations, by name; none = all.
    pub only: Vec<String>,
    /// Record the points before: so many times. Anew, or with `resume` in addition to what the lists have.
    pub record: u32,
    /// Instead of a kill, the call fails in each way that is possible for it; nothing is noted then.
    pub errors: bool,
    /// Where the shard notes each point at once.
    pub notes: PathBuf,
}

/// One point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    op: Op,
    who: Who,
    name: String,
    count: u32,
    /// The call fails so. `None`: a kill.
    errno: Option<&'static str>,
    tries: u32,
}

/// Points that wait, by operation.
#[derive(Debug, Default)]
struct Queue(VecDeque<Point>);

impl Queue {
    fn take(&mut self, op: Op) -> Option<Point> {
        let at = self.0.iter().position(|p| p.op == op)?;
        self.0.remove(at)
    }

    fn count(&self, op: Op) -> usize {
        self.0.iter().filter(|p| p.op == op).count()
    }

    /// The points of the next pod.
    fn plan(&mut self) -> Plan {
        let mut plan: Plan = [Op::Create, Op::Start]
            .into_iter()
            .filter_map(|op| self.take(op))
            .collect();
        // Of an app whose launcher is killed there may be nothing to go on with.
        if plan.iter().any(|p| p.who == Who::Launcher) {
            return plan;
        }
        plan.extend((0..EXECS).filter_map(|_| self.take(Op::Exec)));
        let ends = self.count(Op::End).max(self.count(Op::Delete));
        if self.count(Op::Stop) >= ends {
            plan.extend(self.take(Op::Stop));
        } else {
            plan.extend(self.take(Op::End));
            plan.extend(self.take(Op::Delete));
        }
        plan
    }
}

/// Runs the points, and notes which are covered.
pub fn syscalls(options: &Options) -> Tally {
    let mut rig = Rig::new();
    let mut tally = Tally::default();
    let chosen = |op: Op, who: Who| {
        let name = format!("{}-{}", op.as_str(), who.as_str());
        options.only.is_empty() || options.only.iter().any(|o| name.starts_with(o.as_str()))
    };
    let pairs: Vec<(Op, Who)> = ALL.into_iter().filter(|(o, w)| chosen(*o, *w)).collect();
    for (op, who) in &pairs {
        let path = list::path(&options.folder, *op, *who);
        if options.record > 0
            && !options.resume
            && let Err(e) = fs::remove_file(&path)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tally.leak(&path.display().to_string(), &e.to_string());
        }
        for _ in 0..options.record {
            rig.record(&path, *op, *who, &mut tally);
        }
    }
    let mut queue = Queue(points(options, &pairs).into());
    let all = queue.0.len();
    let (mut pods, mut settled) = (0, 0);
    while !queue.0.is_empty() {
        let plan = queue.plan();
        for (mut point, came) in rig.life(plan, &mut tally) {
            point.tries += 1;
            let again = match came {
                Came::NotThere => point.tries < TRIES,
                // The pod had ended before its turn came: not its fault.
                Came::Skipped => point.tries < 5 * TRIES,
                Came::Survived | Came::Lost => false,
            };
            if again {
                queue.0.push_back(point);
                continue;
            }
            settled += 1;
            // A sample is a test: the lists stay as they are.
            if options.sample.is_some() || options.errors {
                continue;
            }
            if let Err(e) = note(&options.notes, &point, came) {
                tally.leak(&options.notes.display().to_string(), &e.to_string());
            }
        }
        pods += 1;
        if pods % EVERY == 0 {
            kills::check(rig.node(), rig.empty(), &mut tally);
        }
        tally.progress(settled, all);
    }
    kills::check(rig.node(), rig.empty(), &mut tally);
    kills::end(rig.into_node(), &mut tally);
    tally
}

/// The points of these operations that are to be run.
fn points(options: &Options, pairs: &[(Op, Who)]) -> Vec<Point> {
    let mut points = Vec::new();
    for (op, who) in pairs {
        let list = List::read(&list::path(&options.folder, *op, *who));
        for (name, call) in &list.calls {
            if options.errors {
                points.extend(errors::of(name).flat_map(|errno| {
                    (1..=call.most).map(move |count| Point {
                        op: *op,
                        who: *who,
                        name: name.clone(),
                        count,
                        errno: Some(errno),
                        tries: 0,
                    })
                }));
                continue;
            }
            let wanted = |n: &u32| {
                (options.all || call.changing.contains(n))
                    && !(options.resume && call.covered.contains(n))
            };
            points.extend((1..=call.most).filter(wanted).map(|count| Point {
                op: *op,
                who: *who,
                name: name.clone(),
                count,
                errno: None,
                tries: 0,
            }));
        }
    }
    if let Some((most, seed)) = options.sample {
        let mut random = fastrand::Rng::with_seed(seed);
        random.shuffle(&mut points);
        points.truncate(most);
    }
    let (shard, shards) = options.shard;
    let of_shard = points.into_iter().enumerate();
    of_shard
        .filter(|(n, _)| n % shards == shard)
        .map(|(_, p)| p)
        .collect()
}

/// Notes what came of a point, at once: a run that is cut off loses nothing.
fn note(path: &Path, point: &Point, came: Came) -> std::io::Result<()> {
    let line = format!(
        "{} {} {} {} {}\n",
        point.op.as_str(),
        point.who.as_str(),
        point.name,
        point.count,
        match came {
            Came::Survived => "covered",
            Came::Lost => "lost",
            Came::NotThere | Came::Skipped => "open",
        }
    );
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    file.write_all(line.as_bytes())
}
