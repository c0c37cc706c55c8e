//! Services and claims: read, filled in, validated, and what becomes of them.

use pod_manifest::{
    Object, claim_defaults, keep_service, read_documents, service_defaults, service_to_model,
    validate_claim, validate_claim_update, validate_config_map_update, validate_secret_update,
    validate_service, validate_service_update, wire,
};
use pod_model::pod::IntOrString;
use pod_model::service::{Protocol, ServiceAddress};

fn service(spec: &str) -> wire::Service {
    let text = format!("kind: Service\napiVersion: v1\nmetadata: {{name: s}}\nspec: {spec}\n");
    match objects(&text).pop() {
        Some(Object::Service(service)) => *service,
        other => panic!("{other:?} is no Service"),
    }
}

fn claim(spec: &str) -> wire::PersistentVolumeClaim {
    let text = format!(
        "kind: PersistentVolumeClaim\napiVersion: v1\nmetadata: {{name: c, resourceVersion: '1'}}\nspec: {spec}\n"
    );
    match objects(&text).pop() {
        Some(Object::Claim(mut claim)) => {
            claim_defaults(&mut claim);
            *claim
        }
        other => panic!("{other:?} is no claim"),
    }
}

/// The objects of a text.
fn objects(text: &str) -> Vec<Object> {
    let documents = read_documents("s.yaml", text).unwrap();
    documents
        .into_iter()
        .map(|document| document.object)
        .collect()
}

