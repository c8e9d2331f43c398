//! For tests: programs over numbered cells, and an oracle that runs them one at a time.

use proptest::prelude::*;

use crate::schedule::{Needs, NotRun};

pub const CELLS: usize = 4;

/// What a call does depends on all it has read: which cells it goes on with, what it writes, whether it
/// fails.
#[derive(Clone, Debug)]
pub struct Program {
    pub steps: Vec<Step>,
    /// The cells it may read, and those it may write.
    pub reads: Vec<usize>,
    pub writes: Vec<usize>,
    pub may_fail: bool,
    /// Whether somebody is asked about what it writes, who refuses some of it.
    pub asks: bool,
    pub needs: Needs,
}

/// Numbers pick one of the cells that the program may use.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Read(u64),
    Write(u64),
    Effect,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Ok(u64),
    Failed(u64),
    NotRun(NotRun),
}

/// All that a batch leaves.
#[derive(Debug, PartialEq)]
pub struct End {
    pub cells: Vec<u64>,
    pub outcomes: Vec<Option<Outcome>>,
    /// By call; each is to happen once.
    pub effects: Vec<(usize, u64)>,
}

pub enum Op {
    Read(usize),
    Write(usize),
    Effect,
    Nothing,
}

/// A program in progress.
pub struct Machine<'a> {
    pub program: &'a Program,
    pub at: usize,
    /// A digest of all it has read.
    pub seen: u64,
    pub wrote: bool,
}

impl Machine<'_> {
    pub fn next(&mut self) -> Option<Op> {
        let step = *self.program.steps.get(self.at)?;
        self.at += 1;
        let cell = |of: &[usize], pick: u64| {
            let count = of.len() as u64;
            (count > 0).then(|| of[((self.seen ^ pick) % count) as usize])
        };
        Some(match step {
            Step::Read(pick) => cell(&self.program.reads, pick).map_or(Op::Nothing, Op::Read),
            Step::Write(pick) => cell(&self.program.writes, pick).map_or(Op::Nothing, Op::Write),
            Step::Effect => Op::Effect,
        })
    }

    pub fn read(&mut self, value: u64) {
        self.seen = (self.seen ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23) + 1;
    }

    /// What somebody says who is asked about what it does.
    pub fn is_refused(&self) -> bool {
        self.program.asks && self.seen.is_multiple_of(4)
    }

    pub fn outcome(&self) -> Outcome {
        let fails = self.program.may_fail && self.seen.is_multiple_of(3);
        if fails { Outcome::Failed(self.seen) } else { Outcome::Ok(self.seen) }
    }
}

/// What running the programs one at a time in this order leaves.
pub fn serially(programs: &[Program], order: impl Iterator<Item = usize>) -> End {
    let mut end =
        End { cells: vec![0; CELLS], outcomes: vec![None; programs.len()], effects: vec![] };
    for call in order {
        let mut machine =
            Machine { program: &programs[call], at: 0, seen: call as u64, wrote: false };
        let mut failed = vec![];
        for &input in &programs[call].needs.inputs {
            match &end.outcomes[input] {
                Some(Outcome::Ok(value)) => machine.read(*value),
                _ => failed.push(input),
            }
        }
        if let Some(&input) = failed.iter().min() {
            end.outcomes[call] = Some(Outcome::NotRun(NotRun::Input(input)));
            continue;
        }
        let mut staged = end.cells.clone();
        while let Some(op) = machine.next() {
            match op {
                Op::Read(cell) => machine.read(staged[cell]),
                Op::Write(cell) => {
                    staged[cell] = machine.seen;
                    machine.wrote = true;
                }
                Op::Effect => end.effects.push((call, machine.seen)),
                Op::Nothing => {}
            }
        }
        let mut outcome = machine.outcome();
        if matches!(outcome, Outcome::Ok(_)) {
            if machine.wrote && machine.is_refused() {
                outcome = Outcome::Failed(machine.seen);
            } else {
                end.cells = staged;
            }
        }
        end.outcomes[call] = Some(outcome);
    }
    end.effects.sort_unstable();
    end
}

/// Batches of a few programs over a few cells, which get in each other's way often.
pub fn programs(most: usize) -> impl Strategy<Value = Vec<Program>> {
    use prop::collection::vec;
    use prop::sample::Index;
    let step = prop_oneof![
        4 => any::<u64>().prop_map(Step::Read),
        3 => any::<u64>().prop_map(Step::Write),
        1 => Just(Step::Effect),
    ];
    let cells = || vec(0..CELLS, 0..=CELLS);
    let earlier = || vec(any::<Index>(), 0..2);
    let program =
        (vec(step, 0..6), cells(), cells(), any::<(bool, bool)>(), earlier(), earlier(), earlier());
    vec(program, 1..=most).prop_map(|programs| {
        let programs = programs.into_iter().enumerate();
        let program = programs.map(
            |(call, (steps, reads, writes, (may_fail, asks), inputs, after, hints))| {
                let pick = |picks: Vec<Index>, one_in: usize| -> Vec<usize> {
                    let picks = picks.into_iter().filter(|it| call > 0 && it.index(one_in) == 0);
                    picks.map(|it| it.index(call)).collect()
                };
                let needs = Needs {
                    inputs: pick(inputs, 3),
                    after: pick(after, 4),
                    hints: pick(hints, 4),
                    writes: !writes.is_empty(),
                    class: call % 2,
                };
                Program { steps, reads, writes, may_fail, asks, needs }
            },
        );
        program.collect()
    })
}
