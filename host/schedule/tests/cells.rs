//! For tests: the programs of `programs` as a [`Job`] that stages its writes and validates its reads as the files do it.
//!
//! The protocol: a read loads the number of commits *before* the cell; a commit writes its cells, then the
//! log, then the number; a read is stale if the log has a later write of its cell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock};

use super::programs::{CELLS, End, Machine, Op, Outcome, Program, serially};
use crate::schedule::{Approval, By, Committed, Job, Needs, NotRun, Turn, Verdict};

/// A rule that is broken on purpose, to see that the tests would notice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Break {
    Nothing,
    NumberAfterCell,
    FailuresNotValidated,
    NobodyConflicts,
    EffectsAtOnce,
    AnswersNotValidated,
}

/// The programs as a job. `pause` is called wherever another thread may come between.
pub struct Cells {
    programs: Vec<Program>,
    cells: Vec<AtomicU64>,
    number: AtomicU64,
    log: Mutex<Vec<(u64, usize)>>,
    /// By call, of its latest run: what was read under which number, and the cells that are staged.
    touched: Vec<Mutex<Touched>>,
    outcomes: Vec<OnceLock<Outcome>>,
    effects: Mutex<Vec<(usize, u64)>>,
    committed: Mutex<Vec<usize>>,
    pub runs: AtomicU64,
    /// Picks how often a run yields.
    dice: Mutex<u64>,
    pause: fn(),
    breaks: Break,
    /// Whether calls are ordered by when they finish.
    loose: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Touched {
    reads: Vec<(usize, u64)>,
    staged: BTreeMap<usize, u64>,
}

pub struct Run {
    touched: Touched,
    outcome: Outcome,
    approval: Answered,
}

#[derive(Clone, Copy, PartialEq)]
enum Answered {
    NotAsked { refused: bool },
    Yes,
    No,
}

impl Cells {
    pub fn new(programs: Vec<Program>, dice: u64, pause: fn(), breaks: Break) -> Cells {
        Cells {
            cells: (0..CELLS).map(|_| AtomicU64::new(0)).collect(),
            number: AtomicU64::new(0),
            log: Mutex::default(),
            touched: programs.iter().map(|_| Mutex::default()).collect(),
            outcomes: programs.iter().map(|_| OnceLock::new()).collect(),
            effects: Mutex::default(),
            committed: Mutex::default(),
            runs: AtomicU64::new(0),
            dice: Mutex::new(dice),
            pause,
            breaks,
            loose: false,
            programs,
        }
    }

    pub fn loose(self) -> Cells {
        Cells { loose: true, ..self }
    }

    pub fn needs(&self) -> Vec<Needs> {
        self.programs.iter().map(|program| program.needs.clone()).collect()
    }

    pub fn end(&self) -> End {
        let mut effects = self.effects.lock().unwrap().clone();
        effects.sort_unstable();
        let cells = self.cells.iter().map(|cell| cell.load(SeqCst)).collect();
        let outcomes = self.outcomes.iter().map(|it| it.get().cloned()).collect();
        End { cells, outcomes, effects }
    }

    /// What is right: the end of a serial run in order, or in that of the commits.
    pub fn right(&self) -> End {
        if self.loose {
            let committed = self.committed.lock().unwrap().clone();
            serially(&self.programs, committed.into_iter())
        } else {
            serially(&self.programs, 0..self.programs.len())
        }
    }

    /// The end of a serial run, in order, of the calls that were committed.
    pub fn right_of_committed(&self) -> End {
        let mut committed = self.committed.lock().unwrap().clone();
        committed.sort_unstable();
        serially(&self.programs, committed.into_iter())
    }

    fn holds(&self, reads: &[(usize, u64)]) -> bool {
        let log = self.log.lock().unwrap();
        let stale = |(cell, number): &(usize, u64)| {
            log.iter().rev().take_while(|(at, _)| at > number).any(|(_, wrote)| wrote == cell)
        };
        !reads.iter().any(stale)
    }

    fn load(&self, cell: usize) -> (u64, u64) {
        if self.breaks == Break::NumberAfterCell {
            let value = self.cells[cell].load(SeqCst);
            (self.pause)();
            return (value, self.number.load(SeqCst));
        }
        let number = self.number.load(SeqCst);
        (self.pause)();
        (self.cells[cell].load(SeqCst), number)
    }

    /// Yields now and then.
    pub async fn dawdle(&self) {
        for _ in 0..self.whiles() {
            tokio::task::yield_now().await;
        }
    }

    fn whiles(&self) -> u64 {
        let times = {
            let mut dice = self.dice.lock().unwrap();
            *dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*dice >> 33) % 6
        };
        times.saturating_sub(2)
    }

    fn set(&self, call: usize, outcome: Outcome) {
        assert_eq!(self.outcomes[call].set(outcome), Ok(()), "call {call} ends twice");
    }
}

impl Job for Cells {
    type Run = Run;

