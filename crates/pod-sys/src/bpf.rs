//! Loading a device filter (`BPF_PROG_TYPE_CGROUP_DEVICE`) and attaching it to a cgroup. Numbers are those of `linux/bpf.h`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Filters of the parents and other filters here stay in force too.
const ALLOW_MULTI: u32 = 2;

/// One instruction (`struct bpf_insn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Source register in the high four bits, destination in the low four.
    pub registers: u8,
    /// Distance of a jump in instructions, or offset of a load.
    pub offset: i16,
    /// Constant operand.
    pub immediate: i32,
}

/// The members of `union bpf_attr` that loading uses.
#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The members of `union bpf_attr` that attaching uses.
#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Loads a device filter.
///
/// # Errors
/// Those of `bpf`: `EPERM` without CAP_BPF or CAP_SYS_ADMIN, `EINVAL` for a kernel without CONFIG_CGROUP_BPF or a bad program
/// (then with the verifier's last words).
pub fn load_device_filter(program: &[Instruction]) -> io::Result<OwnedFd> {
    let mut log = vec![0_u8; 4096];
    match load(program, None) {
        Ok(loaded) => Ok(loaded),
        // Asked again for the reason only: the log costs, and is of use only then.
        Err(first) => match load(program, Some(&mut log)) {
            Ok(loaded) => Ok(loaded),
            Err(_) => {
                let text = String::from_utf8_lossy(&log);
                let text = text.trim_end_matches('\0').trim();
                Err(io::Error::new(first.kind(), format!("{first} ({text})")))
            }
        },
    }
}

fn load(program: &[Instruction], log: Option<&mut [u8]>) -> io::Result<OwnedFd> {
    let (log_level, log_size, log) = match log {
        Some(log) => (1, log.len() as u32, log.as_mut_ptr() as u64),
        None => (0, 0, 0),
    };
    let attributes = LoadAttributes {
        program_type: TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level,
        log_size,
        log,
        kernel_version: 0,
        flags: 0,
        name: *b"podwright_dev\0\0\0",
    };
    // SAFETY: the kernel reads `attributes`, the instructions and the licence, and writes at most `log_size` bytes of log; all of
    // them live until the call is over.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_LOAD,
            &raw const attributes,
            size_of::<LoadAttributes>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us (close-on-exec); nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Puts a loaded filter in force for all processes in a cgroup (version 2) and below it, until the cgroup is removed.
///
/// # Errors
/// Those of `bpf`.
pub fn attach_device_filter(cgroup: impl AsFd, program: impl AsFd) -> io::Result<()> {
    let attributes = AttachAttributes {
        target: cgroup.as_fd().as_raw_fd() as u32,
        program: program.as_fd().as_raw_fd() as u32,
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the kernel reads `attributes`, which lives until the call is over, and writes nothing.
    match unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_ATTACH,
            &raw const attributes,
            size_of::<AttachAttributes>(),
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
