//! The power is cut in the middle of work: the store opens, and what was acknowledged is there, or gone.
//!
//! `round` says on its standard output what it begins and what was acknowledged, and goes on until the guest is gone. `hack/vm resets` keeps what
//! it said and gives it to the next round in /job/said.

use super::{import, in_the_guest, ok, pods, podwright};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

/// What is known of the pods and images after all that was said.
#[derive(Debug, Default)]
struct Known {
    /// Acknowledged and not begun to be taken away.
    here: BTreeSet<String>,
    /// Begun and not acknowledged: either way is right.
    open: BTreeSet<String>,
    /// The number of the last operation.
    last: u32,
    /// Digest of a program of the image.
    sum: Option<String>,
}

impl Known {
    fn read(text: &str) -> Self {
        let mut known = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["begin", _, what] => {
                    known.here.remove(what);
                    known.open.insert(what.to_owned());
                }
                ["done", "make", what] => {
                    known.open.remove(what);
                    known.here.insert(what.to_owned());
                }
                ["done", "remove", what] => {
                    known.open.remove(what);
                }
                ["sum", sum] => known.sum = Some(sum.to_owned()),
                ["number", n] => known.last = n.parse().unwrap(),
                _ => {}
            }
        }
        known
    }
}

fn say(line: &str) {
    // Not by println: that is captured.
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn images() -> BTreeSet<String> {
    let list: Value = serde_json::from_str(&ok(&["image", "ls", "-o", "json"])).unwrap();
    let text = list.to_string();
    (0..1000)
        .map(|n| format!("image-{n}"))
        .filter(|name| text.contains(&format!("/{name}:")))
        .collect()
}

/// Names of all ConfigMaps that a round makes.
fn configs() -> Vec<String> {
    let list: Value = serde_json::from_str(&ok(&["get", "configmaps", "-o", "json"])).unwrap();
    let items = list["items"].as_array().unwrap();
    let names = items.iter().filter_map(|c| c["metadata"]["name"].as_str());
    names
        .filter(|n| n.starts_with("config-"))
        .map(str::to_owned)
        .collect()
}

/// The digest of a program, as a container of the image sees it.
fn sum() -> String {
    fs::write(
        "/tmp/sum.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: sum}\nspec:\n  restartPolicy: Never\n  containers:\n  - {name: a, image: busybox, \
         imagePullPolicy: Never, command: [sha256sum, /bin/busybox]}\n",
    )
    .unwrap();
    let out = ok(&["run", "/tmp/sum.yaml"]);
    let line = out.lines().find(|l| l.contains("/bin/busybox")).unwrap();
    line.split(' ')
        .find(|w| w.len() == 64)
        .unwrap_or_else(|| panic!("{out}"))
        .to_owned()
}

#[test]
fn round() {
    in_the_guest();
    let known = Known::read(&fs::read_to_string("/job/said").unwrap_or_default());
    let found: BTreeSet<String> = pods()
        .into_iter()
        .chain(images())
        .chain(configs())
        .collect();
    let lost: Vec<_> = known.here.difference(&found).collect();
    assert!(
        lost.is_empty(),
        "acknowledged and lost: {lost:?} of {known:?}"
    );
    let back: Vec<_> = found
        .iter()
        .filter(|f| f.as_str() != "sum" && !known.here.contains(*f) && !known.open.contains(*f))
        .collect();
    assert!(
        back.is_empty(),
        "acknowledged as gone and here again: {back:?} of {known:?}"
    );
    let log = fs::read_to_string("/run/podwright/node.log").unwrap_or_default();
    assert!(!log.contains("cannot be read"), "{log}");
    // What was in the middle of its way is asked for again.
    for name in &known.open {
        let kind = match name.split_once('-') {
            Some(("pod", _)) => "pod",
            Some(("config", _)) => "configmap",
            _ => continue,
        };
        let (status, _, err) = podwright(&["delete", kind, name, "--ignore-not-found"]);
        assert_eq!(status, 0, "{err}");
        say(&format!("done remove {name}"));
    }
    let _ = podwright(&["delete", "pod", "sum", "--ignore-not-found"]);
    match &known.sum {
        Some(sum_before) => assert_eq!(*sum_before, sum(), "the image has changed"),
        None => {
            import("busybox");
            say(&format!("sum {}", sum()));
        }
    }
    say("checked");
    let of = |kind: &str| {
        let names = known.here.iter().filter(|n| n.starts_with(kind));
        names.cloned().collect::<Vec<String>>()
    };
    let (mut here, mut configs) = (of("pod-"), of("config-"));
    for number in known.last + 1.. {
        say(&format!("number {number}"));
        // Small and quick: there is always one that has just been made or taken away.
        match configs.pop() {
            Some(name) => {
                say(&format!("begin remove {name}"));
                ok(&["delete", "configmap", &name]);
                say(&format!("done remove {name}"));
            }
            None => {
                let name = format!("config-{number}");
                say(&format!("begin make {name}"));
                super::create(&format!(
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n"
                ));
                say(&format!("done make {name}"));
                configs.push(name);
            }
        }
        if number % 4 == 0 {
            let name = format!("image-{number}");
            say(&format!("begin make {name}"));
            import(&name);
            say(&format!("done make {name}"));
        } else if here.len() > 2 {
            let name = here.remove(0);
            say(&format!("begin remove {name}"));
            ok(&["delete", "pod", &name]);
            say(&format!("done remove {name}"));
        } else {
            let name = format!("pod-{number}");
            say(&format!("begin make {name}"));
            super::create(&format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 0\n  \
                 containers: [{{name: a, image: busybox, command: [sleep, '1000']}}]\n"
            ));
            say(&format!("done make {name}"));
            here.push(name);
        }
    }
}

#[test]
fn what_was_said_is_read_as_it_was_meant() {
    let known = Known::read(
        "number 1\nbegin make a\ndone make a\nbegin make b\ndone make b\nbegin remove a\ndone remove a\nsum 12\nnumber 7\nbegin remove b\n",
    );
    assert!(known.here.is_empty(), "{known:?}");
    assert_eq!(known.open, BTreeSet::from(["b".to_owned()]));
    assert_eq!((known.last, known.sum.as_deref()), (7, Some("12")));
}
