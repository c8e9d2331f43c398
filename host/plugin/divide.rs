//! Divides what a component does in one go, and takes long for, into short parts, so that it can be stopped in between.
//!
//! wasmtime looks at the epoch where a function begins and where a loop goes round. `memory.fill`, `memory.copy` and
//! `memory.init` are one instruction, whatever their length. So each that may be long becomes a call of a
//! function that is added to its module (`edits.rs`, `parts.rs`), in which a loop does it in parts. Long segments are put into
//! place by a function, too (`segments.rs`); what cannot be divided, strings between parts of a component, is kept
//! short (`handed.rs`).
//!
//! Nor does wasmtime look at it where the host is called, in code without loops, and after calls have returned: a loop of nothing
//! does, where too much would come together (`straight.rs`).
//!
//! All other bytes stay as they are: nothing is decoded and encoded again. Added types and functions come last,
//! so that no index changes. Knows neither engines nor files.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::{Encode as _, Section as _};
use wasmparser::{
    BinaryReader, DataSectionReader, FunctionSectionReader, ImportSectionReader, TypeRef,
    TypeSectionReader, Validator, WasmFeatures,
};

use super::binary::{HEADER, RawSection, sections};
use super::edits::Added;
use super::handed::{self, Guarded};
use super::parts::TYPE;
use super::segments::{DATA, ELEMENTS, MOST_ELEMENTS, Segments, passive_elements};

/// Changes with what is made of a component, so that what was compiled before is not taken for it.
pub const VERSION: u32 = 5;

/// Components within components.
const DEEPEST: usize = 100;

/// Why a component cannot be divided.
#[derive(Debug, thiserror::Error)]
pub enum DivideError {
    #[error("its long memory instructions cannot be divided: {0}")]
    Unreadable(#[from] wasmparser::BinaryReaderError),
    #[error("its long memory instructions cannot be divided: a section is cut off")]
    CutOff,
    #[error(
        "its long memory instructions cannot be divided: it has components within components, more than {DEEPEST} deep"
    )]
    Deep,
    #[error("its long memory instructions cannot be divided: a module has too many functions")]
    ManyFunctions,
    #[error(
        "one of its parts takes memory for what another hands to it from a function that is no export of a module in it"
    )]
    NoExport,
    #[error("its passive segments have more than {MOST_ELEMENTS} elements")]
    ManyElements,
    #[error("its parts call each other asynchronously, which takes stacks that no limit counts")]
    Asynchronous,
    #[error("it copies streams or futures, which wasmtime does in one go: tools here have none")]
    Streams,
}

/// The component with what it does in one go divided; itself if there is nothing to divide.
///
/// # Errors
/// It is not valid by the features of our engines, too deep, or has what can neither be divided nor bounded.
pub fn divide(component: &[u8]) -> Result<Cow<'_, [u8]>, DivideError> {
    let mut modules = Modules { guarded: handed::guarded(component)?, next: 0, elements: 0 };
    let Some(divided) = modules.divided(component, DEEPEST)? else { return Ok(component.into()) };
    // An invalid module could be made a valid one: by a call of a function that it has not, and now has; or by an offset
    // that is no constant to our engines. Parts are counted in 32 bits: our engines have no larger memories.
    let none_of_ours = WasmFeatures::MEMORY64
        | WasmFeatures::GC
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::THREADS;
    let features = WasmFeatures::all().difference(none_of_ours);
    Validator::new_with_features(features).validate_all(component)?;
    Ok(divided.into())
}

/// The modules of a component, one after the other.
struct Modules {
    guarded: Guarded,
    next: usize,
    /// Those in passive segments, of all so far.
    elements: u32,
}

