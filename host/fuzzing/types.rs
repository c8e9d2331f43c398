//! Random WIT types, by way of a component: so that shapes are made as they are for a plugin.

use std::fmt::Write as _;
use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Type};

use crate::plugin::{Budget, Shape};

/// A random type, as text.
#[derive(Debug)]
pub struct Spelt {
    /// What a component has to have for it.
    pub definitions: String,
    pub ty: String,
}

pub fn spelt(u: &mut Unstructured<'_>) -> Result<Spelt> {
    let mut defined = Defined::default();
    let ty = defined.ty(u, 4)?;
    Ok(Spelt { definitions: defined.text, ty })
}

/// The shape of a random type; none if it is too large to have one.
#[expect(clippy::expect_used, reason = "a component that is made wrong is a fault of this file")]
pub fn shape(u: &mut Unstructured<'_>) -> Result<Option<Shape>> {
    let Spelt { definitions, ty } = spelt(u)?;
    let text = format!("(component {definitions} (import \"f\" (func (param \"p\" {ty}))))");
    let component = wat::parse_str(&text).expect(&text);
    let component = Component::new(engine(), component).expect(&text);
    Ok(of_function(&component, |function| function.params().next().map(|(_, ty)| ty)))
}

/// The shape of a type of the only function that a component has.
pub fn of_function(
    component: &Component,
    ty: impl FnOnce(&ComponentFunc) -> Option<Type>,
) -> Option<Shape> {
    let whole = component.component_type();
    let items = whole.imports(engine()).chain(whole.exports(engine()));
    let function = items.map(|(_, item)| item.ty).find_map(|item| match item {
        ComponentItem::ComponentFunc(function) => Some(function),
        _ => None,
    })?;
    Shape::of(&ty(&function)?, &mut Budget::default()).ok()
}

pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(Engine::default)
}

/// Types that need a name.
#[derive(Default)]
struct Defined {
    text: String,
    count: usize,
}

const PLAIN: [&str; 13] =
    ["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"];

/// Some that mean something in JSON, and some that look alike there.
const NAMES: [&str; 7] = ["some", "ok", "err", "URL", "x-Y2", "a-b", "from"];

impl Defined {
    fn ty(&mut self, u: &mut Unstructured<'_>, depth: usize) -> Result<String> {
        let kinds = if depth == 0 { 1 } else { 9 };
        Ok(match u.int_in_range(0..=kinds)? {
            0 | 1 => (*u.choose(&PLAIN)?).to_owned(),
            2 => format!("(list {})", self.ty(u, depth - 1)?),
            3 => format!("(option {})", self.ty(u, depth - 1)?),
            4 => {
                let count = u.int_in_range(1..=4)?;
                let items: Result<Vec<_>> = (0..count).map(|_| self.ty(u, depth - 1)).collect();
                format!("(tuple {})", items?.join(" "))
            }
            5 => {
                let ok = if u.arbitrary()? { self.ty(u, depth - 1)? } else { String::new() };
                let err = if u.arbitrary()? { self.ty(u, depth - 1)? } else { String::new() };
                let err = if err.is_empty() { err } else { format!("(error {err})") };
                format!("(result {ok} {err})")
            }
            6 => {
                let fields = self.named(u, |this, u, name| {
                    Ok(format!("(field \"{name}\" {})", this.ty(u, depth - 1)?))
                })?;
                self.define(&format!("(record {fields})"))
            }
            7 => {
                let cases = self.named(u, |this, u, name| {
                    let payload =
                        if u.arbitrary()? { this.ty(u, depth - 1)? } else { String::new() };
                    Ok(format!("(case \"{name}\" {payload})"))
                })?;
                self.define(&format!("(variant {cases})"))
            }
            kind => {
                let names = self.named(u, |_, _, name| Ok(format!("\"{name}\"")))?;
                self.define(&format!("({} {names})", if kind == 8 { "enum" } else { "flags" }))
            }
        })
    }

    fn named(
        &mut self,
        u: &mut Unstructured<'_>,
        mut item: impl FnMut(&mut Defined, &mut Unstructured<'_>, &str) -> Result<String>,
    ) -> Result<String> {
        let mut text = String::new();
        for index in 0..u.int_in_range(1..=4)? {
            let mut name = (*u.choose(&NAMES)?).to_owned();
            if index > 0 {
                let _ = write!(name, "-n{index}");
            }
            text = text + " " + &item(self, u, &name)?;
        }
        Ok(text)
    }

    fn define(&mut self, ty: &str) -> String {
        let name = format!("t{}", self.count);
        self.count += 1;
        let _ = write!(
            self.text,
            "(type ${name}x {ty}) (import \"{name}\" (type ${name} (eq ${name}x)))"
        );
        format!("${name}")
    }
}
