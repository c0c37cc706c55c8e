//! A kill at every system call: recorded by name and count, then one run a point, the kill injected by strace.
//!
//! ```text
//! <folder>/<op>-<who>.txt      NAME HIGHEST COVERED     one line a system call; COVERED: the counts at which a kill was survived, as ranges
//! ```
//!
//! strace counts each call of each thread by itself: point (openat, 7) is hit by the first thread that comes to its seventh openat.
//! A point that a run does not come to (what a thread pool does differs from run to run) is tried three times and then left out of COVERED.

use super::kills;
use super::life::{self, Begun, Life, Op};
use super::processes::{self, Who};
use super::tally::Tally;
use crate::node::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long an attach may take, or a process to be there.
const ATTACH: Duration = Duration::from_secs(5);

/// The whole leak check comes after so many points; a cheap one after each.
const EVERY: usize = 50;

/// So often a point is tried that a run does not come to.
const TRIES: u32 = 3;

/// What is done while one of its processes is killed. A launcher is there before its work only where one waits ahead.
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
    /// Only so many points, by seed.
    pub sample: Option<(usize, u64)>,
    /// Leave out what is covered.
    pub resume: bool,
    /// Only these operations, by name; none = all.
    pub only: Vec<String>,
    /// Record the points anew before.
    pub record: bool,
    /// Where the shard notes each point at once.
    pub notes: PathBuf,
}

/// One point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    op: Op,
    who: Who,
    name: String,
    count: u32,
}

/// The list of one operation and process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// For each call: the highest count that was seen, and the counts that are covered.
    calls: BTreeMap<String, (u32, BTreeSet<u32>)>,
}

impl List {
    /// Reads a list; none is an empty one.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut list = Self::default();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (Some(name), Some(Ok(most))) = (words.next(), words.next().map(str::parse)) else {
                continue;
            };
            let covered = words.flat_map(|w| w.split(',')).filter_map(range).flatten();
            list.calls
                .insert(name.to_owned(), (most, covered.collect()));
        }
        list
    }

    /// Writes it, sorted.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let (points, covered) = self.counts();
        let mut out = format!("# {points} points, {covered} covered\n");
        for (name, (most, covered)) in &self.calls {
            out.push_str(format!("{name} {most} {}", ranges(covered)).trim_end());
            out.push('\n');
        }
        let fresh = path.with_extension("new");
        fs::write(&fresh, out)?;
        fs::rename(fresh, path)
    }

    /// How many points it has, and how many of them are covered.
    pub fn counts(&self) -> (usize, usize) {
        let points = self.calls.values().map(|(most, _)| *most as usize).sum();
        (points, self.calls.values().map(|(_, c)| c.len()).sum())
    }
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u32>> {
    match text.split_once('-') {
        Some((from, to)) => Some(from.parse().ok()?..=to.parse().ok()?),
        None => text.parse().ok().map(|n| n..=n),
    }
}

