//! Arguments to a guest: from values to its memory, by the canonical ABI.
//!
//! The one way into wasmtime that is neither typed at compile time nor goes through `Val`: traits that are public, and
//! hidden from its documentation, so each new version of wasmtime is to be looked at. What is `unsafe` about
//! them is the claim that `Lower` has the size that the function's parameters take on the stack; sixteen words are what
//! any function may take, and more go through memory.

use std::mem::MaybeUninit;

use wasmtime::component::__internal::wasmtime_environ::component::VariantInfo;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lower};
use wasmtime::{Error, Result, ValRaw};

use super::crossing::{items_of_a_portion, passing};
use super::wire::Wire;

/// The arguments of a function, in order.
pub struct Args<'a>(pub &'a [Wire]);

/// As many words as parameters may take on the stack.
const MOST_FLAT: usize = 16;

// SAFETY: `Lower` is words, all of which are written, whatever the function takes.
#[expect(
    unsafe_code,
    reason = "wasmtime's traits for values are unsafe to implement; see the head of this file"
)]
unsafe impl ComponentType for Args<'_> {
    type Lower = [ValRaw; MOST_FLAT];
    // Would matter for more words than these alone.
    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> Result<()> {
        // Each value is compared with its type as it is lowered.
        Ok(())
    }
}

// SAFETY: as above; the values are compared with the function's own list of types.
#[expect(unsafe_code, reason = "as above")]
unsafe impl ComponentNamedList for Args<'_> {}

// SAFETY: `dst` is written whole, first of all.
#[expect(unsafe_code, reason = "as above")]
unsafe impl Lower for Args<'_> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        let words = dst.write([ValRaw::u64(0); MOST_FLAT]);
        let InterfaceType::Tuple(params) = ty else { return Err(unfit()) };
        let params = &cx.types[params];
        if params.abi.flat_count(MOST_FLAT).is_some() {
            return flat_fields(cx, params.types.iter().copied(), self.0, &mut words.iter_mut());
        }
        let size = params.abi.size32 as usize;
        let at = cx.realloc(0, 0, params.abi.align32, size)?;
        fields(cx, params.types.iter().copied(), self.0, at)?;
        words[0] = ValRaw::i64(at as i64);
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: usize,
    ) -> Result<()> {
        // Only a part of something larger would be asked for that.
        Err(unfit())
    }
}

type Words<'w> = std::slice::IterMut<'w, ValRaw>;

fn flat_fields<T>(
    cx: &mut LowerContext<'_, T>,
    types: impl ExactSizeIterator<Item = InterfaceType>,
    values: &[Wire],
    words: &mut Words<'_>,
) -> Result<()> {
    if types.len() != values.len() {
        return Err(unfit());
    }
    types.zip(values).try_for_each(|(ty, value)| flat(cx, ty, value, words))
}

