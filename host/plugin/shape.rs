//! The shape of a value: a WIT type, as far as JSON is concerned.
//!
//! Made once per tool when its component is loaded; `schema`, `check`, `decode` and `encode` walk it.
//! Types that have no JSON form (resources, streams, futures, error contexts) have no shape, and
//! the reason is an `Err`.

use wasmtime::component::Type;

use super::names::{of_camel_case, snake_case};

#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    /// `list<u8>`, in JSON a base64 string.
    Bytes,
    List(Box<Shape>),
    Tuple(Vec<Shape>),
    Record(Vec<Field>),
    Variant(Vec<Case>),
    /// Cases without payload.
    Enum(Vec<Case>),
    Flags(Vec<Case>),
    Option(Box<Shape>),
    /// Always two cases: `ok` and `err`.
    Result(Box<[Case; 2]>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub wit: String,
    pub json: String,
    pub shape: Shape,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub wit: String,
    pub json: String,
    pub payload: Option<Shape>,
}

/// How large the shapes of one function may be, and those of a whole plugin: about as many bytes. WIT types
/// share their parts, so that a few hundred bytes can spell a type whose tree is larger than any memory.
const MOST_OF_A_FUNCTION: usize = 1 << 20;
const MOST_OF_A_PLUGIN: usize = 16 << 20;
/// Cases of a variant, enum or flags, and fields of a record: each is looked for by its name, in every value.
const MOST_CASES: usize = 1000;
/// A node without its names.
const NODE: usize = 100;

/// Counts what the shapes of a plugin take.
#[derive(Debug, Default)]
pub struct Budget {
    function: usize,
    plugin: usize,
}

impl Budget {
    pub fn next_function(&mut self) {
        self.function = 0;
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.function += bytes;
        self.plugin += bytes;
        if self.function > MOST_OF_A_FUNCTION || self.plugin > MOST_OF_A_PLUGIN {
            return Err("its types are too large when written out".to_owned());
        }
        Ok(())
    }
}

impl Field {
    pub fn new(wit: &str, shape: Shape) -> Field {
        Field { wit: wit.to_owned(), json: snake_case(wit), shape }
    }

    /// Whether JSON may call it that: by its name, or by that in `camelCase`.
    pub fn is_called(&self, given: &str) -> bool {
        self.json == given || of_camel_case(given).is_some_and(|meant| meant == self.json)
    }

    /// Whether the field may be absent in JSON.
    pub fn optional(&self) -> bool {
        matches!(self.shape, Shape::Option(_))
    }
}

impl Case {
    pub fn new(wit: &str, payload: Option<Shape>) -> Case {
        Case { wit: wit.to_owned(), json: snake_case(wit), payload }
    }
}

impl Shape {
    /// The shape of a component's type, or what about it has no JSON form.
    pub fn of(ty: &Type, budget: &mut Budget) -> Result<Shape, String> {
        budget.spend(NODE)?;
        let payload =
            |ty: Option<Type>, budget: &mut Budget| ty.map(|ty| Shape::of(&ty, budget)).transpose();
        Ok(match ty {
            Type::Bool => Shape::Bool,
            Type::S8 => Shape::S8,
            Type::U8 => Shape::U8,
            Type::S16 => Shape::S16,
            Type::U16 => Shape::U16,
            Type::S32 => Shape::S32,
            Type::U32 => Shape::U32,
            Type::S64 => Shape::S64,
            Type::U64 => Shape::U64,
            Type::Float32 => Shape::F32,
            Type::Float64 => Shape::F64,
            Type::Char => Shape::Char,
            Type::String => Shape::String,
            Type::List(list) => match list.ty() {
                Type::U8 => Shape::Bytes,
                item => Shape::List(Box::new(Shape::of(&item, budget)?)),
            },
            Type::Tuple(tuple) => Shape::Tuple(
                tuple.types().map(|ty| Shape::of(&ty, budget)).collect::<Result<_, _>>()?,
            ),
            Type::Record(record) if record.fields().len() > MOST_CASES => {
                return Err(wide("record"));
            }
            Type::Variant(variant) if variant.cases().len() > MOST_CASES => {
                return Err(wide("variant"));
            }
            Type::Enum(cases) if cases.names().len() > MOST_CASES => return Err(wide("enum")),
            Type::Record(record) => Shape::Record(
                record
                    .fields()
                    .map(|field| {
                        budget.spend(2 * field.name.len())?;
                        Ok(Field::new(field.name, Shape::of(&field.ty, budget)?))
                    })
                    .collect::<Result<_, String>>()?,
            ),
            Type::Variant(variant) => Shape::Variant(
                variant
                    .cases()
                    .map(|case| {
                        budget.spend(2 * case.name.len())?;
                        Ok(Case::new(case.name, payload(case.ty, budget)?))
                    })
                    .collect::<Result<_, String>>()?,
            ),
            Type::Enum(cases) => Shape::Enum(plain_cases(cases.names(), budget)?),
            Type::Flags(flags) => Shape::Flags(plain_cases(flags.names(), budget)?),
            Type::Option(option) => Shape::Option(Box::new(Shape::of(&option.ty(), budget)?)),
            Type::Result(result) => Shape::Result(Box::new([
                Case::new("ok", payload(result.ok(), budget)?),
                Case::new("err", payload(result.err(), budget)?),
            ])),
            Type::Own(_) | Type::Borrow(_) => {
                return Err("it takes or gives a resource, which cannot outlive a call".to_owned());
            }
            Type::Stream(_) => return Err("it takes or gives a stream".to_owned()),
            Type::Future(_) => return Err("it takes or gives a future".to_owned()),
            Type::ErrorContext => return Err("it takes or gives an error-context".to_owned()),
            Type::Map(_) | Type::FixedLengthList(_) => {
                return Err("it uses a type that WASI 0.2 does not have".to_owned());
            }
        })
    }

    /// Whether `null` is a value of this shape. `option<T>` of such a shape cannot use `null` for
    /// none and the bare value for some, so some is written `{"some": value}`.
    pub fn nullable(&self) -> bool {
        matches!(self, Shape::Option(_))
    }

    /// The least and greatest value of an integer shape.
    pub fn range(&self) -> Option<(i128, i128)> {
        Some(match self {
            Shape::S8 => (i8::MIN.into(), i8::MAX.into()),
            Shape::U8 => (0, u8::MAX.into()),
            Shape::S16 => (i16::MIN.into(), i16::MAX.into()),
            Shape::U16 => (0, u16::MAX.into()),
            Shape::S32 => (i32::MIN.into(), i32::MAX.into()),
            Shape::U32 => (0, u32::MAX.into()),
            Shape::S64 => (i64::MIN.into(), i64::MAX.into()),
            Shape::U64 => (0, u64::MAX.into()),
            _ => return None,
        })
    }
}

fn wide(what: &str) -> String {
    format!("it uses {what} types of more than {MOST_CASES} parts")
}

fn plain_cases<'n>(
    names: impl Iterator<Item = &'n str>,
    budget: &mut Budget,
) -> Result<Vec<Case>, String> {
    let case = |name: &str| {
        budget.spend(NODE + 2 * name.len())?;
        Ok(Case::new(name, None))
    };
    names.map(case).collect()
}