fn ranges(numbers: &BTreeSet<u32>) -> String {
    let mut out: Vec<(u32, u32)> = Vec::new();
    for n in numbers {
        match out.last_mut().filter(|(_, to)| to + 1 == *n) {
            Some((_, to)) => *to = *n,
            None => out.push((*n, *n)),
        }
    }
    let text = |(from, to): &(u32, u32)| match from == to {
        true => from.to_string(),
        false => format!("{from}-{to}"),
    };
    out.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Path of the list of an operation and process.
fn list_path(folder: &Path, op: Op, who: Who) -> PathBuf {
    folder.join(format!("{}-{}.txt", op.as_str(), who.as_str()))
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
    if options.record {
        for (op, who) in &pairs {
            rig.record(
                &list_path(&options.folder, *op, *who),
                *op,
                *who,
                &mut tally,
            );
        }
    }
    let mut points = Vec::new();
    for (op, who) in &pairs {
        let list = List::read(&list_path(&options.folder, *op, *who));
        for (name, (most, covered)) in &list.calls {
            let all = (1..=*most).filter(|n| !(options.resume && covered.contains(n)));
            points.extend(all.map(|count| Point {
                op: *op,
                who: *who,
                name: name.clone(),
                count,
            }));
        }
    }
    if let Some((most, seed)) = options.sample {
        let mut random = fastrand::Rng::with_seed(seed);
        random.shuffle(&mut points);
        points.truncate(most);
    }
    let (shard, shards) = options.shard;
    let points: Vec<Point> = points
        .into_iter()
        .enumerate()
        .filter(|(n, _)| n % shards == shard)
        .map(|(_, p)| p)
        .collect();
    for (done, point) in points.iter().enumerate() {
        let mut came = Came::NotThere;
        for _ in 0..TRIES {
            came = rig.run(point, &mut tally);
            if came != Came::NotThere {
                break;
            }
        }
        let line = format!(
            "{} {} {} {} {}\n",
            point.op.as_str(),
            point.who.as_str(),
            point.name,
            point.count,
            match came {
                Came::Survived => "covered",
                Came::Lost => "lost",
                Came::NotThere => "open",
            }
        );
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&options.notes);
        if let Err(e) = file.and_then(|mut f| f.write_all(line.as_bytes())) {
            tally.leak(&options.notes.display().to_string(), &e.to_string());
        }
        if done % EVERY == EVERY - 1 {
            kills::check(&rig.node, &rig.empty, &mut tally);
        }
        tally.progress(done + 1, points.len());
    }
    kills::check(&rig.node, &rig.empty, &mut tally);
    kills::end(rig.node, &mut tally);
    tally
}

/// Enters what shards have noted into the lists; gives points and covered points of all lists.
pub fn merge(folder: &Path, notes: &[PathBuf]) -> io::Result<(usize, usize)> {
    let text: String = notes
        .iter()
        .map(|n| fs::read_to_string(n).unwrap_or_default())
        .collect();
    let (mut points, mut covered) = (0, 0);
    for (op, who) in ALL {
        let path = list_path(folder, op, who);
        let mut list = List::read(&path);
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [o, w, name, count, "covered"] = words.as_slice() else {
                continue;
            };
            if let (true, Ok(count)) = (*o == op.as_str() && *w == who.as_str(), count.parse()) {
                let call = list.calls.entry((*name).to_owned()).or_default();
                call.0 = call.0.max(count);
                call.1.insert(count);
            }
        }
        if !list.calls.is_empty() {
            list.write(&path)?;
        }
        let counts = list.counts();
        points += counts.0;
        covered += counts.1;
    }
    Ok((points, covered))
}

/// What came of one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// Killed there, and nothing was lost.
    Survived,
    /// Something was lost.
    Lost,
    /// The run did not come to it.
    NotThere,
}

/// The node that all points are run on.
struct Rig {
    node: Node,
    empty: life::Empty,
    number: u32,
    /// Where strace writes.
    out: PathBuf,
}

/// A strace that is attached.
struct Strace(Child);

