//! Timelines of pods whose records are written by hand.

use super::*;
use serde_json::json;

fn pod(phase: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "default", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "initContainers": [{"name": "fetch", "image": "i"}, {"name": "proxy", "image": "i", "restartPolicy": "Always"}],
            "containers": [{"name": "app", "image": "i"}],
        },
        "status": {"phase": phase},
    }))
    .unwrap()
}

fn at(second: f64) -> String {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let ms = (second * 1000.0) as i64;
    (start + jiff::SignedDuration::from_millis(ms)).to_string()
}

fn record(name: &str, attempt: u32, from: f64, end: Option<(f64, i32, &str)>) -> serde_json::Value {
    json!({
        "id": format!("{name}-{attempt}"), "name": name, "sandbox": "s0", "attempt": attempt, "hash": null,
        "state": if end.is_some() { "Exited" } else { "Running" },
        "image": "i", "image_id": "sha256:0", "created_at": at(from), "started_at": at(from), "user": null, "clamped": [],
        "exit": end.map(|(to, code, reason)| json!({"code": code, "signal": null, "reason": reason, "message": "", "finished_at": at(to)})),
    })
}

fn runtime(ready: bool, containers: Vec<serde_json::Value>) -> PodRuntime {
    serde_json::from_value(json!({
        "sandboxes": [{"id": "s0", "ready": ready, "attempt": 0, "ip": null, "network": "Pod", "created_at": at(0.5)}],
        "containers": containers,
    }))
    .unwrap()
}

fn failing_once() -> PodRuntime {
    runtime(
        true,
        vec![
            record("app", 0, 6.0, None),
            record("fetch", 1, 4.0, Some((5.5, 0, "Completed"))),
            record("fetch", 0, 1.0, Some((2.0, 3, "Error"))),
        ],
    )
}

#[test]
fn attempts_stand_in_the_order_of_the_spec_and_tell_how_long_they_waited() {
    let now: Timestamp = at(10.0).parse().unwrap();
    let line = Timeline::of(&pod("Running"), &failing_once(), now);
    let told: Vec<_> = line
        .bars
        .iter()
        .map(|b| {
            (
                b.lane,
                b.name.as_str(),
                b.attempt,
                b.result.as_str(),
                b.waited_ms,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Lane::Sandbox, "pause", 0, "Ready", None),
            (Lane::Init, "fetch", 0, "Error (3)", None),
            (Lane::Init, "fetch", 1, "Completed", Some(2000)),
            (Lane::App, "app", 0, "Running", None),
        ]
    );
    assert_eq!(line.length_ms(), 10_000);
}

#[test]
fn a_gap_is_a_time_in_which_no_container_ran() {
    let now: Timestamp = at(10.0).parse().unwrap();
    let line = Timeline::of(&pod("Running"), &failing_once(), now);
    let told: Vec<_> = line
        .gaps
        .iter()
        .map(|g| (g.ms, g.after.as_str(), g.before.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (1000, "the pod's acceptance", Some("fetch #0")),
            (2000, "fetch #0", Some("fetch #1")),
            (500, "fetch #1", Some("app #0")),
        ]
    );
}

#[test]
fn while_anything_runs_there_is_no_gap_however_others_come_and_go() {
    let containers = vec![
        record("fetch", 0, 0.0, Some((9.0, 0, "Completed"))),
        record("proxy", 0, 1.0, Some((2.0, 1, "Error"))),
    ];
    let now: Timestamp = at(12.0).parse().unwrap();
    let line = Timeline::of(&pod("Pending"), &runtime(true, containers), now);
    let told: Vec<_> = line.gaps.iter().map(|g| (g.ms, g.after.as_str())).collect();
    assert_eq!(told, [(3000, "fetch #0")], "until now, since nothing runs");
}

