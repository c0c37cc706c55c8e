//! `get`.

use super::args::{DataOutput, Format, GetArgs, Output};
use super::connect::{Places, connect};
use super::exit::{Code, Failure, Outcome};
use super::output::{data, data_format, list_or_one, note, print, print_harmless};
use super::target::{Target, Targets, targets};
use super::view::{self, items, text};
use jiff::Timestamp;
use pod_api::client::{Client, Resource, Selectors, WatchStream};
use pod_print::jsonpath::{self, Path};
use pod_print::pod_row::Columns;
use pod_print::table::Table;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Lists, or goes on with every change.
pub async fn get(args: &GetArgs, places: &Places) -> Outcome<u8> {
    let namespace = args.namespace.namespace.as_deref();
    let targets = targets(&args.what, &args.files.files, namespace)?;
    let client = connect(places).await?;
    let view = View {
        args,
        client: &client,
        columns: Columns {
            namespace: args.all_namespaces,
            wide: args.output == Some(Format::Plain(Output::Wide)),
            labels: args.show_labels,
            kind: false,
        },
    };
    match targets {
        Targets::Kinds(kinds) => view.kinds(&kinds).await,
        Targets::Named(named) => view.named(&named).await,
    }
}

struct View<'a> {
    args: &'a GetArgs,
    client: &'a Client,
    columns: Columns,
}

