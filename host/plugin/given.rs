//! What a function gave: bytes, JSON text, or an error in either form.
//!
//! As `lower` is, written to traits of wasmtime's that its documentation hides. A function gives one word on the stack at
//! the most; if its result takes more, that word says where it is.

use bytes::Bytes;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext};
use wasmtime::component::{ComponentNamedList, ComponentType, Lift};
use wasmtime::{Result, ValRaw, bail};

use super::crossing;
use super::lift::{flat, memory, memory_case, no_case, pointed, slice, unfit};
use super::writer::{TooLong, Writer};

/// What a function gave.
pub struct Given {
    /// Not the error of a function that gives a `result`.
    pub ok: bool,
    pub value: GivenValue,
}

pub enum GivenValue {
    Nothing,
    /// A value that is a `list<u8>` itself.
    Bytes(Bytes),
    Json(String),
}

impl Given {
    pub fn nothing() -> Given {
        Given { ok: true, value: GivenValue::Nothing }
    }
}

impl GivenValue {
    /// Bytes, where bytes are not wanted, in no more than so many.
    pub fn in_base64(bytes: &[u8], most: u64) -> Result<String, TooLong> {
        let mut to = Writer::new(usize::try_from(most).unwrap_or(usize::MAX));
        to.bytes(bytes)?;
        to.into_text()
    }
}

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
        // The text is written by its type.
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
        let Some(result) = results.types.first().copied() else {
            return Ok(Given::nothing());
        };
        if results.abi.flat_count(src.len()).is_some() {
            return given(cx, result, Source::Word(src[0]));
        }
        let (at, size) = (src[0].get_u32() as usize, results.abi.size32 as usize);
        if !at.is_multiple_of(results.abi.align32 as usize) {
            bail!("the pointer to the result is not aligned");
        }
        let bytes = slice(cx, at, size)?;
        crossing::read(|| given(cx, result, Source::Memory(bytes)))
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

/// Where a value is.
#[derive(Clone, Copy)]
enum Source<'m> {
    Word(ValRaw),
    Memory(&'m [u8]),
}

/// The result of a function. The outermost `result` says whether the call is one that failed.
fn given(cx: &mut LiftContext<'_>, ty: InterfaceType, source: Source<'_>) -> Result<Given> {
    if !matches!(ty, InterfaceType::Result(_)) {
        return Ok(Given { ok: true, value: value(cx, ty, source)? });
    }
    let (case, payload) = match source {
        // One that takes a single word has no payload.
        Source::Word(word) => (word.get_u32(), None),
        Source::Memory(bytes) => memory_case(cx.types, ty, bytes)?,
    };
    if case > 1 {
        return Err(no_case(case));
    }
    let value = match payload {
        Some((ty, bytes)) => value(cx, ty, Source::Memory(bytes))?,
        None => GivenValue::Nothing,
    };
    Ok(Given { ok: case == 0, value })
}

fn value(cx: &mut LiftContext<'_>, ty: InterfaceType, source: Source<'_>) -> Result<GivenValue> {
    let mut to = Writer::new(crossing::most());
    if let InterfaceType::List(list) = ty
        && matches!(cx.types[list].element, InterfaceType::U8)
        && let Source::Memory(place) = source
    {
        let (at, length) = pointed(place)?;
        let bytes = slice(cx, at, length)?;
        to.room_for(length)?;
        return Ok(GivenValue::Bytes(bytes.to_vec().into()));
    }
    match source {
        Source::Word(word) => flat(cx, ty, &mut [word].iter(), &mut to)?,
        Source::Memory(bytes) => memory(cx, ty, bytes, &mut to)?,
    }
    Ok(GivenValue::Json(to.into_text()?))
}
