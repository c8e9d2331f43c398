//! A guest's value: from its memory to JSON text, by the canonical ABI.
//!
//! Everything is the guest's to make up, and checked: pointers, lengths, alignment, cases, characters. The text is what
//! `decode` takes for the same value. It nests no deeper than WIT types do, of which wasmtime takes a hundred levels: less
//! than what readers of JSON take.

use wasmtime::component::__internal::wasmtime_environ::component::VariantInfo;
use wasmtime::component::__internal::{ComponentTypes, InterfaceType, LiftContext};
use wasmtime::{Error, Result, ValRaw, bail};

use super::crossing::{items_of_a_portion, passing};
use super::text::text;
use super::writer::Writer;

pub(super) fn slice<'m>(cx: &LiftContext<'m>, at: usize, size: usize) -> Result<&'m [u8]> {
    let found = cx.memory().get(at..).and_then(|rest| rest.get(..size));
    found.ok_or_else(|| Error::msg("a pointer leads out of the memory"))
}

type Words<'w> = std::slice::Iter<'w, ValRaw>;

fn next(words: &mut Words<'_>) -> Result<ValRaw> {
    words.next().copied().ok_or_else(unfit)
}

/// Writes a value that is in words: of those types that can be in one.
pub(super) fn flat(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    words: &mut Words<'_>,
    to: &mut Writer,
) -> Result<()> {
    match ty {
        InterfaceType::Bool => to.bool(next(words)?.get_u32() != 0),
        InterfaceType::S8 => to.signed((next(words)?.get_i32() as i8).into()),
        InterfaceType::S16 => to.signed((next(words)?.get_i32() as i16).into()),
        InterfaceType::S32 => to.signed(next(words)?.get_i32().into()),
        InterfaceType::S64 => to.signed(next(words)?.get_i64()),
        InterfaceType::U8 => to.unsigned((next(words)?.get_u32() as u8).into()),
        InterfaceType::U16 => to.unsigned((next(words)?.get_u32() as u16).into()),
        InterfaceType::U32 => to.unsigned(next(words)?.get_u32().into()),
        InterfaceType::U64 => to.unsigned(next(words)?.get_u64()),
        InterfaceType::Float32 => to.float32(f32::from_bits(next(words)?.get_f32())),
        InterfaceType::Float64 => to.float(f64::from_bits(next(words)?.get_f64())),
        InterfaceType::Char => to.char(character(next(words)?.get_u32())?)?,
        InterfaceType::Record(record) => {
            let types = cx.types;
            between(to, "{", "}", types[record].fields.iter(), |to, field| {
                to.name(&field.name);
                to.raw(":");
                flat(cx, field.ty, words, to)
            })?;
        }
        InterfaceType::Tuple(tuple) => {
            let types = cx.types;
            between(to, "[", "]", types[tuple].types.iter(), |to, ty| flat(cx, *ty, words, to))?;
        }
        InterfaceType::Flags(_) => {
            let count = cx.types.canonical_abi(&ty).flat_count(usize::MAX).ok_or_else(unfit)?;
            if count != 1 {
                return Err(unfit());
            }
            flags(cx.types, ty, [next(words)?.get_u32()].into_iter(), to)?;
        }
        InterfaceType::Variant(_)
        | InterfaceType::Enum(_)
        | InterfaceType::Option(_)
        | InterfaceType::Result(_) => {
            // One that takes a single word has no payload.
            written_case(cx, ty, next(words)?.get_u32(), None, to)?;
        }
        _ => return Err(unfit()),
    }
    Ok(())
}

