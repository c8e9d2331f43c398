//! A job whose runs are written out by the test, and which logs what is asked of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::schedule::{
    Admission, Approval, By, Committed, Job, Needs, NotRun, Share, Tenant, Turn, Verdict,
};

#[derive(Debug, PartialEq)]
pub enum Event {
    Run { call: usize, attempt: u32, last: bool },
    Effect(usize),
    Commit(usize),
    NotRun(usize, NotRun),
}
type Body = dyn Fn(usize, Turn) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;
type Ask<T> = Box<dyn Fn(usize) -> T + Send + Sync>;
type AskTwo = Box<dyn Fn(usize, usize) -> bool + Send + Sync>;

pub struct Script {
    pub body: Box<Body>,
    pub writes: bool,
    pub conflicts: AskTwo,
    pub commits: Ask<Committed>,
    pub overtaken: Ask<bool>,
    pub approval: Box<dyn Fn(usize, bool) -> Approval<bool> + Send + Sync>,
    pub events: Mutex<Vec<Event>>,
    pub asked: AtomicUsize,
}

impl Script {
    pub fn new<F>(body: impl Fn(usize, Turn) -> F + Send + Sync + 'static) -> Script
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Script {
            body: Box::new(move |call, turn| Box::pin(body(call, turn))),
            writes: true,
            conflicts: Box::new(|_, _| true),
            commits: Box::new(|_| Committed::Ended(Verdict::Ok)),
            overtaken: Box::new(|_| false),
            approval: Box::new(|_, run| Approval::Given(run)),
            events: Mutex::default(),
            asked: AtomicUsize::new(0),
        }
    }

    fn log(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    /// The calls whose commits were asked for, in order.
    pub fn commits(&self) -> Vec<usize> {
        let calls = self.events().into_iter();
        calls
            .filter_map(|it| if let Event::Commit(call) = it { Some(call) } else { None })
            .collect()
    }
}

impl Job for Script {
    type Run = bool;

    async fn run(&self, call: usize, turn: &Turn) -> bool {
        self.log(Event::Run { call, attempt: turn.attempt, last: turn.last });
        (self.body)(call, turn.clone()).await;
        self.writes
    }

    fn wrote(run: &bool) -> bool {
        *run
    }

    fn may_conflict(&self, _: &bool, earlier: usize) -> bool {
        self.asked.fetch_add(1, SeqCst);
        (self.conflicts)(usize::MAX, earlier)
    }

    fn overtaken(&self, call: usize) -> bool {
        (self.overtaken)(call)
    }

    fn approval(&self, call: usize, run: bool) -> Approval<bool> {
        (self.approval)(call, run)
    }

    fn commit(&self, call: usize, _: bool) -> Committed {
        self.log(Event::Commit(call));
        (self.commits)(call)
    }

    fn invalid(&self, call: usize) -> Option<By> {
        (self.overtaken)(call).then_some(By::Host)
    }

    fn may_conflict_running(&self, call: usize, other: usize) -> bool {
        (self.conflicts)(call, other)
    }

    fn not_run(&self, call: usize, why: NotRun) {
        self.log(Event::NotRun(call, why));
    }
}

/// Asks once about each of these calls, and gives its run back, as one that writes or as none, when it is answered so.
pub struct Asked(Mutex<BTreeMap<usize, Option<oneshot::Receiver<bool>>>>);

impl Asked {
    pub fn about(calls: &[usize]) -> (Asked, BTreeMap<usize, oneshot::Sender<bool>>) {
        let (mut open, mut answers) = (BTreeMap::new(), BTreeMap::new());
        for &call in calls {
            let (answer, answered) = oneshot::channel();
            open.insert(call, Some(answered));
            answers.insert(call, answer);
        }
        (Asked(Mutex::new(open)), answers)
    }

    pub fn approval(&self, call: usize, run: bool) -> Approval<bool> {
        match self.0.lock().unwrap().get_mut(&call).and_then(Option::take) {
            Some(answered) => Approval::Asked(Box::pin(async move { answered.await.unwrap() })),
            None => Approval::Given(run),
        }
    }
}

/// Room of one tenant.
pub fn room_for(calls: usize) -> Share {
    Admission::new(calls, usize::MAX).share(&Tenant::default())
}

pub fn writer() -> Needs {
    Needs { writes: true, ..Needs::default() }
}

pub fn on_one_thread<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let task = async { tokio::time::timeout(Duration::from_secs(10), task).await };
    runtime.block_on(task).expect("nobody can go on")
}

/// Lets everything else go as far as it can.
pub async fn others() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
