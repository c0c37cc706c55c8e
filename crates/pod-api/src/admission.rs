//! What a manifest must pass to become an object of this node. The same for the client, which asks before it sends, and the server.

use crate::backend::{ApiResult, ConfigKind, ConfigRecord, NewPod};
use crate::error::{ApiError, Cause, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pod_manifest::validate::Options;
use pod_manifest::{FieldError, FieldNote, Object, Support, wire};
use pod_model::service::Service;
use serde_json::Value;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A pod that may be created, and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The pod.
    pub pod: NewPod,
    /// Fields that have no effect here, and, where that is allowed, those that this version does not honour.
    pub notes: Vec<FieldNote>,
}

/// Reads the one object that a request holds.
pub fn read_one(text: &str) -> ApiResult<Object> {
    let documents = pod_manifest::read_documents("request", text).map_err(|problems| {
        let lines: Vec<&str> = problems
            .problems
            .iter()
            .map(|p| p.message.as_str())
            .collect();
        ApiError::bad_request(format!("strict decoding error: {}", lines.join(", ")))
    })?;
    let mut objects = documents.into_iter().map(|d| d.object);
    match (objects.next(), objects.next()) {
        (Some(object), None) => Ok(object),
        _ => Err(ApiError::bad_request("a request holds exactly one object")),
    }
}

/// Defaults, validation, and what this version does not honour: all problems at once. Give it the pod as it was written.
pub fn admit_pod(pod: wire::Pod, allow_unsupported: bool) -> ApiResult<Admitted> {
    let mut pod = pod;
    let mut notes = pod_manifest::drop_cluster_token(&mut pod);
    let judged = pod_manifest::support(&pod).into_iter();
    notes.extend(judged.filter(|note| note.support != Support::Honoured));
    name_it(&mut pod);
    pod_manifest::defaults(&mut pod);
    let name = pod.metadata.name.clone().unwrap_or_default();
    let mut causes = causes_of(&pod_manifest::validate_pod(&pod, &Options::default()));
    causes.extend(causes_of(&pod_manifest::validate_asked(&pod)));
    if !allow_unsupported {
        let refused = notes.iter().filter(|n| n.support == Support::NotSupported);
        causes.extend(refused.map(|note| Cause {
            reason: "FieldValueForbidden".to_owned(),
            message: note.to_string(),
            field: note.path.clone(),
        }));
    }
    if !causes.is_empty() {
        return Err(invalid("Pod", &name, causes));
    }
    let model = pod_manifest::to_model(&pod)
        .map_err(|e| ApiError::new(Reason::Invalid, format!("Pod \"{name}\" is invalid: {e}")))?;
    let mut object = serde_json::to_value(&pod).map_err(ApiError::internal)?;
    if let Value::Object(fields) = &mut object {
        fields.remove("status");
    }
    Ok(Admitted {
        pod: NewPod { pod: model, object },
        notes,
    })
}

/// A pod as it shall be, instead of what it is: defaults, what may change, and what this version does not honour. Give it the pod as it
/// was written.
pub fn admit_update(
    old: &wire::Pod,
    new: wire::Pod,
    validate: fn(&wire::Pod, &wire::Pod, &Options) -> Vec<FieldError>,
) -> ApiResult<NewPod> {
    let mut new = new;
    pod_manifest::drop_cluster_token(&mut new);
    // The node chose it.
    if let (Some(old), Some(spec)) = (old.spec.as_ref(), new.spec.as_mut()) {
        spec.node_name.clone_from(&old.node_name);
    }
    let before: Vec<String> = pod_manifest::support(old)
        .into_iter()
        .map(|n| n.path)
        .collect();
    let notes = pod_manifest::support(&new).into_iter();
    let refused = notes.filter(|n| n.support == Support::NotSupported && !before.contains(&n.path));
    let mut unsupported: Vec<Cause> = refused
        .map(|note| Cause {
            reason: "FieldValueForbidden".to_owned(),
            message: note.to_string(),
            field: note.path.clone(),
        })
        .collect();
    pod_manifest::defaults(&mut new);
    let name = new.metadata.name.clone().unwrap_or_default();
    let mut causes = causes_of(&validate(&new, old, &Options::default()));
    causes.extend(causes_of(&pod_manifest::validate_asked(&new)));
    causes.append(&mut unsupported);
    if !causes.is_empty() {
        return Err(invalid("Pod", &name, causes));
    }
    let model = pod_manifest::to_model(&new)
        .map_err(|e| ApiError::new(Reason::Invalid, format!("Pod \"{name}\" is invalid: {e}")))?;
    let mut object = serde_json::to_value(&new).map_err(ApiError::internal)?;
    if let Value::Object(fields) = &mut object {
        fields.remove("status");
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            metadata.remove("resourceVersion");
        }
    }
    Ok(NewPod { pod: model, object })
}

