//! The code of a module with its long instructions divided, and looks at the epoch where wasmtime has too few.
//!
//! Knows functions one by one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::{BinaryReader, CodeSectionReader, Operator, OperatorsReader};

use super::divide::{DivideError, Module, count, padded, sum};
use super::parts::{Long, MOST};
use super::straight::{Most, Straight};

impl Module<'_> {
    /// The content of a code section with calls in it, of functions that are to be `added`.
    pub(super) fn code<'c>(
        &self,
        old: &'c [u8],
        added: &mut Added,
    ) -> Result<Cow<'c, [u8]>, DivideError> {
        let bodies = CodeSectionReader::new(BinaryReader::new(old, 0))?;
        let mut new = Vec::new();
        // Of `old`, up to where it is in `new`.
        let mut copied = 0;
        let mut end_of_last = count(old)?.1;
        for body in bodies {
            let body = body?;
            let Range { start, end } = body.range();
            let mut divided = Vec::new();
            let mut done = start;
            for (place, edit) in self.edits(body.get_operators_reader()?)? {
                divided.extend(&old[done..place.start]);
                match edit {
                    Edit::Divide(long) => call(added.function(long)?, place.len(), &mut divided),
                    Edit::Look => {
                        divided.extend(LOOK);
                        divided.extend(&old[place.clone()]);
                    }
                }
                done = place.end;
            }
            if done > start {
                divided.extend(&old[done..end]);
                // The size of a body is before it.
                new.extend(&old[copied..end_of_last]);
                padded(divided.len(), start - end_of_last, &mut new);
                new.extend(divided);
                copied = end;
            }
            end_of_last = end;
        }
        if copied == 0 {
            return Ok(old.into());
        }
        new.extend(&old[copied..]);
        Ok(new.into())
    }

    /// What is to be done about instructions of a function, and where they are.
    fn edits(&self, mut code: OperatorsReader) -> Result<Vec<(Range<usize>, Edit)>, DivideError> {
        let mut edits = Vec::new();
        let mut constant = None;
        let mut straight = Straight::new(Most::OURS);
        while !code.eof() {
            let start = code.original_position();
            let operator = code.read()?;
            let long = match operator {
                Operator::MemoryFill { mem } => Some(Long::Fill { memory: mem }),
                Operator::MemoryCopy { dst_mem, src_mem } => {
                    Some(Long::Copy { to: dst_mem, from: src_mem })
                }
                // Of a shorter one, no more than all can be copied.
                Operator::MemoryInit { data_index, mem }
                    if self.data.get(data_index as usize).is_none_or(|it| *it > MOST as usize) =>
                {
                    Some(Long::Init { memory: mem, data: data_index })
                }
                _ => None,
            };
            let place = start..code.original_position();
            // A length that is known to be short, by the instruction right before, which nothing can jump behind:
            // such copies are compiled to a few instructions.
            if let Some(long) = long.filter(|_| constant.is_none_or(|length| length > MOST)) {
                // The function that it becomes begins with a look.
                straight.looked();
                straight.goes_on(&operator, MOST);
                edits.push((place, Edit::Divide(long)));
            } else if self.may_be_the_host(&operator) {
                straight.looked();
                straight.goes_on(&operator, 0);
                edits.push((place, Edit::Look));
            } else if straight.goes_on(&operator, constant.unwrap_or(MOST)) {
                edits.push((place, Edit::Look));
            }
            constant = match operator {
                Operator::I32Const { value } => Some(value.cast_unsigned()),
                _ => None,
            };
        }
        Ok(edits)
    }

    /// Whether an instruction calls what is no function of the module's own. One in a table may be anybody's.
    fn may_be_the_host(&self, operator: &Operator) -> bool {
        match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                *function_index < self.imported
            }
            Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => true,
            _ => false,
        }
    }
}

/// What is done about an instruction.
enum Edit {
    /// It becomes a call of what does it in parts.
    Divide(Long),
    /// The epoch is looked at before.
    Look,
}

/// A loop of nothing: at its head, wasmtime looks at the epoch.
const LOOK: [u8; 3] = [0x03, 0x40, 0x0b];

/// Functions that a module gets, behind its own.
pub(super) struct Added {
    pub(super) first: u32,
    /// Which of them does an instruction.
    pub(super) long: BTreeMap<Long, u32>,
}

impl Added {
    fn function(&mut self, long: Long) -> Result<u32, DivideError> {
        let next = sum(self.first, self.long.len())?;
        Ok(*self.long.entry(long).or_insert(next))
    }

    pub(super) fn in_order(&self) -> impl Iterator<Item = Long> {
        let mut all: Vec<_> = self.long.iter().map(|(long, function)| (*function, *long)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, long)| long)
    }
}

/// A call in the place of an instruction of `size` bytes: as long, if it can be.
fn call(function: u32, size: usize, to: &mut Vec<u8>) {
    to.push(0x10);
    padded(function as usize, size - 1, to);
}