/// Lowers a value to words.
fn flat<T>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    value: &Wire,
    words: &mut Words<'_>,
) -> Result<()> {
    let word = match (ty, value) {
        (InterfaceType::Bool, Wire::Bool(value)) => ValRaw::u32((*value).into()),
        (InterfaceType::S8, Wire::Signed(value)) => ValRaw::i32(i8::try_from(*value)?.into()),
        (InterfaceType::S16, Wire::Signed(value)) => ValRaw::i32(i16::try_from(*value)?.into()),
        (InterfaceType::S32, Wire::Signed(value)) => ValRaw::i32(i32::try_from(*value)?),
        (InterfaceType::S64, Wire::Signed(value)) => ValRaw::i64(*value),
        (InterfaceType::U8, Wire::Unsigned(value)) => ValRaw::u32(u8::try_from(*value)?.into()),
        (InterfaceType::U16, Wire::Unsigned(value)) => ValRaw::u32(u16::try_from(*value)?.into()),
        (InterfaceType::U32, Wire::Unsigned(value)) => ValRaw::u32(u32::try_from(*value)?),
        (InterfaceType::U64, Wire::Unsigned(value)) => ValRaw::u64(*value),
        (InterfaceType::Float32, Wire::F32(value)) => ValRaw::f32(value.to_bits()),
        (InterfaceType::Float64, Wire::F64(value)) => ValRaw::f64(value.to_bits()),
        (InterfaceType::Char, Wire::Char(value)) => ValRaw::u32((*value).into()),
        (InterfaceType::String | InterfaceType::List(_), _) => {
            let (at, length) = pointed(cx, ty, value)?;
            put(words, ValRaw::i64(at as i64))?;
            ValRaw::i64(length as i64)
        }
        (InterfaceType::Record(record), Wire::Fields(values)) => {
            let types = cx.types[record].fields.iter().map(|field| field.ty);
            return flat_fields(cx, types, values, words);
        }
        (InterfaceType::Tuple(tuple), Wire::Fields(values)) => {
            return flat_fields(cx, cx.types[tuple].types.iter().copied(), values, words);
        }
        (InterfaceType::Flags(_), Wire::Flags(bits)) => {
            let count = flat_count(cx, &ty)?;
            for at in 0..count {
                put(words, ValRaw::u32(bits.get(at).copied().unwrap_or_default()))?;
            }
            return Ok(());
        }
        (_, Wire::Case(case, payload)) => {
            let (payload, _) = case_payload(cx, ty, *case, payload.as_deref())?;
            put(words, ValRaw::u32(*case))?;
            let mut used = 1;
            if let Some((ty, value)) = payload {
                flat(cx, ty, value, words)?;
                used += flat_count(cx, &ty)?;
            }
            // The words of larger cases, which are zero already.
            let unused = flat_count(cx, &ty)?.saturating_sub(used);
            return (0..unused).try_for_each(|_| words.next().map(drop).ok_or_else(unfit));
        }
        _ => return Err(unfit()),
    };
    put(words, word)
}

fn put(words: &mut Words<'_>, word: ValRaw) -> Result<()> {
    *words.next().ok_or_else(unfit)? = word;
    Ok(())
}

fn fields<T>(
    cx: &mut LowerContext<'_, T>,
    types: impl ExactSizeIterator<Item = InterfaceType>,
    values: &[Wire],
    mut at: usize,
) -> Result<()> {
    if types.len() != values.len() {
        return Err(unfit());
    }
    types.zip(values).try_for_each(|(ty, value)| {
        let field = cx.types.canonical_abi(&ty).next_field32_size(&mut at);
        memory(cx, ty, value, field)
    })
}

/// Lowers a value to the memory at `at`.
fn memory<T>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    value: &Wire,
    at: usize,
) -> Result<()> {
    match (ty, value) {
        (InterfaceType::Bool, Wire::Bool(value)) => *cx.get(at) = [(*value).into()],
        (InterfaceType::S8, Wire::Signed(value)) => {
            *cx.get(at) = i8::try_from(*value)?.to_le_bytes();
        }
        (InterfaceType::S16, Wire::Signed(value)) => {
            *cx.get(at) = i16::try_from(*value)?.to_le_bytes();
        }
        (InterfaceType::S32, Wire::Signed(value)) => {
            *cx.get(at) = i32::try_from(*value)?.to_le_bytes();
        }
        (InterfaceType::S64, Wire::Signed(value)) => *cx.get(at) = value.to_le_bytes(),
        (InterfaceType::U8, Wire::Unsigned(value)) => {
            *cx.get(at) = u8::try_from(*value)?.to_le_bytes();
        }
        (InterfaceType::U16, Wire::Unsigned(value)) => {
            *cx.get(at) = u16::try_from(*value)?.to_le_bytes();
        }
        (InterfaceType::U32, Wire::Unsigned(value)) => {
            *cx.get(at) = u32::try_from(*value)?.to_le_bytes();
        }
        (InterfaceType::U64, Wire::Unsigned(value)) => *cx.get(at) = value.to_le_bytes(),
        (InterfaceType::Float32, Wire::F32(value)) => *cx.get(at) = value.to_bits().to_le_bytes(),
        (InterfaceType::Float64, Wire::F64(value)) => *cx.get(at) = value.to_bits().to_le_bytes(),
        (InterfaceType::Char, Wire::Char(value)) => *cx.get(at) = u32::from(*value).to_le_bytes(),
        (InterfaceType::String | InterfaceType::List(_), _) => {
            let (pointer, length) = pointed(cx, ty, value)?;
            *cx.get(at) = u32::try_from(pointer)?.to_le_bytes();
            *cx.get(at + 4) = u32::try_from(length)?.to_le_bytes();
        }
        (InterfaceType::Record(record), Wire::Fields(values)) => {
            let types = cx.types[record].fields.iter().map(|field| field.ty);
            return fields(cx, types, values, at);
        }
        (InterfaceType::Tuple(tuple), Wire::Fields(values)) => {
            return fields(cx, cx.types[tuple].types.iter().copied(), values, at);
        }
        (InterfaceType::Flags(_), Wire::Flags(bits)) => {
            let size = cx.types.canonical_abi(&ty).size32 as usize;
            let bytes = bits.iter().flat_map(|word| word.to_le_bytes());
            for (offset, byte) in bytes.chain(std::iter::repeat(0)).take(size).enumerate() {
                *cx.get(at + offset) = [byte];
            }
        }
        (_, Wire::Case(case, payload)) => {
            let (payload, info) = case_payload(cx, ty, *case, payload.as_deref())?;
            let bytes = case.to_le_bytes();
            for (offset, byte) in bytes.into_iter().take(usize::from(info.size)).enumerate() {
                *cx.get(at + offset) = [byte];
            }
            if let Some((ty, value)) = payload {
                return memory(cx, ty, value, at + info.payload_offset32 as usize);
            }
        }
        _ => return Err(unfit()),
    }
    Ok(())
}

