//! Which devices a container may use, on cgroup version 2, where libcontainer enforces nothing: a BPF program made from
//! `linux.resources.devices`, attached to the container's cgroup before the container starts. On version 1 libcontainer writes
//! the same rules to the devices hierarchy, and what it adds to them is taken back.

use crate::cgroup;
use crate::failure::{AtStep, Failure};
use libcontainer::oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType, Spec};
use pod_sys::bpf::{Instruction, attach_device_filter, load_device_filter};
use pod_sys::weakened;
use std::path::Path;

const STEP: &str = "device filter";

/// Access bits of `struct bpf_cgroup_dev_ctx`.
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const ALL: i32 = MKNOD | READ | WRITE;
/// Device types of `struct bpf_cgroup_dev_ctx`.
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;

/// One rule: for matching devices, these kinds of access are let through or refused from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    allow: bool,
    /// `None`: block and character devices.
    kind: Option<i32>,
    /// `None`: every number.
    major: Option<i32>,
    minor: Option<i32>,
    access: i32,
}

/// What every container may use, as libcontainer adds it on version 1: making nodes, the six standard devices, terminals.
const ALWAYS: [Rule; 11] = [
    always(None, None, MKNOD),
    always(Some(1), Some(3), ALL),
    always(Some(1), Some(5), ALL),
    always(Some(1), Some(7), ALL),
    always(Some(1), Some(8), ALL),
    always(Some(1), Some(9), ALL),
    always(Some(5), Some(0), ALL),
    always(Some(5), Some(1), ALL),
    always(Some(5), Some(2), ALL),
    always(Some(136), None, ALL),
    Rule {
        allow: true,
        kind: Some(BLOCK),
        major: None,
        minor: None,
        access: MKNOD,
    },
];

const fn always(major: Option<i32>, minor: Option<i32>, access: i32) -> Rule {
    Rule {
        allow: true,
        kind: Some(CHARACTER),
        major,
        minor,
        access,
    }
}

/// Puts the container's device rules in force, where that is this program's task.
pub(crate) fn attach(spec: &Spec, cgroup: &Path) -> Result<(), Failure> {
    let devices = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.resources().as_ref())
        .and_then(|r| r.devices().as_deref());
    let mut rules: Vec<Rule> = devices.unwrap_or_default().iter().map(rule).collect();
    if !cgroup::is_unified()? {
        return take_back(&rules, cgroup);
    }
    rules.extend(ALWAYS);
    let filter = load_device_filter(&program(&rules)).at(STEP, "loading it into the kernel")?;
    let folder = cgroup::open_unified(cgroup)?;
    attach_device_filter(folder, filter).at(STEP, format!("attaching it to {}", cgroup.display()))
}

/// Takes back what libcontainer allows every container on version 1 beyond [`ALWAYS`]: the device that makes network interfaces
/// (`/dev/net/tun`), unless the container's own rules allow it.
#[expect(
    clippy::disallowed_methods,
    reason = "the cgroup hierarchies are the kernel's: no container can put a link there"
)]
fn take_back(rules: &[Rule], cgroup: &Path) -> Result<(), Failure> {
    const TUN: (i32, i32) = (10, 200);
    let refused = ALL & !allowed(rules, CHARACTER, TUN);
    if refused == 0 || weakened::is("s27") {
        return Ok(());
    }
    let letters: String = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')]
        .into_iter()
        .filter_map(|(bit, letter)| (refused & bit != 0).then_some(letter))
        .collect();
    let file = Path::new("/sys/fs/cgroup/devices")
        .join(cgroup.strip_prefix("/").unwrap_or(cgroup))
        .join("devices.deny");
    std::fs::write(&file, format!("c {}:{} {letters}", TUN.0, TUN.1))
        .at(STEP, format!("writing to {}", file.display()))
}

/// The kinds of access to a device that the rules leave allowed in the end.
fn allowed(rules: &[Rule], kind: i32, (major, minor): (i32, i32)) -> i32 {
    let is = |wanted: Option<i32>, number| wanted.is_none_or(|wanted| wanted == number);
    rules
        .iter()
        .filter(|rule| is(rule.kind, kind) && is(rule.major, major) && is(rule.minor, minor))
        .fold(0, |bits, rule| match rule.allow {
            true => bits | rule.access,
            false => bits & !rule.access,
        })
}