#[test]
fn the_timeline_of_a_pod_that_is_over_ends_with_its_last_container() {
    let containers = vec![record("app", 0, 1.0, Some((3.0, 0, "Completed")))];
    let now: Timestamp = at(5000.0).parse().unwrap();
    let line = Timeline::of(&pod("Succeeded"), &runtime(false, containers), now);
    assert_eq!(line.length_ms(), 3000);
    assert_eq!(line.bars[0].to, line.bars[1].to);
}

#[test]
fn the_chart_fits_the_terminal_and_every_attempt_shows() {
    let now: Timestamp = at(10.0).parse().unwrap();
    let line = Timeline::of(&pod("Running"), &failing_once(), now);
    for columns in [20, 80, 132] {
        let lines = line.lines(columns);
        let bars: Vec<&text::Line> = lines.iter().filter(|l| l.outcome.is_some()).collect();
        assert_eq!(bars.len(), 4);
        for bar in &bars {
            assert!(bar.text.contains('█'), "{}", bar.text);
            if columns > 60 {
                assert!(bar.text.chars().count() <= columns, "{}", bar.text);
            }
        }
    }
    let text: Vec<String> = line.lines(80).into_iter().map(|l| l.text).collect();
    assert_eq!(
        text.join("\n"),
        "default/p   from 2026-01-01T00:00:00.000Z to 2026-01-01T00:00:10.000Z (10.0s)\n\
         KIND      NAME    ATTEMPT   TOOK    RESULT      0s ─────────────────────── 10.0s\n\
         sandbox           0         9.50s   Ready        ███████████████████████████████\n\
         init      fetch   0         1.00s   Error (3)      ███\n\
         init      fetch   1         1.50s   Completed         ░░░░░░█████\n\
         app       app     0         4.00s   Running                        █████████████\n\
         \n\
         nothing ran for 1.00s: from the pod's acceptance to the start of fetch #0\n\
         nothing ran for 2.00s: from fetch #0 to the start of fetch #1\n\
         nothing ran for 500ms: from fetch #1 to the start of app #0"
    );
}

#[test]
fn the_picture_is_well_formed_and_names_cannot_break_out_of_it() {
    let mut line = Timeline::of(&pod("Running"), &failing_once(), at(10.0).parse().unwrap());
    line.bars[1].result = "</text><script>".to_owned();
    let picture = line.svg();
    assert!(picture.starts_with("<svg"));
    assert!(!picture.contains("<script"), "{picture}");
    assert_eq!(
        picture.matches("<rect").count(),
        1 + line.gaps.len() + line.bars.len()
    );
}

#[test]
fn lengths_are_as_exact_as_a_person_can_use() {
    for (ms, text) in [
        (0, "0ms"),
        (999, "999ms"),
        (1239, "1.23s"),
        (10_050, "10.0s"),
        (119_999, "119.9s"),
        (130_000, "2m10s"),
    ] {
        assert_eq!(took(ms), text);
    }
}

#[test]
fn nothing_is_said_of_times_whose_attempts_are_not_recorded_any_more() {
    // fetch #0 and app #0 went with their sandbox; fetch #2 was dropped between others.
    let containers = vec![
        record("fetch", 1, 4.0, Some((5.0, 3, "Error"))),
        record("fetch", 3, 9.0, Some((10.0, 0, "Completed"))),
        record("app", 1, 12.0, None),
    ];
    let line = Timeline::of(
        &pod("Running"),
        &runtime(true, containers),
        at(20.0).parse().unwrap(),
    );
    assert_eq!(line.forgotten, 3);
    assert_eq!(
        line.gaps,
        [],
        "an attempt that is not recorded may have run then"
    );
    let waited: Vec<_> = line.bars.iter().map(|b| b.waited_ms).collect();
    assert_eq!(waited, [None; 4]);
    let text: Vec<String> = line.lines(100).into_iter().map(|l| l.text).collect();
    assert_eq!(
        text.last().map(String::as_str),
        Some("not shown: 3 earlier attempts, whose records are gone")
    );
}
