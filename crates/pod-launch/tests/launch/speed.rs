//! How long the launcher takes. By hand, since a busy machine says nothing:
//! `PODWRIGHT_LAUNCH=<static build> cargo test --release -p pod-launch --test launch -- --ignored --nocapture`.

use crate::rig::isolated;
use std::fs;
use std::time::{Duration, Instant};

const ROUNDS: usize = 50;

fn median(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| {
        times
            .get(times.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{name:32} median {:6.2} ms   p10 {:6.2}   p90 {:6.2}",
        ms(at(50)),
        ms(at(10)),
        ms(at(90))
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[test]
#[ignore = "measures; to be run by hand on an idle machine"]
fn create_start_exec_and_end_are_timed() {
    isolated("speed::create_start_exec_and_end_are_timed", |rig| {
        let [mut refuse, mut create, mut run, mut exec, mut end] = [const { Vec::new() }; 5];
        for n in 0..ROUNDS {
            let mut plan = rig.plan(&format!("refused{n}"), &["true"]);
            plan.config["linux"]["cgroupsPath"] = "".into();
            let at = Instant::now();
            rig.create(plan).expect_err("it is refused");
            refuse.push(at.elapsed());

            let plan = rig.plan(&format!("c{n}"), &["sleep", "60"]);
            let at = Instant::now();
            let container = rig.create(plan).expect("it is created");
            create.push(at.elapsed());
            rig.start(&container);
            while !fs::read_to_string(format!("/proc/{}/comm", container.pid))
                .is_ok_and(|comm| comm == "sleep\n")
            {}
            let at = Instant::now();
            let process = rig
                .exec(&container, &["true"], false)
                .expect("it is started");
            exec.push(at.elapsed());
            rig.wait(process.pid);
            pod_sys::pidfd::send_signal(&container.pidfd, 9).expect("it is there");
            let at = Instant::now();
            rig.wait(container.pid);
            end.push(at.elapsed());

            let plan = rig.plan(&format!("t{n}"), &["true"]);
            let at = Instant::now();
            assert_eq!(rig.run(plan).0, 0);
            run.push(at.elapsed());
        }
        median("launcher start, refusal, end", refuse);
        median("create", create);
        median("create, start, exit", run);
        median("exec", exec);
        median("kill to exit", end);
    });
}
