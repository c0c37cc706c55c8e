//! Hostile images and containers through the whole of podwright. The names carry the ids of THREATS.md; what concerns one crate alone is
//! tested there. One oracle for all: the canary beside the node, and what the leak check at the end says of the machine.

/// Goes on in namespaces of the case's own only.
macro_rules! apart {
    ($case:ident) => {
        let mut inside = false;
        e2e::apart(module_path!(), stringify!($case), || inside = true);
        if !inside {
            return;
        }
    };
}

mod calls;
mod images;
mod leaks;
mod rights;
mod secrets;
mod table;
mod volumes;

use e2e::Node;
use e2e::leak::Canary;
use std::path::PathBuf;

/// How often what is a race, or may leak, is done again: 2,000 times in the long form (`hack/soak threats`).
fn rounds() -> usize {
    let set = std::env::var("PODWRIGHT_ROUNDS").ok();
    set.and_then(|n| n.parse().ok()).unwrap_or(15)
}

/// A node with a tree beside it that no container may touch or read.
struct Hostile {
    node: Node,
    canary: Canary,
}

impl Hostile {
    fn new(case: &str) -> Self {
        let node = Node::new(case);
        let canary = Canary::make(&node.folder().join("canary")).expect("a canary");
        Self { node, canary }
    }

    /// A file of the canary that only root may read.
    fn secret(&self) -> PathBuf {
        self.node.folder().join("canary/secret")
    }

    #[track_caller]
    fn unharmed(&self) {
        let changes = self.canary.changes();
        assert!(changes.is_empty(), "the node was reached: {changes:#?}");
    }

    #[track_caller]
    fn finish(self) {
        self.unharmed();
        self.node.finish();
    }

    /// Runs a pod of one container to its end; gives its output, or its error.
    fn once(&self, image: &str, more: &str, script: &str) -> e2e::Outcome {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: s}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {{name: app, image: {image}, command: [sh, -c, {script:?}]{more}}}\n"
        );
        let file = self.node.file("pod.yaml", &text);
        self.node.run(&["run", &file])
    }
}
