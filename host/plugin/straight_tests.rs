//! Whatever way code takes, no more steps come together than may.

use proptest::collection::vec;
use proptest::prelude::*;
use wasm_encoder::{BlockType, Function, Instruction, MemArg};
use wasmparser::{BinaryReader, FunctionBody};

use super::*;

/// Few, so that short code has more.
const FEW: Most = Most { unseen: 6 * TOUCH, left: 3 * TOUCH, returned: 16 };

const ADDRESS: MemArg = MemArg { offset: 0, align: 0, memory_index: 0 };

/// Code that need not be valid, but for its blocks.
fn code() -> impl Strategy<Value = Vec<Instruction<'static>>> {
    let plain = prop_oneof![
        3 => Just(Instruction::Nop),
        3 => Just(Instruction::I32Load(ADDRESS)),
        1 => Just(Instruction::MemoryGrow(0)),
        2 => Just(Instruction::Call(0)),
        1 => Just(Instruction::CallIndirect { type_index: 0, table_index: 0 }),
        1 => Just(Instruction::ReturnCall(0)),
        1 => Just(Instruction::Return),
        1 => Just(Instruction::Unreachable),
        2 => (0..4_u32).prop_map(Instruction::Br),
        4 => (0..4_u32).prop_map(Instruction::BrIf),
        2 => (vec(0..4_u32, 0..3), 0..4_u32)
            .prop_map(|(targets, default)| Instruction::BrTable(targets.into(), default)),
    ];
    // How often, since what is rare in one kind of code is frequent in another.
    let run = (plain, 1..40_usize).prop_map(|(it, times)| match it {
        Instruction::Nop | Instruction::BrIf(_) => vec![it; times],
        it => vec![it],
    });
    let some = vec(run, 0..12).prop_map(|it| it.concat());
    some.prop_recursive(5, 200, 8, |inner| {
        let block = (0..4_u8, vec(inner.clone(), 0..4), inner).prop_map(|(kind, then, other)| {
            let open = match kind {
                0 => Instruction::Block(BlockType::Empty),
                1 => Instruction::Loop(BlockType::Empty),
                _ => Instruction::If(BlockType::Empty),
            };
            let mut all = vec![open];
            all.extend(then.concat());
            if kind == 3 {
                all.push(Instruction::Else);
                all.extend(other);
            }
            all.push(Instruction::End);
            all
        });
        vec(block, 1..4).prop_map(|it| it.concat())
    })
}

