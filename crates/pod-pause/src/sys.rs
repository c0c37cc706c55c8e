//! The five system calls of the pause program, and its entry point.

use core::arch::naked_asm;

/// Signal numbers, the same on every Linux architecture that is built for here.
pub(crate) const SIGINT: i32 = 2;
/// Termination asked for.
pub(crate) const SIGTERM: i32 = 15;
/// A child ended.
pub(crate) const SIGCHLD: i32 = 17;

const SIG_SETMASK: usize = 2;
const WNOHANG: usize = 1;
/// Size of the kernel's signal set in bytes.
const SIGSET_SIZE: usize = 8;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const RT_SIGPROCMASK: usize = 14;
    pub(super) const WAIT4: usize = 61;
    pub(super) const RT_SIGTIMEDWAIT: usize = 128;
    pub(super) const EXIT_GROUP: usize = 231;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const RT_SIGPROCMASK: usize = 135;
    pub(super) const WAIT4: usize = 260;
    pub(super) const RT_SIGTIMEDWAIT: usize = 137;
    pub(super) const EXIT_GROUP: usize = 94;
}

/// Where the kernel enters: marks the outermost frame, aligns the stack as the ABI wants it at a call, and goes on in Rust.
///
/// # Safety
/// Only the kernel enters here, once, with a stack of its making.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("xor ebp, ebp", "and rsp, -16", "call {run}", "ud2", run = sym crate::run)
}

/// Where the kernel enters: marks the outermost frame and goes on in Rust (the kernel aligns the stack already).
///
/// # Safety
/// Only the kernel enters here, once, with a stack of its making.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("mov x29, #0", "mov x30, #0", "bl {run}", "brk #1", run = sym crate::run)
}

/// Blocks every signal that can be blocked.
pub(crate) fn block_all_signals() {
    let every: u64 = !0;
    // SAFETY: the kernel reads 8 bytes at `every`, which lives here, and writes nothing (the old set is not asked for).
    let _ = unsafe {
        syscall4(
            number::RT_SIGPROCMASK,
            SIG_SETMASK,
            &raw const every as usize,
            0,
            SIGSET_SIZE,
        )
    };
}

/// Takes one of the blocked `signals`, waiting for it as long as it takes. A negative number says that none came yet.
pub(crate) fn wait_for_signal(signals: &[i32]) -> i32 {
    let set = signals
        .iter()
        .fold(0_u64, |set, signal| set | (1 << (signal - 1)));
    // SAFETY: the kernel reads 8 bytes at `set`, which lives here; neither siginfo nor a timeout is given.
    let signal = unsafe {
        syscall4(
            number::RT_SIGTIMEDWAIT,
            &raw const set as usize,
            0,
            0,
            SIGSET_SIZE,
        )
    };
    signal as i32
}

/// Reaps one child that has ended, if there is one.
pub(crate) fn reap_one() -> bool {
    // SAFETY: neither a status nor resource usage is asked for, so that the kernel writes nothing.
    let pid = unsafe { syscall4(number::WAIT4, usize::MAX, 0, WNOHANG, 0) };
    pid > 0
}

/// Ends the process.
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: takes no pointer and does not return.
        let _ = unsafe { syscall4(number::EXIT_GROUP, code as usize, 0, 0, 0) };
    }
}

/// One system call with up to four arguments; the kernel's answer, negative for an error.
///
/// # Safety
/// The arguments must be valid for the call `number`.
#[cfg(target_arch = "x86_64")]
unsafe fn syscall4(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let answer: isize;
    // SAFETY: the registers are those of the kernel's ABI, which keeps all but rax, rcx and r11; the caller vouches for the arguments.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    answer
}

/// One system call with up to four arguments; the kernel's answer, negative for an error.
///
/// # Safety
/// The arguments must be valid for the call `number`.
#[cfg(target_arch = "aarch64")]
unsafe fn syscall4(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let answer: isize;
    // SAFETY: the registers are those of the kernel's ABI, which keeps all but x0; the caller vouches for the arguments.
    unsafe {
        core::arch::asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => answer,
            in("x1") b, in("x2") c, in("x3") d,
            options(nostack)
        );
    }
    answer
}
