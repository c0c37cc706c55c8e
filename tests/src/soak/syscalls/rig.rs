//! One node, and pods on it that are killed at their points.

use super::Point;
use super::list::List;
use super::trace::{self, ATTACH, Strace};
use crate::node::Node;
use crate::soak::life::{self, Begun, Life, Op};
use crate::soak::processes::{self, Who};
use crate::soak::tally::Tally;
use std::cell::Cell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a point may take to be hit, or its operation to end.
const HIT: Duration = Duration::from_secs(30);

/// What follows an operation at once still belongs to it: launchers and threads that end.
const AFTER: Duration = Duration::from_millis(150);

/// The daemon tries a start that failed again after 10 s: of those whose launcher was killed one in so many waits for that, the others are
/// deleted before.
const AGAIN: u32 = 8;

/// The points of one pod, in the order of its life.
pub(crate) type Plan = Vec<Point>;

/// What came of one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Killed there, and nothing was lost.
    Survived,
    /// Something was lost.
    Lost,
    /// The run did not come to it.
    NotThere,
    /// The pod had ended before.
    Skipped,
}

/// The node that all points are run on.
pub(crate) struct Rig {
    node: Node,
    empty: life::Empty,
    number: u32,
    /// Where strace writes.
    out: PathBuf,
    /// So much of the daemon's log has been looked at.
    seen: Cell<usize>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let node = Node::new(&life::unique());
        let empty = life::empty(&node);
        let out = node.folder().join("strace.out");
        Self {
            node,
            empty,
            number: 0,
            out,
            seen: Cell::new(0),
        }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    pub(crate) fn empty(&self) -> &life::Empty {
        &self.empty
    }

    pub(crate) fn into_node(self) -> Node {
        self.node
    }

    fn name(&mut self) -> String {
        self.number += 1;
        format!("s{}", self.number)
    }

