//! The bridge network: addresses, names, Services. Each case runs apart, in a network namespace of its own; needs a kernel with bridge,
//! veth and nf_tables (`numgen`, `fib`, `nat`).

mod names;
mod pods;
mod services;
