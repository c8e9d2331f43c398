//! A guest's result: from its memory to a value, by the canonical ABI.
//!
//! Everything is the guest's to make up, and checked: pointers, lengths, alignment, cases, characters. As `lower` is,
//! written to traits of wasmtime's that its documentation hides. A function gives one word on the stack at the most;
//! if its result takes more, that word says where it is.

use wasmtime::component::__internal::wasmtime_environ::component::VariantInfo;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, ComponentTypes, InstanceType, InterfaceType, LiftContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lift};
use wasmtime::{Error, Result, ValRaw, bail};

use super::wire::Wire;

/// What a function gave, if it gives anything.
pub struct Given(pub Option<Wire>);

// SAFETY: `Lower` is the one word that a result takes at the most.
#[expect(
    unsafe_code,
    reason = "wasmtime's traits for values are unsafe to implement; see the head of this file"
)]
unsafe impl ComponentType for Given {
    type Lower = [ValRaw; 1];
    // Would matter for more words than this alone.
    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> Result<()> {
        // The value is made by its type.
        Ok(())
    }
}

// SAFETY: as above.
#[expect(unsafe_code, reason = "as above")]
unsafe impl ComponentNamedList for Given {}

// SAFETY: reads `src` only where the function's type says that it was written.
#[expect(unsafe_code, reason = "as above")]
unsafe impl Lift for Given {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &Self::Lower,
    ) -> Result<Given> {
        let InterfaceType::Tuple(results) = ty else { return Err(unfit()) };
        let results = &cx.types[results];
        let Some(result) = results.types.first().copied() else { return Ok(Given(None)) };
        if results.abi.flat_count(src.len()).is_some() {
            return Ok(Given(Some(flat(cx, result, &mut src.iter())?)));
        }
        let (at, size) = (src[0].get_u32() as usize, results.abi.size32 as usize);
        if !at.is_multiple_of(results.abi.align32 as usize) {
            bail!("the pointer to the result is not aligned");
        }
        Ok(Given(Some(memory(cx, result, slice(cx, at, size)?)?)))
    }

    fn linear_lift_from_memory(
        _: &mut LiftContext<'_>,
        _: InterfaceType,
        _: &[u8],
    ) -> Result<Given> {
        // Only a part of something larger would be asked for that.
        Err(unfit())
    }
}

fn slice<'m>(cx: &LiftContext<'m>, at: usize, size: usize) -> Result<&'m [u8]> {
    let found = cx.memory().get(at..).and_then(|rest| rest.get(..size));
    found.ok_or_else(|| Error::msg("a pointer leads out of the memory"))
}

type Words<'w> = std::slice::Iter<'w, ValRaw>;

fn next(words: &mut Words<'_>) -> Result<ValRaw> {
    words.next().copied().ok_or_else(unfit)
}

/// Lifts a value from words: of those types that can be in one.
fn flat(cx: &mut LiftContext<'_>, ty: InterfaceType, words: &mut Words<'_>) -> Result<Wire> {
    Ok(match ty {
        InterfaceType::Bool => Wire::Bool(next(words)?.get_u32() != 0),
        InterfaceType::S8 => Wire::Signed((next(words)?.get_i32() as i8).into()),
        InterfaceType::S16 => Wire::Signed((next(words)?.get_i32() as i16).into()),
        InterfaceType::S32 => Wire::Signed(next(words)?.get_i32().into()),
        InterfaceType::S64 => Wire::Signed(next(words)?.get_i64()),
        InterfaceType::U8 => Wire::Unsigned((next(words)?.get_u32() as u8).into()),
        InterfaceType::U16 => Wire::Unsigned((next(words)?.get_u32() as u16).into()),
        InterfaceType::U32 => Wire::Unsigned(next(words)?.get_u32().into()),
        InterfaceType::U64 => Wire::Unsigned(next(words)?.get_u64()),
        InterfaceType::Float32 => Wire::F32(f32::from_bits(next(words)?.get_f32())),
        InterfaceType::Float64 => Wire::F64(f64::from_bits(next(words)?.get_f64())),
        InterfaceType::Char => Wire::Char(character(next(words)?.get_u32())?),
        InterfaceType::Record(record) => {
            let types = cx.types[record].fields.iter().map(|field| field.ty);
            Wire::Fields(types.map(|ty| flat(cx, ty, words)).collect::<Result<_>>()?)
        }
        InterfaceType::Tuple(tuple) => {
            let types = cx.types[tuple].types.iter();
            Wire::Fields(types.map(|ty| flat(cx, *ty, words)).collect::<Result<_>>()?)
        }
        InterfaceType::Flags(_) => {
            let count = cx.types.canonical_abi(&ty).flat_count(usize::MAX).ok_or_else(unfit)?;
            let words = (0..count).map(|_| next(words).map(|word| word.get_u32()));
            Wire::Flags(words.collect::<Result<_>>()?)
        }
        InterfaceType::Variant(_)
        | InterfaceType::Enum(_)
        | InterfaceType::Option(_)
        | InterfaceType::Result(_) => {
            let case = next(words)?.get_u32();
            let (payload, _) = case_type(cx.types, ty, case).ok_or_else(|| no_case(case))?;
            let payload = payload.map(|ty| flat(cx, ty, words)).transpose()?;
            Wire::Case(case, payload.map(Box::new))
        }
        _ => return Err(unfit()),
    })
}

