//! How much of a function's code runs straight on since the epoch was last looked at.
//!
//! wasmtime looks at it where a function begins and where a loop goes round. Between these, a function goes on for as long
//! as its code is; and what it does once a call has returned comes together with what its callers do once it has
//! returned, as deep as the stack is. Here the most that any path may have done is counted, instruction by instruction.
//!
//! Knows the instructions of one function in their order, valid or not, and nothing of what their operands are.

use wasmparser::Operator;

/// Where the code is, and which labels it may jump to from there.
pub(super) struct Straight {
    most: Most,
    /// The function itself is the first.
    blocks: Vec<Block>,
    /// None where nothing gets to.
    here: Option<Done>,
}

/// What was done on the way to a place, at the most, in steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    /// Since the epoch was looked at, or a call returned.
    unseen: u32,
    /// Since a call returned, if it was not looked at after.
    returned: Option<u32>,
}

struct Block {
    kind: Kind,
    /// What may have been done at its end, by what jumps there.
    end: Option<Done>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    /// What jumps to it is looked at.
    Loop,
    /// What is done before is done at its end, too, unless there is an `else`.
    If(Option<Done>),
}

/// What nearly all instructions take, in steps: a nanosecond.
const STEP: u32 = 1;

/// What a division or a square root takes: 4 to 10 ns. Of those on vectors some do, and all are counted so.
const SLOW: u32 = 8;

/// What the first write to a page of memory, or of a table, takes: 0.3 us, and 3 to 6 on some virtual machines.
const TOUCH: u32 = 64;

/// What a growth of memory takes: 10 us.
const GROWTH: u32 = 4 * TOUCH;

/// What all elements of a table take: 0.15 ms, and 8 ms to copy references that are made only then.
const ELEMENTS: u32 = 500 * TOUCH;

/// How many steps may come together.
#[derive(Clone, Copy)]
pub(super) struct Most {
    /// Without a look.
    unseen: u32,
    /// Of these, what a function leaves to its caller: a table copied, and then a deep recursion that returns.
    left: u32,
    /// Between the return of a call and the end of a function, without a look: so often as the stack is deep.
    returned: u32,
}

impl Most {
    /// 0.15 to 3 ms if each writes to a new page, of a tick of 5 ms; and what restores the caller's stack, but no write to memory, in each
    /// of tens of thousands of functions.
    pub(super) const OURS: Most = Most { unseen: 500 * TOUCH, left: 300 * TOUCH, returned: 16 };
}

impl Straight {
    /// At the beginning of a function.
    pub(super) fn new(most: Most) -> Straight {
        let function = Block { kind: Kind::Block, end: None };
        Straight { most, blocks: vec![function], here: Some(Done::default()) }
    }

    /// Goes on by an instruction; over so many `bytes` at the most, if it is one over any number of them. Whether the
    /// epoch is to be looked at before it.
    pub(super) fn goes_on(&mut self, operator: &Operator, bytes: u32) -> bool {
        let steps = steps(operator, bytes);
        let leaves = self.leaves(operator);
        let Some(here) = &mut self.here else {
            self.flows(operator);
            return false;
        };
        let look = here.unseen.saturating_add(steps) > self.most.unseen
            || leaves && here.unseen > self.most.left
            || leaves && here.returned.is_some_and(|it| it > self.most.returned);
        if look {
            *here = Done::default();
        }
        here.unseen = here.unseen.saturating_add(steps);
        here.returned = here.returned.map(|it| it.saturating_add(steps));
        self.flows(operator);
        look
    }

    /// The epoch is looked at here anyway.
    pub(super) fn looked(&mut self) {
        self.here = self.here.map(|_| Done::default());
    }

