//! What must hold of a pod's life, kept by a book of its own that knows nothing of plans.

use pod_model::ids::SandboxId;
use pod_model::pod::{ContainerKind, Pod, RestartPolicy};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// First and longest wait between restarts, and how long a good run makes both void.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
const VOID_AFTER: Duration = Duration::from_secs(600);

/// The end of a container's last attempt.
#[derive(Clone, Copy, Debug)]
struct End {
    code: i32,
    at: Instant,
    /// It was asked to end.
    asked: bool,
}

/// One container's life so far.
#[derive(Debug, Default)]
struct Past {
    app: bool,
    attempt: Option<u32>,
    sandbox: Option<SandboxId>,
    end: Option<End>,
    /// What it waits between restarts.
    wait: Option<Wait>,
}

/// A back-off. It counts from when its start was decided, which is some time before the start came about.
#[derive(Clone, Copy, Debug)]
struct Wait {
    /// At least that long.
    least: Duration,
    /// At most that long.
    most: Duration,
    /// The earliest moment that its start was decided at.
    from: Instant,
    /// The latest.
    to: Instant,
}

/// What happened so far.
#[derive(Debug, Default)]
pub struct Ledger {
    past: BTreeMap<String, Past>,
    /// An app was ever started: from then on, order binds only the records that are left.
    apps_ran: bool,
    /// Containers whose records were lost.
    lost: BTreeSet<String>,
    /// Until then a start may be of an old size, with a back-off of its own.
    either_size_until: Option<Instant>,
    /// The user gave the pod a second chance.
    second_chance: bool,
    /// Sidecars that were up once.
    were_up: BTreeSet<String>,
}

/// A start that is asked for.
pub struct Started<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Which container.
    pub name: &'a str,
    /// Which attempt of it.
    pub attempt: u32,
    /// In which sandbox.
    pub sandbox: &'a SandboxId,
    /// Whether that runs.
    pub sandbox_ready: bool,
    /// Whether deletion was asked for.
    pub deleted: bool,
    /// Whether a container of that name runs.
    pub running: &'a dyn Fn(&str) -> bool,
    /// Whether nothing has gone wrong, so that what is due comes in time.
    pub in_time: bool,
    /// The time.
    pub now: Instant,
}

/// A start that has come about.
pub struct Begun<'a> {
    /// Which container.
    pub name: &'a str,
    /// Which attempt of it.
    pub attempt: u32,
    /// In which sandbox.
    pub sandbox: &'a SandboxId,
    /// Whether it is an app.
    pub app: bool,
}

/// How much later than its back-off an app may start again where nothing fails: what others of its pod take meanwhile, hooks above all.
const LATE: Duration = Duration::from_secs(60);

impl Ledger {
    /// A container ended.
    pub fn end(&mut self, name: &str, code: i32, asked: bool, at: Instant) {
        let past = self.past.entry(name.to_owned()).or_default();
        past.end = Some(End { code, at, asked });
    }

    /// A container is up: it runs, and its startup probe has succeeded if it has one.
    pub fn up(&mut self, name: &str) {
        self.were_up.insert(name.to_owned());
    }

    /// A record was lost.
    pub fn lost(&mut self, name: &str) {
        self.lost.insert(name.to_owned());
        // Without a record there is no end to wait from.
        if let Some(past) = self.past.get_mut(name) {
            past.end = None;
        }
    }

    /// Back-offs may start over.
    pub fn forget_back_offs(&mut self) {
        for past in self.past.values_mut() {
            past.wait = None;
        }
    }

    /// The user gave the pod a second chance: back-offs are void, those of starts that are under way until then too, and what had
    /// ended for good may run again.
    pub fn second_chance(&mut self, until: Instant) {
        self.sizes_are_new(until);
        self.second_chance = true;
    }

    /// Back-offs belong to containers of one size: those of the old one are void, and until then a start may be of either.
    pub fn sizes_are_new(&mut self, until: Instant) {
        self.forget_back_offs();
        self.either_size_until = Some(until);
    }

    /// What is wrong about a start that is asked for.
    pub fn check(&self, asked: &Started<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        let name = asked.name;
        if asked.deleted {
            wrong.push(format!("{name} was started after the deletion"));
        }
        if !asked.sandbox_ready {
            wrong.push(format!("{name} was started in a sandbox that is not ready"));
        }
        if (asked.running)(name) {
            wrong.push(format!("{name} was started while it runs"));
        }
        wrong.extend(self.order(asked));
        wrong.extend(self.again(asked));
        wrong
    }

    /// Enters a start.
    pub fn begun(&mut self, begun: &Begun<'_>, now: Instant) {
        self.apps_ran |= begun.app;
        let past = self.past.entry(begun.name.to_owned()).or_default();
        if let (Some(end), true) = (past.end, past.sandbox.as_ref() == Some(begun.sandbox)) {
            let (least, most) = past.live_wait(end);
            let next = |live: Duration| (live * 2).clamp(FIRST, LONGEST);
            let either = self.either_size_until.is_some_and(|until| now <= until);
            past.wait = (!either).then_some(Wait {
                least: next(least),
                most: next(most),
                from: end.at + least,
                to: now,
            });
        }
        past.app = begun.app;
        past.attempt = Some(begun.attempt);
        past.sandbox = Some(begun.sandbox.clone());
        past.end = None;
    }

