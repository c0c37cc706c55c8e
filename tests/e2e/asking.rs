//! What scripts ask with `get` and `delete`, in the words of kubectl.

use e2e::Node;

const PODS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: second, labels: {tier: back, app.kubernetes.io/name: web}}
spec: {terminationGracePeriodSeconds: 600, containers: [{name: a, image: busybox, command: [sh, -c, 'trap : TERM; while :; do sleep 1; done']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: first}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: a, image: busybox, command: [sleep, '600']}, {name: b, image: busybox, command: [sleep, '600']}]}
";

#[test]
fn get_answers_in_the_forms_that_scripts_ask_for() {
    let node = Node::new("asking");
    let file = node.file("pods.yaml", PODS);
    node.run(&["create", "-f", &file]).ok();
    for name in ["first", "second"] {
        node.wait_status(name, &["Running"]);
    }
    let status = |path: &str| node.pod("first").pointer(path).unwrap().to_string();
    let uid = status("/metadata/uid").replace('"', "");
    for (arguments, shown) in [
        (
            vec!["get", "pod", "first", "-o", "jsonpath={.status.phase}"],
            "Running".to_owned(),
        ),
        (
            vec![
                "get",
                "pod/first",
                "-o",
                "jsonpath={.metadata.uid}{\"\\n\"}",
            ],
            format!("{uid}\n"),
        ),
        (
            vec![
                "get",
                "pods",
                "-o",
                "jsonpath={.items[*].spec.containers[*].name}",
            ],
            "a b a".to_owned(),
        ),
        (
            vec![
                "get",
                "pods",
                "-o",
                "jsonpath={range .items[*]}{.metadata.name}{\"\\t\"}{.status.phase}{\"\\n\"}{end}",
            ],
            "first\tRunning\nsecond\tRunning\n".to_owned(),
        ),
        (
            vec![
                "get",
                "pod",
                "first",
                "-o",
                "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}",
            ],
            "True".to_owned(),
        ),
        (
            vec![
                "get",
                "pods",
                "-l",
                "tier=none",
                "-o",
                "jsonpath={.items[*].metadata.name}",
            ],
            String::new(),
        ),
        (
            vec![
                "get",
                "pods",
                "-o",
                "custom-columns=NAME:.metadata.name,TIER:metadata.labels.tier,C:.spec.containers[*].name",
            ],
            "NAME     TIER     C\nfirst    <none>   a,b\nsecond   back     a\n".to_owned(),
        ),
        (
            vec![
                "get",
                "pod",
                "first",
                "--no-headers",
                "-o",
                "custom-columns=:.metadata.name",
            ],
            String::new(),
        ),
        (
            vec![
                "get",
                "pods",
                "--no-headers",
                "-o",
                "custom-columns=N:.metadata.name",
                "--sort-by=.spec.terminationGracePeriodSeconds",
            ],
            "first\nsecond\n".to_owned(),
        ),
        (
            vec![
                "get",
                "pods",
                "-o",
                "name",
                "--sort-by={.metadata.labels.tier}",
            ],
            "pod/first\npod/second\n".to_owned(),
        ),
        (
            vec!["get", "pod", "nobody", "--ignore-not-found"],
            String::new(),
        ),
        (
            vec!["get", "pod", "nobody", "--ignore-not-found", "-o", "json"],
            String::new(),
        ),
        (
            vec![
                "get",
                "pod",
                "nobody",
                "first",
                "--ignore-not-found",
                "-o",
                "name",
            ],
            "pod/first\n".to_owned(),
        ),
    ] {
        let asked = node.run(&arguments);
        if arguments.contains(&"custom-columns=:.metadata.name") {
            assert!(
                asked.fails(64).contains("must be HEADER:PATH"),
                "{}",
                asked.err
            );
            continue;
        }
        assert_eq!(asked.ok(), shown, "{}", asked.line);
        assert_eq!(asked.err, "", "{}", asked.line);
    }
    let labels = node.run(&[
        "get",
        "pods",
        "-L",
        "tier,app.kubernetes.io/name",
        "--show-labels",
    ]);
    let rows: Vec<Vec<&str>> = labels
        .ok()
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][5..], ["TIER", "NAME", "LABELS"], "{}", labels.out);
    assert_eq!(
        rows[1][5..],
        ["<none>", "<none>", "<none>"],
        "{}",
        labels.out
    );
    assert_eq!(rows[2][5..7], ["back", "web"], "{}", labels.out);
    let last = node.run(&[
        "get",
        "events",
        "--sort-by=.reason",
        "-o",
        "jsonpath={.items[*].reason}",
    ]);
    let reasons: Vec<&str> = last.ok().split(' ').collect();
    assert!(reasons.len() > 4 && reasons.is_sorted(), "{}", last.out);
    node.run(&["get", "pods", "--sort-by=.nothing"]).fails(65);
    node.run(&["get", "pods", "-o", "jsonpath={.items[0"])
        .fails(64);
    // The words that everybody types for a pod that does not end.
    node.run(&["delete", "pod", "second", "--grace-period=3", "--force"])
        .fails(64);
    let gone = node.run(&["delete", "pod", "second", "--grace-period=0", "--force"]);
    assert_eq!(
        gone.ok(),
        "pod \"second\" force deleted from default namespace\n"
    );
    node.finish();
}

#[test]
fn logs_of_pods_that_a_selector_picks_come_with_their_names() {
    let node = Node::new("askinglogs");
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec:\n  restartPolicy: Never\n  \
             initContainers: [{{name: i, image: busybox, command: [echo, 'first of {name}']}}]\n  \
             containers: [{{name: a, image: busybox, command: [sh, -c, 'for n in $(seq 12); do echo $n; done']}}]\n---\n"
        )
    };
    let file = node.file("pods.yaml", &(pod("one") + &pod("two")));
    node.run(&["create", "-f", &file]).ok();
    for name in ["one", "two"] {
        node.wait_status(name, &["Completed"]);
    }
    let lines = |from: u32, prefix: &str| -> String {
        (from..=12).map(|n| format!("{prefix}{n}\n")).collect()
    };
    let asked = node.run(&["logs", "-l", "app=web", "-c", "a"]);
    assert_eq!(asked.ok(), lines(3, "") + &lines(3, ""));
    let asked = node.run(&[
        "logs",
        "-l",
        "app=web",
        "--all-containers",
        "--prefix",
        "--tail=1",
    ]);
    assert_eq!(
        asked.ok(),
        "[pod/one/i] first of one\n[pod/one/a] 12\n[pod/two/i] first of two\n[pod/two/a] 12\n"
    );
    let asked = node.run(&[
        "logs",
        "-l",
        "app=web",
        "-c",
        "a",
        "-f",
        "--prefix",
        "--tail=-1",
    ]);
    for name in ["one", "two"] {
        let own = format!("[pod/{name}/a] ");
        let got: String = asked
            .ok()
            .split_inclusive('\n')
            .filter(|l| l.starts_with(&own))
            .collect();
        assert_eq!(got, lines(1, &own), "{}", asked.out);
    }
    let asked = node.run(&["logs", "-l", "app=none"]);
    assert_eq!(
        (asked.ok(), asked.err.as_str()),
        ("", "No resources found in default namespace.\n")
    );
    node.finish();
}
