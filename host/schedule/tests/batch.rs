//! The rules of a batch, one at a time.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::cells::{Break, Cells};
use super::programs::{Program, Step};
use super::script::Event::{self, Commit, Effect};
use super::script::{Asked, Script, on_one_thread, others, room_for, writer};
use crate::schedule::{
    Admission, Approval, By, Committed, Job, Needs, NotRun, Tenant, Turn, Verdict, run,
};

fn batch<J: Job>(job: J, needs: &[Needs], room: usize) -> Arc<J> {
    let job = Arc::new(job);
    let room = room_for(room);
    on_one_thread(run(job.clone(), needs, room, CancellationToken::new()));
    job
}

#[test]
fn runs_end_in_any_order_and_are_committed_in_order() {
    let job = Script::new(|call, _| async move {
        for _ in 0..(10 - call) * 10 {
            tokio::task::yield_now().await;
        }
    });
    let job = batch(job, &vec![writer(); 10], 10);
    assert_eq!(job.commits(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_chain_of_runs_that_never_wait_lets_others_have_the_thread() {
    const CALLS: usize = 40;
    let job =
        Arc::new(Script::new(|_, _| async { std::thread::sleep(Duration::from_micros(300)) }));
    let needs: Vec<Needs> = (0..CALLS)
        .map(|call| Needs { after: call.checked_sub(1).into_iter().collect(), ..writer() })
        .collect();
    let mut turns_of_others = 0;
    on_one_thread(async {
        let others = async {
            loop {
                turns_of_others += 1;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = run(job.clone(), &needs, room_for(1), CancellationToken::new()) => {}
            () = others => {}
        }
    });
    assert_eq!(job.commits(), (0..CALLS).collect::<Vec<_>>());
    // They take 12 ms together, and one at a time.
    assert!(turns_of_others >= 5, "{turns_of_others}");
}

#[test]
fn a_run_that_nobody_can_conflict_with_is_committed_ahead_of_its_turn() {
    let late = Arc::new(Notify::new());
    let job = Script::new({
        let late = late.clone();
        move |call, _| {
            let late = late.clone();
            async move {
                match call {
                    0 => late.notified().await,
                    2 => late.notify_one(),
                    _ => {}
                }
            }
        }
    });
    let conflicts = |_: usize, earlier| earlier == 1;
    let job = batch(Script { conflicts: Box::new(conflicts), ..job }, &vec![writer(); 3], 3);
    assert_eq!(job.commits(), [1, 2, 0]);
}

#[test]
fn a_call_that_others_make_stale_has_three_tries_and_knows_the_last() {
    let job = Script::new(|_, _| async {});
    let job = Script { commits: Box::new(|_| Committed::Stale(By::Others)), ..job };
    let job = batch(job, &[writer()], 1);
    let run = |attempt, last| Event::Run { call: 0, attempt, last };
    let conflict = Event::NotRun(0, NotRun::Conflict);
    let tries = [run(1, false), Commit(0), run(2, false), Commit(0), run(3, true), Commit(0)];
    assert_eq!(job.events(), tries.into_iter().chain([conflict]).collect::<Vec<_>>());
}

#[test]
fn calls_that_all_edit_one_thing_become_serial_after_the_first_conflicts() {
    let edit = Program {
        steps: vec![Step::Read(0), Step::Write(0)],
        reads: vec![0],
        writes: vec![0],
        may_fail: false,
        asks: false,
        needs: writer(),
    };
    let cells = Cells::new(vec![edit; 64], 1, || {}, Break::Nothing);
    let needs = cells.needs();
    let cells = batch(cells, &needs, 8);
    assert_eq!(cells.end(), cells.right());
    let runs = cells.runs.load(SeqCst);
    assert!(runs <= 64 + 2 * 8, "{runs} runs");
}

#[test]
fn an_overtaken_run_is_stopped_at_once() {
    let job = Script::new(|call, turn| async move {
        if call == 1 && turn.attempt == 1 {
            pending::<()>().await;
        }
    });
    let job = Script { overtaken: Box::new(|call| call == 1), ..job };
    let job = batch(job, &vec![writer(); 2], 2);
    assert_eq!(job.commits(), [0, 1]);
}

#[test]
fn an_irrevocable_effect_waits_for_its_turn_and_happens_once_even_with_room_for_one() {
    for room in 1..4 {
        let events = Arc::new(Mutex::new(Vec::new()));
        let body = {
            let events = events.clone();
            move |call: usize, turn: Turn| {
                let events = events.clone();
                async move {
                    for _ in 0..(3 - call) * 10 {
                        tokio::task::yield_now().await;
                    }
                    turn.irrevocable().await;
                    turn.irrevocable().await;
                    events.lock().unwrap().push(Effect(call));
                }
            }
        };
        let job = batch(Script::new(body), &vec![writer(); 3], room);
        assert_eq!(*events.lock().unwrap(), [Effect(0), Effect(1), Effect(2)]);
        assert_eq!(job.commits(), [0, 1, 2]);
    }
}

#[test]
fn a_run_past_an_irrevocable_effect_is_never_run_again() {
    let job = Script::new(|_, turn| async move { turn.irrevocable().await });
    let job = Script { commits: Box::new(|_| Committed::Stale(By::Others)), ..job };
    let job = batch(job, &[writer()], 1);
    assert_eq!(job.events()[1..], [Commit(0), Event::NotRun(0, NotRun::Conflict)]);
}

#[test]
fn a_run_that_gives_up_asking_ends_by_itself() {
    // It asks, and drops the question before the loop sees it.
    let job = Script::new(|call, turn| async move {
        if call == 1 {
            let mut ask = Box::pin(turn.irrevocable());
            std::future::poll_fn(|context| {
                assert!(ask.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
    });
    let job = batch(job, &vec![writer(); 2], 2);
    let runs = job.events().iter().filter(|it| matches!(it, Event::Run { .. })).count();
    assert_eq!(runs, 2);
}

#[test]
fn what_has_seen_the_future_of_a_panic_is_skipped_and_the_rest_goes_on() {
    let job = Script::new(|call, _| async move { assert!(call != 0, "ouch") });
    let needs = [writer(), Needs { inputs: vec![0], ..writer() }, writer()];
    let job = batch(job, &needs, 3);
    let events = job.events();
    assert!(events.contains(&Event::NotRun(0, NotRun::Panicked("ouch".to_owned()))), "{events:?}");
    assert!(events.contains(&Event::NotRun(1, NotRun::Input(0))), "{events:?}");
    assert!(events.contains(&Commit(2)), "{events:?}");
}

#[test]
fn cancelling_drops_what_is_not_committed_and_ends_every_call() {
    let cancel = CancellationToken::new();
    let job = Arc::new(Script::new(|call, _| async move {
        if call == 0 {
            pending::<()>().await;
        }
    }));
    on_one_thread(async {
        let needs = [writer(), writer(), Needs { after: vec![0], ..writer() }];
        let room = Admission::new(4, 100);
        let batch = run(job.clone(), &needs, room.share(&Tenant::default()), cancel.clone());
        tokio::join!(batch, async {
            others().await;
            cancel.cancel();
        });
        assert_eq!(room.free(), 4);
    });
    let events = job.events();
    for call in 0..3 {
        assert!(events.contains(&Event::NotRun(call, NotRun::Cancelled)), "{events:?}");
    }
    assert_eq!(events.len(), 5, "{events:?}");
}

#[test]
fn a_broken_commit_stops_the_batch() {
    let job = Script::new(|call, _| async move {
        if call == 2 {
            pending::<()>().await;
        }
    });
    let broken = |call| {
        if call == 1 { Committed::Broken } else { Committed::Ended(Verdict::Ok) }
    };
    let job = Script { commits: Box::new(broken), ..job };
    let needs = [writer(), writer(), writer(), Needs { inputs: vec![1], ..writer() }];
    let job = batch(job, &needs, 4);
    let ends: Vec<Event> =
        job.events().into_iter().filter(|it| !matches!(it, Event::Run { .. })).collect();
    let broken = |call| Event::NotRun(call, NotRun::Broken(1));
    assert_eq!(ends, [Commit(0), Commit(1), broken(3), broken(2)]);
}

#[test]
fn dropping_a_batch_stops_its_runs_and_decides_nothing() {
    let job = Arc::new(Script::new(|_, _| pending()));
    on_one_thread(async {
        let room = Admission::new(4, 100);
        let needs = vec![writer(); 8];
        let batch =
            run(job.clone(), &needs, room.share(&Tenant::default()), CancellationToken::new());
        assert!(tokio::time::timeout(Duration::from_millis(1), batch).await.is_err());
        others().await;
        assert_eq!(room.free(), 4);
    });
    assert_eq!(job.events().len(), 4);
}

#[test]
fn calls_that_only_read_ask_nobody() {
    let job = Script { writes: false, ..Script::new(|_, _| async {}) };
    let job = batch(job, &vec![Needs::default(); 10_000], 8);
    assert_eq!(job.asked.load(SeqCst), 0);
    assert_eq!(job.commits().len(), 10_000);
}

#[test]
fn calls_behind_a_slow_one_ask_about_it_and_then_about_nobody_else() {
    let job = Script::new(|call, _| async move {
        if call == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let job = batch(job, &vec![writer(); 10_000], 8);
    assert_eq!(job.commits(), (0..10_000).collect::<Vec<_>>());
    let asked = job.asked.load(SeqCst);
    assert!(asked <= 2 * 10_000, "{asked}");
}

#[test]
fn a_run_past_an_irrevocable_effect_is_not_stopped_as_overtaken() {
    let granted = Arc::new(AtomicBool::new(false));
    let (set, seen) = (granted.clone(), granted);
    let job = Script::new(move |call, turn| {
        let granted = set.clone();
        async move {
            if call == 1 {
                turn.irrevocable().await;
                granted.store(true, SeqCst);
                others().await;
            }
            while !granted.load(SeqCst) {
                tokio::task::yield_now().await;
            }
        }
    });
    let job = Script {
        conflicts: Box::new(|_, _| false),
        overtaken: Box::new(move |call| call == 1 && seen.load(SeqCst)),
        ..job
    };
    let job = batch(job, &vec![writer(); 2], 2);
    let events = job.events();
    let runs = events.iter().filter(|it| matches!(it, Event::Run { .. })).count();
    assert_eq!((runs, &events[2..]), (2, &[Commit(0), Commit(1)][..]));
}

#[test]
fn while_somebody_is_asked_later_calls_run_and_are_committed_after_the_answer() {
    let (asked, mut answers) = Asked::about(&[0]);
    let ran = Arc::new(Mutex::new(Vec::new()));
    let job = Script::new({
        let ran = ran.clone();
        move |call, _| {
            ran.lock().unwrap().push(call);
            async {}
        }
    });
    let job = Script { approval: Box::new(move |call, run| asked.approval(call, run)), ..job };
    let job = Arc::new(job);
    on_one_thread(async {
        let needs = vec![writer(); 3];
        // With room for one alone: a question takes none.
        let batch = run(job.clone(), &needs, room_for(1), CancellationToken::new());
        tokio::join!(batch, async {
            others().await;
            assert_eq!((ran.lock().unwrap().len(), job.commits()), (3, vec![]));
            answers.remove(&0).unwrap().send(true).unwrap();
        });
    });
    assert_eq!(job.commits(), [0, 1, 2]);
}

#[test]
fn a_question_ends_with_its_batch_and_one_that_panics_ends_its_call() {
    let (asked, mut answers) = Asked::about(&[0]);
    let job = Script::new(|_, _| async {});
    let job = Script { approval: Box::new(move |call, run| asked.approval(call, run)), ..job };
    let job = Arc::new(job);
    let cancel = CancellationToken::new();
    on_one_thread(async {
        let calls = [writer()];
        let batch = run(job.clone(), &calls, room_for(1), cancel.clone());
        tokio::join!(batch, async {
            others().await;
            cancel.cancel();
            answers.get_mut(&0).unwrap().closed().await;
        });
    });
    assert_eq!(job.events().pop(), Some(Event::NotRun(0, NotRun::Cancelled)));

    let job = Script::new(|_, _| async {});
    let panics = |_: usize, _: bool| Approval::Asked(Box::pin(async { panic!("no answer") }));
    let job = batch(Script { approval: Box::new(panics), ..job }, &[writer()], 1);
    let panicked = Event::NotRun(0, NotRun::Panicked("no answer".to_owned()));
    assert_eq!(job.events().pop(), Some(panicked));
}

#[test]
fn a_run_may_learn_that_its_turn_has_come_and_still_be_run_again() {
    let job = Script::new(|call, turn| async move {
        if call == 1 {
            turn.come().await;
            if turn.attempt == 1 {
                pending::<()>().await;
            }
            turn.irrevocable().await;
        }
    });
    let overtaken = AtomicBool::new(true);
    let job = Script {
        // Found to be so when it asks for the first time.
        overtaken: Box::new(move |call| call == 1 && overtaken.swap(false, SeqCst)),
        ..job
    };
    let job = batch(job, &vec![writer(); 2], 2);
    let attempts: Vec<u32> = job
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Run { call: 1, attempt, .. } => Some(attempt),
            _ => None,
        })
        .collect();
    assert!(attempts.len() > 1, "{attempts:?}");
}
