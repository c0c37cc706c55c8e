use super::*;
use std::fs::{self, File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;

struct Place {
    dir: PathBuf,
    scratch: Scratch,
    pipe: (PipeReader, PipeWriter),
}

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("sup-log-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self {
            dir,
            scratch: Scratch::default(),
            pipe: std::io::pipe().unwrap(),
        }
    }

    fn settings(&self, max_bytes: u64, max_files: u32) -> Settings {
        Settings {
            path: self.dir.join("log"),
            max_bytes,
            max_files,
        }
    }

    fn base(&self) -> PathBuf {
        self.dir.join("c1")
    }

    fn open(&self, max_bytes: u64, max_files: u32) -> Log {
        Log::open(self.settings(max_bytes, max_files), &self.base()).unwrap()
    }

    fn adopt(&mut self, max_bytes: u64, max_files: u32) -> Log {
        let settings = self.settings(max_bytes, max_files);
        Log::adopt(settings, &self.dir.join("c1"), &mut self.scratch).unwrap()
    }

    /// What a container prints comes into the spool.
    fn print(&mut self, log: &mut Log, text: &str) {
        self.pipe.1.write_all(text.as_bytes()).unwrap();
        let read = log.fill(Which::Stdout, self.pipe.0.as_fd(), &mut self.scratch);
        assert_eq!(read, Read::Some(text.len()));
    }

    /// And from there into the log.
    fn pass(&mut self, log: &mut Log) {
        log.pass(Which::Stdout, false, &mut self.scratch);
    }

    /// Texts of the entries of one file.
    fn texts(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join(name)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "torn: {text:?}");
        text.lines()
            .map(|l| l.splitn(4, ' ').nth(3).unwrap().to_owned())
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// From here on the log's file takes nothing.
fn fill_disk(log: &mut Log, place: &Place) -> LogFile {
    let settings = Settings {
        path: place.dir.join("full"),
        max_bytes: 0,
        max_files: 1,
    };
    let mut full = LogFile::open(settings).unwrap();
    full.replace(OpenOptions::new().write(true).open("/dev/full").unwrap());
    std::mem::replace(&mut log.file, full)
}

#[test]
fn a_file_is_rotated_before_it_passes_its_limit_and_the_oldest_goes() {
    let mut place = Place::new("rotate");
    // An entry of one digit has 42 bytes: two fit.
    let mut log = place.open(90, 3);
    for n in 0..7 {
        place.print(&mut log, &format!("{n}\n"));
    }
    place.pass(&mut log);
    assert_eq!(log.close(&mut place.scratch), 0);
    assert_eq!(place.texts("log"), ["6"]);
    assert_eq!(place.texts("log.1"), ["4", "5"]);
    assert_eq!(place.texts("log.2"), ["2", "3"]);
    assert!(!place.dir.join("log.3").exists());
}

#[test]
fn an_entry_longer_than_the_limit_gets_a_file_of_its_own() {
    let mut place = Place::new("long");
    let mut log = place.open(60, 5);
    let long = "x".repeat(100);
    place.print(&mut log, &format!("a\n{long}\nb\n"));
    place.pass(&mut log);
    assert_eq!(place.texts("log"), ["b"]);
    assert_eq!(place.texts("log.1"), [long]);
    assert_eq!(place.texts("log.2"), ["a"]);
}

#[test]
fn where_no_new_file_can_be_made_the_old_one_grows_rather_than_lose_a_line() {
    let mut place = Place::new("grow");
    let mut log = place.open(50, 3);
    // A folder in the way of the fresh file; it cannot be unlinked.
    fs::create_dir(place.dir.join("log.new")).unwrap();
    place.print(&mut log, "0\n1\n2\n");
    place.pass(&mut log);
    assert_eq!(place.texts("log"), ["0", "1", "2"]);
}

#[test]
fn while_the_file_takes_nothing_lines_wait_up_to_a_bound_and_whole_ones_are_dropped_and_counted() {
    let mut place = Place::new("stuck");
    let mut log = place.open(0, 1);
    place.print(&mut log, "first\n");
    place.pass(&mut log);
    let good = fill_disk(&mut log, &place);
    let line = format!("{}\n", "x".repeat(999));
    for _ in 0..400 {
        // No line ends where what is read at once ends.
        let (a, b) = line.split_at(500);
        for part in [a, b] {
            place.print(&mut log, part);
            place.pass(&mut log);
        }
    }
    assert!(log.is_stuck());
    let trouble = log.take_trouble();
    assert!(
        matches!(&trouble, Some(Trouble::Dropping(cause)) if cause.contains("No space left")),
        "{trouble:?}"
    );
    assert!(log.dropped() > 100, "{}", log.dropped());
    let _ = std::mem::replace(&mut log.file, good);
    log.retry(&mut place.scratch);
    assert_eq!(log.take_trouble(), Some(Trouble::Over));
    place.print(&mut log, "last\n");
    place.pass(&mut log);
    let dropped = log.close(&mut place.scratch);
    let texts = place.texts("log");
    assert_eq!(texts.len() as u64 + dropped, 402);
    assert!(texts[1..texts.len() - 1].iter().all(|t| t.len() == 999));
    assert_eq!(
        (texts[0].as_str(), texts.last().unwrap().as_str()),
        ("first", "last")
    );
}

