//! Tests of the loops themselves against the oracle of `cells`: with random programs on one thread, and
//! under `shuttle`, which explores how threads interleave. `INORDER_SHUTTLE` multiplies how much of it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio_util::sync::CancellationToken;

use super::cells::{Break, Cells};
use super::programs::{Outcome, Program, programs};
use super::script::{on_one_thread, room_for};
use crate::schedule::batch::{Ended, run_on};
use crate::schedule::tasks::{Lost, Tasks, TokioTasks};
use crate::schedule::{Loose, NotRun};

/// Tasks on shuttle's executor.
struct Explored<T>(Vec<(usize, shuttle::future::JoinHandle<T>)>);

impl<T: Send + 'static> Tasks<T> for Explored<T> {
    fn on(_: Option<&tokio::runtime::Handle>) -> Explored<T> {
        Explored(Vec::new())
    }

    fn spawn(&mut self, call: usize, task: impl Future<Output = T> + Send + 'static) {
        self.0.push((call, shuttle::future::spawn(task)));
    }

    async fn join(&mut self) -> (usize, Result<T, Lost>) {
        std::future::poll_fn(|context: &mut Context<'_>| {
            for at in 0..self.0.len() {
                if let Poll::Ready(end) = Pin::new(&mut self.0[at].1).poll(context) {
                    let (call, _) = self.0.swap_remove(at);
                    return Poll::Ready((call, end.map_err(|_| Lost::Aborted)));
                }
            }
            Poll::Pending
        })
        .await
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn calls(&self) -> Vec<usize> {
        self.0.iter().map(|(call, _)| *call).collect()
    }

    fn abort(&mut self, call: usize) {
        for (_, handle) in self.0.iter().filter(|(it, _)| *it == call) {
            handle.abort();
        }
    }

    fn abort_all(&mut self) {
        for (_, handle) in &self.0 {
            handle.abort();
        }
    }
}

async fn batch<T: Tasks<Ended<super::cells::Run>>>(cells: Cells, room: usize) -> Arc<Cells> {
    let cells = Arc::new(cells);
    let (needs, room) = (cells.needs(), room_for(room));
    run_on::<Cells, T>(cells.clone(), &needs, room, CancellationToken::new()).await;
    cells
}

/// As [`batch`], cancelled by somebody else at any moment.
async fn cancelled_batch(cells: Cells, room: usize) -> Arc<Cells> {
    let cells = Arc::new(cells);
    let (needs, room) = (cells.needs(), room_for(room));
    let cancel = CancellationToken::new();
    let other = shuttle::future::spawn({
        let (cancel, cells) = (cancel.clone(), cells.clone());
        async move {
            cells.dawdle().await;
            cells.dawdle().await;
            cancel.cancel();
        }
    });
    run_on::<Cells, Explored<_>>(cells.clone(), &needs, room, cancel).await;
    other.await.unwrap();
    cells
}

proptest! {
    #![proptest_config(Config { cases: 1500, ..Config::default() })]

    #[test]
    fn a_batch_leaves_what_running_it_in_order_leaves(
        programs in programs(12), dice: u64, room in 1usize..6,
    ) {
        let cells = Cells::new(programs, dice, || {}, Break::Nothing);
        let cells = on_one_thread(batch::<TokioTasks<_>>(cells, room));
        prop_assert_eq!(cells.end(), cells.right());
    }
}

/// Where every thread may come between, if the system so pleases.
fn on_threads<T>(task: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_time().build().unwrap();
    let task = async { tokio::time::timeout(Duration::from_secs(100), task).await };
    runtime.block_on(task).expect("nobody can go on")
}

#[test]
fn batches_and_loose_calls_are_right_on_threads() {
    on_threads(async {
        for (programs, dice, room) in samples(iterations(300), 12) {
            let cells = Cells::new(programs, dice, std::thread::yield_now, Break::Nothing);
            let cells = batch::<TokioTasks<_>>(cells, room + 1).await;
            assert_eq!(cells.end(), cells.right());
        }
        for (programs, dice, room) in samples(iterations(300), 12).into_iter().map(without_inputs) {
            let cells = Cells::new(programs, dice, std::thread::yield_now, Break::Nothing).loose();
            let cells = loose::<TokioTasks<_>, TokioTasks<_>>(cells, room + 1).await;
            assert_eq!(cells.end(), cells.right());
        }
    });
}

pub fn iterations(few: usize) -> usize {
    let times = std::env::var("INORDER_SHUTTLE").ok().and_then(|it| it.parse().ok());
    few * times.unwrap_or(1)
}

/// A place where shuttle may go on with another thread.
fn switch() {
    shuttle::sync::atomic::AtomicBool::new(false).load(SeqCst);
}

