//! Long memory instructions as functions that do them in parts: in a loop, where wasmtime looks at the epoch.
//!
//! What they do is what the instruction does, to the last byte and trap. Knows memories of 32-bit addresses and
//! pages of 64 KiB: the engine refuses all others.

use wasm_encoder::{BlockType, Function, InstructionSink};

/// Bytes of one part: 0.6 ms if no page of it was written to before, 0.05 ms if all were, of a tick of 5 ms.
pub(super) const MOST: u32 = 1 << 20;

/// The type of all these functions as the type section has it: where to, where from or which byte, how many.
pub(super) const TYPE: [u8; 6] = [0x60, 3, 0x7f, 0x7f, 0x7f, 0];

/// An instruction that may be long, with its immediates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Long {
    Fill { memory: u32 },
    Copy { to: u32, from: u32 },
    Init { memory: u32, data: u32 },
}

/// The parameters.
const TO: u32 = 0;
/// For `memory.fill`, the byte.
const FROM: u32 = 1;
const LENGTH: u32 = 2;

/// The label around all parts but the last.
const LAST: u32 = 0;

impl Long {
    /// The function.
    pub(super) fn in_parts(self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.block(BlockType::Empty);
        code.local_get(LENGTH).i32_const(MOST.cast_signed()).i32_le_u().br_if(LAST);
        self.outside(&mut code);
        if let Long::Copy { .. } = self {
            // What it moves towards higher addresses begins at the end, or a part would be overwritten before it is
            // copied. Two memories may be one, imported twice.
            code.local_get(TO).local_get(FROM).i32_gt_u().if_(BlockType::Empty);
            self.backwards(&mut code);
            code.else_();
            self.forwards(&mut code);
            code.end();
        } else {
            self.forwards(&mut code);
        }
        code.end();
        // The last part, or all if it is short, or is to trap before anything was written.
        code.local_get(TO).local_get(FROM).local_get(LENGTH);
        self.once(&mut code);
        code.end();
        function
    }

    /// Goes to the whole instruction if any of it is out of bounds.
    fn outside(self, code: &mut InstructionSink) {
        match self {
            Long::Fill { memory } => past_end(TO, memory, code),
            Long::Copy { to, from } => {
                past_end(TO, to, code);
                past_end(FROM, from, code);
            }
            Long::Init { memory, data } => {
                past_end(TO, memory, code);
                // A segment's length cannot be asked for, and is none once it was dropped. Copying nothing from its end
                // traps if the end is not in it. None is as long as addresses go.
                code.local_get(FROM).local_get(LENGTH).i32_add();
                code.local_get(FROM).i32_lt_u().br_if(LAST);
                code.i32_const(0).local_get(FROM).local_get(LENGTH).i32_add().i32_const(0);
                code.memory_init(memory, data);
            }
        }
    }

    fn forwards(self, code: &mut InstructionSink) {
        code.loop_(BlockType::Empty);
        code.local_get(TO).local_get(FROM).i32_const(MOST.cast_signed());
        self.once(code);
        further(TO, code);
        if !matches!(self, Long::Fill { .. }) {
            further(FROM, code);
        }
        less(code);
        go_on(code);
        code.end();
    }

    fn backwards(self, code: &mut InstructionSink) {
        code.loop_(BlockType::Empty);
        less(code);
        code.local_get(TO).local_get(LENGTH).i32_add();
        code.local_get(FROM).local_get(LENGTH).i32_add();
        code.i32_const(MOST.cast_signed());
        self.once(code);
        go_on(code);
        code.end();
    }

    /// The instruction itself.
    fn once(self, code: &mut InstructionSink) {
        match self {
            Long::Fill { memory } => code.memory_fill(memory),
            Long::Copy { to, from } => code.memory_copy(to, from),
            Long::Init { memory, data } => code.memory_init(memory, data),
        };
    }
}

/// Goes to the whole instruction if what begins at the address does not end in the memory.
fn past_end(address: u32, memory: u32, code: &mut InstructionSink) {
    const PAGE_BITS: i64 = 16;
    code.local_get(address).i64_extend_i32_u().local_get(LENGTH).i64_extend_i32_u().i64_add();
    code.memory_size(memory).i64_extend_i32_u().i64_const(PAGE_BITS).i64_shl();
    code.i64_gt_u().br_if(LAST);
}

fn further(address: u32, code: &mut InstructionSink) {
    code.local_get(address).i32_const(MOST.cast_signed()).i32_add().local_set(address);
}

fn less(code: &mut InstructionSink) {
    code.local_get(LENGTH).i32_const(MOST.cast_signed()).i32_sub().local_set(LENGTH);
}

/// Again, while a whole part is left.
fn go_on(code: &mut InstructionSink) {
    code.local_get(LENGTH).i32_const(MOST.cast_signed()).i32_ge_u().br_if(0);
}
