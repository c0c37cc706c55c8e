use super::*;

/// Expectation and facts that agree.
fn agreed() -> (Expect, Facts) {
    let expect = Expect {
        cap_permitted: 0xa804_25fb,
        cap_effective: 0xa804_25fb,
        cap_bounding: 0xa804_25fb,
        seccomp: true,
        no_new_privileges: true,
        uid: 1000,
        gid: 10,
        groups: vec![10, 20],
        namespaces: [
            ("net".to_owned(), NamespaceOf::Sandbox),
            ("mnt".to_owned(), NamespaceOf::Own),
            ("user".to_owned(), NamespaceOf::Node),
        ]
        .into(),
        read_only_rootfs: true,
        cgroup: "/podwright/pod1/c1".to_owned(),
        cwd: "/work".into(),
        ..Expect::default()
    };
    let names = |found: &str| Namespaces {
        found: found.to_owned(),
        node: "net:[1]".to_owned(),
        sandbox: Some("net:[2]".to_owned()),
    };
    let facts = Facts {
        status: Status {
            uids: vec![1000; 4],
            gids: vec![10; 4],
            groups: [10, 20].into(),
            cap_permitted: 0xa804_25fb,
            cap_effective: 0xa804_25fb,
            cap_bounding: 0xa804_25fb,
            no_new_privileges: true,
            seccomp_mode: 2,
            seccomp_filters: 1,
            ..Status::default()
        },
        own: Status {
            cap_bounding: 0x1ff_ffff_ffff,
            ..Status::default()
        },
        namespaces: [
            ("net".to_owned(), names("net:[2]")),
            ("mnt".to_owned(), names("net:[3]")),
            ("user".to_owned(), names("net:[1]")),
        ]
        .into(),
        masked: vec![
            ("/proc/keys".into(), Cover::Null),
            ("/proc/acpi".into(), Cover::EmptyTmpfs),
            ("/proc/asound".into(), Cover::Absent),
        ],
        read_only: vec![
            ("/proc/sys".into(), Some(true)),
            ("/proc/none".into(), None),
        ],
        root_read_only: Some(true),
        cgroups: vec!["/podwright/pod1/c1".to_owned(), "/".to_owned()],
        cwd: ("/work".to_owned(), true),
        ..Facts::default()
    };
    (expect, facts)
}