    /// Every init container before it has done its work; every sidecar before it runs and is up.
    fn order(&self, asked: &Started<'_>) -> Vec<String> {
        let (name, spec) = (asked.name, &asked.pod.spec);
        let place = spec.init_containers.iter().position(|c| c.name == name);
        let before = spec.init_containers.iter();
        let before = before.take(place.unwrap_or(spec.init_containers.len()));
        let mut wrong = Vec::new();
        for init in before {
            let running = (asked.running)(init.name.as_str());
            let other = init.name.as_str();
            if init.is_sidecar() {
                // Later, a sidecar that is down is started beside what goes on.
                if !self.were_up.contains(other) {
                    wrong.push(format!("{name} was started before sidecar {other} was up"));
                }
                continue;
            }
            if running {
                wrong.push(format!(
                    "{name} was started while init container {other} runs"
                ));
            }
            let end = self.past.get(other).and_then(|p| p.end);
            let succeeded = end.is_some_and(|e| e.code == 0);
            if !self.apps_ran && !self.lost.contains(other) && !succeeded {
                wrong.push(format!(
                    "{name} was started before init container {other} succeeded"
                ));
            }
        }
        wrong
    }

    /// What its policy, its number and its back-off say of another attempt.
    fn again(&self, asked: &Started<'_>) -> Vec<String> {
        let name = asked.name;
        let mut wrong = Vec::new();
        let Some(past) = self.past.get(name) else {
            return wrong;
        };
        if past.attempt.is_some_and(|last| asked.attempt <= last) {
            wrong.push(format!(
                "{name} got attempt {} after {}",
                asked.attempt,
                past.attempt.unwrap_or_default()
            ));
        }
        let (Some(end), true) = (past.end, past.sandbox.as_ref() == Some(asked.sandbox)) else {
            return wrong;
        };
        let (kind, sidecar) = match asked.pod.spec.find(name) {
            Some((kind, _, container)) => (Some(kind), container.is_sidecar()),
            None => (None, false),
        };
        if !sidecar && !self.lost.contains(name) && !self.second_chance {
            let policy = asked.pod.spec.restart();
            if policy == RestartPolicy::Never {
                wrong.push(format!("{name} was started again under Never"));
            }
            if policy == RestartPolicy::OnFailure && end.code == 0 && !end.asked {
                wrong.push(format!(
                    "{name} was started again after success under OnFailure"
                ));
            }
        }
        let (least, most) = past.live_wait(end);
        if asked.now < end.at + least {
            wrong.push(format!(
                "{name} was started again {:?} after its end, before its back-off of {least:?}",
                asked.now - end.at
            ));
        }
        if asked.in_time && kind == Some(ContainerKind::App) && asked.now > end.at + most + LATE {
            wrong.push(format!(
                "{name} was started again {:?} after its end, long after its back-off of {most:?}",
                asked.now - end.at
            ));
        }
        wrong
    }

    /// Which apps should have started again by now, where all that end are started again and nothing fails.
    pub fn overdue(&self, now: Instant) -> Vec<String> {
        let late = |past: &Past| {
            let end = past.end?;
            let due = end.at + past.live_wait(end).1 + LATE;
            (now > due).then(|| now - due)
        };
        let each = self.past.iter().filter(|(_, past)| past.app);
        each.filter_map(|(name, past)| Some((name, late(past)?)))
            .map(|(name, by)| format!("{name} should have started again {by:?} ago"))
            .collect()
    }
}

impl Past {
    /// What it has to wait after that end: at least and at most.
    fn live_wait(&self, end: End) -> (Duration, Duration) {
        let live = |from: Instant| end.at.saturating_duration_since(from) <= VOID_AFTER;
        let least = self.wait.filter(|w| live(w.from)).map(|w| w.least);
        let most = self.wait.filter(|w| live(w.to)).map(|w| w.most);
        (least.unwrap_or_default(), most.unwrap_or_default())
    }
}

/// Says so if that container must not be asked to end while those run.
pub fn out_of_turn(pod: &Pod, name: &str, running: &[&str]) -> Option<String> {
    let spec = &pod.spec;
    let place = spec.init_containers.iter().position(|c| c.name == name)?;
    let mut from = spec.init_containers.iter().skip(place);
    if !from.next()?.is_sidecar() {
        return None;
    }
    let later = from.filter(|c| c.is_sidecar());
    let mut first = spec.containers.iter().chain(later);
    let other = first.find(|c| running.contains(&c.name.as_str()))?;
    Some(format!(
        "sidecar {name} was asked to end while {} runs",
        other.name
    ))
}
