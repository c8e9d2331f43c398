//! Fair shares by a clock that is told, and admission as tasks see it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::interleavings::iterations;
use crate::schedule::admission::Place;
use crate::schedule::shares::{Id, Shares};
use crate::schedule::{Admission, Busy, Share, Tenant};

const MS: u64 = 1_000_000;

/// Calls of tenants over time: what runs, and until when.
struct Simulation {
    shares: Shares<(Id, u64)>,
    room: usize,
    now: u64,
    running: Vec<(u64, Id)>,
    /// Who was started, and the ticket that it waited with.
    started: Vec<(Id, Option<u64>)>,
    /// Time that calls of each tenant held room.
    held: Vec<u64>,
}

impl Simulation {
    fn new(room: usize) -> Simulation {
        let shares = Shares::new(room, usize::MAX);
        Simulation { shares, room, now: 0, running: vec![], started: vec![], held: vec![] }
    }

    fn tenant(&mut self, weight: u32) -> Id {
        let id = self.shares.join(&Tenant::new(&self.held.len().to_string(), weight), self.now);
        assert_eq!(id, self.held.len());
        self.held.push(0);
        id
    }

    /// A call of a tenant that takes so long.
    fn call(&mut self, id: Id, time: u64) -> Option<u64> {
        if self.shares.start(id, self.now) {
            self.run(id, time, None);
            return None;
        }
        Some(self.shares.wait(id, (id, time), self.now))
    }

    fn run(&mut self, id: Id, time: u64, ticket: Option<u64>) {
        self.running.push((self.now + time, id));
        self.started.push((id, ticket));
        self.held[id] += time;
        assert!(self.running.len() <= self.room, "more run than there is room");
    }

    /// Ends the call that ends next, and gives the tenant whose call was started in its place.
    fn step(&mut self) -> Option<Id> {
        let at = (0..self.running.len()).min_by_key(|at| self.running[*at])?;
        let (end, id) = self.running.remove(at);
        self.now = end;
        let next = self.shares.end(id, self.now);
        assert_eq!(
            self.shares.free() + self.running.len() + usize::from(next.is_some()),
            self.room
        );
        let (next, time) = next?;
        self.run(next, time, Some(0));
        Some(next)
    }

    /// Every tenant waits all the time, with calls that take `time` of it. Gives what each held meanwhile.
    fn backlogged(&mut self, calls: usize, time: impl Fn(Id) -> u64) -> Vec<u64> {
        let tenants = self.held.len();
        for id in 0..tenants {
            for _ in 0..2 * self.room {
                self.call(id, time(id));
            }
        }
        let before = self.held.clone();
        for _ in 0..calls {
            if let Some(id) = self.step() {
                self.call(id, time(id));
            }
        }
        self.held.iter().zip(before).map(|(now, before)| now - before).collect()
    }
}

#[test]
fn room_is_shared_by_weight() {
    let mut simulation = Simulation::new(4);
    simulation.tenant(1);
    simulation.tenant(3);
    let held = simulation.backlogged(4000, |_| 10 * MS);
    let ratio = held[1] as f64 / held[0] as f64;
    assert!((2.9..3.1).contains(&ratio), "{held:?}");
}

#[test]
fn long_calls_are_charged_for_their_time() {
    let mut simulation = Simulation::new(4);
    simulation.tenant(1);
    simulation.tenant(1);
    let held = simulation.backlogged(20_000, |id| if id == 0 { 1000 * MS } else { MS });
    let ratio = held[0] as f64 / held[1] as f64;
    assert!((0.8..1.25).contains(&ratio), "{held:?}");
}

#[test]
fn a_newcomer_is_next_and_time_it_did_not_use_is_not_kept_for_it() {
    let mut simulation = Simulation::new(2);
    let (flood, other) = (simulation.tenant(1), simulation.tenant(1));
    for _ in 0..1000 {
        simulation.call(flood, 10 * MS);
    }
    for _ in 0..200 {
        simulation.step();
    }
    // Has used nothing for two seconds.
    for _ in 0..100 {
        simulation.call(other, 10 * MS);
    }
    assert_eq!(simulation.step(), Some(other));
    let next: Vec<_> = (0..40).filter_map(|_| simulation.step()).collect();
    let others = next.iter().filter(|id| **id == other).count();
    assert!((18..=23).contains(&others), "{others} of 40: {next:?}");
}

