use super::*;

#[test]
fn what_is_logged_of_sources_names_their_keys_and_never_their_values() {
    let object = |value: &str| -> Object {
        let keys = ["user", "password"];
        keys.map(|key| (key.to_owned(), value.as_bytes().to_vec()))
            .into()
    };
    let sources = Sources {
        config_maps: [("settings".to_owned(), object("blue"))].into(),
        secrets: [("login".to_owned(), object("hush"))].into(),
    };
    let text = format!("{sources:?}");
    let wanted = r#"Sources { config_maps: ["settings[password,user]"], secrets: ["login[password,user]"] }"#;
    assert_eq!(text, wanted);
}

#[test]
fn a_source_that_is_not_there_is_named_with_its_kind() {
    for (kind, text) in [
        (SourceKind::ConfigMap, "configmap \"x\" not found"),
        (SourceKind::Secret, "secret \"x\" not found"),
    ] {
        let error = Sources::default().get(kind, "x").unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}
