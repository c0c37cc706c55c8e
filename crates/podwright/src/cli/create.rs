//! `create`, and what it shares with `run`.

use super::args::CreateArgs;
use super::connect::{Places, connect};
use super::delete::delete_and_wait;
use super::exit::{Code, Failure, Outcome};
use super::manifest::{self, Source};
use super::output::{note, told};
use super::target::Target;
use pod_api::admission::{
    admit_claim, admit_config_map, admit_pod, admit_secret, admit_service, not_kept,
};
use pod_api::client::{Client, ClientError, Resource};
use pod_api::error::{ApiError, Reason};
use pod_manifest::Object;
use serde_json::Value;

/// Creates every object of the files.
pub async fn create(args: &CreateArgs, places: &Places) -> Outcome<u8> {
    let namespace = args.namespace.namespace.as_deref();
    let sources = manifest::read_as(&args.files, args.compat.version)?;
    check(&sources, namespace, args.allow_unsupported)?;
    let client = connect(places).await?;
    let how = How {
        namespace,
        replace: args.replace,
        allow_unsupported: args.allow_unsupported,
    };
    let mut worst = None;
    for source in &sources {
        match create_one(&client, source, how).await {
            Ok(created) => {
                told(
                    args.output,
                    source.resource(),
                    &created.object,
                    created.verb,
                )?;
            }
            // One that exists already is no reason to leave the others out.
            Err(failure) => {
                note(&failure.message);
                worst.get_or_insert(failure.code as u8);
            }
        }
    }
    Ok(worst.unwrap_or(0))
}

/// Checks everything before anything is created: all problems of all objects at once. Prints warnings and notes.
pub fn check(sources: &[Source], namespace: Option<&str>, allow_unsupported: bool) -> Outcome<()> {
    let mut problems = Vec::new();
    for source in sources {
        for warning in &source.warnings {
            note(&format!("Warning: {warning}"));
        }
        source.namespace(namespace)?;
        if let Err(error) = admit(source, allow_unsupported) {
            problems.push(refusal(source, error));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::Data, problems.join("\n")))
}

fn admit(source: &Source, allow_unsupported: bool) -> Result<(), ApiError> {
    match &source.object {
        Object::Pod(pod) => {
            let admitted = admit_pod(Clone::clone(pod), allow_unsupported)?;
            for message in &admitted.notes {
                note(&format!("Note: {message}"));
            }
        }
        Object::ConfigMap(map) => drop(admit_config_map(map.clone())?),
        Object::Secret(secret) => drop(admit_secret(secret.clone())?),
        Object::Service(service) => drop(admit_service(Clone::clone(service))?),
        Object::Claim(claim) => {
            admit_claim(Clone::clone(claim))?;
            return Err(not_kept("PersistentVolumeClaim"));
        }
    }
    Ok(())
}

/// The refusal of an object, with its place and what can be done about it.
pub fn refusal(source: &Source, error: ApiError) -> String {
    let hint = hint(&error);
    let failure = Failure::from(ClientError::Server(error));
    format!("{}: {}{hint}", source.place, failure.message)
}

/// What can be done about fields that are not supported.
fn hint(error: &ApiError) -> &'static str {
    let mut causes = error.causes.iter();
    if !error.causes.is_empty() && causes.all(|c| c.message.ends_with(": not supported yet")) {
        "\n  (--allow-unsupported runs the pod without these fields)"
    } else {
        ""
    }
}

/// How objects are created.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// The namespace of the command line.
    pub namespace: Option<&'a str>,
    /// Instead of what has that name.
    pub replace: bool,
    /// Although this version does not honour all of it.
    pub allow_unsupported: bool,
}

/// An object that was created.
#[derive(Clone, Debug)]
pub struct Done {
    /// As the node keeps it.
    pub object: Value,
    /// `created` or `replaced`.
    pub verb: &'static str,
}

/// Creates one object; with `replace` in the place of what is there.
pub async fn create_one(client: &Client, source: &Source, how: How<'_>) -> Outcome<Done> {
    let namespace = source.namespace(how.namespace)?;
    let resource = source.resource();
    let object = source.json()?;
    let first = client
        .create(resource, &namespace, &object, how.allow_unsupported)
        .await;
    match first {
        Ok(created) => {
            return Ok(Done {
                object: created.object,
                verb: "created",
            });
        }
        Err(error) if !(how.replace && error.reason() == Some(Reason::AlreadyExists)) => {
            let mut failure = Failure::from(error);
            if failure.code == Code::CantCreate {
                failure.message += "; --replace puts the new one in its place";
            }
            return Err(failure);
        }
        Err(_) => {}
    }
    let name = source.name();
    let replaced = if resource == Resource::Pods {
        let old = Target {
            resource,
            namespace: namespace.clone(),
            name: name.to_owned(),
        };
        delete_and_wait(client, &old, None).await?;
        let created = client
            .create(resource, &namespace, &object, how.allow_unsupported)
            .await?;
        created.object
    } else {
        client.replace(resource, &namespace, name, &object).await?
    };
    Ok(Done {
        object: replaced,
        verb: "replaced",
    })
}