#[test]
fn newcomers_without_end_do_not_starve_who_waits() {
    let mut simulation = Simulation::new(1);
    let old = simulation.tenant(1);
    for _ in 0..5 {
        simulation.call(old, 10 * MS);
    }
    let mut served = 0;
    for _ in 0..3000 {
        let id = simulation.tenant(1);
        simulation.call(id, MS / 100);
        served += usize::from(simulation.step() == Some(old));
    }
    assert_eq!(served, 4);
}

#[test]
fn who_was_turned_away_or_has_left_is_not_remembered() {
    let mut shares: Shares<()> = Shares::new(1, usize::MAX);
    for name in 0..10_000 {
        let id = shares.join(&Tenant::new(&name.to_string(), 1), name * MS);
        assert!(shares.start(id, name * MS));
        shares.end(id, name * MS + MS);
        shares.leave(id);
    }
    assert!(shares.tenants() < 1000, "{}", shares.tenants());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn tenants_that_wait_all_the_time_get_their_shares(
        room in 1usize..6,
        tenants in prop::collection::vec((1u32..9, 1u64..100), 2..6),
    ) {
        let mut simulation = Simulation::new(room);
        for (weight, _) in &tenants {
            simulation.tenant(*weight);
        }
        let held = simulation.backlogged(2000, |id| tenants[id].1 * MS);
        let charge = |id: usize| held[id] as f64 / f64::from(tenants[id].0);
        // What is charged for a call besides its time is at most a twentieth of it here.
        let longest = tenants.iter().map(|(_, time)| time * MS).max().unwrap_or(0);
        for id in 1..tenants.len() {
            let bound = 4.0 * room as f64 * longest as f64 + 0.06 * charge(id).max(charge(0));
            let apart = (charge(id) - charge(0)).abs();
            prop_assert!(apart <= bound, "{held:?} {tenants:?}: {apart} > {bound}");
        }
    }

    /// Against a model that knows only what waits: nobody starts before an earlier call of its own tenant, room that is free
    /// is used, and in the end everybody was started.
    #[test]
    fn calls_come_and_go_and_none_is_lost(
        room in 1usize..4,
        steps in prop::collection::vec((0usize..4, 0u8..4, 1u64..20), 1..200),
    ) {
        let mut shares: Shares<u64> = Shares::new(room, usize::MAX);
        let ids: Vec<Id> = (0..4).map(|n| shares.join(&Tenant::new(&n.to_string(), n + 1), 0)).collect();
        let mut queues: Vec<VecDeque<u64>> = vec![VecDeque::new(); 4];
        let (mut running, mut now) = (Vec::new(), 0);
        let ended = |shares: &mut Shares<u64>, running: &mut Vec<Id>, queues: &mut Vec<VecDeque<u64>>, now| {
            let id = running.remove(0);
            match shares.end(id, now) {
                Some(ticket) => {
                    let next = queues.iter().position(|queue| queue.front() == Some(&ticket));
                    let next = next.expect("first of its tenant");
                    queues[next].pop_front();
                    running.push(ids[next]);
                }
                None => assert!(queues.iter().all(VecDeque::is_empty)),
            }
        };
        let mut tickets = 0;
        for (tenant, what, time) in steps {
            now += time * MS;
            match what {
                0 | 1 if shares.start(ids[tenant], now) => {
                    prop_assert!(queues.iter().all(VecDeque::is_empty));
                    running.push(ids[tenant]);
                }
                0 | 1 => {
                    let ticket = shares.wait(ids[tenant], tickets, now);
                    prop_assert_eq!(ticket, tickets);
                    queues[tenant].push_back(ticket);
                    tickets += 1;
                }
                2 => if let Some(ticket) = queues[tenant].pop_back() {
                    prop_assert_eq!(shares.forget(ids[tenant], ticket), Some(ticket));
                    prop_assert_eq!(shares.forget(ids[tenant], ticket), None);
                },
                _ => if !running.is_empty() {
                    ended(&mut shares, &mut running, &mut queues, now);
                },
            }
            prop_assert_eq!(shares.free() + running.len(), room);
        }
        while !running.is_empty() {
            now += MS;
            ended(&mut shares, &mut running, &mut queues, now);
        }
        prop_assert!(queues.iter().all(VecDeque::is_empty));
        prop_assert_eq!(shares.free(), room);
    }
}