/// Writes a value that is in memory, in these bytes.
pub(super) fn memory(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    bytes: &[u8],
    to: &mut Writer,
) -> Result<()> {
    match ty {
        InterfaceType::Bool => to.bool(u8::from_le_bytes(first(bytes)?) != 0),
        InterfaceType::S8 => to.signed(i8::from_le_bytes(first(bytes)?).into()),
        InterfaceType::S16 => to.signed(i16::from_le_bytes(first(bytes)?).into()),
        InterfaceType::S32 => to.signed(i32::from_le_bytes(first(bytes)?).into()),
        InterfaceType::S64 => to.signed(i64::from_le_bytes(first(bytes)?)),
        InterfaceType::U8 => to.unsigned(u8::from_le_bytes(first(bytes)?).into()),
        InterfaceType::U16 => to.unsigned(u16::from_le_bytes(first(bytes)?).into()),
        InterfaceType::U32 => to.unsigned(u32::from_le_bytes(first(bytes)?).into()),
        InterfaceType::U64 => to.unsigned(u64::from_le_bytes(first(bytes)?)),
        InterfaceType::Float32 => to.float32(f32::from_le_bytes(first(bytes)?)),
        InterfaceType::Float64 => to.float(f64::from_le_bytes(first(bytes)?)),
        InterfaceType::Char => to.char(character(u32::from_le_bytes(first(bytes)?))?)?,
        InterfaceType::String => text(cx, bytes, to)?,
        InterfaceType::List(list) => items(cx, cx.types[list].element, bytes, to)?,
        InterfaceType::Record(record) => {
            let (types, mut at) = (cx.types, 0);
            between(to, "{", "}", types[record].fields.iter(), |to, field| {
                to.name(&field.name);
                to.raw(":");
                memory(cx, field.ty, next_field(types, field.ty, bytes, &mut at)?, to)
            })?;
        }
        InterfaceType::Tuple(tuple) => {
            let (types, mut at) = (cx.types, 0);
            between(to, "[", "]", types[tuple].types.iter(), |to, ty| {
                memory(cx, *ty, next_field(types, *ty, bytes, &mut at)?, to)
            })?;
        }
        InterfaceType::Flags(_) => {
            let size = cx.types.canonical_abi(&ty).size32 as usize;
            // Little-endian, whatever their size.
            let word = |bytes: &[u8]| {
                bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
            };
            flags(cx.types, ty, bytes.get(..size).ok_or_else(unfit)?.chunks(4).map(word), to)?;
        }
        InterfaceType::Variant(_)
        | InterfaceType::Enum(_)
        | InterfaceType::Option(_)
        | InterfaceType::Result(_) => {
            let (case, payload) = memory_case(cx.types, ty, bytes)?;
            written_case(cx, ty, case, payload, to)?;
        }
        _ => return Err(unfit()),
    }
    Ok(())
}

fn items(cx: &mut LiftContext<'_>, ty: InterfaceType, place: &[u8], to: &mut Writer) -> Result<()> {
    let (at, length) = pointed(place)?;
    let abi = cx.types.canonical_abi(&ty);
    let (each, align) = (abi.size32 as usize, abi.align32 as usize);
    let size = length.checked_mul(each).ok_or_else(unfit)?;
    if !at.is_multiple_of(align) {
        bail!("a list is not aligned");
    }
    let bytes = slice(cx, at, size)?;
    if matches!(ty, InterfaceType::U8) {
        return Ok(to.bytes(bytes)?);
    }
    // Items have a size: WIT knows no empty records, tuples or flags.
    let (each, portion) = (each.max(1), items_of_a_portion(each));
    between(to, "[", "]", bytes.chunks_exact(each).enumerate(), |to, (index, item)| {
        if index.is_multiple_of(portion) {
            passing((size - index * each).min(portion * each))?;
        }
        memory(cx, ty, item, to)?;
        Ok(to.room_for(0)?)
    })
}

/// Writes `parts` with commas between them.
fn between<I: Iterator>(
    to: &mut Writer,
    open: &str,
    close: &str,
    parts: I,
    mut write: impl FnMut(&mut Writer, I::Item) -> Result<()>,
) -> Result<()> {
    to.raw(open);
    for (index, part) in parts.enumerate() {
        if index > 0 {
            to.raw(",");
        }
        write(to, part)?;
    }
    to.raw(close);
    Ok(())
}

fn flags(
    types: &ComponentTypes,
    ty: InterfaceType,
    words: impl Iterator<Item = u32>,
    to: &mut Writer,
) -> Result<()> {
    let InterfaceType::Flags(flags) = ty else { return Err(unfit()) };
    let names = &types[flags].names;
    // Those that are set, and have a name.
    let set = (0..).step_by(32).zip(words).flat_map(|(first, mut word)| {
        std::iter::from_fn(move || {
            if word == 0 {
                return None;
            }
            let at = first + word.trailing_zeros() as usize;
            word &= word - 1;
            Some(at)
        })
    });
    between(to, "[", "]", set.filter_map(|at| names.iter().nth(at)), |to, name| {
        to.name(name);
        Ok(())
    })
}

