//! JSON -> component values, of whatever is JSON to serde: what was parsed, or a `serde_json::Map`.
//!
//! Strict, and says nothing: `check` tells what is wrong with what is not taken here. That is all that `check` finds fault
//! with, and what it leaves to others: a reference, and a name that an object has twice. Both read scalars through the
//! functions of `check`, so that they cannot disagree.

use std::cell::Cell;
use std::fmt;

use base64::Engine as _;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::batch::Args;

use super::check::{BASE64, character, digits, in_range, named_float, single, whole};
use super::names::of_camel_case;
use super::shape::{Case, Field, Shape};
use super::wire::Wire;

/// Optional fields that arguments may leave out, all together. Each is a value nevertheless, and `{}` is short.
const MOST_LEFT_OUT: usize = 1 << 20;

/// The arguments in the order of `params`, or `None` if they do not fit. Those in `bytes` are not in `args`.
pub fn decode(params: &[Field], args: &Args, bytes: &[(String, Bytes)]) -> Option<Vec<Wire>> {
    let left_out = Cell::new(MOST_LEFT_OUT);
    let mut values = args.read(Arguments(params, &left_out))?;
    for (name, bytes) in bytes {
        let place = params.iter().position(|param| param.json == *name)?;
        if values[place].is_some() || params[place].shape != Shape::Bytes {
            return None;
        }
        values[place] = Some(Wire::Bytes(bytes.clone()));
    }
    complete(params, values, &left_out)
}

/// As many as there are fields.
type Values = Vec<Option<Wire>>;

fn complete(fields: &[Field], mut values: Values, left_out: &Cell<usize>) -> Option<Vec<Wire>> {
    for (value, field) in values.iter_mut().zip(fields) {
        if value.is_none() && field.optional() {
            *value = Some(none(left_out)?);
        }
    }
    values.into_iter().collect()
}

/// The value of a field that is left out, if there may be one more.
fn none(left_out: &Cell<usize>) -> Option<Wire> {
    left_out.set(left_out.get().checked_sub(1)?);
    Some(Wire::Case(0, None))
}

/// The fields of an object, in any order, and each once. Some are here already.
fn values_of<'de, A: MapAccess<'de>>(
    fields: &[Field],
    mut values: Values,
    mut object: A,
    left_out: &Cell<usize>,
) -> Result<Values, A::Error> {
    let mut next = 0;
    values.resize_with(fields.len(), || None);
    while let Some(place) = object.next_key_seed(Name { all: fields, next })? {
        put(fields, &mut values, place, &mut object, left_out)?;
        next = place + 1;
    }
    Ok(values)
}

fn put<'de, A: MapAccess<'de>>(
    fields: &[Field],
    values: &mut Values,
    place: usize,
    object: &mut A,
    left_out: &Cell<usize>,
) -> Result<(), A::Error> {
    if values[place].is_some() {
        return Err(unfit());
    }
    let shape = &fields[place].shape;
    values[place] = Some(object.next_value_seed(Of { shape, left_out })?);
    Ok(())
}

/// A record. Most objects have all of its fields in their order, which then need no second list.
fn record<'de, A: MapAccess<'de>>(
    fields: &[Field],
    mut object: A,
    left_out: &Cell<usize>,
) -> Result<Vec<Wire>, A::Error> {
    let mut values = Vec::with_capacity(fields.len());
    while let Some(place) = object.next_key_seed(Name { all: fields, next: values.len() })? {
        if place == values.len() {
            let shape = &fields[place].shape;
            values.push(object.next_value_seed(Of { shape, left_out })?);
            continue;
        }
        let mut values: Values = values.into_iter().map(Some).collect();
        values.resize_with(fields.len(), || None);
        put(fields, &mut values, place, &mut object, left_out)?;
        let values = values_of(fields, values, object, left_out)?;
        return complete(fields, values, left_out).ok_or_else(unfit);
    }
    for field in &fields[values.len()..] {
        if !field.optional() {
            return Err(unfit());
        }
        values.push(none(left_out).ok_or_else(unfit)?);
    }
    Ok(values)
}