/// Counts who is inside down, however it leaves.
struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Takes room, counts who has it, and gives it back, or leaves while it waits.
async fn visit(
    share: Share,
    inside: Arc<AtomicUsize>,
    most: usize,
    leaves_after: Option<usize>,
) -> bool {
    let mut place = share.place();
    let mut asked = 0;
    let permit = std::future::poll_fn(|context| {
        let polled = place.poll_acquire(context).map(Some);
        if polled.is_pending() && leaves_after.is_some_and(|leaves| asked >= leaves) {
            return Poll::Ready(None);
        }
        asked += 1;
        polled
    });
    let Some(_permit) = permit.await else { return false };
    assert!(inside.fetch_add(1, SeqCst) < most, "more are inside than there is room");
    let _inside = Inside(inside);
    tokio::task::yield_now().await;
    true
}

#[test]
fn no_room_is_lost_however_those_who_come_and_go_interleave() {
    let explored = || {
        let (admission, inside) = (Admission::new(2, usize::MAX), Arc::new(AtomicUsize::new(0)));
        let shares =
            [1, 2].map(|weight| admission.share(&Tenant::new(&weight.to_string(), weight)));
        let visitors = (0..6).map(|n| {
            // Two of them leave, one at once and one when it was woken without being served.
            let leaves = (n % 3 == 0).then_some(n / 3);
            let visit = visit(shares[n % 2].clone(), inside.clone(), 2, leaves);
            let visit = shuttle::future::spawn(visit);
            // One is gone at any moment, perhaps when its room was just granted.
            if n == 4 {
                let aborter = shuttle::future::spawn(async move {
                    tokio::task::yield_now().await;
                    visit.abort();
                });
                return shuttle::future::spawn(async move { aborter.await.is_ok() });
            }
            visit
        });
        let visitors: Vec<_> = visitors.collect();
        shuttle::future::block_on(async {
            for visitor in visitors {
                visitor.await.unwrap();
            }
            // Whoever was aborted is gone by then.
            while admission.free() < 2 {
                shuttle::future::yield_now().await;
            }
        });
        assert_eq!(admission.free(), 2);
    };
    shuttle::check_random(explored, iterations(500));
    shuttle::check_pct(explored, iterations(500), 3);
}

#[test]
fn room_granted_to_somebody_who_is_gone_goes_to_the_next() {
    let admission = Admission::new(1, usize::MAX);
    let share = admission.share(&Tenant::default());
    let poll = |place: &mut Place| place.poll_acquire(&mut Context::from_waker(Waker::noop()));
    let (mut held, mut gone, mut next) = (share.place(), share.place(), share.place());
    let Poll::Ready(permit) = poll(&mut held) else { panic!("there is room") };
    assert!(poll(&mut gone).is_pending() && poll(&mut next).is_pending());
    drop(permit);
    assert_eq!(admission.free(), 0, "it was granted to the first that waits");
    gone.give_up();
    let Poll::Ready(permit) = poll(&mut next) else { panic!("it was given up for this one") };
    drop((permit, held, gone, next));
    assert_eq!(admission.free(), 1);
}

#[test]
fn calls_are_counted_until_they_end_and_nobody_is_shut_out() {
    let admission = Admission::new(2, 10);
    let (flood, other) =
        (admission.share(&Tenant::new("flood", 1)), admission.share(&Tenant::new("other", 1)));
    let busy = Err(Busy { most: 10 });
    let many = flood.enter(9).map_err(|_| "nine fit").unwrap();
    assert_eq!(flood.enter(2).map(drop), busy);
    let one = flood.enter(1).map_err(|_| "ten fit").unwrap();
    assert_eq!(flood.enter(1).map(drop), busy);
    // As many as there is room for.
    let others = other.enter(2).map_err(|_| "they are its own").unwrap();
    assert_eq!(other.enter(1).map(drop), busy);
    (0..4).for_each(|_| many.end_one());
    drop(one);
    assert_eq!(flood.enter(4).map(drop), busy);
    assert!(flood.enter(3).is_ok());
    drop((many, others));
    assert!(flood.enter(10).is_ok());
}
