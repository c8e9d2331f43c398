//! A tool: one exported function, with the shapes of what it takes and gives.

use serde_json::{Map, Value, json};
use wasmtime::component::ComponentExportIndex;
use wasmtime::component::types::ComponentFunc;

use super::docs::FunctionDocs;
use super::names::snake_case;
use super::schema::{object, schema};
use super::shape::{Budget, Field, Shape};
use super::touches::{Known, TouchedPaths, Touches};

/// A parameter is a field of the arguments object.
pub type Param = Field;

#[derive(Clone, Debug)]
pub struct Tool {
    pub name: ToolName,
    pub params: Vec<Param>,
    pub answer: Answer,
    /// From the WIT documentation, where it is known.
    pub description: Option<String>,
    /// Likewise, for each of `params`.
    pub param_docs: Vec<Option<String>>,
    /// Likewise, from its tags.
    pub touches: Touches,
    /// Where the function is in its component: found once, so that a call looks nothing up.
    pub export: ComponentExportIndex,
}

/// Names of a tool, in WIT and for callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolName {
    /// The interface it is exported from (`test:probe/probe@1.0.0`), if it is not at the root.
    pub interface: Option<String>,
    /// The function, as in WIT.
    pub function: String,
    /// What callers write, without the plugin's prefix.
    pub call: String,
}

/// What the function returns.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Nothing,
    Value(Shape),
    /// A top-level `result`: err is a failed call.
    Fallible {
        ok: Option<Shape>,
        err: Option<Shape>,
    },
}

impl ToolName {
    pub fn new(interface: Option<&str>, function: &str) -> ToolName {
        ToolName {
            interface: interface.map(str::to_owned),
            function: function.to_owned(),
            call: snake_case(function),
        }
    }

    /// The interface's own name, without package and version: `probe`.
    pub fn short_interface(&self) -> Option<&str> {
        let interface = self.interface.as_deref()?;
        let name = interface.rsplit('/').next().unwrap_or(interface);
        Some(name.split('@').next().unwrap_or(name))
    }
}

impl Tool {
    /// The tool that a function is, or why it is none.
    pub fn new(
        name: ToolName,
        function: &ComponentFunc,
        export: ComponentExportIndex,
        budget: &mut Budget,
    ) -> Result<Tool, String> {
        if function.async_() {
            return Err("it is an async function, which WASI 0.2 does not have".to_owned());
        }
        budget.next_function();
        let params: Vec<Param> = function
            .params()
            .map(|(name, ty)| Ok(Param::new(name, Shape::of(&ty, budget)?)))
            .collect::<Result<_, String>>()?;
        let answer = match function.results().next() {
            None => Answer::Nothing,
            Some(ty) => match Shape::of(&ty, budget)? {
                Shape::Result(cases) => {
                    let [ok, err] = *cases;
                    Answer::Fallible { ok: ok.payload, err: err.payload }
                }
                shape => Answer::Value(shape),
            },
        };
        let param_docs = vec![None; params.len()];
        let touches = Touches::Undeclared;
        Ok(Tool { name, params, answer, description: None, param_docs, touches, export })
    }

    /// Takes over what WIT says of the function.
    ///
    /// # Errors
    /// A tag that is wrong, and why.
    pub(super) fn describe(&mut self, docs: &FunctionDocs) -> Result<(), String> {
        self.touches = Touches::read(&docs.tags, &self.params)?;
        self.description.clone_from(&docs.description);
        for (param, text) in self.params.iter().zip(&mut self.param_docs) {
            let known = docs.params.iter().find(|(name, _)| *name == param.wit);
            *text = known.map(|(_, text)| text.clone());
        }
        Ok(())
    }

    /// The paths that a call with these arguments touches, as the arguments have them. None if that is not
    /// known: the tool declares nothing, or a path is a reference that is not filled yet.
    pub fn touched_paths<'a>(&self, args: &'a Map<String, Value>) -> Option<TouchedPaths<'a>> {
        self.paths(Known::Json(args))
    }

    /// [`Tool::touched_paths`], of what is known of the arguments.
    pub(crate) fn paths<'a>(&self, args: Known<'a>) -> Option<TouchedPaths<'a>> {
        self.touches.paths(&self.params, args)
    }

    /// JSON Schema of the arguments object.
    pub fn input_schema(&self) -> Value {
        let mut schema = object(&self.params);
        for (param, text) in self.params.iter().zip(&self.param_docs) {
            if let Some(text) = text {
                schema["properties"][&param.json]["description"] = json!(text);
            }
        }
        schema
    }

    /// JSON Schema of the value of a call that is `ok`.
    pub fn output_schema(&self) -> Value {
        match &self.answer {
            Answer::Nothing | Answer::Fallible { ok: None, .. } => json!({ "type": "null" }),
            Answer::Value(shape) | Answer::Fallible { ok: Some(shape), .. } => schema(shape),
        }
    }

    /// Whether its value is a record of `data: list<u8>` and `mime-type: string`: a picture, a sound, a document.
    pub fn gives_media(&self) -> bool {
        let (Answer::Value(shape) | Answer::Fallible { ok: Some(shape), .. }) = &self.answer else {
            return false;
        };
        let Shape::Record(fields) = shape else { return false };
        let has = |name: &str, shape: &Shape| {
            fields.iter().any(|field| field.json == name && field.shape == *shape)
        };
        fields.len() == 2 && has("data", &Shape::Bytes) && has("mime_type", &Shape::String)
    }

    /// JSON Schema of the error value, for a tool that can fail with one.
    pub fn error_schema(&self) -> Option<Value> {
        match &self.answer {
            Answer::Fallible { err: Some(shape), .. } => Some(schema(shape)),
            _ => None,
        }
    }
}