impl Modules {
    /// None if nothing in it is to be another.
    fn divided(
        &mut self,
        component: &[u8],
        deepest: usize,
    ) -> Result<Option<Vec<u8>>, DivideError> {
        const MODULE: u8 = 1;
        const COMPONENT: u8 = 4;
        let deepest = deepest.checked_sub(1).ok_or(DivideError::Deep)?;
        let mut inner = Vec::new();
        for section in whole_sections(component)? {
            let divided = match section.id {
                MODULE => {
                    let guarded = self.guarded.remove(&self.next).unwrap_or_default();
                    self.next += 1;
                    let module = Module::read(section.content)?;
                    self.elements = self.elements.saturating_add(module.passive_elements);
                    if self.elements > MOST_ELEMENTS {
                        return Err(DivideError::ManyElements);
                    }
                    module.divided(&guarded)?
                }
                COMPONENT => self.divided(section.content, deepest)?,
                _ => None,
            };
            inner.push((section, divided));
        }
        if inner.iter().all(|(_, divided)| divided.is_none()) {
            return Ok(None);
        }
        let mut all = component[..HEADER].to_vec();
        for (section, divided) in inner {
            match divided {
                Some(content) => put_section(section.id, &content, &mut all),
                None => all.extend(section.whole),
            }
        }
        Ok(Some(all))
    }
}

/// What of a core module has to be known before its code is read.
pub(super) struct Module<'m> {
    header: &'m [u8],
    sections: Vec<RawSection<'m>>,
    types: u32,
    /// Imported ones too.
    functions: u32,
    pub(super) imported: u32,
    /// Lengths of the data segments.
    pub(super) data: Vec<usize>,
    start: Option<u32>,
    passive_elements: u32,
}

/// Sections of a core module.
const CUSTOM: u8 = 0;
const TYPES: u8 = 1;
const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;
const START: u8 = 8;
const CODE: u8 = 10;
const DATA_COUNT: u8 = 12;

/// The order of sections.
const ORDER: [u8; 13] =
    [TYPES, IMPORTS, FUNCTIONS, 4, 5, 13, 6, EXPORTS, START, ELEMENTS, DATA_COUNT, CODE, DATA];

/// The type of a start function as the type section has it.
const START_TYPE: [u8; 3] = [0x60, 0, 0];

impl<'m> Module<'m> {
    fn read(module: &'m [u8]) -> Result<Module<'m>, DivideError> {
        let sections = whole_sections(module)?;
        let (mut types, mut functions, mut data, mut start) = (0, 0, Vec::new(), None);
        let (mut imported, mut elements) = (0, 0);
        for section in &sections {
            let reader = BinaryReader::new(section.content, 0);
            match section.id {
                TYPES => {
                    for group in TypeSectionReader::new(reader)? {
                        types = sum(types, group?.types().len())?;
                    }
                }
                IMPORTS => {
                    for import in ImportSectionReader::new(reader)?.into_imports() {
                        let is = matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                        functions = sum(functions, usize::from(is))?;
                    }
                    imported = functions;
                }
                FUNCTIONS => {
                    let count = FunctionSectionReader::new(reader)?.count();
                    functions = sum(functions, count as usize)?;
                }
                START => start = Some(count(section.content)?.0),
                ELEMENTS => elements = passive_elements(section.content)?,
                DATA => {
                    for segment in DataSectionReader::new(reader)? {
                        data.push(segment?.data.len());
                    }
                }
                _ => {}
            }
        }
        let (header, passive_elements) = (&module[..HEADER], elements);
        Ok(Module { header, sections, types, functions, imported, data, start, passive_elements })
    }

    /// None if it stays as it is: nothing is long, it calls nothing outside of it, and no export is `guarded`.
    fn divided(&self, guarded: &BTreeSet<String>) -> Result<Option<Vec<u8>>, DivideError> {
        let mut added = Added { first: self.functions, long: BTreeMap::new() };
        let mut sections: BTreeMap<u8, Cow<'_, [u8]>> = BTreeMap::new();
        for section in self.sections.iter().filter(|it| it.id != CUSTOM) {
            let content = match section.id {
                CODE => self.code(section.content, &mut added)?,
                _ => section.content.into(),
            };
            sections.insert(section.id, content);
        }
        // Long instructions come first, then guards, then the start.
        let mut functions = vec![bytes(&self.types); added.long.len()];
        let mut code: Vec<_> = added.in_order().map(|long| bytes(&long.in_parts())).collect();
        let first = sum(self.functions, functions.len())?;
        let mut guards = 0;
        if let Some(exports) = sections.get_mut(&EXPORTS).filter(|_| !guarded.is_empty()) {
            let (content, reallocs) = handed::with_guards(exports, guarded, first)?;
            *exports = content.into();
            guards = sum(0, reallocs.len())?;
            functions.resize(functions.len() + reallocs.len(), bytes(&sum(self.types, 1)?));
            code.extend(reallocs.iter().map(|it| bytes(&handed::guard(*it))));
        }
        if let Some(segments) = Segments::long(&self.sections)? {
            sections.insert(START, bytes(&sum(first, guards as usize)?).into());
            functions.push(bytes(&sum(self.types, 2)?));
            code.push(bytes(&segments.function(self.start)));
            sections.insert(DATA_COUNT, bytes(&self.data.len()).into());
            if let Some(content) = sections.get_mut(&DATA) {
                *content = segments.passive(content).into();
            }
        }
        let edited = sections.get(&CODE).is_some_and(|content| matches!(content, Cow::Owned(_)));
        if code.is_empty() && !edited {
            return Ok(None);
        }
        let types = vec![TYPE.to_vec(), handed::TYPE.to_vec(), START_TYPE.to_vec()];
        for (id, items) in [(TYPES, types), (FUNCTIONS, functions), (CODE, code)] {
            let section = sections.entry(id).or_insert(Cow::Borrowed(&[0]));
            *section = longer(section, items)?.into();
        }
        let mut module = self.whole(sections);
        if guards > 0 {
            handed::names(first, guards).append_to(&mut module);
        }
        Ok(Some(module))
    }

    /// The module with these sections, and what is between them.
    fn whole(&self, mut contents: BTreeMap<u8, Cow<'_, [u8]>>) -> Vec<u8> {
        let mut module = self.header.to_vec();
        let mut put_up_to = |place: usize, module: &mut Vec<u8>| {
            for id in &ORDER[..place] {
                if let Some(content) = contents.remove(id) {
                    put_section(*id, &content, module);
                }
            }
        };
        for section in &self.sections {
            match ORDER.iter().position(|id| *id == section.id) {
                Some(place) => put_up_to(place + 1, &mut module),
                None => module.extend(section.whole),
            }
        }
        put_up_to(ORDER.len(), &mut module);
        module
    }
}

/// The sections of a module or component, all of it.
fn whole_sections(bytes: &[u8]) -> Result<Vec<RawSection<'_>>, DivideError> {
    let sections: Vec<_> = sections(bytes).collect();
    let whole: usize = sections.iter().map(|it| it.whole.len()).sum();
    if HEADER + whole == bytes.len() { Ok(sections) } else { Err(DivideError::CutOff) }
}