/// The instructions as they are read, and before which of them is a look.
fn looks(code: &[Instruction<'static>], most: Most, see: impl FnOnce(&[(Operator, bool)])) {
    let mut function = Function::new([]);
    for instruction in code {
        function.instruction(instruction);
    }
    function.instruction(&Instruction::End);
    let body = function.into_raw_body();
    let body = FunctionBody::new(BinaryReader::new(&body, 0));
    let mut straight = Straight::new(most);
    let operators = body.get_operators_reader().unwrap().into_iter();
    let all: Vec<_> = operators
        .map(|it| {
            let it = it.unwrap();
            let look = straight.goes_on(&it, 0);
            (it, look)
        })
        .collect();
    see(&all);
}

/// Takes one way through code, as `choices` say, and counts.
fn walk(code: &[(Operator, bool)], most: Most, choices: &mut impl Iterator<Item = u32>) {
    // Where the open blocks begin.
    let (mut open, mut at) = (Vec::new(), 0);
    let (mut unseen, mut returned) = (0, None);
    while let Some((operator, look)) = code.get(at) {
        if *look {
            (unseen, returned) = (0, None);
        }
        unseen += steps(operator, 0);
        assert!(unseen <= most.unseen, "{unseen} steps at {at} of {code:?}");
        let mut to = None;
        match operator {
            Operator::Block { .. } => open.push(at),
            Operator::Loop { .. } => {
                open.push(at);
                (unseen, returned) = (0, None);
            }
            Operator::If { .. } => {
                let Some(choice) = choices.next() else { return };
                if choice % 2 == 0 {
                    at = otherwise(code, at);
                    if matches!(code[at].0, Operator::End) {
                        at += 1;
                        continue;
                    }
                }
                open.push(at);
            }
            Operator::Else => to = Some(0),
            Operator::End => drop(open.pop()),
            Operator::Br { relative_depth } => to = Some(*relative_depth),
            Operator::BrIf { relative_depth } => {
                let Some(choice) = choices.next() else { return };
                to = (choice % 2 == 0).then_some(*relative_depth);
            }
            Operator::BrTable { targets } => {
                let Some(choice) = choices.next() else { return };
                let chosen = targets.targets().nth(choice as usize % (targets.len() as usize + 1));
                to = Some(chosen.map_or(targets.default(), Result::unwrap));
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                (unseen, returned) = (0, Some(0));
                at += 1;
                continue;
            }
            Operator::Return => to = Some(u32::MAX),
            Operator::ReturnCall { .. } | Operator::Unreachable => return,
            _ => {}
        }
        let leaves = to.is_some_and(|depth| depth as usize >= open.len()) || at + 1 == code.len();
        if leaves {
            let since = returned.unwrap_or(0);
            assert!(since <= most.returned, "{since} steps before {at} leaves {code:?}");
            let left = unseen - steps(operator, 0);
            assert!(left <= most.left, "{left} steps before {at} leaves {code:?}");
            return;
        }
        returned = returned.map(|it| it + steps(operator, 0));
        at = match to {
            None => at + 1,
            Some(depth) => {
                open.truncate(open.len() - depth as usize);
                let begin = open[open.len() - 1];
                if matches!(code[begin].0, Operator::Loop { .. }) {
                    // It is looked at where a loop begins again, and `loop` itself is nothing to be done.
                    (unseen, returned) = (0, None);
                    begin + 1
                } else {
                    open.pop();
                    end(code, begin) + 1
                }
            }
        };
        if choices.next().is_none() {
            return;
        }
    }
}

/// The end of the block that begins there.
fn end(code: &[(Operator, bool)], begin: usize) -> usize {
    after(code, begin, |it| matches!(it, Operator::End))
}

/// The `else` of the `if` there, or its end.
fn otherwise(code: &[(Operator, bool)], begin: usize) -> usize {
    after(code, begin, |it| matches!(it, Operator::Else | Operator::End))
}

fn after(code: &[(Operator, bool)], begin: usize, is: fn(&Operator) -> bool) -> usize {
    let mut inner = 0;
    for (at, (operator, _)) in code.iter().enumerate().skip(begin + 1) {
        match operator {
            it if inner == 0 && is(it) => return at,
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => inner += 1,
            Operator::End => inner -= 1,
            _ => {}
        }
    }
    panic!("a block without an end");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn no_way_through_code_is_longer_than_it_may_be(
        code in code(),
        ways in vec(vec(any::<u32>(), 400), 16),
    ) {
        looks(&code, FEW, |code| {
            for way in &ways {
                walk(code, FEW, &mut way.iter().copied());
            }
        });
    }
}

fn count(code: &[Instruction<'static>]) -> usize {
    let mut count = 0;
    looks(code, Most::OURS, |code| count = code.iter().filter(|(_, look)| *look).count());
    count
}

#[test]
fn code_is_looked_at_only_as_often_as_it_has_to_be() {
    let load = Instruction::I32Load(ADDRESS);
    let (call, branch) = (Instruction::Call(0), Instruction::BrIf(0));
    // A function that calls nothing, one that restores the stack after a call, one whose last is a call.
    assert_eq!(count(&[load.clone(), Instruction::Nop]), 0);
    assert_eq!(count(&[call.clone(), Instruction::Nop, Instruction::Nop]), 0);
    assert_eq!(count(&[load.clone(), call.clone(), load.clone(), call.clone()]), 0);
    // One that touches memory after a call: where it ends, not at each of its instructions.
    assert_eq!(count(&[call.clone(), load.clone(), load.clone()]), 1);
    assert_eq!(count(&[call.clone(), load.clone(), branch, load.clone()]), 1);
    assert_eq!(
        count(&[call, load.clone(), Instruction::Loop(BlockType::Empty), Instruction::End]),
        0
    );
    assert_eq!(count(&vec![load.clone(); 300]), 0);
    assert_eq!(count(&vec![load.clone(); 499]), 1);
    assert_eq!(count(&vec![load; 62_000]), 124);
    assert_eq!(count(&vec![Instruction::F64Sqrt; 8_000]), 2);
    assert_eq!(count(&vec![Instruction::I32x4Add; 8_000]), 2);
}

#[test]
fn code_that_is_not_valid_is_gone_through_to_its_end() {
    let code = [Instruction::BrIf(9), Instruction::Br(u32::MAX), Instruction::Nop];
    looks(&code, FEW, |code| assert_eq!(code.len(), 4));
}
