//! A JSON value as a parser told it: its parts in the order of the text, in one list.
//!
//! A `serde_json::Value` takes an allocation for each object, key and string, which for arguments that are read once, into
//! another form, are most of the work. Serde's `RawValue`, the text itself, would be read twice, and not wholly the first
//! time: numbers out of range, halves of surrogate pairs and any depth pass, and would have to be found by a third look.
//! Here the text is read once, by serde_json with all that it refuses; everyone else reads the list.
//!
//! Knows nothing of what a value means. Keys that a text has twice are here twice.

use std::cell::Cell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor, value::Error,
};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Serialize, Serializer, forward_to_deserialize_any};
use serde_json::Number;

use super::size;

/// Always one object, with everything in it.
#[derive(Debug)]
pub struct Tape {
    parts: Vec<Part>,
    /// The text of all strings and keys, one after another.
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Null,
    Bool(bool),
    Unsigned(u64),
    /// Negative.
    Signed(i64),
    Float(f64),
    /// A string or a key: what `text` has from the end of the last one to here.
    Text(usize),
    /// So many values follow.
    List(usize),
    /// So many keys follow, each with its value.
    Object(usize),
}

impl Tape {
    /// How many bytes it takes as JSON text without spaces, if that is at most `limit`.
    pub fn length(&self, limit: u64) -> Option<u64> {
        let mut reader = self.reader();
        let left = self.parts.iter().try_fold(limit, |left, _| match reader.next()? {
            Read::Null | Read::Bool(true) => left.checked_sub(4),
            Read::Bool(false) => left.checked_sub(5),
            Read::Unsigned(number) => size::after_number(&number.into(), left),
            Read::Signed(number) => size::after_number(&number.into(), left),
            Read::Float(number) => size::after_number(&Number::from_f64(number)?, left),
            Read::Text(text) => size::after_string(text, left),
            Read::List(count) => left.checked_sub(size::separators(count)),
            Read::Object(count) => left.checked_sub(size::separators(count) + count as u64),
        })?;
        Some(limit - left)
    }

    /// No fewer bytes than [`Tape::length`] would count, without counting.
    pub fn most(&self) -> u64 {
        // `\u0001` for each byte; `-1.7976931348623157e308,` or `"":` and a comma for each part, and brackets.
        6 * self.text.len() as u64 + 26 * self.parts.len() as u64
    }

    /// To be read from its beginning.
    pub fn reader(&self) -> Reader<'_> {
        Reader { parts: &self.parts, text: &self.text, at: 0 }
    }

    fn string(&mut self, text: &str) {
        self.text.push_str(text);
        self.parts.push(Part::Text(self.text.len()));
    }
}

impl<'de> Deserialize<'de> for Tape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tape, D::Error> {
        let mut tape = Tape { parts: Vec::new(), text: String::new() };
        deserializer.deserialize_map(Whole(&mut tape))?;
        Ok(tape)
    }
}

/// What must be an object. It says of others what serde_json's `Map` says.
struct Whole<'t>(&'t mut Tape);

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.parts.push(Part::Object(0));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Any(self.0).visit_map(map)
    }
}

/// Adds whatever comes.
struct Any<'t>(&'t mut Tape);

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.parts.push(Part::Null);
        Ok(())
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.parts.push(Part::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.parts.push(Part::Unsigned(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.parts.push(match u64::try_from(value) {
            Ok(value) => Part::Unsigned(value),
            Err(_) => Part::Signed(value),
        });
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        // No JSON text has others.
        self.0.parts.push(if value.is_finite() { Part::Float(value) } else { Part::Null });
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.string(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let (at, mut count) = (self.0.parts.len(), 0);
        self.0.parts.push(Part::List(0));
        while items.next_element_seed(Any(self.0))?.is_some() {
            count += 1;
        }
        self.0.parts[at] = Part::List(count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let (at, mut count) = (self.0.parts.len(), 0);
        self.0.parts.push(Part::Object(0));
        while fields.next_key_seed(Key(self.0))?.is_some() {
            fields.next_value_seed(Any(self.0))?;
            count += 1;
        }
        self.0.parts[at] = Part::Object(count);
        Ok(())
    }
}

struct Key<'t>(&'t mut Tape);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string key")
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.string(value);
        Ok(())
    }
}

