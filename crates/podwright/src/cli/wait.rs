//! `wait`.

use super::args::WaitArgs;
use super::connect::{Places, connect};
use super::exit::{Code, Failure, Outcome};
use super::find::find_all;
use super::output::told;
use super::target::{Target, Targets, targets};
use super::time::duration;
use super::view::{items, text};
use pod_api::client::{Client, Selectors};
use pod_api::error::Reason;
use pod_api::feed::ChangeKind;
use pod_print::jsonpath::{Path, plain};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
enum Until {
    Condition { kind: String, status: String },
    Deleted,
    Created,
    Path { path: Path, value: Option<String> },
}

impl Until {
    fn parse(text: &str) -> Outcome<Self> {
        let wrong = || Failure::usage(format!("error: unrecognized condition: \"{text}\""));
        match text.to_ascii_lowercase().as_str() {
            "delete" => return Ok(Until::Deleted),
            "create" => return Ok(Until::Created),
            _ => {}
        }
        if let Some(condition) = text.strip_prefix("condition=") {
            let (kind, status) = condition.split_once('=').unwrap_or((condition, "True"));
            if kind.is_empty() || status.is_empty() {
                return Err(wrong());
            }
            return Ok(Until::Condition {
                kind: kind.to_owned(),
                status: status.to_owned(),
            });
        }
        let Some(rest) = text.strip_prefix("jsonpath=") else {
            return Err(wrong());
        };
        let end = rest.rfind('}').ok_or_else(wrong)?;
        let (path, value) = rest.split_at(end + 1);
        let path = path.trim_start_matches(['\'', '"']);
        let path =
            Path::parse(path).map_err(|e| Failure::usage(format!("error: --for={text}: {e}")))?;
        let value = value.trim_start_matches(['\'', '"']).strip_prefix('=');
        Ok(Until::Path {
            path,
            value: value.map(|v| v.trim_matches(['\'', '"']).to_owned()),
        })
    }

    /// Whether an object that exists is as it should be.
    fn holds(&self, object: &Value) -> bool {
        match self {
            Until::Created => true,
            Until::Deleted => false,
            Until::Condition { kind, status } => {
                let all = object
                    .pointer("/status/conditions")
                    .and_then(Value::as_array);
                let mut named = all
                    .into_iter()
                    .flatten()
                    .filter(|c| text(c, "/type").eq_ignore_ascii_case(kind));
                named.any(|c| text(c, "/status").eq_ignore_ascii_case(status))
            }
            Until::Path { path, value } => {
                // Several values are no answer, as with kubectl.
                match (path.find(object).as_slice(), value) {
                    ([] | [Value::Null], _) => false,
                    ([_, ..], None) => true,
                    ([found], Some(wanted)) => plain(found) == *wanted,
                    ([_, _, ..], Some(_)) => false,
                }
            }
        }
    }
}

/// Waits for every object that is meant.
pub async fn wait(args: &WaitArgs, places: &Places) -> Outcome<u8> {
    let until = Until::parse(&args.until)?;
    // As kubectl has it, a negative time-out is a week.
    let timeout =
        duration("--timeout", &args.timeout)?.unwrap_or(Duration::from_secs(7 * 24 * 60 * 60));
    let namespace = args.namespace.namespace.as_deref();
    let targets = targets(&args.what, &args.files.files, namespace)?;
    let client = connect(places).await?;
    let named = match targets {
        Targets::Named(named) => named,
        Targets::Kinds(_) if !args.all && args.selector.is_none() => {
            return Err(Failure::usage(
                "error: resource(s) were provided, but no name was specified",
            ));
        }
        Targets::Kinds(kinds) => {
            let scope = (!args.all_namespaces).then(|| args.namespace.or_default());
            find_all(&client, &kinds, scope, args.selector.as_deref()).await?
        }
    };
    if named.is_empty() {
        return Err(Failure::new(
            Code::NoInput,
            "error: no matching resources found",
        ));
    }
    let deadline = Instant::now() + timeout;
    for target in &named {
        let waited = tokio::time::timeout_at(deadline, one(&client, target, &until)).await;
        let object = match waited {
            Ok(result) => result?,
            Err(_) => {
                return Err(Failure::new(
                    Code::Temporary,
                    format!(
                        "error: timed out waiting for the condition on {}/{}",
                        target.resource.plural(),
                        target.name
                    ),
                ));
            }
        };
        told(args.output, target.resource, &object, "condition met")?;
    }
    Ok(0)
}

/// The object as it is when that holds, or was when it went. Of one that is gone already nothing but its name.
async fn one(client: &Client, target: &Target, until: &Until) -> Outcome<Value> {
    let namespace = Some(target.namespace.as_str());
    let selectors = Selectors::name(&target.name);
    loop {
        let list = client.list(target.resource, namespace, &selectors).await?;
        let version = text(&list, "/metadata/resourceVersion").to_owned();
        match (items(list).pop(), until) {
            (None, Until::Deleted) => {
                let metadata = json!({"name": target.name, "namespace": target.namespace});
                return Ok(json!({ "metadata": metadata }));
            }
            (None, Until::Created) => {}
            (None, _) => {
                let (plural, name) = (target.resource.plural(), &target.name);
                return Err(Failure::new(
                    Code::NoInput,
                    format!("Error from server (NotFound): {plural} \"{name}\" not found"),
                ));
            }
            (Some(object), until) if until.holds(&object) => return Ok(object),
            _ => {}
        }
        let watch = client.watch(target.resource, namespace, &selectors, Some(&version));
        let mut watch = watch.await?;
        loop {
            match watch.next().await {
                Ok(Some(event)) if event.kind == ChangeKind::Deleted => match until {
                    Until::Deleted => return Ok(event.object),
                    Until::Created => {}
                    _ => {
                        return Err(Failure::new(
                            Code::Temporary,
                            format!(
                                "error: {}/{} was deleted while it was waited for",
                                target.resource.singular(),
                                target.name
                            ),
                        ));
                    }
                },
                Ok(Some(event)) if until.holds(&event.object) => return Ok(event.object),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) if error.reason() == Some(Reason::Expired) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_read_and_judged() {
        let pod = json!({"status": {
            "phase": "Running",
            "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "False"}],
            "containerStatuses": [{"restartCount": 3}],
        }});
        for (text, holds) in [
            ("condition=Initialized", true),
            ("condition=initialized", true),
            ("condition=Ready", false),
            ("condition=Ready=false", true),
            ("condition=Other", false),
            ("delete", false),
            ("create", true),
            ("jsonpath={.status.phase}=Running", true),
            ("jsonpath='{.status.phase}'=Pending", false),
            ("jsonpath={.status.phase}", true),
            ("jsonpath={.status.nothing}", false),
            (
                "jsonpath={.status.containerStatuses[0].restartCount}=3",
                true,
            ),
            (
                "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}=False",
                true,
            ),
            ("jsonpath={.status.conditions[*].status}=True", false),
            ("jsonpath={status.phase}=Running", true),
        ] {
            let until = Until::parse(text).unwrap();
            assert_eq!(until.holds(&pod), holds, "{text}");
        }
        for wrong in [
            "",
            "ready",
            "condition=",
            "jsonpath=.a",
            "jsonpath={}",
            "jsonpath={.a[x]}",
        ] {
            assert!(Until::parse(wrong).is_err(), "{wrong:?} was read");
        }
    }
}