    /// Records which calls are made how often, without a kill, and takes it into the list.
    pub(crate) fn record(&mut self, path: &Path, op: Op, who: Who, tally: &mut Tally) {
        let what = format!("recording {} of {}", who.as_str(), op.as_str());
        let name = self.name();
        let life = Life::new(&self.node, &self.empty, name);
        let traced = life.before(op).and_then(|()| {
            if (op, who) == (Op::Exec, Who::Launcher) {
                life.launcher_ahead()?;
            }
            self.traced(&life, op, who, &["-y"])
        });
        let whole = traced.is_ok();
        let begun = match traced {
            Ok((mut strace, mut begun)) => {
                let end = Instant::now() + HIT;
                while !life.is_over(op, &mut begun) && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(3));
                }
                std::thread::sleep(2 * AFTER);
                strace.detach();
                begun
            }
            Err(problem) => {
                tally.leak(&what, &problem);
                None
            }
        };
        life.conclude(&what, op, &[], begun, tally);
        if !whole {
            return;
        }
        let text = fs::read_to_string(&self.out).unwrap_or_default();
        let (mut list, mut recording) = (List::read(path), List::default());
        trace::enter(&mut recording, &text, who);
        list.join(recording);
        if let Err(e) = list.write(path) {
            tally.leak(&what, &format!("{}: {e}", path.display()));
        }
    }

    /// One pod from create to delete, killed at each of these points in turn.
    pub(crate) fn life(&mut self, plan: Plan, tally: &mut Tally) -> Vec<(Point, Came)> {
        let name = self.name();
        let life = Life::new(&self.node, &self.empty, name);
        let before = losses(tally);
        let mut what = String::new();
        let mut came: Vec<(Point, Came)> = Vec::new();
        let mut left = plan.into_iter().peekable();
        let mut problem = life.ready(Op::Create).err();
        let (mut last, mut undone) = (None, false);
        for op in [
            Op::Create,
            Op::Start,
            Op::Exec,
            Op::End,
            Op::Delete,
            Op::Stop,
        ] {
            let mine = |p: &Point| p.op == op;
            let needed = match op {
                Op::Create | Op::Start => true,
                // Only what has ended is deleted as such.
                Op::End => left
                    .peek()
                    .is_some_and(|p| matches!(p.op, Op::End | Op::Delete)),
                Op::Exec | Op::Stop | Op::Delete => left.peek().is_some_and(mine),
                Op::Run => false,
            };
            let mut first = true;
            while problem.is_none() && needed && (left.peek().is_some_and(mine) || first) {
                first = false;
                let point = left.next_if(mine);
                let begun = match &point {
                    Some(point) => self.stage(&life, point, &mut what, tally),
                    None => plain(&life, op).map(|()| Came::Survived),
                };
                last = Some(op);
                let by_launcher = |p: &Point| (p.op, p.who) == (Op::Start, Who::Launcher);
                undone |= point
                    .as_ref()
                    .is_some_and(|p| by_launcher(p) && p.count % AGAIN != 0);
                match (begun, point) {
                    (Ok(c), Some(point)) => came.push((point, c)),
                    (Ok(_), None) => {}
                    (Err(text), point) => {
                        // An app whose launcher was killed may have ended with it.
                        let ended = what.contains("launcher") && life.has_ended();
                        let own = if ended { Came::Skipped } else { Came::Lost };
                        came.extend(point.map(|p| (p, own)));
                        problem = (!ended).then_some(text);
                        if ended {
                            came.extend(left.by_ref().map(|p| (p, Came::Skipped)));
                        }
                    }
                }
            }
        }
        came.extend(left.map(|p| (p, Came::Skipped)));
        let gone = matches!(last, Some(Op::Stop | Op::Delete));
        let killed = match what.contains("launcher") {
            true => Who::Launcher,
            false => Who::Supervisor,
        };
        let failed = came.iter().any(|(p, _)| p.errno.is_some());
        if problem.is_none() && !gone && !undone {
            let killed = [killed];
            let end = life.to_its_end(&what, if failed { &[] } else { &killed }, tally);
            problem = end.err();
        }
        if let Some(problem) = problem {
            tally.leak(&what, &problem);
        }
        life.clear(&what, tally);
        if losses(tally) != before {
            for (_, came) in came.iter_mut().filter(|(_, c)| *c == Came::Survived) {
                *came = Came::Lost;
            }
        }
        came
    }

    /// One operation with a kill.
    fn stage(
        &self,
        life: &Life<'_>,
        point: &Point,
        what: &mut String,
        tally: &mut Tally,
    ) -> Result<Came, String> {
        let Point {
            op,
            who,
            name,
            count,
            errno,
            ..
        } = point;
        if *op != Op::Create {
            life.ready(*op)?;
        }
        if (*op, *who) == (Op::Exec, Who::Launcher) {
            life.launcher_ahead()?;
        }
        let calls = format!("trace={name},execve");
        let shown = if errno.is_some() { "-y" } else { "-q" };
        let inject = match errno {
            Some(errno) => format!("inject={name}:error={errno}:when={count}"),
            None => format!("inject={name}:signal=KILL:when={count}"),
        };
        let (mut strace, mut begun) =
            match self.traced(life, *op, *who, &[shown, "-e", &calls, "-e", &inject]) {
                Ok(traced) => traced,
                // The launcher that waits may have been let go before strace was there.
                Err(problem) if problem.contains("gone") => {
                    plain(life, *op)?;
                    return Ok(Came::NotThere);
                }
                Err(problem) => return Err(problem),
            };
        what.push_str(if what.is_empty() { "" } else { ", then " });
        what.push_str(&format!(
            "{} {} at {name} {count} of {}",
            who.as_str(),
            errno.unwrap_or("killed"),
            op.as_str()
        ));
        // Done when the process is killed, or the operation has ended without; with an error it has to come to its end.
        let text = || fs::read_to_string(&self.out).unwrap_or_default();
        let killed = || errno.is_none() && text().contains("+++ killed by SIGKILL +++");
        let end = Instant::now() + HIT;
        let mut over: Option<Instant> = None;
        while Instant::now() < end && !killed() && over.is_none_or(|o| o.elapsed() < AFTER) {
            if over.is_none() && life.is_over(*op, &mut begun) {
                over = Some(Instant::now());
            }
            strace.look();
            std::thread::sleep(Duration::from_millis(1));
        }
        strace.detach();
        let text = text();
        let injected = text.lines().find(|l| l.contains("(INJECTED)"));
        let hit = killed() || injected.is_some();
        // One that only counts in memory cannot fail so: what comes of it says nothing but how a sudden end is survived.
        let possible = injected.is_none_or(|l| !l.contains("anon_inode:[eventfd]"));
        // A launcher kills what it forked, and tells a panic as the failure that it is.
        let end = match who {
            Who::Launcher => "+++ killed by SIGABRT",
            Who::Daemon | Who::Supervisor => "+++ killed by",
        };
        if errno.is_some()
            && possible
            && let Some(line) = text.lines().find(|l| l.contains(end))
        {
            return Err(format!("an error was its end: {line}"));
        }
        if killed() || !possible {
            // Until it has let go of its sockets, somebody may still connect to it.
            let end = Instant::now() + ATTACH;
            while strace.dying(&text) && Instant::now() < end {
                std::thread::yield_now();
            }
        }
        tally.kills += u64::from(hit);
        let panic = self.panic();
        if errno.is_some()
            && possible
            && let Some(panic) = panic
        {
            return Err(panic);
        }
        life.settle(*op, &[*who], begun, tally)?;
        Ok(match hit {
            true => Came::Survived,
            false => Came::NotThere,
        })
    }

    /// What a process of the node has said of a panic since this was asked last.
    fn panic(&self) -> Option<String> {
        let mut said = fs::read_to_string(self.node.run_dir().join("node.log")).unwrap_or_default();
        let seen = self.seen.replace(said.len());
        said = said.get(seen..).unwrap_or_default().to_owned();
        let sandboxes = fs::read_dir(self.node.run_dir().join("sandboxes"));
        for sandbox in sandboxes.into_iter().flatten().flatten() {
            let words = fs::read_to_string(sandbox.path().join("supervisor.err"));
            said.push_str(&words.unwrap_or_default());
        }
        said.lines()
            .find(|l| l.contains("panicked"))
            .map(str::to_owned)
    }

    /// Attaches strace to the process and begins `op`.
    fn traced(
        &self,
        life: &Life<'_>,
        op: Op,
        who: Who,
        more: &[&str],
    ) -> Result<(Strace, Option<Begun>), String> {
        let _ = fs::remove_file(&self.out);
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
        let patience = match who {
            // One that waits ahead is let go after a second.
            Who::Launcher => Duration::from_millis(500),
            Who::Daemon | Who::Supervisor => ATTACH,
        };
        let end = Instant::now() + patience;
        let pid = loop {
            match processes::find(self.node.word(), who).last() {
                Some(pid) => break *pid,
                None if Instant::now() > end => {
                    return Err(format!("the {} is gone", who.as_str()));
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
            std::thread::sleep(Duration::from_millis(1));
        };
        // Whoever waits at it goes on; nobody else shall wait. It opens once somebody reads.
        let end = Instant::now() + ATTACH;
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
        loop {
            let opened = rustix::fs::open(&gate, flags, rustix::fs::Mode::empty());
            if let Ok(fd) = opened {
                let _ = fs::File::from(fd).write_all(b"go\n");
                break;
            }
            if Instant::now() > end {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = fs::remove_file(&gate);
        Ok((result?, begun?))
    }
}

fn losses(tally: &Tally) -> (u64, u64, u64) {
    (tally.leaks, tally.wrong, tally.otherwise)
}

/// An operation with nothing killed.
fn plain(life: &Life<'_>, op: Op) -> Result<(), String> {
    if op != Op::Create {
        life.ready(op)?;
    }
    let begun = life.act(op)?;
    life.ended(begun)
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
