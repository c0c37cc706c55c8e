//! The verb `create`.

use crate::rig::isolated;

#[test]
fn a_created_container_runs_when_it_is_started_and_gives_its_exit_code() {
    isolated(
        "create::a_created_container_runs_when_it_is_started_and_gives_its_exit_code",
        |rig| {
            let plan = rig.plan("c1", &["sh", "-c", "echo hello; exit 7"]);
            assert_eq!(rig.run(plan), (7, "hello\n".to_owned()));
        },
    );
}
