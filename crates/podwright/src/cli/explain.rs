//! `explain` and `timeline`: why a pod is where it is, and when everything of it ran.

use super::args::{DataOutput, ExplainArgs, TimelineArgs, TimelineOutput};
use super::connect::{Places, connect};
use super::exit::Outcome;
use super::output::{data, print};
use super::style::{Color, Style, paint};
use super::target::pod_name;
use super::terminal;
use super::view::{event, items, pod as pod_of, unreadable};
use jiff::Timestamp;
use pod_api::client::{Client, LogRequest, Resource, Selectors};
use pod_model::event::Event;
use pod_model::pod::Pod;
use pod_model::runtime::PodRuntime;
use pod_print::explain::{Facts, PlanFacts, explain as explained, focus};
use pod_print::timeline::{Outcome as Ran, Timeline};
use serde_json::json;

/// Columns of a chart that does not go to a terminal.
const COLUMNS: usize = 100;

/// Says why a pod is where it is.
pub async fn explain(args: &ExplainArgs, places: &Places) -> Outcome<u8> {
    let namespace = args.namespace.or_default();
    let name = pod_name(&args.pod)?;
    let client = connect(places).await?;
    let pod = pod_of(&client.get(Resource::Pods, namespace, name).await?)?;
    let attempts = client.attempts_of(namespace, name).await?;
    let plan: PlanFacts = serde_json::from_value(client.plan_of(namespace, name).await?)
        .map_err(|e| unreadable(&e))?;
    let events = events_of(&client, namespace, &pod).await?;
    let last_lines = last_lines(&client, &pod, &attempts.runtime, args.lines).await?;
    let now = Timestamp::now();
    let told = explained(Facts {
        pod: &pod,
        runtime: &attempts.runtime,
        plan: &plan,
        events: &events,
        last_lines: &last_lines,
        now,
    });
    match args.output {
        Some(format) => print(&data(&json!(told), format)?)?,
        None => print(&told.text(now))?,
    }
    Ok(0)
}

async fn events_of(client: &Client, namespace: &str, pod: &Pod) -> Outcome<Vec<Event>> {
    let selectors = Selectors {
        fields: format!("involvedObject.uid={}", pod.metadata.uid),
        ..Selectors::default()
    };
    let list = client
        .list(Resource::Events, Some(namespace), &selectors)
        .await?;
    items(list).iter().map(event).collect()
}

/// The last lines of the container that the explanation will be about: of its newest attempt that has been started.
async fn last_lines(
    client: &Client,
    pod: &Pod,
    runtime: &PodRuntime,
    count: u64,
) -> Outcome<Vec<String>> {
    let Some(focus) = focus(pod) else {
        return Ok(Vec::new());
    };
    let newest = runtime
        .newest(&focus.container.name)
        .filter(|r| r.started_at.is_some());
    let (Some(newest), 1..) = (newest, count) else {
        return Ok(Vec::new());
    };
    let request = LogRequest {
        namespace: pod.metadata.namespace.to_string(),
        pod: pod.metadata.name.to_string(),
        container: focus.container.name.to_string(),
        attempt: Some(newest.attempt),
        tail: Some(count),
        ..LogRequest::default()
    };
    let mut body = client.logs(&request).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await? {
        bytes.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}

/// Shows when everything of a pod ran.
pub async fn timeline(args: &TimelineArgs, places: &Places, style: Style) -> Outcome<u8> {
    let namespace = args.namespace.or_default();
    let name = pod_name(&args.pod)?;
    let client = connect(places).await?;
    let mut pod = pod_of(&client.get(Resource::Pods, namespace, name).await?)?;
    let attempts = client.attempts_of(namespace, name).await?;
    pod.metadata.creation_timestamp = attempts.accepted.or(pod.metadata.creation_timestamp);
    let line = Timeline::of(&pod, &attempts.runtime, Timestamp::now());
    let text = match args.output {
        Some(TimelineOutput::Json) => data(&json!(line), DataOutput::Json)?,
        Some(TimelineOutput::Yaml) => data(&json!(line), DataOutput::Yaml)?,
        Some(TimelineOutput::Svg) => line.svg(),
        None => chart(&line, style),
    };
    print(&text)?;
    Ok(0)
}

fn chart(line: &Timeline, style: Style) -> String {
    let columns = terminal::size().map_or(COLUMNS, |s| usize::from(s.width));
    let mut text = String::new();
    for row in line.lines(columns) {
        let color = match row.outcome {
            Some(Ran::Failed) => Some(Color::Red),
            Some(Ran::Unknown) => Some(Color::Yellow),
            Some(Ran::Running) => Some(Color::Blue),
            Some(Ran::Succeeded) | None => None,
        };
        match color {
            Some(color) => text.push_str(&paint(style.stdout, color, &row.text)),
            None => text.push_str(&row.text),
        }
        text.push('\n');
    }
    text
}