    async fn run(&self, call: usize, turn: &Turn) -> Run {
        self.runs.fetch_add(1, SeqCst);
        *self.touched[call].lock().unwrap() = Touched::default();
        let mut machine =
            Machine { program: &self.programs[call], at: 0, seen: call as u64, wrote: false };
        for &input in &machine.program.needs.inputs {
            let Some(Outcome::Ok(value)) = self.outcomes[input].get() else {
                panic!("{call} runs without its input {input}")
            };
            machine.read(*value);
        }
        while let Some(op) = machine.next() {
            self.dawdle().await;
            match op {
                Op::Read(cell) => {
                    let staged = self.touched[call].lock().unwrap().staged.get(&cell).copied();
                    let value = staged.unwrap_or_else(|| {
                        let (value, number) = self.load(cell);
                        (self.pause)();
                        self.touched[call].lock().unwrap().reads.push((cell, number));
                        value
                    });
                    machine.read(value);
                }
                Op::Write(cell) => {
                    self.touched[call].lock().unwrap().staged.insert(cell, machine.seen);
                }
                Op::Effect => {
                    turn.irrevocable().await;
                    (self.pause)();
                    self.effects.lock().unwrap().push((call, machine.seen));
                }
                Op::Nothing => {}
            }
        }
        self.dawdle().await;
        let mut touched = self.touched[call].lock().unwrap().clone();
        let outcome = machine.outcome();
        if !matches!(outcome, Outcome::Ok(_)) {
            touched.staged.clear();
        }
        let approval = match self.programs[call].asks && !touched.staged.is_empty() {
            true => Answered::NotAsked { refused: machine.is_refused() },
            false => Answered::Yes,
        };
        Run { touched, outcome, approval }
    }

    fn wrote(run: &Run) -> bool {
        !run.touched.staged.is_empty()
    }

    fn may_conflict(&self, run: &Run, earlier: usize) -> bool {
        let read = |cell: &usize| run.touched.reads.iter().any(|(read, _)| read == cell);
        let wrote = |cell: &usize| run.touched.staged.contains_key(cell);
        if self.breaks == Break::NobodyConflicts {
            return false;
        }
        if self.loose {
            return self.touched[earlier].lock().unwrap().staged.keys().any(read);
        }
        let earlier = &self.programs[earlier];
        earlier.writes.iter().any(|cell| read(cell) || wrote(cell))
            || earlier.reads.iter().any(wrote)
    }

    fn overtaken(&self, call: usize) -> bool {
        self.invalid(call).is_some()
    }

    fn approval(&self, call: usize, mut run: Run) -> Approval<Run> {
        let Answered::NotAsked { refused } = run.approval else { return Approval::Given(run) };
        if !self.holds(&run.touched.reads) {
            return Approval::Stale(By::Host);
        }
        if refused {
            // Its place is that of the question, whatever others do until the answer.
            self.committed.lock().unwrap().push(call);
        }
        let whiles = self.whiles();
        Approval::Asked(Box::pin(async move {
            for _ in 0..whiles {
                tokio::task::yield_now().await;
            }
            run.approval = Answered::Yes;
            if refused {
                run.approval = Answered::No;
                run.touched = Touched::default();
                if let Outcome::Ok(seen) = run.outcome {
                    run.outcome = Outcome::Failed(seen);
                }
            }
            run
        }))
    }

    fn commit(&self, call: usize, run: Run) -> Committed {
        let failed = !matches!(run.outcome, Outcome::Ok(_));
        let asked = self.programs[call].asks && run.approval == Answered::Yes;
        let validated = match self.breaks {
            Break::FailuresNotValidated => !failed,
            Break::AnswersNotValidated => !asked,
            _ => true,
        };
        if validated && !self.holds(&run.touched.reads) {
            return Committed::Stale(By::Host);
        }
        let number = self.number.load(SeqCst) + 1;
        for (&cell, &value) in &run.touched.staged {
            (self.pause)();
            self.cells[cell].store(value, SeqCst);
        }
        (self.pause)();
        self.log.lock().unwrap().extend(run.touched.staged.keys().map(|&cell| (number, cell)));
        (self.pause)();
        self.number.store(number, SeqCst);
        if run.approval != Answered::No {
            self.committed.lock().unwrap().push(call);
        }
        self.set(call, run.outcome);
        Committed::Ended(if failed { Verdict::Failed } else { Verdict::Ok })
    }

    fn invalid(&self, call: usize) -> Option<By> {
        let holds = self.breaks == Break::EffectsAtOnce
            || self.holds(&self.touched[call].lock().unwrap().reads);
        (!holds).then_some(By::Host)
    }

    fn may_conflict_running(&self, call: usize, other: usize) -> bool {
        let reads = &self.programs[call].reads;
        self.breaks != Break::EffectsAtOnce
            && self.programs[other].writes.iter().any(|cell| reads.contains(cell))
    }

    fn not_run(&self, call: usize, why: NotRun) {
        self.set(call, Outcome::NotRun(why));
    }
}