fn found(change: impl FnOnce(&mut Expect, &mut Facts)) -> Vec<String> {
    let (mut expect, mut facts) = agreed();
    change(&mut expect, &mut facts);
    compare(&expect, &facts)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_is_as_asked_for_has_no_difference() {
    assert_eq!(found(|_, _| {}), [""; 0]);
}

type Change = fn(&mut Expect, &mut Facts);

#[test]
fn each_difference_is_named_with_what_was_expected_and_found() {
    let cases: [(Change, &str); 20] = [
        (
            |_, f| f.status.cap_effective |= 1 << 21,
            "CapEff: expected 00000000a80425fb, found 00000000a82425fb",
        ),
        (
            |_, f| f.status.cap_bounding |= 1 << 21,
            "CapBnd: expected 00000000a80425fb, found 00000000a82425fb",
        ),
        (
            |_, f| f.status.cap_ambient = 1,
            "CapAmb: expected 0000000000000000, found 0000000000000001",
        ),
        (
            |_, f| f.status.cap_inheritable = 1,
            "CapInh: expected 0000000000000000, found 0000000000000001",
        ),
        (
            |_, f| f.status.cap_permitted = 0,
            "CapPrm: expected 00000000a80425fb, found 0000000000000000",
        ),
        (
            |_, f| (f.status.seccomp_mode, f.status.seccomp_filters) = (0, 0),
            "Seccomp: expected 2, found 0 with 0 filters added",
        ),
        (
            |e, _| e.seccomp = false,
            "Seccomp: expected 0, found 2 with 1 filters added",
        ),
        (
            |_, f| f.status.no_new_privileges = false,
            "NoNewPrivs: expected 1, found 0",
        ),
        (
            |e, _| e.no_new_privileges = false,
            "NoNewPrivs: expected 0, found 1",
        ),
        (
            |_, f| f.status.uids[3] = 0,
            "Uid: expected 1000, found 1000 1000 1000 0",
        ),
        (
            |_, f| f.status.gids = vec![],
            "Gid: expected 10, found none",
        ),
        (
            |_, f| {
                f.status.groups.insert(0);
            },
            "Groups: expected 10 20, found 0 10 20",
        ),
        (
            |_, f| f.namespaces.get_mut("net").unwrap().found = "net:[1]".into(),
            "namespace net: expected the sandbox's net:[2], found net:[1]",
        ),
        (
            |_, f| f.namespaces.get_mut("mnt").unwrap().found = "net:[1]".into(),
            "namespace mnt: expected one of its own, found net:[1]",
        ),
        (
            |_, f| f.masked[0].1 = Cover::Bare("RegularFile".into()),
            "masked path /proc/keys: expected the null device or an empty tmpfs, found RegularFile",
        ),
        (
            |_, f| f.read_only[0].1 = Some(false),
            "read-only path /proc/sys: expected ro, found rw",
        ),
        (
            |_, f| f.root_read_only = Some(false),
            "root file system: expected ro, found rw",
        ),
        (
            |_, f| f.cgroups = vec!["/podwright/pod2/c2".into()],
            "cgroup: expected /podwright/pod1/c1, found /podwright/pod2/c2",
        ),
        (
            |_, f| f.kept_open.push((7, "/etc".into())),
            "descriptor 7: expected close-on-exec, found /etc",
        ),
        (
            |_, f| f.cwd = ("/".into(), false),
            "working directory: expected /work, found /",
        ),
    ];
    for (change, want) in cases {
        assert_eq!(found(change), [want]);
    }
}

#[test]
fn a_sandbox_namespace_needs_a_pause_process_and_an_unread_one_is_never_fine() {
    let cases: [(Change, &str); 3] = [
        (
            |_, f| f.namespaces.get_mut("net").unwrap().sandbox = None,
            "namespace net: expected the sandbox's (no pause process), found net:[2]",
        ),
        (
            |_, f| f.namespaces.get_mut("mnt").unwrap().found.clear(),
            "namespace mnt: expected one of its own, found ",
        ),
        (
            |_, f| {
                f.namespaces.remove("user");
            },
            "namespace user: expected Node, found nothing",
        ),
    ];
    for (change, want) in cases {
        assert_eq!(found(change), [want]);
    }
}

#[test]
fn what_this_node_lacks_or_cannot_shed_is_taken_into_account() {
    let fine: [Change; 4] = [
        // A capability outside our own bounding set cannot be given.
        |_, f| {
            f.own.cap_bounding = 0xff;
            f.status.cap_permitted = 0xfb;
            f.status.cap_effective = 0xfb;
            f.status.cap_bounding = 0xfb;
        },
        // We run under a filter ourselves.
        |_, f| {
            (f.own.seccomp_mode, f.own.seccomp_filters) = (2, 1);
            f.status.seccomp_filters = 2;
        },
        |e, f| {
            e.seccomp = false;
            (f.own.seccomp_mode, f.own.seccomp_filters) = (2, 1);
        },
        |e, f| {
            e.no_new_privileges = false;
            f.own.no_new_privileges = true;
        },
    ];
    for (n, change) in fine.into_iter().enumerate() {
        assert_eq!(found(change), [""; 0], "case {n}");
    }
    let only_ours = found(|_, f| (f.own.seccomp_mode, f.own.seccomp_filters) = (2, 1));
    assert_eq!(
        only_ours,
        ["Seccomp: expected 2, found 2 with 0 filters added"]
    );
}

#[test]
fn ids_in_a_user_namespace_are_compared_as_the_node_sees_them() {
    let map = "0 100000 65536\n".to_owned();
    let shifted = |e: &mut Expect, f: &mut Facts| {
        e.namespaces.insert("user".into(), NamespaceOf::Own);
        f.namespaces.get_mut("user").unwrap().found = "net:[9]".into();
        f.id_maps = Some((map.clone(), map.clone()));
        f.status.uids = vec![101_000; 4];
        f.status.gids = vec![100_010; 4];
        f.status.groups = [100_010, 100_020].into();
    };
    assert_eq!(found(shifted), [""; 0]);
    let unmapped = found(|e, f| {
        shifted(e, f);
        e.uid = 70_000;
    });
    assert_eq!(
        unmapped,
        ["Uid: expected 70000, found 101000 101000 101000 101000"]
    );
}

#[test]
fn a_cgroup_is_found_below_the_root_of_a_mount_but_never_by_an_empty_path() {
    assert_eq!(
        found(|_, f| f.cgroups = vec!["/machine/podwright/pod1/c1".into()]),
        [""; 0]
    );
    for bad in ["", "/"] {
        let got = found(|e, _| e.cgroup = bad.into());
        assert_eq!(got.len(), 1, "{bad:?}: {got:?}");
    }
    let got = found(|_, f| f.not_in.push("/sys/fs/cgroup/pids/x".into()));
    assert_eq!(
        got,
        ["cgroup /sys/fs/cgroup/pids/x: expected to hold the process, found not in it"]
    );
}