    fn leaves(&self, operator: &Operator) -> bool {
        let outermost = self.blocks.len().saturating_sub(1);
        let is = |depth: u32| depth as usize >= outermost;
        match operator {
            Operator::Return => true,
            Operator::End => outermost == 0,
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                is(*relative_depth)
            }
            Operator::BrTable { targets } => {
                is(targets.default()) || targets.targets().flatten().any(is)
            }
            _ => false,
        }
    }

    /// Where an instruction leads.
    fn flows(&mut self, operator: &Operator) {
        match operator {
            Operator::Block { .. } => self.enter(Kind::Block),
            Operator::If { .. } => self.enter(Kind::If(self.here)),
            Operator::Loop { .. } => {
                self.looked();
                self.enter(Kind::Loop);
            }
            Operator::Else => {
                let here = self.here.take();
                if let Some(block) = self.blocks.last_mut() {
                    block.end = either(block.end, here);
                    if let Kind::If(before) = block.kind {
                        self.here = before;
                        block.kind = Kind::Block;
                    }
                }
            }
            Operator::End => {
                if let Some(block) = self.blocks.pop() {
                    self.here = either(self.here, block.end);
                    if let Kind::If(before) = block.kind {
                        self.here = either(self.here, before);
                    }
                }
            }
            Operator::Br { relative_depth } => {
                self.jumps(*relative_depth);
                self.here = None;
            }
            Operator::BrIf { relative_depth } => self.jumps(*relative_depth),
            Operator::BrTable { targets } => {
                self.jumps(targets.default());
                targets.targets().flatten().for_each(|it| self.jumps(it));
                self.here = None;
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                self.here = self.here.map(|_| Done { unseen: 0, returned: Some(0) });
            }
            Operator::Return
            | Operator::Unreachable
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. } => self.here = None,
            _ => {}
        }
    }

    fn enter(&mut self, kind: Kind) {
        self.blocks.push(Block { kind, end: None });
    }

    fn jumps(&mut self, depth: u32) {
        let last = self.blocks.len().checked_sub(1);
        let block = last.and_then(|last| last.checked_sub(depth as usize));
        if let Some(block) = block.and_then(|it| self.blocks.get_mut(it))
            && block.kind != Kind::Loop
        {
            block.end = either(block.end, self.here);
        }
    }
}

/// The most of two ways to one place.
fn either(one: Option<Done>, other: Option<Done>) -> Option<Done> {
    let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
    Some(Done { unseen: a.unseen.max(b.unseen), returned: a.returned.max(b.returned) })
}

fn steps(operator: &Operator, bytes: u32) -> u32 {
    const PAGE: u32 = 4096;
    match operator {
        Operator::MemoryGrow { .. } => GROWTH,
        Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. } => {
            // The first page and the last may be of few bytes each. What is read was mostly written before.
            TOUCH * (bytes / PAGE + 2)
        }
        Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. }
        | Operator::TableGrow { .. } => ELEMENTS,
        Operator::TableGet { .. }
        | Operator::TableSet { .. }
        | Operator::RefFunc { .. }
        | Operator::ElemDrop { .. } => TOUCH,
        Operator::I32DivS
        | Operator::I32DivU
        | Operator::I32RemS
        | Operator::I32RemU
        | Operator::I64DivS
        | Operator::I64DivU
        | Operator::I64RemS
        | Operator::I64RemU
        | Operator::F32Div
        | Operator::F64Div
        | Operator::F32Sqrt
        | Operator::F64Sqrt => SLOW,
        _ => by_kind(operator),
    }
}

macro_rules! by_kind {
    ($(@$proposal:ident $name:ident $({ $($field:ident: $type:ty),* })? => $visit:ident $_arity:tt)*) => {
        /// What reads or writes at an address in a memory, what is on vectors, and all others.
        fn by_kind(operator: &Operator) -> u32 {
            match operator {
                $(Operator::$name { .. } => kind!($proposal $($($field)*)?),)*
                _ => TOUCH,
            }
        }
    };
}

macro_rules! kind {
    ($proposal:ident memarg $($other:ident)*) => {
        TOUCH
    };
    (simd $($other:ident)*) => {
        SLOW
    };
    (relaxed_simd $($other:ident)*) => {
        SLOW
    };
    ($proposal:ident $($other:ident)*) => {
        STEP
    };
}

wasmparser::for_each_operator!(by_kind);

#[cfg(test)]
#[path = "straight_tests.rs"]
mod tests;