/// Validates a ConfigMap and decodes its data.
pub fn admit_config_map(map: wire::ConfigMap) -> ApiResult<ConfigRecord> {
    let mut map = map;
    map.metadata
        .namespace
        .get_or_insert_with(|| "default".to_owned());
    config_map_record(&map, &pod_manifest::validate_config_map(&map))
}

/// The same for one in the place of another.
pub fn admit_config_map_update(
    old: &wire::ConfigMap,
    new: wire::ConfigMap,
) -> ApiResult<ConfigRecord> {
    let mut new = new;
    pod_manifest::keep_metadata(&mut new.metadata, &old.metadata);
    let errors = pod_manifest::validate_config_map_update(&new, old);
    config_map_record(&new, &errors)
}

fn config_map_record(map: &wire::ConfigMap, errors: &[FieldError]) -> ApiResult<ConfigRecord> {
    refuse("ConfigMap", &map.metadata, errors)?;
    let data = pod_manifest::config_map_data(map);
    let object = serde_json::to_value(map).map_err(ApiError::internal)?;
    Ok(config_record(ConfigKind::ConfigMap, object, data))
}

/// Validates a Secret and decodes its data; `stringData` becomes `data`, as an API server keeps it.
pub fn admit_secret(secret: wire::Secret) -> ApiResult<ConfigRecord> {
    let mut secret = secret;
    secret
        .metadata
        .namespace
        .get_or_insert_with(|| "default".to_owned());
    secret_defaults(&mut secret);
    let errors = pod_manifest::validate_secret(&secret);
    secret_record(secret, &errors)
}

/// The same for one in the place of another.
pub fn admit_secret_update(old: &wire::Secret, new: wire::Secret) -> ApiResult<ConfigRecord> {
    let mut new = new;
    pod_manifest::keep_metadata(&mut new.metadata, &old.metadata);
    secret_defaults(&mut new);
    let errors = pod_manifest::validate_secret_update(&new, old);
    secret_record(new, &errors)
}

fn secret_defaults(secret: &mut wire::Secret) {
    secret.type_.get_or_insert_with(|| "Opaque".to_owned());
}

fn secret_record(secret: wire::Secret, errors: &[FieldError]) -> ApiResult<ConfigRecord> {
    refuse("Secret", &secret.metadata, errors)?;
    let mut secret = secret;
    let data = pod_manifest::secret_data(&secret);
    secret.string_data = None;
    let all = secret.data.get_or_insert_default();
    for (key, bytes) in &data {
        all.entry(key.clone()).or_default().0.clone_from(bytes);
    }
    let object = serde_json::to_value(&secret).map_err(ApiError::internal)?;
    Ok(config_record(ConfigKind::Secret, object, data))
}

/// A Service with its defaults, as JSON and as the model has it.
pub fn admit_service(service: wire::Service) -> ApiResult<(Value, Service)> {
    let mut service = service;
    pod_manifest::service_defaults(&mut service);
    let errors = pod_manifest::validate_service(&service);
    service_and_model(&service, &errors)
}

