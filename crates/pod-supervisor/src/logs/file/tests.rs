use super::*;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("sup-log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn open(&self, max_bytes: u64, max_files: u32) -> LogFile {
        LogFile::open(Log {
            path: self.0.join("log"),
            max_bytes,
            max_files,
        })
        .unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn add(log: &mut LogFile, text: &str) {
    log.add("T", "stdout", Tag::Full, text.as_bytes(), b"");
}

#[test]
fn an_entry_is_time_stream_tag_and_text() {
    let place = Place::new("form");
    let mut log = place.open(0, 1);
    log.add("T", "stderr", Tag::Partial, b"kept ", b"new");
    add(&mut log, "");
    assert_eq!(place.read("log"), "", "nothing is written before a flush");
    log.flush();
    assert_eq!(place.read("log"), "T stderr P kept new\nT stdout F \n");
}

#[test]
fn a_file_is_rotated_before_it_passes_its_limit_and_the_oldest_goes() {
    let place = Place::new("rotate");
    // An entry "T stdout F n\n" has 13 bytes: two fit.
    let mut log = place.open(30, 3);
    for n in 0..7 {
        add(&mut log, &n.to_string());
    }
    assert_eq!(log.close(), 0);
    assert_eq!(place.names(), ["log", "log.1", "log.2"]);
    let numbers = |name| {
        place
            .read(name)
            .lines()
            .map(|l| l.get(11..).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers("log"), ["6"]);
    assert_eq!(numbers("log.1"), ["4", "5"]);
    assert_eq!(numbers("log.2"), ["2", "3"]);
}

#[test]
fn an_entry_longer_than_the_limit_gets_a_file_of_its_own() {
    let place = Place::new("long");
    let mut log = place.open(20, 5);
    add(&mut log, "a");
    add(&mut log, &"x".repeat(100));
    add(&mut log, "b");
    log.close();
    assert_eq!(place.read("log"), "T stdout F b\n");
    assert_eq!(place.read("log.1").len(), 112);
    assert_eq!(place.read("log.2"), "T stdout F a\n");
}

#[test]
fn a_log_that_is_found_again_goes_on_and_counts_what_it_has() {
    let place = Place::new("again");
    let mut log = place.open(30, 2);
    add(&mut log, "1");
    log.close();
    let mut log = place.open(30, 2);
    add(&mut log, "2");
    add(&mut log, "3");
    log.close();
    assert_eq!(place.read("log.1"), "T stdout F 1\nT stdout F 2\n");
}

#[test]
fn while_the_file_takes_nothing_entries_wait_up_to_a_bound_and_then_are_counted() {
    let place = Place::new("stuck");
    let mut log = place.open(0, 1);
    add(&mut log, "first");
    log.flush();
    let good = std::mem::replace(
        &mut log.file,
        OpenOptions::new().write(true).open("/dev/full").unwrap(),
    );
    add(&mut log, "second");
    log.flush();
    assert!(log.is_stuck());
    let text = "x".repeat(1000);
    for _ in 0..1000 {
        add(&mut log, &text);
    }
    assert!(log.waiting.len() <= KEPT && log.dropped > 0);
    let kept = log.waiting.iter().filter(|b| **b == b'\n').count() as u64;
    assert_eq!(kept + log.dropped, 1001);
    log.file = good;
    log.flush();
    assert!(!log.is_stuck());
    let dropped = log.dropped;
    assert_eq!(log.close(), dropped);
    assert_eq!(place.read("log").lines().count() as u64, 1 + kept);
}

#[test]
fn what_is_never_written_counts_as_dropped_at_the_end() {
    let place = Place::new("lost");
    let mut log = place.open(0, 1);
    log.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    for _ in 0..3 {
        add(&mut log, "x");
    }
    assert_eq!(log.close(), 3);
}

#[test]
fn where_no_new_file_can_be_made_the_old_one_grows_rather_than_lose_a_line() {
    let place = Place::new("grow");
    let mut log = place.open(20, 3);
    // A folder in the way of the fresh file; it cannot be unlinked.
    std::fs::create_dir(place.0.join("log.new")).unwrap();
    for n in 0..3 {
        add(&mut log, &n.to_string());
    }
    assert_eq!(log.close(), 0);
    assert_eq!(place.read("log").lines().count(), 3);
}