struct Arguments<'s>(&'s [Field], &'s Cell<usize>);

impl<'de> DeserializeSeed<'de> for Arguments<'_> {
    type Value = Values;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Values, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Arguments<'_> {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments")
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Values, A::Error> {
        values_of(self.0, Values::new(), object, self.1)
    }
}

/// A value of the shape.
#[derive(Clone, Copy)]
struct Of<'s> {
    shape: &'s Shape,
    /// How many more fields may be left out.
    left_out: &'s Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Of<'_> {
    type Value = Wire;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Wire, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'s> Of<'s> {
    /// What `read` makes of the shape, or of what is inside, if that may stand for an option of it.
    fn plain<E: Error>(self, read: impl FnOnce(&'s Shape) -> Option<Wire>) -> Result<Wire, E> {
        match self.bare() {
            Some(inside) => read(inside).map(some),
            None => read(self.shape),
        }
        .ok_or_else(unfit)
    }

    /// The shape inside, if it is an option, and its value stands for `some`.
    fn bare(self) -> Option<&'s Shape> {
        match self.shape {
            Shape::Option(inside) if !inside.nullable() => Some(inside),
            _ => None,
        }
    }

    /// A part of it.
    fn part(self, shape: &'s Shape) -> Of<'s> {
        Of { shape, ..self }
    }
}

impl<'de> Visitor<'de> for Of<'_> {
    type Value = Wire;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of its type")
    }

    fn visit_unit<E: Error>(self) -> Result<Wire, E> {
        match self.shape {
            Shape::Option(_) => Ok(Wire::Case(0, None)),
            _ => Err(unfit()),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Wire, E> {
        self.plain(|shape| matches!(shape, Shape::Bool).then_some(Wire::Bool(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Wire, E> {
        self.plain(|shape| match shape {
            Shape::F32 | Shape::F64 => float(shape, value as f64),
            _ => integer(shape, value.into()),
        })
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Wire, E> {
        self.plain(|shape| match shape {
            Shape::F32 | Shape::F64 => float(shape, value as f64),
            _ => integer(shape, value.into()),
        })
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Wire, E> {
        self.plain(|shape| match shape {
            Shape::F32 | Shape::F64 => float(shape, value),
            _ => integer(shape, whole(value)?),
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Wire, E> {
        if let Shape::String = self.shape {
            return Ok(Wire::String(text.to_owned()));
        }
        self.plain(|shape| match shape {
            Shape::String => Some(Wire::String(text.to_owned())),
            Shape::Char => character(text).map(Wire::Char),
            Shape::Bytes => Some(Wire::Bytes(BASE64.decode(text).ok()?.into())),
            Shape::F32 | Shape::F64 => float(shape, named_float(text)?),
            Shape::Enum(cases) => case(cases, text),
            Shape::Variant(cases) => case(cases, text),
            Shape::Result(cases) => case(&**cases, text),
            _ => integer(shape, digits(shape, text)?),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Wire, A::Error> {
        if let Some(inside) = self.bare() {
            return self.part(inside).visit_seq(items).map(some);
        }
        match self.shape {
            Shape::List(item) => {
                let mut values = Vec::with_capacity(items.size_hint().unwrap_or_default());
                while let Some(value) = items.next_element_seed(self.part(item))? {
                    values.push(value);
                }
                Ok(Wire::List(values))
            }
            Shape::Tuple(shapes) => {
                let mut values = Vec::with_capacity(shapes.len());
                for shape in shapes {
                    values.push(items.next_element_seed(self.part(shape))?.ok_or_else(unfit)?);
                }
                match items.next_element::<IgnoredAny>()? {
                    None => Ok(Wire::Fields(values)),
                    Some(_) => Err(unfit()),
                }
            }
            Shape::Flags(cases) => {
                let mut words = vec![0; cases.len().div_ceil(32)];
                let mut next = 0;
                while let Some(flag) = items.next_element_seed(Name { all: cases, next })? {
                    let (word, bit) = (&mut words[flag / 32], 1 << (flag % 32));
                    if *word & bit != 0 {
                        return Err(unfit());
                    }
                    *word |= bit;
                    next = flag + 1;
                }
                Ok(Wire::Flags(words))
            }
            _ => Err(unfit()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Wire, A::Error> {
        if let Some(inside) = self.bare() {
            return self.part(inside).visit_map(object).map(some);
        }
        let cases = match self.shape {
            Shape::Record(fields) => {
                return record(fields, object, self.left_out).map(Wire::Fields);
            }
            Shape::Option(inside) => {
                if object.next_key_seed(Name { all: &["some"], next: 0 })?.is_none() {
                    return Err(unfit());
                }
                let value = object.next_value_seed(self.part(inside))?;
                return last(object).map(|()| some(value));
            }
            Shape::Variant(cases) => cases.as_slice(),
            Shape::Result(cases) => &**cases,
            _ => return Err(unfit()),
        };
        let case = object.next_key_seed(Name { all: cases, next: 0 })?.ok_or_else(unfit)?;
        let shape = cases[case].payload.as_ref().ok_or_else(unfit)?;
        let value = object.next_value_seed(self.part(shape))?;
        let case = u32::try_from(case).map_err(|_| unfit())?;
        last(object).map(|()| Wire::Case(case, Some(Box::new(value))))
    }
}

/// Nothing else may be in the object.
fn last<'de, A: MapAccess<'de>>(mut object: A) -> Result<(), A::Error> {
    match object.next_key::<IgnoredAny>()? {
        None => Ok(()),
        Some(_) => Err(unfit()),
    }
}

fn some(value: Wire) -> Wire {
    Wire::Case(1, Some(Box::new(value)))
}

fn integer(shape: &Shape, value: i128) -> Option<Wire> {
    let value = in_range(shape, value)?;
    Some(match shape {
        Shape::S8 | Shape::S16 | Shape::S32 | Shape::S64 => Wire::Signed(value.try_into().ok()?),
        _ => Wire::Unsigned(value.try_into().ok()?),
    })
}

fn float(shape: &Shape, value: f64) -> Option<Wire> {
    match shape {
        Shape::F32 => single(value).map(Wire::F32),
        _ => Some(Wire::F64(value)),
    }
}

/// A case that has no payload.
fn case(cases: &[Case], name: &str) -> Option<Wire> {
    let place = place(cases, 0, name).filter(|place| cases[*place].payload.is_none())?;
    Some(Wire::Case(u32::try_from(place).ok()?, None))
}

/// The place of a name among `all`, where `next` is probably meant.
struct Name<'s, T> {
    all: &'s [T],
    next: usize,
}

trait Named {
    /// Whether it may be given in `camelCase`.
    const IN_CAMEL_CASE: bool = false;

    fn name(&self) -> &str;
}

impl Named for Field {
    const IN_CAMEL_CASE: bool = true;

    fn name(&self) -> &str {
        &self.json
    }
}

impl Named for Case {
    fn name(&self) -> &str {
        &self.json
    }
}

impl Named for &str {
    fn name(&self) -> &str {
        self
    }
}

fn place<T: Named>(all: &[T], next: usize, name: &str) -> Option<usize> {
    match all.get(next) {
        Some(it) if it.name() == name => Some(next),
        _ => all.iter().position(|it| it.name() == name).or_else(|| {
            let name = of_camel_case(name).filter(|_| T::IN_CAMEL_CASE)?;
            all.iter().position(|it| it.name() == name)
        }),
    }
}

impl<'de, T: Named> DeserializeSeed<'de> for Name<'_, T> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de, T: Named> Visitor<'de> for Name<'_, T> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name that is known")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        place(self.all, self.next, name).ok_or_else(unfit)
    }
}

fn unfit<E: Error>() -> E {
    E::custom("it does not fit")
}