impl View<'_> {
    fn scope(&self) -> Option<&str> {
        (!self.args.all_namespaces).then(|| self.args.namespace.or_default())
    }

    /// Whether rows are printed, with words for "none".
    fn for_people(&self) -> bool {
        matches!(
            self.args.output,
            None | Some(Format::Plain(Output::Wide | Output::Name))
        )
    }

    /// JSON or YAML, if asked for.
    fn data_format(&self) -> Option<DataOutput> {
        match self.args.output {
            Some(Format::Plain(word)) => data_format(Some(word)),
            _ => None,
        }
    }

    fn only_names(&self) -> bool {
        self.args.output == Some(Format::Plain(Output::Name))
    }

    fn selectors(&self) -> Selectors {
        Selectors {
            labels: self.args.selector.clone().unwrap_or_default(),
            fields: self.args.field_selector.clone().unwrap_or_default(),
        }
    }

    async fn kinds(&self, kinds: &[Resource]) -> Outcome<u8> {
        let mut found = Vec::new();
        let mut version = String::new();
        for kind in kinds {
            let list = self
                .client
                .list(*kind, self.scope(), &self.selectors())
                .await?;
            version = text(&list, "/metadata/resourceVersion").to_owned();
            found.push((*kind, items(list)));
        }
        let nothing = found.iter().all(|(_, objects)| objects.is_empty());
        if nothing && !self.args.watch && self.for_people() {
            if self.args.ignore_not_found {
                return Ok(0);
            }
            note(&match self.scope() {
                Some(namespace) => format!("No resources found in {namespace} namespace."),
                None => "No resources found".to_owned(),
            });
            return Ok(0);
        }
        self.show(&mut found, false)?;
        if !self.args.watch {
            return Ok(0);
        }
        let [kind] = kinds else {
            return Err(one_kind());
        };
        let stream = self
            .client
            .watch(*kind, self.scope(), &self.selectors(), Some(&version))
            .await?;
        let shown = found.into_iter().flat_map(|(_, objects)| objects).collect();
        self.follow(*kind, shown, stream, None).await
    }

    async fn named(&self, named: &[Target]) -> Outcome<u8> {
        if self.args.selector.is_some() {
            return Err(Failure::usage(
                "error: name cannot be provided when a selector is specified",
            ));
        }
        let mut found: BTreeMap<Resource, Vec<Value>> = BTreeMap::new();
        let mut first_failure = None;
        for target in named {
            let got = self
                .client
                .get(target.resource, &target.namespace, &target.name)
                .await;
            match got {
                Ok(object) => found.entry(target.resource).or_default().push(object),
                // What exists is shown all the same.
                Err(error) => {
                    let failure = Failure::from(error);
                    if self.args.ignore_not_found && failure.code == Code::NoInput {
                        continue;
                    }
                    if first_failure.is_some() || named.len() > 1 {
                        note(&failure.message);
                    }
                    first_failure.get_or_insert(failure);
                }
            }
        }
        let mut found: Vec<(Resource, Vec<Value>)> = found.into_iter().collect();
        if !found.is_empty() || !self.args.ignore_not_found {
            self.show(&mut found, named.len() == 1)?;
        }
        if let Some(failure) = first_failure {
            if named.len() > 1 {
                return Ok(failure.code as u8);
            }
            return Err(failure);
        }
        if !self.args.watch || found.is_empty() {
            return Ok(0);
        }
        let [target] = named else {
            return Err(one_kind());
        };
        let selectors = Selectors::name(&target.name);
        let objects: Vec<Value> = found.into_iter().flat_map(|(_, objects)| objects).collect();
        let version = objects
            .first()
            .map(|o| text(o, "/metadata/resourceVersion").to_owned());
        let stream = self
            .client
            .watch(
                target.resource,
                Some(&target.namespace),
                &selectors,
                version.as_deref(),
            )
            .await?;
        self.follow(target.resource, objects, stream, Some(target))
            .await
    }

    fn show(&self, found: &mut [(Resource, Vec<Value>)], asked_for_one: bool) -> Outcome<()> {
        self.sort(found)?;
        if !self.for_people() {
            let all = found
                .iter()
                .flat_map(|(_, objects)| objects.clone())
                .collect();
            let mut shown = list_or_one(all, asked_for_one);
            pod_manifest::mirror(&mut shown, self.args.compat.version);
            return self.print_value(&shown, !self.args.no_headers);
        }
        let shown: Vec<_> = found
            .iter()
            .filter(|(_, objects)| !objects.is_empty())
            .collect();
        for (i, (kind, objects)) in shown.iter().enumerate() {
            if self.only_names() {
                for object in objects {
                    print(&name_line(*kind, object))?;
                }
                continue;
            }
            if i > 0 {
                print("\n")?;
            }
            let columns = Columns {
                kind: shown.len() > 1,
                ..self.columns
            };
            let table = self.table(*kind, objects, columns, Timestamp::now())?;
            print(&table.render(!self.args.no_headers))?;
        }
        Ok(())
    }

    /// In the order that was asked for; events, where none was, by when they happened last.
    fn sort(&self, found: &mut [(Resource, Vec<Value>)]) -> Outcome<()> {
        let Some(path) = &self.args.sort_by else {
            if self.for_people() {
                for (_, events) in found.iter_mut().filter(|(k, _)| *k == Resource::Events) {
                    view::by_time(events)?;
                }
            }
            return Ok(());
        };
        let mut all = found.iter().flat_map(|(_, objects)| objects).peekable();
        if all.peek().is_some() && all.all(|object| path.find(object).is_empty()) {
            return Err(Failure::new(
                Code::Data,
                "error: --sort-by: no object has such a field",
            ));
        }
        for (_, objects) in found {
            objects.sort_by(|a, b| by_field(path, a, b));
        }
        Ok(())
    }

    /// Prints an object or a list in a form for programs.
    fn print_value(&self, value: &Value, with_header: bool) -> Outcome<()> {
        match &self.args.output {
            Some(Format::Template(template)) => print_harmless(&template.text(value)),
            Some(Format::Columns(columns)) => {
                let mut table = Table::new(columns.iter().map(|(header, _)| header.as_str()));
                let list = value.get("items").and_then(Value::as_array);
                let objects = list.map_or(std::slice::from_ref(value), Vec::as_slice);
                for object in objects {
                    let cells = columns.iter().map(|(_, path)| {
                        let found: Vec<String> =
                            path.find(object).into_iter().map(jsonpath::plain).collect();
                        if found.is_empty() {
                            "<none>".to_owned()
                        } else {
                            found.join(",")
                        }
                    });
                    table.rows.push(cells.collect());
                }
                print(&table.render(with_header))
            }
            _ => match self.data_format() {
                Some(format) => print(&data(value, format)?),
                None => Ok(()),
            },
        }
    }

    /// The table of objects of one kind, with the columns of labels that were asked for.
    fn table(
        &self,
        kind: Resource,
        objects: &[Value],
        columns: Columns,
        now: Timestamp,
    ) -> Outcome<Table> {
        let mut table = view::table(kind, objects, columns, now)?;
        // The column of all labels stays the last one.
        let kept = usize::from(columns.labels && kind != Resource::Events);
        for label in &self.args.label_columns {
            let header = label.rsplit('/').next().unwrap_or(label).to_uppercase();
            let at = table.header.len().saturating_sub(kept);
            table.header.insert(at, header);
            for (row, object) in table.rows.iter_mut().zip(objects) {
                let labels = object.pointer("/metadata/labels");
                let value = labels.and_then(|l| l.get(label)).and_then(Value::as_str);
                row.insert(at, value.unwrap_or("<none>").to_owned());
            }
        }
        Ok(table)
    }

    /// Prints a row for each change that can be seen in one.
    async fn follow(
        &self,
        kind: Resource,
        shown: Vec<Value>,
        mut stream: WatchStream,
        only: Option<&Target>,
    ) -> Outcome<u8> {
        let now = Timestamp::now();
        let mut first = shown.is_empty();
        let mut last: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // Columns keep the width that they had in the list.
        let mut widths = self.table(kind, &shown, self.columns, now)?;
        for object in &shown {
            last.insert(key(object), self.row(kind, object)?);
        }
        while let Some(event) = stream.next().await? {
            let gone = event.kind == pod_api::feed::ChangeKind::Deleted;
            if !self.for_people() {
                let mut object = event.object;
                pod_manifest::mirror(&mut object, self.args.compat.version);
                self.print_value(&object, false)?;
            } else if self.only_names() {
                print(&name_line(kind, &event.object))?;
            } else {
                let row = self.row(kind, &event.object)?;
                if last.get(&key(&event.object)) == Some(&row) && !gone {
                    continue;
                }
                last.insert(key(&event.object), row);
                let one = self.table(kind, &[event.object], self.columns, Timestamp::now())?;
                widths.rows.extend(one.rows);
                let text = widths.render(true);
                if first && !self.args.no_headers {
                    print(text.split_inclusive('\n').next().unwrap_or_default())?;
                }
                first = false;
                print(text.split_inclusive('\n').next_back().unwrap_or_default())?;
                let keep = widths.rows.len().saturating_sub(64);
                widths.rows.drain(..keep);
            }
            if gone && only.is_some() {
                return Ok(0);
            }
        }
        Ok(0)
    }

    /// The row without its age, which changes by itself.
    fn row(&self, kind: Resource, object: &Value) -> Outcome<Vec<String>> {
        let table = self.table(
            kind,
            std::slice::from_ref(object),
            self.columns,
            Timestamp::UNIX_EPOCH,
        )?;
        Ok(table.rows.into_iter().flatten().collect())
    }
}

/// What lacks the field comes first.
fn by_field(path: &Path, a: &Value, b: &Value) -> Ordering {
    let (a, b) = (path.find(a), path.find(b));
    match (a.first(), b.first()) {
        (Some(a), Some(b)) => {
            jsonpath::order(a, b).unwrap_or_else(|| jsonpath::plain(a).cmp(&jsonpath::plain(b)))
        }
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn one_kind() -> Failure {
    Failure::usage("error: you may only specify a single resource type when watching")
}

fn key(object: &Value) -> String {
    format!(
        "{}/{}",
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name")
    )
}

fn name_line(kind: Resource, object: &Value) -> String {
    format!("{}/{}\n", kind.singular(), text(object, "/metadata/name"))
}
