//! Long active data segments of a core module, put where they go by a function at its start, in parts.
//!
//! wasmtime looks at the epoch before each segment that it puts into place when it instantiates a module, but not in the
//! midst of one. What it maps instead, because it knows the place beforehand, costs nothing, and stays as it is. Of what it
//! copies, the segments from the first long one on become passive; a start function puts them into place in
//! parts, then drops them, as the instantiation would have. Elements stay: a table has few (`sandbox/engine.rs`).
//!
//! Passive segments of elements are few: wasmtime makes 16 bytes of each of them for each instance, in one go, which count as
//! nobody's memory.

use std::ops::Range;

use wasm_encoder::{Function, ValType};
use wasmparser::{
    BinaryReader, BinaryReaderError, ConstExpr, Data, DataKind, DataSectionReader, ElementItems,
    ElementKind, ElementSectionReader, ImportSectionReader, MemorySectionReader, Operator, TypeRef,
};

use super::binary::RawSection;
use super::parts::MOST;

/// Passive elements that the modules of a component may have: 0.6 ms and 160 KB for an instance of each.
pub(super) const MOST_ELEMENTS: u32 = 10_000;

/// wasmtime makes an image of a memory that is shorter, however little of it there is.
const IMAGE: u64 = 16 << 20;

const IMPORTS: u8 = 2;
const MEMORIES: u8 = 5;
pub(super) const ELEMENTS: u8 = 9;
pub(super) const DATA: u8 = 11;

/// Segments that are to be put into place by a function: from a long one on, all that are active.
pub(super) struct Segments<'m>(Vec<Active<'m>>);

/// An active segment.
struct Active<'m> {
    segment: u32,
    memory: u32,
    offset: ConstExpr<'m>,
    length: u32,
    /// In its section.
    range: Range<usize>,
}

/// A memory that a module has: none for an imported one, or its first size, in bytes.
type First = Option<u64>;

impl<'m> Segments<'m> {
    /// None if there are no long ones.
    pub(super) fn long(
        sections: &[RawSection<'m>],
    ) -> Result<Option<Segments<'m>>, BinaryReaderError> {
        let (mut memories, mut active) = (Vec::<First>::new(), Vec::new());
        for section in sections {
            let reader = BinaryReader::new(section.content, 0);
            match section.id {
                IMPORTS => {
                    for import in ImportSectionReader::new(reader)?.into_imports() {
                        if let TypeRef::Memory(_) = import?.ty {
                            memories.push(None);
                        }
                    }
                }
                MEMORIES => {
                    for memory in MemorySectionReader::new(reader)? {
                        let memory = memory?;
                        let page = memory.page_size_log2.unwrap_or(16);
                        memories.push(memory.initial.checked_shl(page));
                    }
                }
                DATA => active = copied(reader, &memories)?,
                _ => {}
            }
        }
        let first = active.iter().position(|it| it.length > MOST);
        Ok(first.map(|first| Segments(active.split_off(first))))
    }

    /// The content of the section of data, with these passive, and so without a place.
    pub(super) fn passive(&self, content: &[u8]) -> Vec<u8> {
        const PASSIVE: u8 = 1;
        let mut passive = Vec::with_capacity(content.len());
        let mut done = 0;
        for it in &self.0 {
            passive.extend(&content[done..it.range.start]);
            passive.push(PASSIVE);
            done = it.offset.get_binary_reader().range().end;
        }
        passive.extend(&content[done..]);
        passive
    }

    /// The function that puts them into place, in the order in which an instantiation does, and goes on with what was the
    /// start.
    pub(super) fn function(&self, start: Option<u32>) -> Function {
        const PLACE: u32 = 0;
        let mut function = Function::new([(1, ValType::I32)]);
        for it in &self.0 {
            // All that may stand in a constant expression is an instruction.
            function.raw(operators(&it.offset).iter().copied());
            function.instructions().local_set(PLACE);
            let mut done = 0;
            loop {
                let part = MOST.min(it.length - done);
                let mut code = function.instructions();
                code.local_get(PLACE).i32_const(done.cast_signed()).i32_add();
                code.i32_const(done.cast_signed()).i32_const(part.cast_signed());
                code.memory_init(it.memory, it.segment);
                done += part;
                if done == it.length {
                    break;
                }
            }
            function.instructions().data_drop(it.segment);
        }
        if let Some(start) = start {
            function.instructions().call(start);
        }
        function.instructions().end();
        function
    }
}

/// Active segments, if wasmtime cannot make an image of the memories, which it maps.
fn copied<'m>(
    reader: BinaryReader<'m>,
    memories: &[First],
) -> Result<Vec<Active<'m>>, BinaryReaderError> {
    /// What is in a memory: how much, and from where to where.
    #[derive(Clone)]
    struct Filled {
        bytes: u64,
        from: u64,
        to: u64,
    }
    let mut filled = vec![Filled { bytes: 0, from: u64::MAX, to: 0 }; memories.len()];
    let (mut active, mut known) = (Vec::new(), true);
    for (segment, data) in (0..).zip(DataSectionReader::new(reader)?) {
        let Data { kind, data, range } = data?;
        let DataKind::Active { memory_index: memory, offset_expr: offset } = kind else { continue };
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        match fits(memories.get(memory as usize), &offset, length) {
            Some(start) if length > 0 => {
                let it = &mut filled[memory as usize];
                it.bytes += u64::from(length);
                it.from = it.from.min(start);
                it.to = it.to.max(start + u64::from(length));
            }
            Some(_) => {}
            None => known = false,
        }
        active.push(Active { segment, memory, offset, length, range });
    }
    let dense = |it: &Filled| {
        let size = it.to.saturating_sub(it.from);
        size < it.bytes * 2 || size < IMAGE
    };
    if known && filled.iter().all(dense) {
        active.clear();
    }
    Ok(active)
}

/// Where a segment goes, if that is known and in what the module has from the first.
fn fits(there: Option<&First>, offset: &ConstExpr<'_>, length: u32) -> Option<u64> {
    let first = (*there?)?;
    let mut operators = offset.get_operators_reader();
    let Ok(Operator::I32Const { value }) = operators.read() else { return None };
    let Ok(Operator::End) = operators.read() else { return None };
    let start = u64::from(value.cast_unsigned());
    (start + u64::from(length) <= first).then_some(start)
}

/// The instructions of a constant expression, without its end.
fn operators<'m>(expression: &ConstExpr<'m>) -> &'m [u8] {
    let mut reader = expression.get_binary_reader();
    let bytes = reader.read_bytes(reader.bytes_remaining()).unwrap_or_default();
    bytes.strip_suffix(&[0x0b]).unwrap_or(bytes)
}

/// How many elements are in passive segments.
pub(super) fn passive_elements(elements: &[u8]) -> Result<u32, BinaryReaderError> {
    let mut all = 0_u32;
    for element in ElementSectionReader::new(BinaryReader::new(elements, 0))? {
        let element = element?;
        if let ElementKind::Passive = element.kind {
            all = all.saturating_add(match element.items {
                ElementItems::Functions(items) => items.count(),
                ElementItems::Expressions(_, items) => items.count(),
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
