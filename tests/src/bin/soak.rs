//! Long runs that break a node on purpose: `hack/soak` starts them in namespaces of their own, of which this program is PID 1.

use e2e::soak::processes::Who;
use e2e::soak::tally::Tally;
use e2e::soak::{exits, kills, recovery, syscalls, threats};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: soak kills N [--seed S] [--only daemon|supervisor|launcher]
       soak syscalls [--shard I/N] [--sample N] [--seed S] [--all] [--resume] [--record TIMES] [--only OP[-PROCESS]]...
       soak errors [--shard I/N] [--sample N] [--seed S] [--only OP[-PROCESS]]...
       soak exits N
       soak points
       soak recovery [PODS] [ROUNDS]
       soak threats [ROUNDS] [ID...]";

/// Set for the run itself, which is a child of PID 1.
const INSIDE: &str = "PODWRIGHT_SOAK_INSIDE";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if std::process::id() == 1 && std::env::var_os(INSIDE).is_none() {
        return reap(&arguments);
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::from(64)
        }
    }
}

/// Runs itself as a child and reaps whatever else ends, as PID 1 must.
fn reap(arguments: &[String]) -> ExitCode {
    let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    let mut command = Command::new(own);
    command.args(arguments).env(INSIDE, "1");
    let work = std::env::temp_dir().join(format!(
        "pwsoak{}",
        arguments
            .join("")
            .replace(|c: char| !c.is_ascii_alphanumeric(), "")
    ));
    if arguments
        .first()
        .is_some_and(|a| a == "syscalls" || a == "errors")
    {
        let dist = dist();
        let _ = std::fs::remove_dir_all(&work);
        if let Err(e) = syscalls::stand_in(&dist, &work) {
            eprintln!("{}: {e}", work.display());
            return ExitCode::FAILURE;
        }
        command.env("PODWRIGHT_DIST", &work);
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            eprintln!("soak: {e}");
            return ExitCode::FAILURE;
        }
    };
    let mut code = ExitCode::FAILURE;
    let options = rustix::process::WaitOptions::empty();
    while let Ok(Some((pid, status))) = rustix::process::wait(options) {
        if u32::try_from(pid.as_raw_nonzero().get()) == Ok(child.id()) {
            let status = status.exit_status().and_then(|s| u8::try_from(s).ok());
            code = ExitCode::from(status.unwrap_or(1));
            break;
        }
    }
    let _ = std::fs::remove_dir_all(work);
    code
}

/// Where the programs are.
fn dist() -> PathBuf {
    let path = e2e::node::binary("podwright");
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

/// The closing line.
fn tell(tally: &Tally) -> bool {
    eprintln!();
    println!("{tally}");
    tally.is_clean()
}

/// Runs a verb; says whether nothing was lost.
fn run(arguments: &[String]) -> Result<bool, String> {
    let mut words = arguments.iter().map(String::as_str);
    let verb = words.next().ok_or(USAGE)?;
    let (mut plain, mut only) = (Vec::new(), Vec::new());
    let mut seed = 1;
    let mut sample = None;
    let mut options = syscalls::Options {
        folder: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/kill-points")),
        shard: (0, 1),
        sample: None,
        resume: false,
        only: Vec::new(),
        all: false,
        errors: false,
        record: 0,
        notes: PathBuf::new(),
    };
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("{word} needs a value\n{USAGE}"))
        };
        match word {
            "--seed" => seed = number(value()?)?,
            "--sample" => sample = Some(number(value()?)?),
            "--resume" => options.resume = true,
            "--all" => options.all = true,
            "--record" => options.record = u32::try_from(number(value()?)?).unwrap_or(1),
            "--only" => options.only.push(value()?.to_owned()),
            "--shard" => {
                let text = value()?;
                let (i, n) = text.split_once('/').ok_or(USAGE)?;
                options.shard = (number(i)? as usize, (number(n)? as usize).max(1));
            }
            other if other.starts_with('-') => return Err(format!("{other}?\n{USAGE}")),
            id if verb == "threats" && id.starts_with('S') => only.push(id.to_owned()),
            other => plain.push(number(other)?),
        }
    }
    let small = |n: Option<&u64>, or: u32| {
        n.map_or(Ok(or), |n| u32::try_from(*n).map_err(|e| e.to_string()))
    };
    match verb {
        "kills" => {
            let who = |o: &String| Who::ALL.into_iter().find(|w| w.as_str() == o);
            let only = match options.only.first() {
                Some(o) => Some(who(o).ok_or(USAGE)?),
                None => None,
            };
            let count = *plain.first().ok_or(USAGE)?;
            Ok(tell(&kills::kills(count, seed, only)))
        }
        "exits" => {
            let found = exits::exits(*plain.first().ok_or(USAGE)?);
            println!("{found}");
            Ok(found.is_clean())
        }
        "recovery" => Ok(tell(&recovery::recovery(
            small(plain.first(), 100)?,
            small(plain.get(1), 5)?,
        ))),
        "points" => {
            let entries = std::fs::read_dir(&options.folder).map_err(|e| e.to_string())?;
            let notes = entries.flatten().map(|e| e.path());
            let noted = |p: &PathBuf| {
                p.file_name()
                    .is_some_and(|n| n.to_string_lossy().starts_with("notes-"))
            };
            let notes: Vec<PathBuf> = notes.filter(noted).collect();
            let merged = syscalls::merge(&options.folder, &notes).map_err(|e| e.to_string())?;
            for note in notes {
                std::fs::remove_file(note).map_err(|e| e.to_string())?;
            }
            println!("{merged}");
            Ok(true)
        }
        "threats" => threats::run(plain.first().copied().unwrap_or(2000), &only),
        "errors" => {
            options.errors = true;
            options.sample = sample.map(|n| (n as usize, seed));
            let tally = syscalls::syscalls(&options);
            println!("{}", tally.to_string().replacen("kills", "errors", 1));
            Ok(tally.is_clean())
        }
        "syscalls" => {
            options.sample = sample.map(|n| (n as usize, seed));
            let (shard, shards) = options.shard;
            options.notes = options.folder.join(format!("notes-{shard}-of-{shards}"));
            std::fs::create_dir_all(&options.folder).map_err(|e| e.to_string())?;
            let tally = syscalls::syscalls(&options);
            if options.sample.is_none() && shards == 1 {
                let merged = syscalls::merge(&options.folder, std::slice::from_ref(&options.notes));
                eprintln!("\n{}", merged.map_err(|e| e.to_string())?);
            }
            Ok(tell(&tally))
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no number\n{USAGE}"))
}
