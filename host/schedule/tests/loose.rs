//! The rules of loose calls, one at a time.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::script::{Asked, Event, Script, on_one_thread, others, room_for};
use crate::schedule::{By, Committed, Loose, NotRun, Verdict};

/// The gates of last tries are these and the call.
const LAST: usize = 100;

/// Loose calls on one thread, with a gate that each run waits at.
struct Requests {
    loose: Loose<Script>,
    job: Arc<Script>,
    open: Arc<Mutex<BTreeSet<usize>>>,
}

impl Requests {
    fn new(script: impl FnOnce(Script) -> Script) -> Requests {
        Requests::with_effects(&[], script)
    }

    /// The runs of `effects` go past an irrevocable effect before they come to their gates.
    fn with_effects(effects: &'static [usize], script: impl FnOnce(Script) -> Script) -> Requests {
        let open = Arc::new(Mutex::new(BTreeSet::new()));
        let gates = open.clone();
        let job = script(Script::new(move |call, turn| {
            let gates = gates.clone();
            async move {
                if effects.contains(&call) {
                    turn.irrevocable().await;
                }
                let gate = if turn.last { LAST + call } else { call };
                while !gates.lock().unwrap().contains(&gate) {
                    tokio::task::yield_now().await;
                }
            }
        }));
        let job = Arc::new(job);
        Requests { loose: Loose::new(job.clone(), room_for(8)), job, open }
    }

    fn send(&self) -> impl Future<Output = ()> + use<> {
        let (loose, ticket) = (self.loose.clone(), self.loose.issue());
        async move { loose.call(ticket, vec![], CancellationToken::new()).await }
    }

    async fn finish(&self, call: usize) {
        self.open.lock().unwrap().insert(call);
        others().await;
    }
}

#[test]
fn a_slow_request_holds_back_nothing_that_is_unrelated() {
    let requests = Requests::new(|it| Script { conflicts: Box::new(|_, _| false), ..it });
    on_one_thread(async {
        let both = async { tokio::join!(requests.send(), requests.send()) };
        tokio::join!(both, async {
            requests.finish(1).await;
            assert_eq!(requests.job.commits(), [1]);
            requests.finish(0).await;
            assert_eq!(requests.job.commits(), [0]);
        });
    });
}

#[test]
fn a_read_sent_after_a_write_of_the_same_thing_is_committed_after_it() {
    let requests = Requests::new(|it| it);
    on_one_thread(async {
        let both = async { tokio::join!(requests.send(), requests.send()) };
        tokio::join!(both, async {
            requests.finish(1).await;
            assert_eq!(requests.job.commits(), [0_usize; 0]);
            requests.finish(0).await;
            assert_eq!(requests.job.commits(), [0, 1]);
        });
    });
}

#[test]
fn a_request_that_is_dropped_holds_back_nobody() {
    let requests = Requests::new(|it| it);
    on_one_thread(async {
        let first = tokio::time::timeout(Duration::from_millis(5), requests.send());
        let (first, ()) = tokio::join!(first, async {
            let second = requests.send();
            tokio::join!(second, requests.finish(1));
        });
        assert!(first.is_err());
        assert_eq!(requests.job.commits(), [1]);
    });
}

#[test]
fn a_request_that_is_overtaken_is_run_again_at_once() {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let seen = attempts.clone();
    let requests = Requests::new(|it| Script {
        conflicts: Box::new(|_, _| false),
        overtaken: Box::new(move |call| call == 0 && seen.lock().unwrap().is_empty()),
        ..it
    });
    on_one_thread(async {
        let both = async { tokio::join!(requests.send(), requests.send()) };
        tokio::join!(both, async {
            requests.finish(1).await;
            attempts.lock().unwrap().push(());
            let again = Event::Run { call: 0, attempt: 2, last: false };
            assert!(requests.job.events().contains(&again));
            requests.finish(0).await;
        });
    });
}

#[test]
fn a_request_that_others_make_stale_has_three_tries() {
    let requests =
        Requests::new(|it| Script { commits: Box::new(|_| Committed::Stale(By::Others)), ..it });
    on_one_thread(async {
        tokio::join!(requests.send(), async {
            requests.finish(0).await;
            requests.finish(LAST).await;
        });
    });
    let events = requests.job.events();
    assert!(events.contains(&Event::Run { call: 0, attempt: 3, last: true }), "{events:?}");
    assert_eq!(events.last(), Some(&Event::NotRun(0, NotRun::Conflict)));
}

#[test]
fn a_request_that_its_own_host_overtakes_has_its_tries_by_others_still() {
    let stale = AtomicUsize::new(0);
    let requests = Requests::new(|it| Script {
        commits: Box::new(move |_| match stale.fetch_add(1, SeqCst) {
            0..=2 => Committed::Stale(By::Host),
            3 | 4 => Committed::Stale(By::Others),
            _ => Committed::Ended(Verdict::Ok),
        }),
        ..it
    });
    on_one_thread(async {
        tokio::join!(requests.send(), async {
            requests.finish(0).await;
            requests.finish(LAST).await;
        });
    });
    assert_eq!(requests.job.events().last(), Some(&Event::Commit(0)));
}

