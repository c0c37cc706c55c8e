//! Compares what a process must be with what was found of it. Pure.

use super::parse::{self, Status};
use pod_wire::verify::{Expect, NamespaceOf};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

/// What was found of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Its own credentials.
    pub(crate) status: Status,
    /// This process's: what a child cannot have more of, or cannot shed.
    pub(crate) own: Status,
    /// For each kind of namespace asked about.
    pub(crate) namespaces: BTreeMap<String, Namespaces>,
    /// `uid_map` and `gid_map` of its user namespace, where that is its own.
    pub(crate) id_maps: Option<(String, String)>,
    /// What lies at each path that must be masked.
    pub(crate) masked: Vec<(PathBuf, Cover)>,
    /// Whether each path that must be read-only is so; `None`: it does not exist.
    pub(crate) read_only: Vec<(PathBuf, Option<bool>)>,
    /// Whether `/` is mounted read-only.
    pub(crate) root_read_only: Option<bool>,
    /// Its cgroup's path in each hierarchy.
    pub(crate) cgroups: Vec<String>,
    /// cgroup folders that exist and do not list it.
    pub(crate) not_in: Vec<PathBuf>,
    /// Open descriptors from 3 on that an exec would keep, and what they are.
    pub(crate) kept_open: Vec<(i32, String)>,
    /// Its working folder as /proc shows it, and whether it is the folder asked for.
    pub(crate) cwd: (String, bool),
}

/// One kind of namespace: identities as `/proc/PID/ns/*` shows them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namespaces {
    /// The process's.
    pub(crate) found: String,
    /// This supervisor's, which is the node's.
    pub(crate) node: String,
    /// The pause process's, if there is one.
    pub(crate) sandbox: Option<String>,
}

/// What lies at a path that must be masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// Nothing.
    Absent,
    /// The null device.
    Null,
    /// An empty folder on a tmpfs.
    EmptyTmpfs,
    /// Something that can be looked into.
    Bare(String),
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// Which property.
    pub(crate) field: String,
    /// What it must be.
    pub(crate) expected: String,
    /// What it is.
    pub(crate) found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            expected,
            found,
        } = self;
        write!(f, "{field}: expected {expected}, found {found}")
    }
}

/// Every difference between what must be and what is.
pub(crate) fn compare(expect: &Expect, facts: &Facts) -> Vec<Mismatch> {
    let mut differences = Differences::default();
    credentials(expect, facts, &mut differences);
    namespaces(expect, facts, &mut differences);
    mounts(expect, facts, &mut differences);
    placement(expect, facts, &mut differences);
    differences.0
}

#[derive(Default)]
struct Differences(Vec<Mismatch>);