/// `null`, the bare payload, `"case"` or `{"case": payload}`, as `Shape` says.
fn written_case(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    case: u32,
    payload: Payload<'_>,
    to: &mut Writer,
) -> Result<()> {
    let (types, index) = (cx.types, case as usize);
    let name = match ty {
        InterfaceType::Option(some) => {
            let nested = matches!(types[some].ty, InterfaceType::Option(_));
            match payload {
                None => to.raw("null"),
                Some((ty, bytes)) if !nested => memory(cx, ty, bytes, to)?,
                Some((ty, bytes)) => {
                    to.raw("{\"some\":");
                    memory(cx, ty, bytes, to)?;
                    to.raw("}");
                }
            }
            return Ok(());
        }
        InterfaceType::Variant(cases) => {
            types[cases].cases.get_index(index).map(|(name, _)| &**name)
        }
        InterfaceType::Enum(cases) => types[cases].names.iter().nth(index).map(|name| &**name),
        InterfaceType::Result(_) => ["ok", "err"].get(index).copied(),
        _ => None,
    };
    let name = name.ok_or_else(|| no_case(case))?;
    match payload {
        None => to.name(name),
        Some((ty, bytes)) => {
            to.raw("{");
            to.name(name);
            to.raw(":");
            memory(cx, ty, bytes, to)?;
            to.raw("}");
        }
    }
    Ok(())
}

type Payload<'b> = Option<(InterfaceType, &'b [u8])>;

pub(super) fn memory_case<'b>(
    types: &ComponentTypes,
    ty: InterfaceType,
    bytes: &'b [u8],
) -> Result<(u32, Payload<'b>)> {
    // All cases of a type are laid out alike.
    let (_, info) = case_type(types, ty, 0).ok_or_else(unfit)?;
    let mut case = [0; 4];
    let size = usize::from(info.size);
    case[..size].copy_from_slice(bytes.get(..size).ok_or_else(unfit)?);
    let case = u32::from_le_bytes(case);
    let (payload, _) = case_type(types, ty, case).ok_or_else(|| no_case(case))?;
    let payload = match payload {
        Some(ty) => Some((ty, part(types, ty, bytes, info.payload_offset32 as usize)?)),
        None => None,
    };
    Ok((case, payload))
}

fn next_field<'b>(
    types: &ComponentTypes,
    ty: InterfaceType,
    bytes: &'b [u8],
    at: &mut u32,
) -> Result<&'b [u8]> {
    let field = types.canonical_abi(&ty).next_field32(at) as usize;
    part(types, ty, bytes, field)
}

/// The bytes of a value that lies within others.
fn part<'b>(
    types: &ComponentTypes,
    ty: InterfaceType,
    bytes: &'b [u8],
    at: usize,
) -> Result<&'b [u8]> {
    let size = types.canonical_abi(&ty).size32 as usize;
    bytes.get(at..).and_then(|rest| rest.get(..size)).ok_or_else(unfit)
}

/// Where a list is that is in memory, and how many items it has.
pub(super) fn pointed(place: &[u8]) -> Result<(usize, usize)> {
    let at = u32::from_le_bytes(first(place)?) as usize;
    let length = u32::from_le_bytes(first(place.get(4..).ok_or_else(unfit)?)?) as usize;
    Ok((at, length))
}

fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.first_chunk().copied().ok_or_else(unfit)
}

fn character(code: u32) -> Result<char> {
    char::from_u32(code).ok_or_else(|| Error::msg(format!("{code:#x} is no character")))
}

/// The type of a case's payload, and how the type of all cases is laid out; nothing, if there is no such case.
pub(super) fn case_type(
    types: &ComponentTypes,
    ty: InterfaceType,
    case: u32,
) -> Option<(Option<InterfaceType>, &VariantInfo)> {
    let index = case as usize;
    match ty {
        InterfaceType::Variant(ty) => {
            let ty = &types[ty];
            Some((*ty.cases.get_index(index)?.1, &ty.info))
        }
        InterfaceType::Enum(ty) => {
            let ty = &types[ty];
            (index < ty.names.len()).then_some((None, &ty.info))
        }
        InterfaceType::Option(ty) => {
            let ty = &types[ty];
            Some((*[None, Some(ty.ty)].get(index)?, &ty.info))
        }
        InterfaceType::Result(ty) => {
            let ty = &types[ty];
            Some((*[ty.ok, ty.err].get(index)?, &ty.info))
        }
        _ => None,
    }
}

pub(super) fn no_case(case: u32) -> Error {
    Error::msg(format!("a result has the case {case}, and its type has fewer"))
}

pub(super) fn unfit() -> Error {
    Error::msg("a result is not of its function's type")
}
