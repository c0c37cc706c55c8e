//! The launcher as a program, on this node: real containers of busybox, each test in namespaces of its own.

mod create;
mod exec;
mod hostile;
mod rig;
mod speed;
