//! The states of calls, by their transitions.

use crate::schedule::order::{Due, NEIGHBOURS, Order, Stopped, TRIES};
use crate::schedule::{By, Needs, Verdict};

fn start(order: &mut Order) -> Option<usize> {
    order.start().map(|started| started.call)
}

/// Ends a running call, as one that nobody is in the way of.
fn end(order: &mut Order, call: usize, verdict: Verdict) -> Vec<(usize, usize)> {
    order.ran(call, false);
    assert!(!order.blocked(call, |_| false));
    order.commit(call, verdict)
}

fn inputs(inputs: &[usize]) -> Needs {
    Needs { inputs: inputs.to_vec(), ..Needs::default() }
}

fn after(after: &[usize]) -> Needs {
    Needs { after: after.to_vec(), ..Needs::default() }
}

fn writer() -> Needs {
    Needs { writes: true, ..Needs::default() }
}

#[test]
fn ready_calls_start_in_request_order() {
    let mut order = Order::new(&[Needs::default(), Needs::default(), Needs::default()]);
    assert_eq!([0, 1, 2].map(|_| start(&mut order)), [Some(0), Some(1), Some(2)]);
    assert_eq!(start(&mut order), None);
}

#[test]
fn a_failed_input_skips_but_a_failed_predecessor_does_not() {
    let mut order = Order::new(&[Needs::default(), inputs(&[0]), after(&[0, 1])]);
    assert_eq!(start(&mut order), Some(0));
    assert_eq!(end(&mut order, 0, Verdict::Failed), [(1, 0)]);
    assert_eq!(start(&mut order), Some(2));
}

#[test]
fn a_call_that_will_be_skipped_still_holds_back_those_that_wait_for_it() {
    let both = Needs { inputs: vec![1], after: vec![0], ..Needs::default() };
    let mut order = Order::new(&[Needs::default(), Needs::default(), both, after(&[2])]);
    assert_eq!([start(&mut order), start(&mut order)], [Some(0), Some(1)]);
    assert_eq!(end(&mut order, 1, Verdict::Failed), []);
    assert_eq!(start(&mut order), None);
    assert_eq!(end(&mut order, 0, Verdict::Ok), [(2, 1)]);
    assert_eq!(start(&mut order), Some(3));
}

#[test]
fn a_skipped_call_names_its_earliest_failed_input_whichever_failed_first() {
    let mut order = Order::new(&[Needs::default(), Needs::default(), inputs(&[0, 1])]);
    assert_eq!([start(&mut order), start(&mut order)], [Some(0), Some(1)]);
    assert_eq!(end(&mut order, 1, Verdict::Failed), []);
    assert_eq!(end(&mut order, 0, Verdict::Failed), [(2, 0)]);
}

#[test]
fn a_hint_delays_a_start_but_not_a_skip() {
    let hinted = |needs| Needs { hints: vec![0], ..needs };
    let mut order = Order::new(&[
        Needs::default(),
        Needs::default(),
        hinted(inputs(&[1])),
        hinted(Needs::default()),
    ]);
    assert_eq!([start(&mut order), start(&mut order)], [Some(0), Some(1)]);
    assert_eq!(start(&mut order), None);
    assert_eq!(end(&mut order, 1, Verdict::Failed), [(2, 1)]);
    assert_eq!(end(&mut order, 0, Verdict::Failed), []);
    assert_eq!(start(&mut order), Some(3));
}

#[test]
fn a_call_waits_for_whoever_is_in_its_way_and_asks_nobody_twice() {
    let mut order = Order::new(&[writer(), writer(), writer()]);
    assert_eq!([0, 1, 2].map(|_| start(&mut order)), [Some(0), Some(1), Some(2)]);
    order.ran(2, true);
    assert!(order.blocked(2, |earlier| earlier == 1));
    assert_eq!(end(&mut order, 0, Verdict::Ok), []);
    assert_eq!(order.due(), None);
    assert_eq!(end(&mut order, 1, Verdict::Ok), []);
    assert_eq!(order.due(), Some(Due::Ran(2)));
    assert!(!order.blocked(2, |earlier| panic!("asks about {earlier}")));
}

#[test]
fn a_run_that_wrote_nothing_waits_for_writers_alone() {
    let mut order = Order::new(&[Needs::default(), writer(), Needs::default()]);
    assert_eq!([0, 1, 2].map(|_| start(&mut order)), [Some(0), Some(1), Some(2)]);
    order.ran(2, false);
    assert!(!order.blocked(2, |earlier| {
        assert_eq!(earlier, 1);
        false
    }));
}