/// Lifts a value from its bytes in memory.
fn memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Wire> {
    Ok(match ty {
        InterfaceType::Bool => Wire::Bool(u8::from_le_bytes(first(bytes)?) != 0),
        InterfaceType::S8 => Wire::Signed(i8::from_le_bytes(first(bytes)?).into()),
        InterfaceType::S16 => Wire::Signed(i16::from_le_bytes(first(bytes)?).into()),
        InterfaceType::S32 => Wire::Signed(i32::from_le_bytes(first(bytes)?).into()),
        InterfaceType::S64 => Wire::Signed(i64::from_le_bytes(first(bytes)?)),
        InterfaceType::U8 => Wire::Unsigned(u8::from_le_bytes(first(bytes)?).into()),
        InterfaceType::U16 => Wire::Unsigned(u16::from_le_bytes(first(bytes)?).into()),
        InterfaceType::U32 => Wire::Unsigned(u32::from_le_bytes(first(bytes)?).into()),
        InterfaceType::U64 => Wire::Unsigned(u64::from_le_bytes(first(bytes)?)),
        InterfaceType::Float32 => Wire::F32(f32::from_le_bytes(first(bytes)?)),
        InterfaceType::Float64 => Wire::F64(f64::from_le_bytes(first(bytes)?)),
        InterfaceType::Char => Wire::Char(character(u32::from_le_bytes(first(bytes)?))?),
        // In the encoding that the guest has declared; counted by wasmtime.
        InterfaceType::String => Wire::String(String::linear_lift_from_memory(cx, ty, bytes)?),
        InterfaceType::List(list) => {
            let at = u32::from_le_bytes(first(bytes)?) as usize;
            let length = u32::from_le_bytes(first(bytes.get(4..).ok_or_else(unfit)?)?) as usize;
            items(cx, cx.types[list].element, at, length)?
        }
        InterfaceType::Record(record) => {
            let types = cx.types[record].fields.iter().map(|field| field.ty);
            fields(cx, types, bytes)?
        }
        InterfaceType::Tuple(tuple) => fields(cx, cx.types[tuple].types.iter().copied(), bytes)?,
        InterfaceType::Flags(_) => {
            let size = cx.types.canonical_abi(&ty).size32 as usize;
            let words = bytes.get(..size).ok_or_else(unfit)?.chunks(4);
            let word = |bytes: &[u8]| {
                let mut word = [0; 4];
                word[..bytes.len()].copy_from_slice(bytes);
                u32::from_le_bytes(word)
            };
            Wire::Flags(words.map(word).collect())
        }
        InterfaceType::Variant(_)
        | InterfaceType::Enum(_)
        | InterfaceType::Option(_)
        | InterfaceType::Result(_) => {
            // All cases of a type are laid out alike.
            let (_, info) = case_type(cx.types, ty, 0).ok_or_else(unfit)?;
            let mut case = [0; 4];
            let size = usize::from(info.size);
            case[..size].copy_from_slice(bytes.get(..size).ok_or_else(unfit)?);
            let case = u32::from_le_bytes(case);
            let (payload, _) = case_type(cx.types, ty, case).ok_or_else(|| no_case(case))?;
            let payload = match payload {
                None => None,
                Some(ty) => {
                    cx.consume_fuel(size_of::<Wire>())?;
                    let bytes = part(cx, ty, bytes, info.payload_offset32 as usize)?;
                    Some(Box::new(memory(cx, ty, bytes)?))
                }
            };
            Wire::Case(case, payload)
        }
        _ => return Err(unfit()),
    })
}

fn items(cx: &mut LiftContext<'_>, ty: InterfaceType, at: usize, length: usize) -> Result<Wire> {
    let abi = cx.types.canonical_abi(&ty);
    let (each, align) = (abi.size32 as usize, abi.align32 as usize);
    let size = length.checked_mul(each).ok_or_else(unfit)?;
    if !at.is_multiple_of(align) {
        bail!("a list is not aligned");
    }
    let bytes = slice(cx, at, size)?;
    if matches!(ty, InterfaceType::U8) {
        cx.consume_fuel(length)?;
        return Ok(Wire::Bytes(bytes.to_vec().into()));
    }
    cx.consume_fuel_array(length, size_of::<Wire>())?;
    // Items have a size: WIT knows no empty records, tuples or flags.
    let items = bytes.chunks_exact(each.max(1)).map(|item| memory(cx, ty, item));
    Ok(Wire::List(items.collect::<Result<_>>()?))
}

fn fields(
    cx: &mut LiftContext<'_>,
    types: impl ExactSizeIterator<Item = InterfaceType>,
    bytes: &[u8],
) -> Result<Wire> {
    cx.consume_fuel_array(types.len(), size_of::<Wire>())?;
    let mut at = 0;
    let field = |ty: InterfaceType| {
        let field = cx.types.canonical_abi(&ty).next_field32(&mut at) as usize;
        let bytes = part(cx, ty, bytes, field)?;
        memory(cx, ty, bytes)
    };
    Ok(Wire::Fields(types.map(field).collect::<Result<_>>()?))
}

/// The bytes of a value that lies within others.
fn part<'b>(
    cx: &LiftContext<'_>,
    ty: InterfaceType,
    bytes: &'b [u8],
    at: usize,
) -> Result<&'b [u8]> {
    let size = cx.types.canonical_abi(&ty).size32 as usize;
    bytes.get(at..).and_then(|rest| rest.get(..size)).ok_or_else(unfit)
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

fn no_case(case: u32) -> Error {
    Error::msg(format!("a result has the case {case}, and its type has fewer"))
}

fn unfit() -> Error {
    Error::msg("a result is not of its function's type")
}
