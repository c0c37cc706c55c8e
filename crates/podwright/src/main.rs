//! podwright
mod node;
fn main() -> anyhow::Result<()> {
    let e = |n: &str| std::env::var(n).unwrap_or_default();
    node::run(node::NodeOptions {
        places: node::Places {
            root: e("PODWRIGHT_ROOT").into(),
            run: e("PODWRIGHT_RUN").into(),
            logs: e("PODWRIGHT_LOGS").into(),
            cgroup_root: pod_model::ids::CgroupPath::parse(&e("PODWRIGHT_CGROUP_ROOT"))?,
            on_demand: false,
        },
        ready: None,
    })
}