#[test]
fn what_its_own_batch_does_to_a_call_counts_as_no_try() {
    let mut order = Order::new(&[writer(), writer()]);
    assert_eq!([start(&mut order), start(&mut order)], [Some(0), Some(1)]);
    // At once again, then only alone.
    order.overtaken(1, By::Host);
    assert_eq!(order.stopped(1), Stopped::Again);
    assert_eq!(start(&mut order), Some(1));
    order.overtaken(1, By::Host);
    assert_eq!(order.stopped(1), Stopped::Again);
    assert_eq!(start(&mut order), None);
    assert_eq!(end(&mut order, 0, Verdict::Ok), []);
    for last in [false, false, true] {
        assert_eq!(order.start().map(|it| (it.call, it.last)), Some((1, last)));
        order.ran(1, true);
        assert!(!order.blocked(1, |_| true));
        assert_eq!(order.stale(1, By::Others), !last);
    }
    assert_eq!(order.fail(1), []);
    assert_eq!(order.left(), 0);
}

#[test]
fn calls_of_other_batches_can_overtake_a_call_often_and_not_forever() {
    let mut order = Order::new(&[writer()]);
    let mut times = 0;
    loop {
        assert_eq!(start(&mut order), Some(0));
        order.ran(0, true);
        assert!(!order.blocked(0, |_| true));
        times += 1;
        if !order.stale(0, By::Host) {
            break;
        }
    }
    assert_eq!(times, u32::from(TRIES * NEIGHBOURS));
}

#[test]
fn a_refused_effect_waits_by_what_conflicts_once_and_then_for_all_who_write() {
    let mut order = Order::new(&[writer(), writer(), writer()]);
    assert_eq!([0, 1, 2].map(|_| start(&mut order)), [Some(0), Some(1), Some(2)]);
    assert!(order.refuse(2, |earlier| earlier == 1));
    assert_eq!(order.stopped(2), Stopped::Again);
    assert_eq!(order.due(), Some(Due::Refused(2)));
    assert!(order.blocked(2, |earlier| earlier == 1));
    assert_eq!(end(&mut order, 1, Verdict::Ok), []);
    assert_eq!(order.due(), Some(Due::Refused(2)));
    assert!(!order.blocked(2, |_| false));
    assert_eq!(start(&mut order), Some(2));
    assert!(order.refuse(2, |earlier| earlier == 0));
    assert_eq!(order.stopped(2), Stopped::Again);
    assert_eq!(start(&mut order), None);
    assert_eq!(end(&mut order, 0, Verdict::Ok), []);
    assert_eq!(start(&mut order), Some(2));
    assert!(!order.refuse(2, |_| true));
}

#[test]
fn stopping_ends_all_calls_but_those_that_run() {
    let mut order = Order::new(&[writer(), writer(), writer(), inputs(&[0])]);
    assert_eq!([start(&mut order), start(&mut order)], [Some(0), Some(1)]);
    order.ran(1, true);
    assert_eq!(order.stop(), [1, 2, 3]);
    assert!(!order.has_ready());
    assert_eq!(order.due(), None);
    assert_eq!(order.stopped(0), Stopped::Batch);
    assert_eq!(order.fail(0), []);
    assert_eq!(order.left(), 0);
}

#[test]
fn a_call_that_is_asked_about_keeps_its_place_and_is_at_its_turn_again_when_it_is_answered() {
    let mut order = Order::new(&[writer(), writer()]);
    assert_eq!([start(&mut order), start(&mut order)], [Some(0), Some(1)]);
    order.ran(0, true);
    assert!(!order.blocked(0, |_| true));
    order.asked(0);
    order.ran(1, true);
    assert!(order.blocked(1, |_| true));
    assert!(!order.is_stoppable(0) && order.due().is_none());
    order.answered(0, false);
    assert!(!order.blocked(0, |earlier| panic!("{earlier} is asked about once more")));
    assert_eq!(order.commit(0, Verdict::Failed), []);
    assert_eq!(order.due(), Some(Due::Ran(1)));
}

#[test]
fn a_call_that_was_asked_about_may_be_stale_and_ends_with_its_batch() {
    let mut order = Order::new(&[writer(), writer()]);
    assert_eq!(start(&mut order), Some(0));
    order.ran(0, true);
    assert!(!order.blocked(0, |_| true));
    order.asked(0);
    order.answered(0, true);
    assert!(order.stale(0, By::Others));
    assert_eq!(start(&mut order), Some(0));
    order.ran(0, true);
    assert!(!order.blocked(0, |_| true));
    order.asked(0);
    assert_eq!(order.stop(), [0, 1]);
    assert_eq!(order.left(), 0);
}
