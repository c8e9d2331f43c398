//! Whose turn it is when room for a call comes free: weighted fair shares of tenants, in the order of arrival within
//! each.
//!
//! A tenant is charged for the time that its calls hold room, divided by its weight, and a little for each call, so
//! that calls which take no time count too. Room that comes free goes to the waiting tenant that was charged least.
//! That is start-time fair queueing with the time that a call takes charged while it passes, since nobody knows it
//! before. One that was idle starts where the others are: time that it did not use is not kept for it, and
//! what it used while nobody else wanted it is not held against it for longer than its calls run.
//!
//! Invariants:
//! - What runs and what is free add up to the room.
//! - Nobody waits while room is free.
//! - Whoever waits is served: the charge of all that go before it rises with each call, also that of newcomers.
//! - Between tenants that wait all the time, charges differ by no more than what calls that run at once can add before
//!   they end: `room * longest call / weight` of each.
//!
//! Knows no clock, no threads and no tasks: times are told, waiters are handed back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Whose calls they are. Calls of one name share what room there is for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    name: Arc<str>,
    weight: u32,
}

/// The heaviest tenant.
const MOST_WEIGHT: u32 = 10_000;

impl Tenant {
    /// One of weight 2 gets twice the room of one of weight 1 while both want more than there is. From 1 to 10,000.
    pub fn new(name: &str, weight: u32) -> Tenant {
        Tenant { name: name.into(), weight: weight.clamp(1, MOST_WEIGHT) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn rate(&self) -> u128 {
        FINE / u128::from(self.weight)
    }
}

impl Default for Tenant {
    /// The one tenant of a host that has no others.
    fn default() -> Tenant {
        Tenant::new("", 1)
    }
}

/// Names a tenant while there are handles of it.
pub type Id = usize;

/// `W` is what waits. Times are nanoseconds, and never go back.
pub struct Shares<W> {
    room: usize,
    free: usize,
    /// Calls that may be here without having ended, over all tenants.
    most_calls: usize,
    calls: usize,
    tenants: BTreeMap<Id, Entry<W>>,
    names: HashMap<Arc<str>, Id>,
    /// Those with somebody waiting.
    waiting: BTreeSet<Id>,
    /// The charge of whoever was started last, or the highest before: where a tenant begins that had nobody waiting.
    start: u128,
    next_id: Id,
    next_ticket: u64,
    sweep_at: usize,
}

struct Entry<W> {
    name: Arc<str>,
    /// What a nanosecond costs: less for a heavier tenant.
    rate: u128,
    handles: usize,
    /// Calls that have come here and not ended.
    calls: usize,
    running: usize,
    /// As of `since`.
    charged: u128,
    since: u64,
    /// By ticket, which is the order of arrival over all tenants.
    queue: BTreeMap<u64, W>,
}

/// What a nanosecond costs a tenant of weight 1.
const FINE: u128 = 1 << 32;
/// Nanoseconds that a call is charged besides its time.
const EACH: u128 = 50_000;

impl<W> Shares<W> {
    pub fn new(room: usize, most_calls: usize) -> Shares<W> {
        Shares {
            room,
            free: room,
            most_calls,
            calls: 0,
            tenants: BTreeMap::new(),
            names: HashMap::new(),
            waiting: BTreeSet::new(),
            start: 0,
            next_id: 0,
            next_ticket: 0,
            sweep_at: 64,
        }
    }

    /// A handle of a tenant. Of two that are given for one name, the later weight holds.
    pub fn join(&mut self, tenant: &Tenant, now: u64) -> Id {
        if let Some(&id) = self.names.get(&tenant.name)
            && let Some(entry) = self.tenants.get_mut(&id)
        {
            entry.advance(now);
            entry.handles += 1;
            entry.rate = tenant.rate();
            return id;
        }
        self.sweep(now);
        let id = self.next_id;
        self.next_id += 1;
        let entry = Entry {
            name: tenant.name.clone(),
            rate: tenant.rate(),
            handles: 1,
            calls: 0,
            running: 0,
            charged: self.start,
            since: now,
            queue: BTreeMap::new(),
        };
        self.tenants.insert(id, entry);
        self.names.insert(tenant.name.clone(), id);
        id
    }

    pub fn leave(&mut self, id: Id) {
        if let Some(entry) = self.tenants.get_mut(&id) {
            entry.handles -= 1;
        }
    }

    /// Counts calls in, if so many more may be here. A tenant with no more of them than there is room is let in whatever
    /// the others have, so that nobody can shut it out.
    pub fn enter(&mut self, id: Id, calls: usize) -> bool {
        let Some(entry) = self.tenants.get_mut(&id) else { return false };
        if self.calls + calls > self.most_calls && entry.calls + calls > self.room {
            return false;
        }
        entry.calls += calls;
        self.calls += calls;
        true
    }

    pub fn exit(&mut self, id: Id, calls: usize) {
        if let Some(entry) = self.tenants.get_mut(&id) {
            entry.calls -= calls;
            self.calls -= calls;
        }
    }

    pub fn most_calls(&self) -> usize {
        self.most_calls
    }

    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.free
    }

    #[cfg(test)]
    pub fn tenants(&self) -> usize {
        self.tenants.len()
    }

    /// Starts a call, if there is room.
    pub fn start(&mut self, id: Id, now: u64) -> bool {
        if self.free == 0 {
            return false;
        }
        self.arrive(id, now);
        self.run(id, now);
        true
    }

    /// Queues a call for which there is no room.
    pub fn wait(&mut self, id: Id, waiter: W, now: u64) -> u64 {
        self.arrive(id, now);
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if let Some(entry) = self.tenants.get_mut(&id) {
            entry.queue.insert(ticket, waiter);
            self.waiting.insert(id);
        }
        ticket
    }

    /// Takes a call out of the queue, if it is still there.
    pub fn forget(&mut self, id: Id, ticket: u64) -> Option<W> {
        let entry = self.tenants.get_mut(&id)?;
        let waiter = entry.queue.remove(&ticket);
        if entry.queue.is_empty() {
            self.waiting.remove(&id);
        }
        waiter
    }

    /// Ends a call. Its room goes to the waiter that is given back, if anybody waits.
    pub fn end(&mut self, id: Id, now: u64) -> Option<W> {
        if let Some(entry) = self.tenants.get_mut(&id) {
            entry.advance(now);
            entry.running -= 1;
            self.free += 1;
        }
        let next = self.first(now)?;
        let entry = self.tenants.get_mut(&next)?;
        let (_, waiter) = entry.queue.pop_first()?;
        if entry.queue.is_empty() {
            self.waiting.remove(&next);
        }
        self.run(next, now);
        Some(waiter)
    }

    /// The waiting tenant that was charged least; of several, the one whose call has waited longest.
    fn first(&self, now: u64) -> Option<Id> {
        let charge = |id: &Id| {
            let entry = self.tenants.get(id)?;
            Some((entry.charge(now), *entry.queue.keys().next()?, *id))
        };
        self.waiting.iter().filter_map(charge).min().map(|(.., id)| id)
    }

    /// A tenant with nobody waiting wants something: it starts no earlier than who was started last.
    fn arrive(&mut self, id: Id, now: u64) {
        if let Some(entry) = self.tenants.get_mut(&id)
            && entry.queue.is_empty()
        {
            entry.advance(now);
            entry.charged = entry.charged.max(self.start);
        }
    }

    fn run(&mut self, id: Id, now: u64) {
        let Some(entry) = self.tenants.get_mut(&id) else { return };
        entry.advance(now);
        entry.charged += EACH * entry.rate;
        entry.running += 1;
        self.free -= 1;
        // With what it was charged for this call: else newcomers without end would all start before those who wait.
        self.start = self.start.max(entry.charged);
    }

    /// Forgets tenants that would start anew if they came back.
    fn sweep(&mut self, now: u64) {
        if self.tenants.len() < self.sweep_at {
            return;
        }
        let (start, names) = (self.start, &mut self.names);
        self.tenants.retain(|_, entry| {
            let used = entry.handles > 0 || entry.running > 0 || entry.charge(now) > start;
            if !used {
                names.remove(&entry.name);
            }
            used
        });
        self.sweep_at = 64 + 2 * self.tenants.len();
    }
}

impl<W> Entry<W> {
    fn charge(&self, now: u64) -> u128 {
        let passed = u128::from(now.saturating_sub(self.since)) * self.running as u128;
        self.charged + passed * self.rate
    }

    fn advance(&mut self, now: u64) {
        self.charged = self.charge(now);
        self.since = self.since.max(now);
    }
}