impl Differences {
    fn unless(
        &mut self,
        fine: bool,
        field: impl Into<String>,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        if !fine {
            self.0.push(Mismatch {
                field: field.into(),
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
    }
}

fn credentials(expect: &Expect, facts: &Facts, out: &mut Differences) {
    let (got, own) = (&facts.status, &facts.own);
    let sets = [
        ("CapInh", expect.cap_inheritable, got.cap_inheritable),
        ("CapPrm", expect.cap_permitted, got.cap_permitted),
        ("CapEff", expect.cap_effective, got.cap_effective),
        ("CapBnd", expect.cap_bounding, got.cap_bounding),
        ("CapAmb", expect.cap_ambient, got.cap_ambient),
    ];
    for (name, want, found) in sets {
        // What this node does not have itself it cannot give.
        let fine = found == want || found == want & own.cap_bounding;
        out.unless(fine, name, hex(want), hex(found));
    }
    // Filters and no_new_privs of this process are its children's too; what counts is what was added.
    let added = got.seccomp_filters.saturating_sub(own.seccomp_filters);
    let fine = if expect.seccomp {
        got.seccomp_mode == 2 && (added > 0 || own.seccomp_mode != 2)
    } else {
        got.seccomp_mode == own.seccomp_mode && added == 0
    };
    let want = if expect.seccomp { 2 } else { own.seccomp_mode };
    let found = format!("{} with {added} filters added", got.seccomp_mode);
    out.unless(fine, "Seccomp", want, found);
    let want = expect.no_new_privileges || own.no_new_privileges;
    let fine = got.no_new_privileges == want;
    out.unless(
        fine,
        "NoNewPrivs",
        u8::from(want),
        u8::from(got.no_new_privileges),
    );
    let (uid_map, gid_map) = match &facts.id_maps {
        Some((uids, gids)) => (Some(uids.as_str()), Some(gids.as_str())),
        None => (None, None),
    };
    let outside = |map: Option<&str>, id| match map {
        Some(map) => parse::mapped(map, id),
        None => Some(id),
    };
    let all_are =
        |ids: &[u32], want: Option<u32>| !ids.is_empty() && ids.iter().all(|i| Some(*i) == want);
    let fine = all_are(&got.uids, outside(uid_map, expect.uid));
    out.unless(fine, "Uid", expect.uid, list(&got.uids));
    let fine = all_are(&got.gids, outside(gid_map, expect.gid));
    out.unless(fine, "Gid", expect.gid, list(&got.gids));
    let want: BTreeSet<Option<u32>> = expect.groups.iter().map(|g| outside(gid_map, *g)).collect();
    let found: BTreeSet<Option<u32>> = got.groups.iter().copied().map(Some).collect();
    out.unless(
        want == found,
        "Groups",
        list(&expect.groups),
        list(&got.groups),
    );
}

fn namespaces(expect: &Expect, facts: &Facts, out: &mut Differences) {
    for (kind, owner) in &expect.namespaces {
        let field = format!("namespace {kind}");
        let Some(got) = facts.namespaces.get(kind) else {
            out.unless(false, field, format!("{owner:?}"), "nothing");
            continue;
        };
        let sandbox = got.sandbox.as_deref();
        let (fine, want) = match owner {
            NamespaceOf::Node => (got.found == got.node, format!("the node's {}", got.node)),
            NamespaceOf::Sandbox => (
                sandbox == Some(got.found.as_str()),
                format!("the sandbox's {}", sandbox.unwrap_or("(no pause process)")),
            ),
            NamespaceOf::Own => (
                got.found != got.node && sandbox != Some(got.found.as_str()),
                "one of its own".to_owned(),
            ),
        };
        out.unless(fine && !got.found.is_empty(), field, want, &got.found);
    }
}

fn mounts(expect: &Expect, facts: &Facts, out: &mut Differences) {
    for (path, cover) in &facts.masked {
        let field = format!("masked path {}", path.display());
        let found = match cover {
            Cover::Bare(what) => what.as_str(),
            Cover::Absent | Cover::Null | Cover::EmptyTmpfs => continue,
        };
        out.unless(false, field, "the null device or an empty tmpfs", found);
    }
    for (path, read_only) in &facts.read_only {
        let field = format!("read-only path {}", path.display());
        out.unless(*read_only != Some(false), field, "ro", "rw");
    }
    if expect.read_only_rootfs {
        let fine = facts.root_read_only == Some(true);
        out.unless(fine, "root file system", "ro", "rw");
    }
}

fn placement(expect: &Expect, facts: &Facts, out: &mut Differences) {
    // Its path can stand below that of a cgroup namespace or of a mount's root; the container's id makes its end unique.
    let is_it = |path: &String| *path == expect.cgroup || path.ends_with(&expect.cgroup);
    let well_formed = expect.cgroup.len() > 1 && expect.cgroup.starts_with('/');
    let fine = well_formed && facts.cgroups.iter().any(is_it);
    out.unless(fine, "cgroup", &expect.cgroup, facts.cgroups.join(" "));
    for dir in &facts.not_in {
        let field = format!("cgroup {}", dir.display());
        out.unless(false, field, "to hold the process", "not in it");
    }
    for (number, what) in &facts.kept_open {
        let field = format!("descriptor {number}");
        out.unless(false, field, "close-on-exec", what);
    }
    let (cwd, same) = &facts.cwd;
    out.unless(*same, "working directory", expect.cwd.display(), cwd);
}

fn hex(mask: u64) -> String {
    format!("{mask:016x}")
}

fn list<'a>(ids: impl IntoIterator<Item = &'a u32>) -> String {
    let texts: Vec<String> = ids.into_iter().map(u32::to_string).collect();
    if texts.is_empty() {
        return "none".to_owned();
    }
    texts.join(" ")
}

#[cfg(test)]
mod tests;