/// The content of a section with more items behind the ones that it has.
fn longer(content: &[u8], more: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<u8>, DivideError> {
    let (items, start) = count(content)?;
    let more: Vec<_> = more.into_iter().collect();
    let mut longer = Vec::with_capacity(content.len() + 1024);
    padded(sum(items, more.len())? as usize, start, &mut longer);
    longer.extend(&content[start..]);
    more.iter().for_each(|item| longer.extend(item));
    Ok(longer)
}

/// How many items a section has, and where they begin.
pub(super) fn count(content: &[u8]) -> Result<(u32, usize), DivideError> {
    let mut reader = BinaryReader::new(content, 0);
    Ok((reader.read_var_u32()?, reader.current_position()))
}

/// A LEB128 number of so many bytes, or more if it needs them.
pub(super) fn padded(number: usize, size: usize, to: &mut Vec<u8>) {
    let start = to.len();
    number.encode(to);
    while to.len() - start < size.min(5) {
        if let Some(last) = to.last_mut() {
            *last |= 0x80;
        }
        to.push(0);
    }
}

fn put_section(id: u8, content: &[u8], to: &mut Vec<u8>) {
    to.push(id);
    content.encode(to);
}

fn bytes(it: &impl wasm_encoder::Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    it.encode(&mut bytes);
    bytes
}

pub(super) fn sum(a: u32, b: usize) -> Result<u32, DivideError> {
    u32::try_from(b).ok().and_then(|b| a.checked_add(b)).ok_or(DivideError::ManyFunctions)
}

/// A module with some exports guarded, and what is long divided.
#[cfg(test)]
pub(super) fn with(module: &[u8], guarded: &BTreeSet<String>) -> Vec<u8> {
    let divided = Module::read(module).unwrap().divided(guarded).unwrap();
    divided.expect("nothing was divided")
}

#[cfg(test)]
#[path = "stopping_tests.rs"]
mod stopping;
#[cfg(test)]
#[path = "divide_tests.rs"]
mod tests;
