//! A process that is killed in the middle of an import: the next one finds a store without anything half made.

use crate::kit::*;
use pod_image::{ImportOptions, Phase, Reference, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const ROOT: &str = "POD_IMAGE_KILLED_ROOT";
const PHASE: &str = "POD_IMAGE_KILLED_PHASE";

fn image() -> Image {
    let many = |n: usize| (0..50).fold(Layer::new(), |l, i| l.file(&format!("{n}/{i}"), "x"));
    Image::new((0..5).map(many).collect())
}

/// Runs in the process that is to be killed: says when the phase begins, and then waits for the end.
#[test]
fn helper_that_stops_in_a_phase() {
    let Some(folder) = std::env::var_os(ROOT) else {
        return;
    };
    let wanted = std::env::var(PHASE).unwrap();
    let store = Store::open(Path::new(&folder)).unwrap();
    let bytes = archive(&layout(&[(&image(), None)]));
    let options = ImportOptions {
        tag: None,
        name: Some(Reference::parse("app").unwrap()),
    };
    let mut finishing = 0;
    let mut stop = |p: pod_image::Progress| {
        finishing += usize::from(p.phase == Phase::Finishing);
        let now = format!("{:?}{}", p.phase, if finishing > 1 { "2" } else { "" });
        if now == wanted && (p.phase != Phase::Unpacking || p.done > 0) {
            let mut out = std::io::stdout();
            writeln!(out, "\nhere").unwrap();
            out.flush().unwrap();
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
    };
    store
        .import_stream(&mut bytes.as_slice(), &options, &mut stop)
        .unwrap();
    panic!("{wanted} never came");
}

#[test]
fn a_killed_import_leaves_nothing_half_made() {
    if !root() {
        return;
    }
    // Finishing: all unpacked, no layer has its name. Finishing2: layers have their names, the image has none.
    for (phase, layers) in [
        ("Reading", 0),
        ("Verifying", 0),
        ("Unpacking", 0),
        ("Finishing", 0),
        ("Finishing2", 5),
    ] {
        let rig = Rig::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed::helper_that_stops_in_a_phase",
                "--nocapture",
            ])
            .env(ROOT, rig.path("root"))
            .env(PHASE, phase)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let here = lines.map_while(Result::ok).any(|line| line == "here");
        assert!(here, "{phase} never came");
        let waiting = std::fs::read_dir(rig.path("root/layers")).unwrap().count();
        assert!(
            phase != "Unpacking" || waiting == 1,
            "{phase}: there is work to be left behind"
        );
        child.kill().unwrap();
        child.wait().unwrap();

        let store = Store::open(&rig.path("root")).unwrap();
        assert!(store.facts(&"app".into()).is_err(), "{phase}");
        assert!(store.list().unwrap().is_empty(), "{phase}");
        let left: Vec<_> = rig.leftovers();
        assert!(
            left.iter().all(|name| !name.starts_with(".tmp")),
            "{phase}: {left:?}"
        );
        let named = std::fs::read_dir(rig.path("root/layers")).unwrap().count();
        assert_eq!(named, layers, "{phase}");
        let done = rig
            .import(&layout(&[(&image(), None)]), Some("app"))
            .unwrap();
        assert_eq!(done.unpacked, 5 - layers, "{phase}: whole layers are used");
        for folder in rig.folders("app") {
            let inner = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
            assert_eq!(
                std::fs::read_dir(inner.path()).unwrap().count(),
                50,
                "{phase}"
            );
        }
    }
}