#[test]
fn a_cancelled_request_is_told_so_and_its_run_is_gone() {
    let requests = Requests::new(|it| it);
    on_one_thread(async {
        let cancel = CancellationToken::new();
        let ticket = requests.loose.issue();
        let call = requests.loose.call(ticket, vec![], cancel.clone());
        tokio::join!(call, async {
            others().await;
            cancel.cancel();
        });
        assert_eq!(requests.job.events().last(), Some(&Event::NotRun(0, NotRun::Cancelled)));
        let next = requests.send();
        tokio::join!(next, requests.finish(1));
        assert_eq!(requests.job.commits(), [1]);
    });
}

#[test]
fn a_request_at_its_last_try_holds_back_later_ones_that_wrote_what_it_reads() {
    let stale = AtomicUsize::new(0);
    let requests = Requests::new(|it| Script {
        commits: Box::new(move |call| {
            let stale = call == 0 && stale.fetch_add(1, SeqCst) < 2;
            if stale { Committed::Stale(By::Others) } else { Committed::Ended(Verdict::Ok) }
        }),
        conflicts: Box::new(|call, other| (call, other) == (0, 1)),
        ..it
    });
    on_one_thread(async {
        let both = async { tokio::join!(requests.send(), requests.send()) };
        tokio::join!(both, async {
            requests.finish(0).await;
            assert_eq!(requests.job.commits(), [0, 0]);
            requests.finish(1).await;
            assert_eq!(requests.job.commits(), [0_usize; 0]);
            requests.finish(LAST).await;
            assert_eq!(requests.job.commits(), [0, 1]);
        });
    });
}

#[test]
fn a_request_past_an_irrevocable_effect_comes_before_all_that_wrote_what_it_reads() {
    let staged = Arc::new(AtomicBool::new(false));
    let seen = staged.clone();
    let requests = Requests::with_effects(&[1], |it| Script {
        conflicts: Box::new(move |call, other| (call, other) == (1, 0) && seen.load(SeqCst)),
        ..it
    });
    on_one_thread(async {
        let both = async { tokio::join!(requests.send(), requests.send()) };
        tokio::join!(both, async {
            others().await;
            staged.store(true, SeqCst);
            requests.finish(0).await;
            assert_eq!(requests.job.commits(), [0_usize; 0]);
            requests.finish(1).await;
            assert_eq!(requests.job.commits(), [1, 0]);
        });
    });
}

#[test]
fn an_irrevocable_effect_of_a_request_waits_for_earlier_ones_that_are_in_its_way() {
    let requests = Requests::with_effects(&[1], |it| it);
    on_one_thread(async {
        let both = async { tokio::join!(requests.send(), requests.send()) };
        tokio::join!(both, async {
            requests.finish(1).await;
            requests.finish(0).await;
            let runs = |it: &Event| matches!(it, Event::Run { call: 1, .. });
            let events = requests.job.events();
            assert_eq!(events.iter().filter(|it| runs(it)).count(), 2);
            assert_eq!(events.last(), Some(&Event::Commit(1)));
        });
    });
}

#[test]
fn a_request_past_an_irrevocable_effect_is_never_run_again() {
    let stale = |it| Script { commits: Box::new(|_| Committed::Stale(By::Others)), ..it };
    let requests = Requests::with_effects(&[0], stale);
    on_one_thread(async {
        tokio::join!(requests.send(), requests.finish(0));
    });
    let ends = [Event::Commit(0), Event::NotRun(0, NotRun::Conflict)];
    assert_eq!(requests.job.events()[1..], ends);
}

#[test]
fn while_somebody_is_asked_about_a_request_only_those_wait_that_read_what_it_has_staged() {
    for related in [false, true] {
        let (asked, mut answers) = Asked::about(&[0]);
        let requests = Requests::new(|it| Script {
            conflicts: Box::new(move |_, other| related && other == 0),
            approval: Box::new(move |call, run| asked.approval(call, run)),
            ..it
        });
        on_one_thread(async {
            let both = async { tokio::join!(requests.send(), requests.send()) };
            tokio::join!(both, async {
                requests.finish(0).await;
                requests.finish(1).await;
                let committed: &[usize] = if related { &[] } else { &[1] };
                assert_eq!(requests.job.commits(), committed);
                answers.remove(&0).unwrap().send(true).unwrap();
            });
            let committed: &[usize] = if related { &[0, 1] } else { &[0] };
            assert_eq!(requests.job.commits(), committed);
        });
    }
}