impl Strace {
    /// Attaches to `pid`; comes back once all its threads are held.
    fn attach(pid: i32, arguments: &[&str], out: &Path) -> Result<Self, String> {
        let pid_text = pid.to_string();
        let child = Command::new("strace")
            .args(["-qq", "-o"])
            .arg(out)
            .args(arguments)
            .args(["-p", &pid_text])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("strace: {e}"))?;
        let mut strace = Self(child);
        let end = Instant::now() + ATTACH;
        loop {
            let tasks = fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten();
            let statuses: Vec<String> = tasks
                .flatten()
                .filter_map(|t| fs::read_to_string(t.path().join("status")).ok())
                .collect();
            if statuses.is_empty() || Instant::now() > end {
                strace.detach();
                return Err("the process to trace is gone".to_owned());
            }
            let traced = |s: &String| !s.contains("\nTracerPid:\t0\n");
            if statuses.iter().all(traced) {
                return Ok(strace);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends it. At SIGTERM it lets its tracees go; where it waits for one that is dead it is killed, which lets them go too.
    fn detach(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + Duration::from_millis(500);
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.0.kill();
                let _ = self.0.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Rig {
    fn new() -> Self {
        let node = Node::new(&life::unique());
        let empty = life::empty(&node);
        let out = node.folder().join("strace.out");
        Self {
            node,
            empty,
            number: 0,
            out,
        }
    }

    fn name(&mut self) -> String {
        self.number += 1;
        format!("s{}", self.number)
    }

    /// Records which calls are made how often, without a kill; the highest counts of all recordings stay.
    fn record(&mut self, path: &Path, op: Op, who: Who, tally: &mut Tally) {
        let what = format!("recording {} of {}", who.as_str(), op.as_str());
        let name = self.name();
        let life = Life::new(&self.node, &self.empty, name);
        let traced = self.traced(&life, op, who, &[]);
        let begun = match traced {
            Ok((strace, begun)) => {
                let after = life.after(op, begun);
                if let Err(problem) = after {
                    tally.leak(&what, &problem);
                }
                // What follows at once belongs to it: launchers and threads that end.
                std::thread::sleep(Duration::from_millis(300));
                let mut strace = strace;
                strace.detach();
                None
            }
            Err(problem) => {
                tally.leak(&what, &problem);
                None
            }
        };
        life.conclude(&what, op, &[], begun, tally);
        let mut list = List::read(path);
        for (call, count) in counted(&fs::read_to_string(&self.out).unwrap_or_default()) {
            let known = list.calls.entry(call).or_default();
            known.0 = known.0.max(count);
        }
        if let Err(e) = list.write(path) {
            tally.leak(&what, &format!("{}: {e}", path.display()));
        }
    }

    /// Runs one point.
    fn run(&mut self, point: &Point, tally: &mut Tally) -> Came {
        let Point {
            op,
            who,
            name,
            count,
        } = point;
        let what = format!(
            "{} killed at {name} {count} of {}",
            who.as_str(),
            op.as_str()
        );
        let pod = self.name();
        let life = Life::new(&self.node, &self.empty, pod);
        let calls = format!("trace={name},execve");
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let (mut strace, begun) =
            match self.traced(&life, *op, *who, &["-e", &calls, "-e", &inject]) {
                Ok(traced) => traced,
                Err(problem) => {
                    // The launcher that waits may have been let go before strace was there.
                    let gone = problem.contains("gone");
                    if !gone {
                        tally.leak(&what, &problem);
                    }
                    life.conclude(&what, Op::Stop, &[], None, tally);
                    return Came::NotThere;
                }
            };
        // Done when the process is killed, or the operation has ended without.
        let killed = |text: &str| text.contains("+++ killed by SIGKILL +++");
        let mut begun = begun;
        let end = Instant::now() + Duration::from_secs(20);
        let mut hit = false;
        let mut over = None;
        while Instant::now() < end {
            hit = killed(&fs::read_to_string(&self.out).unwrap_or_default());
            if hit {
                break;
            }
            if over.is_none() && life.is_over(*op, &mut begun) {
                over = Some(Instant::now());
            }
            if over.is_some_and(|o| o.elapsed() > Duration::from_millis(150)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        strace.detach();
        let hit = hit || killed(&fs::read_to_string(&self.out).unwrap_or_default());
        tally.kills += u64::from(hit);
        let before = tally.clone();
        life.conclude(&what, *op, &[*who], begun, tally);
        let lost = |t: &Tally| (t.leaks, t.wrong, t.otherwise);
        match (hit, lost(tally) == lost(&before)) {
            (_, false) => Came::Lost,
            (true, true) => Came::Survived,
            (false, true) => Came::NotThere,
        }
    }

    /// Brings the pod to where `op` can be done, attaches strace to the process and begins `op`.
    fn traced(
        &self,
        life: &Life<'_>,
        op: Op,
        who: Who,
        more: &[&str],
    ) -> Result<(Strace, Option<Begun>), String> {
        let _ = fs::remove_file(&self.out);
        life.before(op)?;
        // Threads and what is about to become a launcher or supervisor too; what has become another program not.
        let mut arguments = vec!["-f"];
        if who == Who::Supervisor {
            arguments.clear();
        } else {
            arguments.extend(["-b", "execve"]);
        }
        arguments.extend(more);
        if (op, who) == (Op::Create, Who::Supervisor) {
            return self.held_at_its_start(life, &arguments);
        }
        let end = Instant::now() + ATTACH;
        let pid = loop {
            match processes::find(self.node.word(), who).last() {
                Some(pid) => break *pid,
                None if Instant::now() > end => {
                    return Err(format!("no {} is there", who.as_str()));
                }
                None => {
                    // A daemon that ended is started again by any command.
                    if who == Who::Daemon {
                        let _ = self.node.run(&["get", "pods"]);
                    }
                }
            }
        };
        let strace = Strace::attach(pid, &arguments, &self.out)?;
        let begun = life.act(op)?;
        Ok((strace, begun))
    }

    /// The supervisor is held by its stand-in (see [`stand_in`]) until strace is attached.
    fn held_at_its_start(
        &self,
        life: &Life<'_>,
        arguments: &[&str],
    ) -> Result<(Strace, Option<Begun>), String> {
        let gate = gate();
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            &gate,
            rustix::fs::Mode::from_raw_mode(0o600),
        )
        .map_err(|e| format!("{}: {e}", gate.display()))?;
        let begun = life.act(Op::Create);
        let end = Instant::now() + ATTACH;
        let result = loop {
            if let Some(pid) = processes::find(self.node.word(), Who::Supervisor).last() {
                break Strace::attach(*pid, arguments, &self.out);
            }
            if Instant::now() > end {
                break Err("no supervisor was started".to_owned());
            }
        };
        // Whoever waits at it goes on; nobody else shall wait.
        let opened = fs::OpenOptions::new().read(true).write(true).open(&gate);
        let _ = opened.map(|mut f| {
            let _ = f.write_all(b"go\n");
            // Kept open until it is read.
            std::thread::sleep(Duration::from_millis(20));
        });
        let _ = fs::remove_file(&gate);
        Ok((result?, begun?))
    }
}

/// Where the supervisor's stand-in waits.
fn gate() -> PathBuf {
    crate::node::binary("podwright").with_file_name("gate")
}

/// Makes a folder of the programs in which podwright-supervisor is a stand-in that becomes the real one, once nobody holds it.
pub fn stand_in(dist: &Path, folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(folder)?;
    for name in ["podwright", "podwright-launch", "podwright-pause"] {
        fs::copy(dist.join(name), folder.join(name))?;
    }
    std::os::unix::fs::symlink(dist.join("busybox-image"), folder.join("busybox-image"))?;
    let real = folder.join("real");
    fs::create_dir(&real)?;
    fs::copy(
        dist.join("podwright-supervisor"),
        real.join("podwright-supervisor"),
    )?;
    let script = folder.join("podwright-supervisor");
    let (gate, real) = (folder.join("gate"), real.join("podwright-supervisor"));
    let text = format!(
        "#!/bin/sh\n[ -p {gate} ] && read go <{gate}\nexec {real} \"$@\"\n",
        gate = gate.display(),
        real = real.display()
    );
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
}

/// Highest count of each call over all threads, from what `strace -f` or `strace` wrote.
fn counted(text: &str) -> BTreeMap<String, u32> {
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for line in text.lines() {
        let (thread, rest) = match line.split_once(' ') {
            Some((pid, rest)) if pid.bytes().all(|b| b.is_ascii_digit()) => {
                (pid, rest.trim_start())
            }
            _ => ("", line),
        };
        let name = rest.split('(').next().unwrap_or_default();
        let call = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !name.is_empty() && name.len() < rest.len() && name.bytes().all(call) {
            *counts.entry((thread, name)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, name), count) in counts {
        // What a kill at it would be seen as is nothing: these do not come back.
        if !matches!(name, "exit" | "exit_group" | "restart_syscall") {
            let known: &mut u32 = most.entry(name.to_owned()).or_default();
            *known = count.max(*known);
        }
    }
    most
}
