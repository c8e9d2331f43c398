//! What of a plugin a model, or its API, will stumble over: names, descriptions, schemas.
//!
//! Bounds are those that the model APIs publish for tool definitions (Anthropic, OpenAI, Gemini). Knows nothing of
//! running calls.

use std::collections::BTreeSet;

use inorder::{Field, Plugin, Shape, Tool};

use super::{Finding, Weight};

/// Of a tool, and of a parameter: in `[a-zA-Z0-9_-]`.
const LONGEST_NAME: usize = 64;
/// Characters of a tool's description.
const LONGEST_DESCRIPTION: usize = 1024;
/// Levels of a strict schema.
const DEEPEST: usize = 10;
/// Tools in one request.
const MOST_TOOLS: usize = 128;
/// Properties, and values of enums, of one schema.
const MOST_PROPERTIES: usize = 5000;
const MOST_NAMES: usize = 1000;

/// `builtin` are the names of the built-in tools.
pub fn of_plugin(plugin: &Plugin, builtin: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if plugin.tools.is_empty() {
        findings
            .push(Finding::of_plugin(Weight::Error, "it exports no function that can be a tool"));
    }
    for function in &plugin.not_tools {
        let text = format!("{} is no tool: {}", function.function, function.because);
        findings.push(Finding::of_plugin(Weight::Warning, text));
    }
    if plugin.tools.len() > MOST_TOOLS {
        let text = format!(
            "{} tools are more than the {MOST_TOOLS} that a request to some models may have",
            plugin.tools.len()
        );
        findings.push(Finding::of_plugin(Weight::Warning, text));
    }
    for tool in &plugin.tools {
        of_tool(tool, &mut findings);
    }
    let undescribed = plugin.tools.iter().filter(|tool| described(tool).is_none());
    let undescribed: Vec<&str> = undescribed.map(|tool| tool.name.call.as_str()).collect();
    if !undescribed.is_empty() {
        let text = format!(
            "a model has only the name to choose by of {}: describe them in `///` comments of the WIT, and `inorder pack` it",
            undescribed.join(", ")
        );
        findings.push(Finding::of_plugin(Weight::Warning, text));
    }
    let taken: Vec<&str> = plugin
        .tools
        .iter()
        .map(|tool| tool.name.call.as_str())
        .filter(|name| builtin.contains(*name))
        .collect();
    if !taken.is_empty() {
        let text = format!(
            "built-in tools are called {} too: beside those, it is loaded with a prefix (--plugin NAME=FILE)",
            taken.join(", ")
        );
        findings.push(Finding::of_plugin(Weight::Note, text));
    }
    findings
}

fn described(tool: &Tool) -> Option<&str> {
    tool.description.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

fn of_tool(tool: &Tool, findings: &mut Vec<Finding>) {
    let name = tool.name.call.as_str();
    let mut find = |weight, text: String| findings.push(Finding::of(weight, name, text));
    if name.len() > LONGEST_NAME {
        find(Weight::Warning, format!("its name is longer than {LONGEST_NAME} characters"));
    }
    match described(tool) {
        None => {}
        Some(text) if text.chars().count() > LONGEST_DESCRIPTION => find(
            Weight::Warning,
            format!(
                "its description has {} characters; some models refuse more than {LONGEST_DESCRIPTION}",
                text.chars().count()
            ),
        ),
        Some(_) => {}
    }
    let undescribed: Vec<&str> = tool
        .params
        .iter()
        .zip(&tool.param_docs)
        .filter(|(_, docs)| docs.is_none())
        .map(|(param, _)| param.json.as_str())
        .collect();
    if tool.description.is_some() && !undescribed.is_empty() {
        find(
            Weight::Note,
            format!(
                "nothing is said of {} (a line `- name: text` in the comment)",
                undescribed.join(", ")
            ),
        );
    }
    let mut seen = Seen::default();
    seen.fields(&tool.params, 1);
    for (is, weight, text) in seen.pitfalls() {
        if is {
            find(weight, text);
        }
    }
}

/// What there is in the parameters of a tool.
#[derive(Default)]
struct Seen {
    depth: usize,
    properties: usize,
    names: usize,
    long: bool,
    bytes: bool,
    tuples: bool,
    variants: bool,
    wide: bool,
}

impl Seen {
    fn fields(&mut self, fields: &[Field], depth: usize) {
        self.depth = self.depth.max(depth);
        self.properties += fields.len();
        for field in fields {
            self.long |= field.json.len() > LONGEST_NAME;
            self.shape(&field.shape, depth);
        }
    }

    fn shape(&mut self, shape: &Shape, depth: usize) {
        match shape {
            Shape::S64 | Shape::U64 => self.wide = true,
            Shape::Bytes => self.bytes = true,
            Shape::List(item) => self.shape(item, depth + 1),
            Shape::Option(some) => self.shape(some, depth),
            Shape::Tuple(items) => {
                self.tuples = true;
                items.iter().for_each(|item| self.shape(item, depth + 1));
            }
            Shape::Record(fields) => self.fields(fields, depth + 1),
            Shape::Variant(cases) => {
                self.variants = true;
                for case in cases {
                    self.names += 1;
                    if let Some(payload) = &case.payload {
                        self.shape(payload, depth + 1);
                    }
                }
            }
            Shape::Result(cases) => {
                self.variants = true;
                cases
                    .iter()
                    .filter_map(|it| it.payload.as_ref())
                    .for_each(|it| self.shape(it, depth + 1));
            }
            Shape::Enum(cases) | Shape::Flags(cases) => self.names += cases.len(),
            _ => {}
        }
        self.depth = self.depth.max(depth);
    }

    fn pitfalls(&self) -> [(bool, Weight, String); 7] {
        [
            (
                self.depth > DEEPEST,
                Weight::Warning,
                format!("its parameters nest {} levels; strict schemas have at most {DEEPEST}", self.depth),
            ),
            (
                self.properties > MOST_PROPERTIES || self.names > MOST_NAMES,
                Weight::Warning,
                format!(
                    "its parameters have {} fields and {} names of cases; strict schemas have at most {MOST_PROPERTIES} \
                     and {MOST_NAMES}",
                    self.properties, self.names
                ),
            ),
            (
                self.long,
                Weight::Warning,
                format!("a parameter's name is longer than {LONGEST_NAME} characters"),
            ),
            (
                self.bytes,
                Weight::Note,
                "it takes list<u8>, which a model has to write as base64: a path, or text, suits it better".to_owned(),
            ),
            (
                self.tuples,
                Weight::Note,
                "it takes a tuple (`prefixItems`), which strict schemas do not have: a record has names besides".to_owned(),
            ),
            (
                self.variants,
                Weight::Note,
                "it takes a variant (`oneOf`), which strict schemas do not have: an enum and option fields are \
                 understood everywhere"
                    .to_owned(),
            ),
            (
                self.wide,
                Weight::Note,
                "it takes a 64-bit integer, of which JSON numbers hold 53 bits: larger ones are written as text".to_owned(),
            ),
        ]
    }
}
