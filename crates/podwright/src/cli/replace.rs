//! `replace`: changes of what runs, as `kubectl replace` makes them.

use super::args::ReplaceArgs;
use super::connect::{Places, connect};
use super::exit::{Code, Failure, Outcome};
use super::manifest;
use super::output::{note, told};
use pod_api::client::{ClientError, Resource};

/// What a refusal says of fields that do not change.
const FIELDS: &str = "pod updates may not change fields other than";

/// Puts every object of the files in the place of the one of its name.
pub async fn replace(args: &ReplaceArgs, places: &Places) -> Outcome<u8> {
    let namespace = args.namespace.namespace.as_deref();
    let sources = manifest::read(&args.files)?;
    let client = connect(places).await?;
    let mut worst = None;
    for source in &sources {
        let namespace = source.namespace(namespace)?;
        let (resource, name) = (source.resource(), source.name());
        let object = source.json()?;
        let done = match &args.subresource {
            Some(part) if resource == Resource::Pods => {
                client.replace_part(part, &namespace, name, &object).await
            }
            Some(part) => {
                let text = format!("error: {} {name:?} has no {part}", resource.singular());
                return Err(Failure::new(Code::Usage, text));
            }
            None => client.replace(resource, &namespace, name, &object).await,
        };
        match done {
            Ok(new) => told(args.output, resource, &new, "replaced")?,
            // The others are replaced all the same.
            Err(error) => {
                let failure = with_hint(error, resource);
                note(&failure.message);
                worst.get_or_insert(failure.code as u8);
            }
        }
    }
    Ok(worst.unwrap_or(0))
}

/// What a refused change of a pod says besides.
pub fn with_hint(error: ClientError, resource: Resource) -> Failure {
    let mut failure = Failure::from(error);
    if resource == Resource::Pods && failure.message.contains(FIELDS) {
        failure.message += "\n  (cpu and memory of a running pod change with --subresource resize)";
    }
    failure
}
