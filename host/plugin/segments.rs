//! Long active segments of a core module, put where they go by a function at its start, which can be stopped.
//!
//! wasmtime puts the data and elements of a module into place when it is instantiated, and looks at no epoch
//! meanwhile; one component may do so 64 times with all of its file. What it can map or look up instead, because it knows
//! the place beforehand, costs nothing, and stays as it is. All else that is long becomes passive, and a start function
//! puts it into place in parts, then drops it, as the instantiation would have.

use std::ops::Range;

use wasm_encoder::{BlockType, Function};
use wasmparser::{
    BinaryReader, BinaryReaderError, ConstExpr, Data, DataKind, DataSectionReader, Element,
    ElementItems, ElementKind, ElementSectionReader, ImportSectionReader, MemorySectionReader,
    Operator, RefType, TableSectionReader, TypeRef,
};

use super::binary::RawSection;
use super::parts::MOST;

/// What a module may put into place in one go, of each. 64 of them take a few milliseconds.
const LITTLE_DATA: u64 = 64 << 10;
const LITTLE_ELEMENTS: u64 = 1_000;

/// Elements of one part: 0.2 ms.
const MOST_ELEMENTS: u32 = 4_096;

/// wasmtime makes an image of a memory that is shorter, however little of it there is.
const IMAGE: u64 = 16 << 20;

const IMPORTS: u8 = 2;
const TABLES: u8 = 4;
const MEMORIES: u8 = 5;
pub(super) const ELEMENTS: u8 = 9;
pub(super) const DATA: u8 = 11;

/// Segments that are to be put into place by a function.
pub(super) struct Segments<'m> {
    elements: Vec<Active<'m>>,
    data: Vec<Active<'m>>,
}

/// An active segment.
struct Active<'m> {
    segment: u32,
    /// Of its table or memory.
    index: u32,
    offset: ConstExpr<'m>,
    length: u32,
    /// In its section.
    range: Range<usize>,
    /// What a passive one begins with, before what this one has behind its offset.
    passive: &'static [u8],
}

/// A table or memory that a module has: none for an imported one, or its first size, in elements or bytes.
type First = Option<u64>;

impl<'m> Segments<'m> {
    /// None if there are no long ones.
    pub(super) fn long(
        sections: &[RawSection<'m>],
    ) -> Result<Option<Segments<'m>>, BinaryReaderError> {
        let (mut tables, mut memories) = (Vec::new(), Vec::<First>::new());
        let (mut elements, mut data) = (Vec::new(), Vec::new());
        for section in sections {
            let reader = BinaryReader::new(section.content, 0);
            match section.id {
                IMPORTS => {
                    for import in ImportSectionReader::new(reader)?.into_imports() {
                        match import?.ty {
                            TypeRef::Table(_) => tables.push(None),
                            TypeRef::Memory(_) => memories.push(None),
                            _ => {}
                        }
                    }
                }
                TABLES => {
                    for table in TableSectionReader::new(reader)? {
                        let ty = table?.ty;
                        let functions = ty.element_type == RefType::FUNCREF;
                        tables.push(functions.then_some(ty.initial));
                    }
                }
                MEMORIES => {
                    for memory in MemorySectionReader::new(reader)? {
                        let memory = memory?;
                        let page = memory.page_size_log2.unwrap_or(16);
                        memories.push(memory.initial.checked_shl(page));
                    }
                }
                ELEMENTS => elements = active_elements(reader, &tables)?,
                DATA => data = active_data(reader, &memories)?,
                _ => {}
            }
        }
        let little = |active: &[Active<'_>], most| {
            active.iter().map(|it| u64::from(it.length)).sum::<u64>() <= most
        };
        if little(&elements, LITTLE_ELEMENTS) {
            elements.clear();
        }
        // What is put into memory comes after all elements, and traps after them.
        if elements.is_empty() && little(&data, LITTLE_DATA) {
            data.clear();
        }
        let some = !(elements.is_empty() && data.is_empty());
        Ok(some.then_some(Segments { elements, data }))
    }

    /// The content of the section of elements, with these passive.
    pub(super) fn passive_elements(&self, content: &[u8]) -> Vec<u8> {
        passive(content, &self.elements)
    }

    /// The content of the section of data, with these passive.
    pub(super) fn passive_data(&self, content: &[u8]) -> Vec<u8> {
        passive(content, &self.data)
    }