fn rule(device: &LinuxDeviceCgroup) -> Rule {
    // The OCI runtime specification has -1 and absence for "every".
    let number = |n: Option<i64>| n.and_then(|n| i32::try_from(n).ok()).filter(|n| *n >= 0);
    let kind = match device.typ() {
        Some(LinuxDeviceType::B) => Some(BLOCK),
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(CHARACTER),
        _ => None,
    };
    let access = device.access().as_deref().map_or(ALL, |access| {
        access.chars().fold(0, |bits, letter| {
            bits | match letter {
                'm' => MKNOD,
                'r' => READ,
                'w' => WRITE,
                _ => 0,
            }
        })
    });
    Rule {
        allow: device.allow(),
        kind,
        major: number(device.major()),
        minor: number(device.minor()),
        access,
    }
}

/// Operation codes of `linux/bpf.h` that the program needs: 32-bit operations with a constant unless said otherwise.
mod code {
    pub(super) const LOAD_WORD: u8 = 0x61;
    pub(super) const AND: u8 = 0x54;
    pub(super) const OR: u8 = 0x44;
    pub(super) const XOR: u8 = 0xa4;
    pub(super) const SHIFT_RIGHT: u8 = 0x74;
    pub(super) const SET: u8 = 0xb4;
    pub(super) const AND_REGISTER: u8 = 0x5c;
    pub(super) const COPY_REGISTER: u8 = 0xbc;
    pub(super) const JUMP_IF_NOT: u8 = 0x56;
    pub(super) const JUMP_IF: u8 = 0x16;
    pub(super) const EXIT: u8 = 0x95;
}

/// Registers: the answer, the context, and what is kept of it.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const ALLOWED: u8 = 6;

/// The program: goes through all rules and keeps the set of access bits that are allowed, so that the last rule for a device and
/// a kind of access counts, as in the devices hierarchy. Nothing is allowed at first; the answer is 1 if all that is wanted is.
fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut out = vec![
        load(KIND, 0),
        op(code::COPY_REGISTER, WANTED, KIND, 0),
        constant(code::AND, KIND, 0xffff),
        constant(code::SHIFT_RIGHT, WANTED, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
        constant(code::SET, ALLOWED, 0),
    ];
    for rule in rules {
        let tests: Vec<(u8, i32)> = [(KIND, rule.kind), (MAJOR, rule.major), (MINOR, rule.minor)]
            .into_iter()
            .filter_map(|(register, value)| Some((register, value?)))
            .collect();
        for (n, (register, value)) in tests.iter().enumerate() {
            // Past the tests that follow and the one change.
            let skip = (tests.len() - n) as i16;
            out.push(jump(code::JUMP_IF_NOT, *register, *value, skip));
        }
        out.push(match rule.allow {
            true => constant(code::OR, ALLOWED, rule.access),
            false => constant(code::AND, ALLOWED, ALL & !rule.access),
        });
    }
    out.extend([
        constant(code::XOR, ALLOWED, ALL),
        op(code::AND_REGISTER, WANTED, ALLOWED, 0),
        constant(code::SET, ANSWER, 1),
        jump(code::JUMP_IF, WANTED, 0, 1),
        constant(code::SET, ANSWER, 0),
        op(code::EXIT, 0, 0, 0),
    ]);
    out
}

const fn op(code: u8, destination: u8, source: u8, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: source << 4 | destination,
        offset: 0,
        immediate,
    }
}

const fn constant(code: u8, register: u8, value: i32) -> Instruction {
    op(code, register, 0, value)
}

const fn load(register: u8, offset: i16) -> Instruction {
    Instruction {
        code: code::LOAD_WORD,
        registers: CONTEXT << 4 | register,
        offset,
        immediate: 0,
    }
}

const fn jump(code: u8, register: u8, value: i32, offset: i16) -> Instruction {
    Instruction {
        code,
        registers: register,
        offset,
        immediate: value,
    }
}

#[cfg(test)]
mod tests;
