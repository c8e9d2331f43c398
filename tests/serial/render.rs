//! A batch as the JSON that a host takes, and how its parts are called there.

use serde_json::{Value, json};

use super::generate::{Batch, Call, Link};

/// What the tools of the plugin that may only read begin with.
pub const READER: &str = "reader_";

impl Batch {
    /// Where the call of that number stands.
    pub fn place(&self, number: usize) -> usize {
        self.calls.iter().position(|call| call.number == number).unwrap()
    }

    /// What a report calls it.
    pub fn id(&self, number: usize) -> String {
        if nameless(number) { (self.place(number) + 1).to_string() } else { format!("c{number}") }
    }

    pub fn to_json(&self) -> Value {
        let calls: Vec<Value> = self.calls.iter().map(|call| self.call(call)).collect();
        json!({ "calls": calls })
    }

    fn call(&self, call: &Call) -> Value {
        let mut args = Value::Object(call.args.clone());
        for link in call.links() {
            args.pointer_mut(&link.place).unwrap()["$from"] = self.name(link.from, call.number);
        }
        let prefix = if call.reader { READER } else { "" };
        let mut rendered = json!({"tool": format!("{prefix}{}", call.tool), "args": args});
        if !nameless(call.number) {
            rendered["id"] = self.id(call.number).into();
        }
        if !call.after.is_empty() {
            let after = call.after.iter().map(|number| self.name(*number, call.number));
            rendered["after"] = after.collect();
        }
        rendered
    }

    /// A call may be named by its place whether it has a name or not.
    fn name(&self, number: usize, by: usize) -> Value {
        if nameless(number) || by.is_multiple_of(3) {
            (self.place(number) + 1).into()
        } else {
            self.id(number).into()
        }
    }

    /// Without one call, and those that use its result.
    pub fn without(&self, number: usize) -> Batch {
        let mut out = vec![number];
        for call in &self.calls {
            if call.links().iter().any(|link| out.contains(&link.from)) {
                out.push(call.number);
            }
        }
        let mut batch = self.clone();
        batch.calls.retain(|call| !out.contains(&call.number));
        for call in &mut batch.calls {
            call.after.retain(|number| !out.contains(number));
        }
        batch
    }
}

impl Call {
    /// The references in the arguments. They stand at the top or in a list.
    pub fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        let mut look = |value: &Value, place: String| {
            if let Some(from) = value.get("$from").and_then(Value::as_u64) {
                let at = value.get("at").and_then(Value::as_str).unwrap_or_default().to_owned();
                links.push(Link { from: from as usize, at, place });
            }
        };
        for (name, value) in &self.args {
            look(value, format!("/{name}"));
            for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                look(item, format!("/{name}/{index}"));
            }
        }
        links
    }
}

/// Some calls have no id of their own.
fn nameless(number: usize) -> bool {
    number.is_multiple_of(4)
}