/// The same for one in the place of another.
pub fn admit_service_update(
    old: &wire::Service,
    new: wire::Service,
) -> ApiResult<(Value, Service)> {
    let mut new = new;
    pod_manifest::service_defaults(&mut new);
    pod_manifest::keep_service(&mut new, old);
    let errors = pod_manifest::validate_service_update(&new, old);
    service_and_model(&new, &errors)
}

fn service_and_model(
    service: &wire::Service,
    errors: &[FieldError],
) -> ApiResult<(Value, Service)> {
    refuse("Service", &service.metadata, errors)?;
    let model = pod_manifest::service_to_model(service).map_err(|e| {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let text = format!("Service \"{name}\" is invalid: {e}");
        ApiError::new(Reason::Invalid, text)
    })?;
    let object = serde_json::to_value(service).map_err(ApiError::internal)?;
    Ok((object, model))
}

/// An error if there is any.
fn refuse(kind: &str, metadata: &ObjectMeta, errors: &[FieldError]) -> ApiResult<()> {
    if errors.is_empty() {
        return Ok(());
    }
    let name = metadata.name.as_deref().unwrap_or_default();
    Err(invalid(kind, name, causes_of(errors)))
}

/// A claim with its defaults, as JSON.
pub fn admit_claim(claim: wire::PersistentVolumeClaim) -> ApiResult<Value> {
    let mut claim = claim;
    pod_manifest::claim_defaults(&mut claim);
    let errors = pod_manifest::validate_claim(&claim);
    refuse("PersistentVolumeClaim", &claim.metadata, &errors)?;
    serde_json::to_value(&claim).map_err(ApiError::internal)
}

/// A kind that is read and checked, but that this node does not keep.
pub fn not_kept(kind: &str) -> ApiError {
    ApiError::bad_request(format!("kind {kind} is not supported yet"))
}

fn config_record(kind: ConfigKind, object: Value, data: BTreeMap<String, Vec<u8>>) -> ConfigRecord {
    let text = |path: &str| {
        let found = object.pointer(path).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    ConfigRecord {
        kind,
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        uid: String::new(),
        created: None,
        data,
        object,
    }
}

fn causes_of(errors: &[FieldError]) -> Vec<Cause> {
    let causes = errors.iter().map(|error| Cause {
        reason: error.kind.reason().to_owned(),
        message: error.to_string(),
        field: error.field.clone(),
    });
    causes.collect()
}

/// `Pod "p" is invalid: E`, or `[E1, E2]`, the same one only once; every problem is a cause, too.
fn invalid(kind: &str, name: &str, causes: Vec<Cause>) -> ApiError {
    let mut texts: Vec<&str> = Vec::new();
    for cause in &causes {
        if !texts.contains(&cause.message.as_str()) {
            texts.push(&cause.message);
        }
    }
    let all = match texts.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("[{}]", several.join(", ")),
    };
    ApiError {
        reason: Reason::Invalid,
        message: format!("{kind} \"{name}\" is invalid: {all}"),
        causes,
    }
}

/// Makes a name from `generateName`: five letters and digits that are hard to misread, as an API server does.
fn name_it(pod: &mut wire::Pod) {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let meta = &mut pod.metadata;
    if meta.name.as_deref().is_some_and(|n| !n.is_empty()) {
        return;
    }
    if let Some(prefix) = meta.generate_name.as_deref().filter(|p| !p.is_empty()) {
        let mut random = RandomState::new().build_hasher().finish();
        let mut name = prefix.to_owned();
        for _ in 0..5 {
            let letters = LETTERS.len() as u64;
            let at = usize::try_from(random % letters).unwrap_or(0);
            name.extend(LETTERS.get(at).copied().map(char::from));
            random /= letters;
        }
        meta.name = Some(name);
    }
}
