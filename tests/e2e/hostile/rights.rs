//! Programs that would give their user more rights than he has, really run: S27.

use super::Hostile;
use e2e::hostile_image::{Layer, import};
use serde_json::json;

/// `security.capability` as the kernel keeps it: version 2, effective, CAP_DAC_OVERRIDE permitted.
const MAY_OVERRIDE: [u8; 20] = [1, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A record of an extended header: its length in decimal, which counts itself.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest + 2..).find(|n| n.to_string().len() + rest == *n);
    let mut all = format!("{} {key}=", length.expect("a length")).into_bytes();
    all.extend_from_slice(value);
    all.push(b'\n');
    all
}

/// An image with the same program thrice: set-user-id, set-group-id, and with a capability.
fn image(h: &Hostile) {
    let program = super::calls::program(h);
    let mode = |mode: u32| move |header: &mut tar::Header| header.set_mode(mode);
    let capability = record("SCHILY.xattr.security.capability", &MAY_OVERRIDE);
    let layer = Layer::default()
        .entry(b'0', "user", "", &program, mode(0o4755))
        .entry(b'0', "group", "", &program, mode(0o2755))
        .entry(b'x', "header", "", &capability, |_| {})
        .entry(b'0', "capable", "", &program, mode(0o755));
    import(&h.node, "rights", layer, json!({}));
}

const ALL: &str = "for p in user group capable; do /$p rights; done";

const NONE: &str = "0000000000000000";

#[test]
fn s27_programs_of_the_image_that_give_rights_give_none_without_privilege_escalation() {
    apart!(s27_programs_of_the_image_that_give_rights_give_none_without_privilege_escalation);
    let h = Hostile::new("s27rights");
    image(&h);
    let run = |context: &str| {
        let more = format!(", securityContext: {{runAsUser: 1000, runAsGroup: 1000, {context}}}");
        let said = h.once("rights", &more, ALL).out;
        // The shell's own word where the kernel refuses a program.
        let lines = said
            .lines()
            .filter(|l| !l.ends_with("Operation not permitted"));
        lines.map(|l| format!("{l}\n")).collect::<String>()
    };
    // Where it is allowed they do what they are for: so what comes next shows something.
    let usual = "00000000a80425fb";
    assert_eq!(
        run("allowPrivilegeEscalation: true"),
        format!("0 1000 {usual} stays\n1000 0 {NONE} stays\n1000 1000 0000000000000002 stays\n")
    );
    let nothing = format!("1000 1000 {NONE} stays\n").repeat(3);
    assert_eq!(run("allowPrivilegeEscalation: false"), nothing);
    // Of the rights that a container never has there is nothing to be got. The kernel does not run what would lack its capability.
    let dropped = run("allowPrivilegeEscalation: true, capabilities: {drop: [ALL]}");
    assert_eq!(
        dropped,
        format!("0 1000 {NONE} stays\n1000 0 {NONE} stays\n")
    );
    // Nor for a process that is started later.
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: later}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - {name: app, image: rights, command: [sleep, '1000'], securityContext: {runAsUser: 1000, runAsGroup: 1000, allowPrivilegeEscalation: false}}\n";
    let file = h.node.file("later.yaml", text);
    h.node.run(&["run", "-d", &file]).ok();
    h.node.wait_status("later", &["Running"]);
    let said = h.node.run(&["exec", "later", "--", "sh", "-c", ALL]);
    assert_eq!(said.ok(), nothing);
    h.finish();
}

#[test]
fn s27_programs_and_devices_in_a_volume_give_no_rights() {
    apart!(s27_programs_and_devices_in_a_volume_give_no_rights);
    let h = Hostile::new("s27volume");
    image(&h);
    let plant = "for v in /e /m; do cp /user /group $v/; chmod 4755 $v/user; chmod 2755 $v/group; mknod $v/null c 1 3; chmod 666 $v/null; done";
    let try_all = "for v in /e /m; do $v/user rights; $v/group rights; (echo x > $v/null) 2>&1 | grep -c 'Permission denied'; done";
    let mounts = "volumeMounts: [{name: e, mountPath: /e}, {name: m, mountPath: /m}]";
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: s}}\nspec:\n  restartPolicy: Never\n  volumes: [{{name: e, emptyDir: {{}}}}, {{name: m, emptyDir: {{medium: Memory}}}}]\n  initContainers:\n  - {{name: plant, image: rights, command: [sh, -c, {plant:?}], {mounts}}}\n  containers:\n  - {{name: app, image: rights, command: [sh, -c, {try_all:?}], securityContext: {{runAsUser: 1000, runAsGroup: 1000}}, {mounts}}}\n"
    );
    let file = h.node.file("s.yaml", &text);
    h.node.run(&["run", "-d", &file]).ok();
    h.node.wait_status("s", &["Completed", "Error"]);
    let said = h.node.run(&["logs", "s", "-c", "app"]);
    let each = format!("1000 1000 {NONE} stays\n1000 1000 {NONE} stays\n1\n");
    assert_eq!(said.ok(), each.repeat(2));
    h.node.run(&["delete", "pod", "s"]).ok();
    h.finish();
}
