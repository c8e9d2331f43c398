//! The loaded tools as definitions for a request to a model's API.

use anyhow::bail;
use inorder::Host;
use serde_json::{Value, json};

use crate::serve::{Catalogue, Names, with_references};

/// Whose definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Definitions {
    /// `tools` of Anthropic's Messages API
    Anthropic,
    /// `tools` of OpenAI's Chat Completions API
    #[value(alias = "openai")]
    OpenaiChat,
    /// `tools` of OpenAI's Responses API
    OpenaiResponses,
    /// `tools` of Gemini's API
    Gemini,
    /// The answer of an MCP server to `tools/list`
    Mcp,
}

/// Whether arguments may be references to earlier calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References {
    Allowed,
    Unknown,
}

/// Names are those of [`Names`], which a message of the same format is read with again.
pub fn of(host: &Host, whose: Definitions, references: References) -> anyhow::Result<Value> {
    if whose == Definitions::Mcp && references == References::Allowed {
        bail!("over MCP, references belong into the calls of run_batch, whose schema has them");
    }
    if whose == Definitions::Mcp {
        return Ok(json!({ "tools": Catalogue::new(host)?.all() }));
    }
    let mut names = Names::default();
    let definitions: Vec<Value> = host
        .tools()
        .map(|(name, _, tool)| {
            let name = names.add(name).to_owned();
            let schema = match references {
                References::Allowed => with_references(tool.input_schema()),
                References::Unknown => tool.input_schema(),
            };
            one(whose, &name, tool.description.as_deref().unwrap_or_default(), &schema)
        })
        .collect();
    Ok(match whose {
        Definitions::Gemini => json!([{ "functionDeclarations": definitions }]),
        _ => json!(definitions),
    })
}

fn one(whose: Definitions, name: &str, description: &str, schema: &Value) -> Value {
    match whose {
        Definitions::Anthropic => {
            json!({ "name": name, "description": description, "input_schema": schema })
        }
        Definitions::OpenaiChat => json!({
            "type": "function",
            "function": { "name": name, "description": description, "parameters": schema },
        }),
        // Strict schemas have no optional parameters.
        Definitions::OpenaiResponses => json!({
            "type": "function",
            "name": name,
            "description": description,
            "parameters": schema,
            "strict": false,
        }),
        Definitions::Gemini | Definitions::Mcp => {
            json!({ "name": name, "description": description, "parametersJsonSchema": schema })
        }
    }
}
