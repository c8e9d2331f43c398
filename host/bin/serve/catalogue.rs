//! The loaded tools as clients see them: names, titles, schemas, and what each may do at most.
//!
//! Made once. What a tool may do follows from grants and enforced declarations, never from what a plugin says of itself.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use anyhow::bail;
use inorder::{Host, ToolEffects};
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value};

use super::answer::Form;
use super::batch;
use super::names::Names;
use super::schema;

/// As many as fit a page: those of any setup we know of, for clients that ask for the first page alone.
const PAGE: usize = 200;

pub struct Catalogue {
    /// The batch tool first, so that it is on the first page.
    tools: Vec<Tool>,
    names: Names,
    forms: HashMap<String, Form>,
}

/// What a client's name of a tool stands for.
pub enum Named<'a> {
    Batch,
    Tool(&'a str, Form),
}

impl Catalogue {
    /// # Errors
    /// A tool that has the batch tool's name.
    pub fn new(host: &Host) -> anyhow::Result<Catalogue> {
        let (mut names, mut forms) = (Names::default(), HashMap::new());
        let (mut tools, mut inputs) = (Vec::new(), Vec::new());
        let mut most = ToolEffects { files: false, requests: false };
        for (name, plugin, tool) in host.tools() {
            if name == batch::NAME {
                bail!(
                    "the plugin {:?} has a tool named {name:?}, as the server itself has; give the plugin a prefix: \
                     `--plugin other=FILE`, or `prefix` in the config",
                    plugin.name
                );
            }
            let effects =
                host.effects_of(name).unwrap_or(ToolEffects { files: true, requests: true });
            most.files |= effects.files;
            most.requests |= effects.requests;
            let (input, output) = (tool.input_schema(), tool.output_schema());
            let form = match () {
                () if tool.gives_media() || schema::is_told(&output) => Form::Blocks,
                () if schema::is_object(&output) => Form::Object,
                () => Form::Wrapped,
            };
            let output = (form != Form::Blocks).then(|| schema::wrapped(output));
            let shown = names.add(name).to_owned();
            forms.insert(shown.clone(), form);
            tools.push(listed(
                shown.clone(),
                title(&tool.name.function),
                tool.description.clone(),
                (fields(input.clone()), output),
                effects,
            ));
            inputs.push((shown, input));
        }
        let by_name = inputs.iter().map(|(name, input)| (name.as_str(), input.clone()));
        let schemas = (schema::batch(by_name), Some(schema::report()));
        let described = Some(batch::description(|tool| names.real(tool).is_some()));
        let batch =
            listed(batch::NAME.to_owned(), batch::TITLE.to_owned(), described, schemas, most);
        tools.insert(0, batch);
        Ok(Catalogue { tools, names, forms })
    }

    pub fn find(&self, shown: &str) -> Option<Named<'_>> {
        if shown == batch::NAME {
            return Some(Named::Batch);
        }
        Some(Named::Tool(self.names.real(shown)?, *self.forms.get(shown)?))
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Why there is no tool of this name.
    pub fn unknown(&self, shown: &str) -> String {
        let likeness = |name: &&str| strsim::jaro_winkler(name, shown);
        let nearest = self.names.all().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        match nearest.filter(|name| likeness(name) > 0.8) {
            Some(name) => format!("no tool is named {shown:?}; there is {name:?}"),
            None => format!("no tool is named {shown:?}; tools/list has those that there are"),
        }
    }

    pub fn all(&self) -> &[Tool] {
        &self.tools
    }

    /// The page at a cursor, and that of the next one. Nothing, if it is no cursor of ours.
    pub fn page(&self, cursor: Option<&str>) -> Option<(Vec<Tool>, Option<String>)> {
        let start = match cursor {
            Some(cursor) => cursor.parse().ok().filter(|it| (1..self.tools.len()).contains(it))?,
            None => 0,
        };
        let end = (start + PAGE).min(self.tools.len());
        let next = (end < self.tools.len()).then(|| end.to_string());
        Some((self.tools[start..end].to_vec(), next))
    }
}

fn listed(
    name: String,
    title: String,
    description: Option<String>,
    (input, output): (Map<String, Value>, Option<Map<String, Value>>),
    effects: ToolEffects,
) -> Tool {
    let changes = effects.files || effects.requests;
    let hints = ToolAnnotations::from_raw(
        None,
        Some(!changes),
        // What it may change it may also destroy: a grant does not tell these apart.
        Some(changes),
        Some(!changes),
        Some(effects.requests),
    );
    let tool = Tool::new_with_raw(name, description.map(Cow::Owned), Arc::new(input))
        .with_title(title)
        .with_annotations(hints);
    match output {
        Some(output) => tool.with_raw_output_schema(Arc::new(output)),
        None => tool,
    }
}

/// `read-text-file` as `Read text file`.
fn title(function: &str) -> String {
    let words = function.replace(['-', '_'], " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}

fn fields(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