    /// The function that puts them into place, in the order in which an instantiation does, and goes on with what was the
    /// start.
    pub(super) fn function(&self, start: Option<u32>) -> Function {
        let mut function = Function::new([]);
        for it in &self.elements {
            it.put(MOST_ELEMENTS, &mut function, |function, length| {
                function.instructions().i32_const(length).table_init(it.index, it.segment);
            });
            function.instructions().elem_drop(it.segment);
        }
        for it in &self.data {
            it.put(MOST, &mut function, |function, length| {
                function.instructions().i32_const(length).memory_init(it.index, it.segment);
            });
            function.instructions().data_drop(it.segment);
        }
        if let Some(start) = start {
            function.instructions().call(start);
        }
        function.instructions().end();
        function
    }
}

impl Active<'_> {
    fn put(&self, most: u32, function: &mut Function, init: impl Fn(&mut Function, i32)) {
        let mut done = 0;
        loop {
            // At the head of a loop, wasmtime looks at the epoch.
            function.instructions().loop_(BlockType::Empty).end();
            let part = most.min(self.length - done);
            // All that may stand in a constant expression is an instruction.
            function.raw(operators(&self.offset).iter().copied());
            if done > 0 {
                function.instructions().i32_const(done.cast_signed()).i32_add();
            }
            function.instructions().i32_const(done.cast_signed());
            init(function, part.cast_signed());
            done += part;
            if done == self.length {
                return;
            }
        }
    }
}

/// Active segments of elements, but for the first ones of which wasmtime knows what they make of which table.
fn active_elements<'m>(
    reader: BinaryReader<'m>,
    tables: &[First],
) -> Result<Vec<Active<'m>>, BinaryReaderError> {
    let mut active = Vec::new();
    for (segment, element) in (0..).zip(ElementSectionReader::new(reader)?) {
        let Element { kind, items, range } = element?;
        let ElementKind::Active { table_index, offset_expr: offset } = kind else { continue };
        let index = table_index.unwrap_or(0);
        // Which kind of elements it has is not said where the table is not.
        let (length, passive): (_, &[u8]) = match (&items, table_index) {
            (ElementItems::Functions(items), None) => (items.count(), &[1, 0x00]),
            (ElementItems::Functions(items), Some(_)) => (items.count(), &[1]),
            (ElementItems::Expressions(_, items), None) => (items.count(), &[5, 0x70]),
            (ElementItems::Expressions(_, items), Some(_)) => (items.count(), &[5]),
        };
        let known = matches!(items, ElementItems::Functions(_))
            && active.is_empty()
            && fits(tables.get(index as usize), &offset, length).is_some();
        if !known {
            active.push(Active { segment, index, offset, length, range, passive });
        }
    }
    Ok(active)
}

/// Active segments of data, if wasmtime cannot make an image of the memories, which it maps.
fn active_data<'m>(
    reader: BinaryReader<'m>,
    memories: &[First],
) -> Result<Vec<Active<'m>>, BinaryReaderError> {
    /// What is in a memory: how much, and from where to where.
    #[derive(Clone)]
    struct Filled {
        bytes: u64,
        range: Range<u64>,
    }
    let mut filled = vec![Filled { bytes: 0, range: u64::MAX..0 }; memories.len()];
    let (mut active, mut known) = (Vec::new(), true);
    for (segment, data) in (0..).zip(DataSectionReader::new(reader)?) {
        let Data { kind, data, range } = data?;
        let DataKind::Active { memory_index: index, offset_expr: offset } = kind else { continue };
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        match fits(memories.get(index as usize), &offset, length) {
            Some(start) if length > 0 => {
                let it = &mut filled[index as usize];
                it.bytes += u64::from(length);
                let end = start + u64::from(length);
                it.range = it.range.start.min(start)..it.range.end.max(end);
            }
            Some(_) => {}
            None => known = false,
        }
        active.push(Active { segment, index, offset, length, range, passive: &[1] });
    }
    let dense = |it: &Filled| {
        let size = it.range.end.saturating_sub(it.range.start);
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

/// The content of a section with some of its segments passive, and so without a place.
fn passive(content: &[u8], active: &[Active<'_>]) -> Vec<u8> {
    let mut passive = Vec::with_capacity(content.len() + active.len());
    let mut done = 0;
    for it in active {
        passive.extend(&content[done..it.range.start]);
        passive.extend(it.passive);
        done = it.offset.get_binary_reader().range().end;
    }
    passive.extend(&content[done..]);
    passive
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
