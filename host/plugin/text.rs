//! A string in a guest's memory, in whichever of the canonical ABI's three encodings, to JSON text.
//!
//! Read portion by portion, so that a long one can be stopped; no more than a portion is held on the way.

use wasmtime::component::__internal::LiftContext;
use wasmtime::component::__internal::wasmtime_environ::component::StringEncoding;
use wasmtime::{Error, Result, bail};

use super::crossing::{PORTION, passing};
use super::lift::{pointed, slice, unfit};
use super::writer::Writer;

/// Of the length of a string that may be in one of two encodings.
const UTF16_TAG: usize = 1 << 31;

/// Writes what is in these bytes.
type Read = fn(&[u8], &mut Writer) -> Result<()>;

/// Writes the string whose place is in these bytes.
pub(super) fn text(cx: &LiftContext<'_>, place: &[u8], to: &mut Writer) -> Result<()> {
    let (at, length) = pointed(place)?;
    let encoding = cx.options().string_encoding;
    let (units, unit, read): (_, _, Read) = match encoding {
        StringEncoding::Utf8 => (length, 1, utf8),
        StringEncoding::Utf16 => (length, 2, utf16),
        StringEncoding::CompactUtf16 if length & UTF16_TAG == 0 => (length, 1, latin1),
        StringEncoding::CompactUtf16 => (length ^ UTF16_TAG, 2, utf16),
    };
    if encoding != StringEncoding::Utf8 && !at.is_multiple_of(2) {
        bail!("a string is not aligned");
    }
    let bytes = slice(cx, at, units.checked_mul(unit).ok_or_else(unfit)?)?;
    // Each unit becomes a byte at the least.
    to.room_for(units)?;
    to.reserve(units);
    to.quote();
    read(bytes, to)?;
    to.quote();
    Ok(())
}

fn utf8(bytes: &[u8], to: &mut Writer) -> Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let portion = bytes[at..].get(..PORTION).unwrap_or(&bytes[at..]);
        let text = match str::from_utf8(portion) {
            Ok(text) => text,
            // A character may go on in the next portion.
            Err(error) if error.error_len().is_none() && portion.len() == PORTION => {
                str::from_utf8(&portion[..error.valid_up_to()])?
            }
            Err(error) => bail!("a string is no utf-8 at its byte {}", at + error.valid_up_to()),
        };
        passing(text.len())?;
        to.text_while(text, passing)?;
        at += text.len();
    }
    Ok(())
}

fn latin1(bytes: &[u8], to: &mut Writer) -> Result<()> {
    for portion in bytes.chunks(PORTION) {
        passing(portion.len())?;
        let text: String = portion.iter().copied().map(char::from).collect();
        to.text_while(&text, passing)?;
    }
    Ok(())
}

fn utf16(bytes: &[u8], to: &mut Writer) -> Result<()> {
    let (units, _) = bytes.as_chunks::<2>();
    let mut characters = char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)));
    loop {
        // A character is two units at the most, and three or four bytes of ours.
        let portion: Result<String, _> = characters.by_ref().take(PORTION / 4).collect();
        let text = portion.map_err(|_| Error::msg("a string has half of a surrogate pair"))?;
        if text.is_empty() {
            return Ok(());
        }
        passing(text.len())?;
        to.text_while(&text, passing)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(bytes: &[u8], read: Read) -> Result<String> {
        let mut to = Writer::new(usize::MAX);
        to.quote();
        read(bytes, &mut to)?;
        to.quote();
        Ok(serde_json::from_str(&to.into_text()?).unwrap())
    }

    fn units(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// Some characters, over and over, so that they lie across portions this way and that.
    fn long() -> impl Strategy<Value = String> {
        let some = prop::collection::vec(
            prop_oneof![any::<char>(), Just('\0'), Just('é'), Just('水'), Just('🦀')],
            1..40,
        );
        (some, 0..4 * PORTION).prop_map(|(some, bytes)| {
            let some: String = some.into_iter().collect();
            some.repeat(bytes / some.len())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn text_is_the_same_in_every_encoding(text in long(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(&written(text.as_bytes(), utf8).unwrap(), &text);
            prop_assert_eq!(&written(&units(&text), utf16).unwrap(), &text);
            let narrow = bytes.repeat(1000);
            let wide: String = narrow.iter().map(|byte| char::from(*byte)).collect();
            prop_assert_eq!(written(&narrow, latin1).unwrap(), wide);
        }

        #[test]
        fn what_is_not_text_is_found_wherever_it_is(text in long(), at in any::<prop::sample::Index>(), part in 1..4_usize) {
            // What is left of a character of four bytes.
            let mut bytes = text.clone().into_bytes();
            let at = at.index(text.len() + 1);
            let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            bytes.splice(at..at, "🦀".bytes().take(part));
            let said = written(&bytes, utf8).unwrap_err().to_string();
            prop_assert_eq!(said, format!("a string is no utf-8 at its byte {at}"));
            let mut wide = units(&text[..at]);
            wide.extend(&units("🦀")[..2]);
            wide.extend(units(&text[at..]));
            prop_assert!(written(&wide, utf16).is_err());
        }
    }

    #[test]
    fn a_long_text_can_be_stopped_in_every_encoding() {
        let bytes = vec![b'x'; 10 * PORTION];
        for read in [utf8, latin1, utf16] {
            let mut to = Writer::new(3 * PORTION);
            assert!(read(&bytes, &mut to).is_err());
            assert_eq!(to.into_text().unwrap().len() % (PORTION / 4), 0);
        }
    }
}
