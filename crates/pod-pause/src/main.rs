//! The first process of a sandbox: holds the pod's namespaces open, reaps what loses its parent, ends on TERM or INT.
//!
//! Signals are blocked before anything else, so that none is lost between the start and the first wait. PID 1 of a PID
//! namespace gets no signal whose disposition is the default one, unless the signal is blocked (`sig_ignored` in
//! kernel/signal.c): blocked signals stay pending, and the one loop below takes them one by one. There is no C library
//! and no heap; nothing in the loop can fail.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "no C library: the system calls are made here")]

mod sys;

use core::panic::PanicInfo;
use sys::{SIGCHLD, SIGINT, SIGTERM};

/// Called by `_start` with a usable stack.
extern "C" fn run() -> ! {
    sys::block_all_signals();
    loop {
        // Before the first wait too: an exec keeps the children that the process had.
        while sys::reap_one() {}
        match sys::wait_for_signal(&[SIGCHLD, SIGTERM, SIGINT]) {
            SIGTERM | SIGINT => sys::exit(0),
            _ => {}
        }
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    sys::exit(70)
}
