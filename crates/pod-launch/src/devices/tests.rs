//! The device program: by an interpreter of the few operations it uses, and in the kernel.

use super::*;

/// Runs a program on (kind, access, major, minor).
fn run(program: &[Instruction], (kind, access, major, minor): (i32, i32, i32, i32)) -> i32 {
    let context = [access << 16 | kind, major, minor];
    let mut registers = [0_i32; 11];
    let mut at = 0_usize;
    loop {
        let i = program[at];
        at += 1;
        let (destination, source) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
        match i.code {
            code::LOAD_WORD => registers[destination] = context[i.offset as usize / 4],
            code::AND => registers[destination] &= i.immediate,
            code::OR => registers[destination] |= i.immediate,
            code::XOR => registers[destination] ^= i.immediate,
            code::SHIFT_RIGHT => {
                registers[destination] = ((registers[destination] as u32) >> i.immediate) as i32
            }
            code::SET => registers[destination] = i.immediate,
            code::AND_REGISTER => registers[destination] &= registers[source],
            code::COPY_REGISTER => registers[destination] = registers[source],
            code::JUMP_IF_NOT if registers[destination] != i.immediate => at += i.offset as usize,
            code::JUMP_IF if registers[destination] == i.immediate => at += i.offset as usize,
            code::JUMP_IF_NOT | code::JUMP_IF => {}
            code::EXIT => return registers[0],
            other => panic!("unknown operation {other:#x}"),
        }
    }
}

fn rules(json: &str) -> Vec<Rule> {
    let devices: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
    devices.iter().map(rule).collect()
}

const DENY_ALL: &str = r#"[{"allow": false, "access": "rwm"}]"#;

#[test]
fn the_last_rule_for_a_device_and_a_kind_of_access_counts() {
    let given = rules(
        r#"[
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"},
            {"allow": true, "type": "b", "major": 8, "minor": -1, "access": "rwm"},
            {"allow": false, "type": "b", "major": 8, "minor": 1, "access": "w"},
            {"allow": true, "type": "c", "major": 10, "access": "w"},
            {"allow": true, "type": "c", "major": 10, "minor": 7, "access": "r"}
        ]"#,
    );
    let program = program(&given);
    let table = [
        ((CHARACTER, READ, 1, 11), 1),
        ((CHARACTER, WRITE, 1, 11), 0),
        ((CHARACTER, READ | WRITE, 1, 11), 0),
        ((BLOCK, READ, 1, 11), 0),
        ((BLOCK, ALL, 8, 0), 1),
        ((BLOCK, WRITE, 8, 1), 0),
        ((BLOCK, READ | MKNOD, 8, 1), 1),
        ((CHARACTER, WRITE, 10, 3), 1),
        ((CHARACTER, READ, 10, 3), 0),
        // Two rules together allow what neither does alone.
        ((CHARACTER, READ | WRITE, 10, 7), 1),
        ((CHARACTER, MKNOD, 99, 99), 0),
    ];
    for (device, expected) in table {
        assert_eq!(run(&program, device), expected, "{device:?}");
    }
}

#[test]
fn what_every_container_may_use_stays_allowed_after_deny_all_and_nothing_else_is() {
    let given: Vec<Rule> = rules(DENY_ALL).into_iter().chain(ALWAYS).collect();
    let program = program(&given);
    for (major, minor) in [
        (1, 3),
        (1, 5),
        (1, 7),
        (1, 8),
        (1, 9),
        (5, 0),
        (5, 1),
        (5, 2),
        (136, 4),
    ] {
        assert_eq!(
            run(&program, (CHARACTER, READ | WRITE, major, minor)),
            1,
            "{major}:{minor}"
        );
    }
    for (kind, major, minor) in [
        (CHARACTER, 1, 1),
        (CHARACTER, 1, 11),
        (CHARACTER, 10, 200),
        (BLOCK, 8, 0),
        (BLOCK, 1, 3),
    ] {
        assert_eq!(
            run(&program, (kind, MKNOD, major, minor)),
            1,
            "making {major}:{minor}"
        );
        assert_eq!(
            run(&program, (kind, READ, major, minor)),
            0,
            "reading {major}:{minor}"
        );
    }
    assert_eq!(
        run(
            &super::program(&rules(r#"[{"allow": true, "access": "rwm"}]"#)),
            (BLOCK, ALL, 8, 0)
        ),
        1
    );
}

/// Opens a device from a process in a cgroup; the errno of a refusal.
fn open_in_cgroup(cgroup: &Path, device: &str) -> Result<(), i32> {
    let script = format!(
        "echo $$ > {}/cgroup.procs && : < {device}",
        cgroup.display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match (
        output.status.success(),
        text.contains("Operation not permitted"),
    ) {
        (true, _) => Ok(()),
        (false, true) => Err(1),
        (false, false) => panic!("{text}"),
    }
}

/// Removes a cgroup at its end.
struct Cgroup(std::path::PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn the_kernel_takes_the_program_and_refuses_what_it_refuses() {
    let unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .into_iter()
        .find(|f| Path::new(f).join("cgroup.controllers").exists());
    let Some(unified) = unified.filter(|_| rustix::process::geteuid().is_root()) else {
        eprintln!("skipped: loading a device filter takes root and a mounted cgroup version 2");
        return;
    };
    let cgroup =
        Path::new(unified).join(format!("podwright-launch-devices-{}", std::process::id()));
    std::fs::create_dir(&cgroup).unwrap();
    let _guard = Cgroup(cgroup.clone());
    let before = open_in_cgroup(&cgroup, "/dev/kmsg");
    let filtered = || {
        let given: Vec<Rule> = rules(DENY_ALL).into_iter().chain(ALWAYS).collect();
        let filter = load_device_filter(&super::program(&given))?;
        attach_device_filter(pod_sys::mount::folder(&cgroup)?, filter)?;
        Ok::<_, std::io::Error>((
            open_in_cgroup(&cgroup, "/dev/kmsg"),
            open_in_cgroup(&cgroup, "/dev/zero"),
        ))
    };
    let after = filtered();
    assert_eq!(before, Ok(()));
    assert_eq!(after.unwrap(), (Err(1), Ok(())));
    // A jump out of the program: refused, with the verifier's words.
    let bad = [jump(code::JUMP_IF, KIND, 0, 99)];
    let error = load_device_filter(&bad).unwrap_err().to_string();
    assert!(error.contains("jump out of range"), "{error}");
}
