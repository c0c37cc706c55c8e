//! `replace`: changes of what runs, as `kubectl replace` makes them.

use super::args::ReplaceArgs;
use super::connect::{Places, connect};
use super::exit::{Code, Failure, Outcome};
use super::manifest;
use super::output::{note, print};
use pod_api::client::Resource;

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
        let done = match args.subresource {
            Some(_) if resource == Resource::Pods => {
                client.replace_ephemeral(&namespace, name, &object).await
            }
            Some(_) => {
                let text = format!(
                    "{} {name:?} has no ephemeral containers",
                    resource.singular()
                );
                return Err(Failure::new(Code::Usage, text));
            }
            None => client.replace(resource, &namespace, name, &object).await,
        };
        match done {
            Ok(_) => print(&format!("{}/{name} replaced\n", resource.singular()))?,
            // The others are replaced all the same.
            Err(error) => {
                let failure = Failure::from(error);
                note(&failure.message);
                worst.get_or_insert(failure.code as u8);
            }
        }
    }
    Ok(worst.unwrap_or(0))
}
