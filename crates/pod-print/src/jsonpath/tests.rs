use super::*;
use serde_json::json;

fn list() -> Value {
    json!({"kind": "List", "items": [
        {"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "web", "tier": "x"}},
         "status": {"podIP": "10.88.0.2", "n": 3, "ready": true}, "c": [{"name": "p"}, {"name": "q"}]},
        {"metadata": {"name": "b"}, "status": {"podIP": "10.88.0.3", "n": 12, "ready": false}, "c": [{"name": "r"}]},
    ]})
}

#[test]
fn a_template_gives_what_kubectl_gives() {
    for (template, text) in [
        ("{.kind}", "List"),
        ("kind: {.kind}!", "kind: List!"),
        ("", ""),
        (".kind", ".kind"),
        ("{.nothing.at.all}", ""),
        ("{.items[*].metadata.name}", "a b"),
        ("{.items[0].metadata.name}", "a"),
        ("{.items[-1].metadata.name}", "b"),
        ("{.items[7].metadata.name}", ""),
        ("{.items[-7].metadata.name}", ""),
        ("{.items[0:1].metadata.name}", "a"),
        ("{.items[::2].metadata.name}", "a"),
        ("{.items[1:0].metadata.name}", ""),
        ("{.items[0,1].metadata.name}", "a b"),
        ("{$.items[1].status.n}", "12"),
        (
            "{.items[*]['metadata.name', 'status']}",
            r#"{"n":3,"podIP":"10.88.0.2","ready":true} {"n":12,"podIP":"10.88.0.3","ready":false}"#,
        ),
        (
            r"{.items[0].metadata.labels.app\.kubernetes\.io/name}",
            "web",
        ),
        (
            "{.items[0].metadata.labels['app.kubernetes.io/name']}",
            "web",
        ),
        ("{.items[0].metadata.labels.*}", "web x"),
        ("{..name}", "p q a r b"),
        ("{.items[*].c[*].name}", "p q r"),
        (
            r#"{range .items[*]}{.metadata.name}{"\t"}{.status.podIP}{"\n"}{end}"#,
            "a\t10.88.0.2\nb\t10.88.0.3\n",
        ),
        (
            r#"{range .items[*]}{.metadata.name}:{range .c[*]} {.name}{end};{end}."#,
            "a: p q;b: r;.",
        ),
        (r#"{range .items[*]}{@.metadata.name}{' '}{end}"#, "a b "),
        (
            r#"{.items[?(@.metadata.name=="b")].status.podIP}"#,
            "10.88.0.3",
        ),
        (
            r#"{.items[?(@.metadata.name != 'b')].status.podIP}"#,
            "10.88.0.2",
        ),
        ("{.items[?(@.status.n>3)].metadata.name}", "b"),
        ("{.items[?(@.status.n<=3)].metadata.name}", "a"),
        ("{.items[?(@.status.ready==true)].metadata.name}", "a"),
        ("{.items[?(@.metadata.labels)].metadata.name}", "a"),
        ("{.items[0].c}", r#"[{"name":"p"},{"name":"q"}]"#),
        ("{.items[0].status.ready} {.items[0].status.n}", "true 3"),
    ] {
        let read = Template::parse(template);
        let read = read.unwrap_or_else(|e| panic!("{template}: {e}"));
        assert_eq!(read.text(&list()), text, "{template}");
    }
}

#[test]
fn a_path_alone_needs_neither_braces_nor_a_first_dot() {
    for path in ["{.kind}", ".kind", "kind", "{kind}", "$.kind", "['kind']"] {
        let read = Path::parse(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!(read.find(&list()), [&json!("List")], "{path}");
    }
}

#[test]
fn what_is_no_template_is_refused_with_its_place() {
    for (template, said) in [
        ("{.kind", "unclosed brace at the end"),
        ("{.items[0", "expected \",\" at the end"),
        (
            "{.items[x]}",
            "expected a number, a name in quotes or * at \"x]}\"",
        ),
        ("{.items[--1]}", "expected a number at \"--1]}\""),
        ("{.items[::0]}", "a step must be 1 or more at \"]}\""),
        ("{.a..}", "expected a name at \"}\""),
        ("{.a.}", "expected a name at \"}\""),
        (
            "{kind}",
            "expected a path (such as .metadata.name), text in quotes, range or end at \"kind}\"",
        ),
        (
            "{range .items[*]}x",
            "unclosed range, {end} is missing at the end",
        ),
        ("a{end}", "not in range, nothing to end at \"}\""),
        ("{\"a}", "unclosed quotes at the end"),
        (
            "{.a[?(@.b==c)]}",
            "expected text in quotes, a number, true or false at \"c)]}\"",
        ),
        ("{.a[?(@.b=='c']}", "expected \")\" at \"]}\""),
    ] {
        let error = Template::parse(template).unwrap_err();
        assert_eq!(error.to_string(), said, "{template}");
    }
    for path in ["", "{", "{.a", ".a b", "{.a}{.b}"] {
        assert!(Path::parse(path).is_err(), "{path:?} was read");
    }
    let deep = "{range .a}".repeat(1000);
    assert!(Template::parse(&deep).is_err());
}

#[test]
fn values_of_one_type_have_an_order() {
    for (a, b, order_is) in [
        (json!(2), json!(10), Some(Ordering::Less)),
        (json!(1.5), json!(1), Some(Ordering::Greater)),
        (json!("b"), json!("a"), Some(Ordering::Greater)),
        (json!(null), json!(null), Some(Ordering::Equal)),
        (json!("1"), json!(1), None),
    ] {
        assert_eq!(order(&a, &b), order_is, "{a} {b}");
    }
}