/// Puts what a string or a list points to into memory: where, and how long it is.
fn pointed<T>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    value: &Wire,
) -> Result<(usize, usize)> {
    let list = match (ty, value) {
        (InterfaceType::String, Wire::String(text)) => {
            passing(text.len())?;
            // In the encoding that the guest asked for.
            let mut words = MaybeUninit::uninit();
            text.as_str().linear_lower_to_flat(cx, ty, &mut words)?;
            return Ok(pair(&words));
        }
        (InterfaceType::List(list), _) => cx.types[list].element,
        _ => return Err(unfit()),
    };
    match value {
        Wire::Bytes(bytes) if matches!(list, InterfaceType::U8) => {
            let mut words = MaybeUninit::uninit();
            (**bytes).linear_lower_to_flat(cx, ty, &mut words)?;
            Ok(pair(&words))
        }
        Wire::List(items) => {
            let abi = cx.types.canonical_abi(&list);
            let (each, align) = (abi.size32 as usize, abi.align32);
            let size = items.len().checked_mul(each).ok_or_else(unfit)?;
            let at = cx.realloc(0, 0, align, size)?;
            let portion = items_of_a_portion(each);
            for (index, item) in items.iter().enumerate() {
                if index.is_multiple_of(portion) {
                    passing((size - index * each).min(portion * each))?;
                }
                memory(cx, list, item, at + index * each)?;
            }
            Ok((at, items.len()))
        }
        _ => Err(unfit()),
    }
}

fn pair(words: &MaybeUninit<[ValRaw; 2]>) -> (usize, usize) {
    // SAFETY: both were written, by a lowering that succeeded.
    #[expect(unsafe_code, reason = "wasmtime says so of what lowers")]
    let [at, length] = unsafe { words.assume_init() };
    (at.get_u32() as usize, length.get_u32() as usize)
}

type Payload<'v> = Option<(InterfaceType, &'v Wire)>;

/// The payload of a case with its type, and how the type of all cases is laid out.
fn case_payload<'t, 'v, T>(
    cx: &LowerContext<'t, T>,
    ty: InterfaceType,
    case: u32,
    payload: Option<&'v Wire>,
) -> Result<(Payload<'v>, &'t VariantInfo)> {
    let (found, info) = super::lift::case_type(cx.types, ty, case).ok_or_else(unfit)?;
    match (found, payload) {
        (Some(ty), Some(value)) => Ok((Some((ty, value)), info)),
        (None, None) => Ok((None, info)),
        _ => Err(unfit()),
    }
}

fn flat_count<T>(cx: &LowerContext<'_, T>, ty: &InterfaceType) -> Result<usize> {
    cx.types.canonical_abi(ty).flat_count(usize::MAX).ok_or_else(unfit)
}

fn unfit() -> Error {
    Error::msg("an argument is not of its parameter's type")
}