fn texts(errors: Vec<pod_manifest::FieldError>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn service_errors(spec: &str) -> Vec<String> {
    let mut service = service(spec);
    service_defaults(&mut service);
    texts(validate_service(&service))
}

#[test]
fn the_services_of_the_classic_walkthrough_are_read_filled_in_and_modelled() {
    let text = "kind: Service\napiVersion: v1\nmetadata:\n  name: myservice\nspec:\n  ports:\n  - protocol: TCP\n    port: 80\n    targetPort: 9376\n---\nkind: Service\napiVersion: v1\nmetadata:\n  name: mydb\nspec:\n  ports:\n  - port: 80\n    targetPort: web\n";
    let models: Vec<_> = objects(text)
        .into_iter()
        .map(|object| {
            let Object::Service(mut service) = object else {
                panic!("{object:?}");
            };
            service_defaults(&mut service);
            assert_eq!(texts(validate_service(&service)), [""; 0]);
            service_to_model(&service).unwrap()
        })
        .collect();
    let [first, second] = models.as_slice() else {
        panic!("{models:?}");
    };
    assert_eq!(
        (first.namespace.as_str(), first.name.as_str()),
        ("default", "myservice")
    );
    assert_eq!(first.address, ServiceAddress::Any);
    assert!(first.selector.is_empty());
    assert_eq!(first.ports[0].port, 80);
    assert_eq!(first.ports[0].protocol, Protocol::Tcp);
    assert_eq!(first.ports[0].target_port, IntOrString::Int(9376));
    assert_eq!(
        second.ports[0].target_port,
        IntOrString::String("web".into())
    );
}

#[test]
fn a_service_has_the_address_it_asks_for_one_of_the_nodes_choice_or_none() {
    for (spec, address) in [
        ("{ports: [{port: 1}]}", ServiceAddress::Any),
        (
            "{ports: [{port: 1}], clusterIP: 10.96.0.10}",
            ServiceAddress::Fixed("10.96.0.10".parse().unwrap()),
        ),
        ("{clusterIP: None}", ServiceAddress::Headless),
    ] {
        let mut service = service(spec);
        service_defaults(&mut service);
        let once = service.clone();
        service_defaults(&mut service);
        assert_eq!(service, once, "defaults twice change nothing");
        assert_eq!(texts(validate_service(&service)), [""; 0], "{spec}");
        assert_eq!(service_to_model(&service).unwrap().address, address);
    }
}

#[test]
fn what_podwright_cannot_serve_is_refused_by_name() {
    for (spec, message) in [
        (
            "{ports: [{port: 1}], type: LoadBalancer}",
            "spec.type: LoadBalancer is not supported yet: podwright has Services of type ClusterIP (with clusterIP: None too) and NodePort",
        ),
        (
            "{ports: [{port: 1, name: a}, {port: 2, name: b, nodePort: 80}], type: NodePort}",
            "spec.ports[1].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
        ),
        (
            "{ports: [{port: 1}], externalIPs: [192.0.2.1]}",
            "spec.externalIPs: not supported yet",
        ),
    ] {
        let mut service = service(spec);
        service_defaults(&mut service);
        assert_eq!(texts(validate_service(&service)), [""; 0], "{spec}");
        assert_eq!(service_to_model(&service).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_service_is_validated_as_an_api_server_does() {
    for (spec, expected) in [
        ("{}", &["spec.ports: Required value"][..]),
        (
            "{ports: [{port: 0}, {port: 70000, name: a, protocol: X}]}",
            &[
                "spec.ports[0].name: Required value",
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[1].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
                "spec.ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                "spec.ports[1].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            "{ports: [{port: 1, nodePort: 30000}], clusterIP: 10.0.0.300}",
            &[
                "spec.clusterIPs[0]: Invalid value: \"10.0.0.300\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            ],
        ),
        (
            "{type: ExternalName}",
            &["spec.externalName: Required value"],
        ),
        (
            "{ports: [{port: 1}], sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}}",
            &[
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
            ],
        ),
        (
            "{ports: [{port: 1}], externalIPs: [127.0.0.1, 10.0.0.01]}",
            &[
                "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                "spec.externalIPs[1]: Invalid value: \"10.0.0.01\": must not have leading 0s",
            ],
        ),
    ] {
        assert_eq!(service_errors(spec), expected, "{spec}");
    }
}

#[test]
fn a_service_keeps_its_address() {
    let made = |spec: &str| {
        let mut service = service(spec);
        service.metadata.resource_version = Some("1".to_owned());
        service_defaults(&mut service);
        service
    };
    let old = made("{ports: [{port: 1}], clusterIP: 10.0.0.1}");
    let other = made("{ports: [{port: 2}], clusterIP: 10.0.0.2}");
    assert_eq!(
        texts(validate_service_update(&other, &old)),
        ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"]
    );
    let other_port = made("{ports: [{port: 2}], clusterIP: 10.0.0.1}");
    assert_eq!(texts(validate_service_update(&other_port, &old)), [""; 0]);
}

#[test]
fn what_the_server_gave_a_service_stays_through_a_change_and_what_its_new_type_lacks_goes() {
    let mut old = service(
        "{type: NodePort, clusterIP: 10.0.0.1, ipFamilies: [IPv4], ports: [{name: a, port: 80, nodePort: 30001}, {name: b, port: 81, nodePort: 30002}]}",
    );
    old.metadata.resource_version = Some("7".to_owned());
    old.metadata.uid = Some("u".to_owned());
    service_defaults(&mut old);
    let immutable = "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set";
    for (spec, node_ports, policy, errors) in [
        // Ports are told apart by their names.
        (
            "{type: NodePort, ports: [{name: b, port: 82}, {name: c, port: 83}]}",
            vec![Some(30002), None],
            Some("Cluster"),
            vec![],
        ),
        // A number that is asked for elsewhere is not kept.
        (
            "{type: NodePort, ports: [{name: a, port: 80}, {name: c, port: 83, nodePort: 30001}]}",
            vec![None, Some(30001)],
            Some("Cluster"),
            vec![],
        ),
        // As a patch of the type alone has it, and as a manifest.
        (
            "{type: ClusterIP, externalTrafficPolicy: Cluster, ports: [{name: a, port: 80, nodePort: 30001}]}",
            vec![None],
            None,
            vec![],
        ),
        (
            "{clusterIP: 10.0.0.1, ports: [{port: 80}]}",
            vec![None],
            None,
            vec![],
        ),
        // What is asked for besides is not dropped in silence.
        (
            "{type: ClusterIP, ports: [{port: 80, nodePort: 30009}]}",
            vec![Some(30009)],
            None,
            vec!["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            "{type: NodePort, clusterIP: 10.0.0.2, ports: [{name: a, port: 80}]}",
            vec![Some(30001)],
            Some("Cluster"),
            vec![immutable],
        ),
        // Only the first of the two that belong together.
        (
            "{type: NodePort, clusterIP: 10.0.0.2, clusterIPs: [10.0.0.1], ports: [{name: a, port: 80}]}",
            vec![Some(30001)],
            Some("Cluster"),
            vec![immutable],
        ),
    ] {
        let mut new = service(spec);
        service_defaults(&mut new);
        keep_service(&mut new, &old);
        assert_eq!(texts(validate_service_update(&new, &old)), errors, "{spec}");
        let new = new.spec.unwrap();
        let numbers: Vec<_> = new.ports.iter().flatten().map(|p| p.node_port).collect();
        assert_eq!(numbers, node_ports, "{spec}");
        assert_eq!(new.external_traffic_policy.as_deref(), policy, "{spec}");
        assert_eq!(new.ip_families, Some(vec!["IPv4".to_owned()]), "{spec}");
        if errors.is_empty() {
            assert_eq!(new.cluster_ips, Some(vec!["10.0.0.1".to_owned()]), "{spec}");
        }
    }
}

#[test]
fn what_is_immutable_stays_so_and_a_secret_keeps_its_type() {
    let frozen = "field is immutable when `immutable` is set";
    let map = |rest: &str| -> wire::ConfigMap {
        let text = format!(
            "{{kind: ConfigMap, apiVersion: v1, metadata: {{name: o, namespace: ns, resourceVersion: '3'}}, {rest}}}"
        );
        match objects(&text).pop() {
            Some(Object::ConfigMap(map)) => map,
            other => panic!("{other:?}"),
        }
    };
    let secret = |rest: &str| -> wire::Secret {
        let text = format!(
            "{{kind: Secret, apiVersion: v1, metadata: {{name: o, namespace: ns, resourceVersion: '3'}}, {rest}}}"
        );
        match objects(&text).pop() {
            Some(Object::Secret(secret)) => secret,
            other => panic!("{other:?}"),
        }
    };
    let old = map("immutable: true, data: {a: '1'}, binaryData: {b: aGk=}");
    for (new, fields) in [
        (
            "immutable: true, data: {a: '1'}, binaryData: {b: aGk=}",
            vec![],
        ),
        ("data: {a: '1'}, binaryData: {b: aGk=}", vec!["immutable"]),
        (
            "immutable: true, data: {a: '2'}",
            vec!["data", "binaryData"],
        ),
    ] {
        let wanted: Vec<_> = fields
            .iter()
            .map(|f| format!("{f}: Forbidden: {frozen}"))
            .collect();
        assert_eq!(
            texts(validate_config_map_update(&map(new), &old)),
            wanted,
            "{new}"
        );
    }
    let loose = map("data: {a: '1'}");
    assert_eq!(
        texts(validate_config_map_update(&map("data: {a: '2'}"), &loose)),
        [""; 0]
    );
    let old = secret("type: Opaque, immutable: true, data: {a: aGk=}");
    for (new, wanted) in [
        // The same bytes, written otherwise.
        ("type: Opaque, immutable: true, stringData: {a: hi}", vec![]),
        (
            "type: Opaque, immutable: true, stringData: {a: ho}",
            vec![format!("data: Forbidden: {frozen}")],
        ),
        (
            "type: mine, immutable: false, data: {a: aGk=}",
            vec![
                "type: Invalid value: \"mine\": field is immutable".to_owned(),
                format!("immutable: Forbidden: {frozen}"),
            ],
        ),
    ] {
        assert_eq!(
            texts(validate_secret_update(&secret(new), &old)),
            wanted,
            "{new}"
        );
    }
}

const CLAIM: &str = "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}";

#[test]
fn a_claim_is_filled_in_and_validated() {
    let good = claim(CLAIM);
    let spec = good.spec.as_ref().unwrap();
    assert_eq!(spec.volume_mode.as_deref(), Some("Filesystem"));
    assert_eq!(texts(validate_claim(&good)), [""; 0]);
    assert_eq!(
        texts(validate_claim(&claim("{volumeMode: Tape}"))),
        [
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
            "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
        ]
    );
}

#[test]
fn a_claim_may_grow_only_while_it_is_bound() {
    let bound = |text: &str| {
        let mut claim = claim(text);
        claim.status.get_or_insert_default().phase = Some("Bound".to_owned());
        claim
    };
    let larger = CLAIM.replace("1Gi", "2Gi");
    assert_eq!(
        texts(validate_claim_update(&bound(&larger), &bound(CLAIM))),
        [""; 0]
    );
    assert_eq!(
        texts(validate_claim_update(&claim(&larger), &claim(CLAIM))),
        [
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
        ]
    );
}