/// The same sequence of programs every time.
fn samples(count: usize, most: usize) -> Vec<(Vec<Program>, u64, usize)> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = (programs(most), any::<u64>(), 1usize..5);
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn explore<F: Future<Output = Arc<Cells>> + 'static>(
    schedules: usize,
    run: impl Fn() -> F + Clone + Send + Sync + 'static,
    check: fn(&Cells),
) {
    let explored = move || {
        // Schedulers refuse to explore what has no concurrency, as some of the programs have not.
        let other = shuttle::thread::spawn(switch);
        let cells = shuttle::future::block_on(run());
        other.join().unwrap();
        check(&cells);
    };
    shuttle::check_random(explored.clone(), schedules);
    shuttle::check_pct(explored, schedules, 3);
}

fn is_right(cells: &Cells) {
    assert_eq!(cells.end(), cells.right());
}

/// What was committed is as if there had been no other calls, and every call has an outcome.
fn is_right_as_far_as_it_goes(cells: &Cells) {
    let (end, right) = (cells.end(), cells.right_of_committed());
    assert_eq!(end.cells, right.cells);
    for (outcome, right) in end.outcomes.iter().zip(right.outcomes) {
        match outcome {
            Some(Outcome::NotRun(NotRun::Cancelled | NotRun::Input(_))) => {}
            outcome => assert_eq!(*outcome, right),
        }
        assert!(outcome.is_some());
    }
}

fn explore_batch((programs, dice, room): (Vec<Program>, u64, usize), breaks: Break) {
    let cells = move || Cells::new(programs.clone(), dice, switch, breaks);
    explore(5, move || batch::<Explored<_>>(cells(), room), is_right);
}

fn explore_loose((programs, dice, room): (Vec<Program>, u64, usize), breaks: Break) {
    // A commit holds a lock of the real world, so nothing may come between in it.
    let cells = move || Cells::new(programs.clone(), dice, || {}, breaks).loose();
    explore(5, move || loose::<Explored<_>, Explored<_>>(cells(), room), is_right);
}

/// Every call on a task of its own, issued in order.
async fn loose<C, T>(cells: Cells, room: usize) -> Arc<Cells>
where
    C: Tasks<()>,
    T: Tasks<super::cells::Run> + 'static,
{
    let cells = Arc::new(cells);
    let loose = Loose::<Cells, T>::new_on(cells.clone(), room_for(room));
    let mut calls = C::on(None);
    for (call, needs) in cells.needs().into_iter().enumerate() {
        let (loose, ticket) = (loose.clone(), loose.issue());
        calls.spawn(call, async move {
            loose.call(ticket, needs.hints, CancellationToken::new()).await;
        });
    }
    for _ in cells.needs() {
        calls.join().await.1.unwrap();
    }
    cells
}

#[test]
fn a_batch_is_in_order_however_its_threads_interleave() {
    for sample in samples(iterations(200), 6) {
        explore_batch(sample, Break::Nothing);
    }
}

#[test]
fn a_batch_that_is_cancelled_leaves_what_its_committed_calls_leave() {
    for (programs, dice, room) in samples(iterations(200), 6) {
        let cells = move || Cells::new(programs.clone(), dice, switch, Break::Nothing);
        explore(5, move || cancelled_batch(cells(), room), is_right_as_far_as_it_goes);
    }
}

#[test]
fn loose_calls_are_in_the_order_of_their_commits_however_they_interleave() {
    for sample in samples(iterations(200), 6) {
        explore_loose(without_inputs(sample), Break::Nothing);
    }
}

fn without_inputs(sample: (Vec<Program>, u64, usize)) -> (Vec<Program>, u64, usize) {
    let (mut programs, dice, room) = sample;
    programs.iter_mut().for_each(|program| program.needs.inputs.clear());
    (programs, dice, room)
}

/// How many samples it takes to notice that a rule is broken.
fn noticed(breaks: Break, explore: fn((Vec<Program>, u64, usize), Break)) -> Option<usize> {
    let fails = |sample| std::panic::catch_unwind(|| explore(sample, breaks)).is_err();
    samples(1000, 6).into_iter().map(without_inputs).position(fails)
}

#[test]
fn a_broken_rule_of_a_batch_is_noticed() {
    for breaks in [
        Break::NumberAfterCell,
        Break::FailuresNotValidated,
        Break::NobodyConflicts,
        Break::EffectsAtOnce,
    ] {
        let samples = noticed(breaks, explore_batch);
        println!("{breaks:?}: noticed by sample {samples:?}");
        assert!(samples.is_some(), "{breaks:?} is not noticed");
    }
}

#[test]
fn a_broken_rule_of_loose_calls_is_noticed() {
    for breaks in [Break::FailuresNotValidated, Break::EffectsAtOnce, Break::AnswersNotValidated] {
        let samples = noticed(breaks, explore_loose);
        println!("{breaks:?}: noticed by sample {samples:?}");
        assert!(samples.is_some(), "{breaks:?} is not noticed");
    }
}
