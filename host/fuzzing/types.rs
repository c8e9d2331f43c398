//! Random WIT types, by way of a component: so that shapes are made as they are for a plugin.

use std::fmt::Write as _;
use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::plugin::{Budget, Shape};

/// The shape of a random type; none if it is too large to have one.
pub fn shape(u: &mut Unstructured<'_>) -> Result<Option<Shape>> {
    let mut defined = Defined::default();
    let ty = defined.ty(u, 4)?;
    let text = format!("(component {} (import \"f\" (func (param \"p\" {ty}))))", defined.text);
    Ok(of_component(&text))
}

#[expect(clippy::expect_used, reason = "a component that is made wrong is a fault of this file")]
fn of_component(text: &str) -> Option<Shape> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(Engine::default);
    let component = Component::new(engine, wat::parse_str(text).expect(text)).expect(text);
    let function =
        component.component_type().imports(engine).find_map(|(_, item)| match item.ty {
            ComponentItem::ComponentFunc(function) => Some(function),
            _ => None,
        })?;
    let (_, ty) = function.params().next()?;
    Shape::of(&ty, &mut Budget::default()).ok()
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