/// A place on a tape.
#[derive(Clone, Copy)]
pub struct Reader<'t> {
    parts: &'t [Part],
    /// All of it, and how much belongs to parts before this place.
    text: &'t str,
    at: usize,
}

enum Read<'t> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'t str),
    List(usize),
    Object(usize),
}

impl<'t> Reader<'t> {
    #[inline]
    fn next(&mut self) -> Option<Read<'t>> {
        let (part, rest) = self.parts.split_first()?;
        self.parts = rest;
        Some(match *part {
            Part::Null => Read::Null,
            Part::Bool(value) => Read::Bool(value),
            Part::Unsigned(value) => Read::Unsigned(value),
            Part::Signed(value) => Read::Signed(value),
            Part::Float(value) => Read::Float(value),
            Part::Text(end) => Read::Text(&self.text[std::mem::replace(&mut self.at, end)..end]),
            Part::List(count) => Read::List(count),
            Part::Object(count) => Read::Object(count),
        })
    }

    fn part(&mut self) -> Result<Read<'t>, Error> {
        self.next().ok_or_else(|| Error::custom("the tape ends too early"))
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.part()? {
            Read::Null => visitor.visit_unit(),
            Read::Bool(value) => visitor.visit_bool(value),
            Read::Unsigned(value) => visitor.visit_u64(value),
            Read::Signed(value) => visitor.visit_i64(value),
            Read::Float(value) => visitor.visit_f64(value),
            Read::Text(text) => visitor.visit_borrowed_str(text),
            Read::List(left) => visitor.visit_seq(Following { reader: self, left }),
            Read::Object(left) => visitor.visit_map(Following { reader: self, left }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.parts.first() {
            Some(Part::Null) => self.deserialize_any(visitor),
            _ => visitor.visit_some(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// What is left of a list or an object.
struct Following<'r, 't> {
    reader: &'r mut Reader<'t>,
    left: usize,
}

impl Following<'_, '_> {
    fn one_more(&mut self) -> bool {
        let more = self.left > 0;
        self.left -= usize::from(more);
        more
    }
}

impl<'t> SeqAccess<'t> for Following<'_, 't> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if self.one_more() { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'t> MapAccess<'t> for Following<'_, 't> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if !self.one_more() {
            return Ok(None);
        }
        let Read::Text(key) = self.reader.part()? else {
            return Err(Error::custom("a key is no text"));
        };
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl Serialize for Tape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written(&Cell::new(self.reader())).serialize(serializer)
    }
}

/// The next value of a reader.
struct Written<'c, 't>(&'c Cell<Reader<'t>>);

impl<'t> Written<'_, 't> {
    fn next(&self) -> Option<Read<'t>> {
        let mut reader = self.0.get();
        let read = reader.next();
        self.0.set(reader);
        read
    }
}

impl Serialize for Written<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.next() {
            None | Some(Read::Null) => serializer.serialize_unit(),
            Some(Read::Bool(value)) => serializer.serialize_bool(value),
            Some(Read::Unsigned(value)) => serializer.serialize_u64(value),
            Some(Read::Signed(value)) => serializer.serialize_i64(value),
            Some(Read::Float(value)) => serializer.serialize_f64(value),
            Some(Read::Text(text)) => serializer.serialize_str(text),
            Some(Read::List(count)) => {
                let mut items = serializer.serialize_seq(Some(count))?;
                for _ in 0..count {
                    items.serialize_element(&Written(self.0))?;
                }
                items.end()
            }
            Some(Read::Object(count)) => {
                let mut fields = serializer.serialize_map(Some(count))?;
                for _ in 0..count {
                    fields.serialize_entry(&Written(self.0), &Written(self.0))?;
                }
                fields.end()
            }
        }
    }
}
