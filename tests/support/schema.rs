//! JSON Schemas, and what fits them, by the judgement of a validator that knows nothing of us.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

pub struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    /// # Panics
    /// It is no JSON Schema.
    pub fn new(schema: &Value) -> Schema {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        // Nothing is read by that name.
        let name = "schema.json";
        compiler.add_resource(name, schema.clone()).unwrap();
        let index = compiler
            .compile(name, &mut schemas)
            .unwrap_or_else(|error| panic!("{error:#}: {schema}"));
        Schema { schemas, index }
    }

    pub fn is_valid(&self, value: &Value) -> bool {
        self.misfit(value).is_none()
    }

    /// Why a value does not fit.
    pub fn misfit(&self, value: &Value) -> Option<String> {
        self.schemas.validate(value, self.index).err().map(|error| format!("{error:#}"))
    }
}