#[test]
fn what_is_never_written_counts_as_dropped_at_the_end() {
    let mut place = Place::new("lost");
    let mut log = place.open(0, 1);
    let _good = fill_disk(&mut log, &place);
    place.print(&mut log, "x\ny\nunfinished");
    place.pass(&mut log);
    assert_eq!(log.close(&mut place.scratch), 3);
}

#[test]
fn a_successor_writes_what_was_read_and_not_written() {
    let mut place = Place::new("successor");
    let mut log = place.open(0, 1);
    place.print(&mut log, "one\ntwo\nthr");
    place.pass(&mut log);
    place.print(&mut log, "ee\nfour");
    drop(log);
    // At once: the container may print nothing more for a long time.
    let log = place.adopt(0, 1);
    assert_eq!(place.texts("log"), ["one", "two", "three"]);
    assert_eq!(log.close(&mut place.scratch), 0);
    assert_eq!(place.texts("log"), ["one", "two", "three", "four"]);
}

/// Every moment of a write at which a supervisor may have been killed: after so many bytes of it were in the file.
#[test]
fn a_write_cut_off_anywhere_is_finished_with_the_same_entries() {
    let mut place = Place::new("anywhere");
    let mut log = place.open(0, 1);
    place.print(&mut log, "before\n");
    place.pass(&mut log);
    let settled = log.file.size();
    place.print(&mut log, "one\ntwo\nbegun");
    // What the journal says while the write runs.
    let mark = {
        let mut probe = Journal::open(&place.dir.join("c1.mark"))
            .unwrap()
            .1
            .unwrap();
        probe.pending = Some(Pending {
            stream: 0,
            to: 15,
            ended: false,
            time: "2026-01-02T03:04:05.123456789Z".to_owned(),
        });
        probe
    };
    drop(log);
    let spool = fs::read(place.dir.join("c1.out")).unwrap();
    let whole = "2026-01-02T03:04:05.123456789Z stdout F one\n2026-01-02T03:04:05.123456789Z stdout F two\n";
    let log_path = place.dir.join("log");
    let before = fs::read(&log_path).unwrap();
    assert_eq!(before.len() as u64, settled);
    for written in 0..=whole.len() {
        fs::write(&log_path, [&before, &whole.as_bytes()[..written]].concat()).unwrap();
        fs::write(place.dir.join("c1.out"), &spool).unwrap();
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&log_path).unwrap());
        let mark = Mark {
            inode,
            ..mark.clone()
        };
        Journal::make(&place.dir.join("c1.mark"))
            .unwrap()
            .write(&mark);
        // Twice: the successor may be killed as well.
        for _ in 0..2 {
            drop(place.adopt(0, 1));
            assert_eq!(place.texts("log"), ["before", "one", "two"], "{written}");
        }
        let text = fs::read_to_string(&log_path).unwrap();
        assert!(text.ends_with(whole), "{written}: {text}");
        // Likewise where somebody has renamed the log in the meantime.
        fs::write(&log_path, [&before, &whole.as_bytes()[..written]].concat()).unwrap();
        fs::rename(&log_path, place.dir.join("moved")).unwrap();
        Journal::make(&place.dir.join("c1.mark"))
            .unwrap()
            .write(&mark);
        drop(place.adopt(0, 1));
        assert_eq!(place.texts("moved"), ["before", "one", "two"], "{written}");
        assert_eq!(place.texts("log"), [""; 0], "{written}");
        fs::rename(place.dir.join("moved"), &log_path).unwrap();
    }
}

#[test]
fn without_a_journal_or_a_spool_a_log_goes_on_at_its_end() {
    let mut place = Place::new("bare");
    let mut log = place.open(0, 1);
    place.print(&mut log, "one\n");
    place.pass(&mut log);
    drop(log);
    for suffix in FILES {
        let _ = fs::remove_file(with(&place.base(), suffix));
    }
    let mut log = place.adopt(0, 1);
    place.print(&mut log, "two\n");
    place.pass(&mut log);
    assert_eq!(place.texts("log"), ["one", "two"]);
    let read = File::open(place.dir.join("c1.mark")).is_ok();
    assert!(read, "it has a journal again");
}

#[test]
fn a_half_dropped_line_is_dropped_whole_by_a_successor_too() {
    let mut place = Place::new("half");
    let mut log = place.open(0, 1);
    let good = fill_disk(&mut log, &place);
    let line = format!("{}\n", "x".repeat(9_999));
    for _ in 0..40 {
        place.print(&mut log, &line);
        place.pass(&mut log);
    }
    place.print(&mut log, "half ");
    assert!(log.skipping[0] && log.dropped() > 0);
    let counted = log.dropped();
    let _ = std::mem::replace(&mut log.file, good);
    log.commit();
    drop(log);
    let mut log = place.adopt(0, 1);
    place.print(&mut log, "a line\nnext\n");
    place.pass(&mut log);
    let dropped = log.close(&mut place.scratch);
    assert_eq!(dropped, counted + 1);
    let texts = place.texts("log");
    assert_eq!(texts.len() as u64 + dropped, 42);
    assert_eq!(texts.last().unwrap(), "next");
}
