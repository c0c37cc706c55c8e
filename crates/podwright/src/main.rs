//! podwright: runs Kubernetes Pods on one Linux node.

#![allow(
    unreachable_pub,
    reason = "a binary has no outside: pub marks what a module offers to its neighbours"
)]

mod cli;
mod node;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(run_node)
}

fn run_node(start: cli::NodeStart) -> anyhow::Result<()> {
    let cgroup_root = pod_model::ids::CgroupPath::parse(&start.places.cgroup_root)?;
    node::run(node::NodeOptions {
        places: node::Places {
            root: start.places.root,
            run: start.places.run,
            logs: start.places.logs,
            cgroup_root,
            idle: start.idle,
        },
        network: start.places.network.options()?,
        ready: start.ready,
    })
}
