//! The wasmtime engines that all calls of a host share: features, memory pool, ticker.
//!
//! There are two, of which most hosts only ever make the first. With the component model's concurrency, wasmtime
//! puts every call through machinery for tasks that WASI 0.2 does not need. But some languages' tools put its
//! built-ins into every component they make (JavaScript's `jco` with QuickJS does), so that one which the first
//! engine refuses is compiled for the second.

use std::sync::{Arc, OnceLock};

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::ceiling::Ceiling;

use super::clock::Alarms;
use super::ticker::{Ticker, Ticking};

pub struct Engine {
    plain: Running,
    concurrent: OnceLock<Running>,
    alarms: Arc<Alarms>,
    ceiling: Arc<Ceiling>,
    jobs: usize,
    memory: u64,
}

/// An engine and the thread that interrupts its guests.
struct Running {
    wasmtime: wasmtime::Engine,
    ticker: Ticker,
}

/// Which engine a component runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Plain,
    /// With the built-ins of component-model concurrency.
    Concurrent,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the engine cannot be started: {0}")]
    Wasmtime(String),
    #[error("the epoch thread cannot be started: {0}")]
    Ticker(std::io::Error),
}

/// Core memories that one component may have. Components of one language have one; composed ones one
/// for each part.
pub(super) const MEMORIES: u32 = 4;
const TABLES: u32 = 8;
/// Elements of a table: the largest of CPython has 5,672. wasmtime makes what is in them of functions when it is first copied, in
/// one go: 0.16 us each.
const TABLE: usize = 50_000;
/// Memories of all components at once: each takes 4 GiB of address space, of which a process has 128 TiB.
const MOST_MEMORIES: u32 = 20_000;
const CORE_INSTANCES: u32 = 64;
/// What wasmtime keeps of globals, functions and imports, for all instances of one component. It fills it in without a look
/// at the epoch: half a million globals in 5 ms.
const INSTANCE: usize = 8 << 20;

impl Engine {
    /// Reserves address space, not memory, for `jobs` calls at once of at most `memory` bytes each; together they
    /// hold at most `ceiling` bytes.
    ///
    /// # Errors
    /// The system refuses so much address space, or a thread.
    pub fn new(jobs: usize, memory: u64, ceiling: u64) -> Result<Engine, EngineError> {
        let plain = Running::start(Flavor::Plain, jobs, memory)?;
        let (concurrent, alarms) = (OnceLock::new(), Arc::default());
        let ceiling = Arc::new(Ceiling::new(ceiling));
        Ok(Engine { plain, concurrent, alarms, ceiling, jobs, memory })
    }

    /// One for calls of up to `memory` bytes each, beside this one: what the calls of both hold counts together.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn beside(&self, memory: u64) -> Result<Engine, EngineError> {
        let plain = Running::start(Flavor::Plain, self.jobs, memory)?;
        let (concurrent, alarms, ceiling) = (OnceLock::new(), Arc::default(), self.ceiling());
        Ok(Engine { plain, concurrent, alarms, ceiling, jobs: self.jobs, memory })
    }

    /// The most that it has room for in one call.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// The most with which a memory may begin where its component can be compiled.
    pub fn first_memory(&self) -> u64 {
        first_memory(self.memory)
    }

    /// The engine of a flavor, started if need be.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn flavor(&self, flavor: Flavor) -> Result<&wasmtime::Engine, EngineError> {
        self.running(flavor).map(|running| &running.wasmtime)
    }

    /// Interrupts the guests of a flavor for as long as the result lives. A flavor that was never started
    /// has none.
    pub(super) fn ticking(&self, flavor: Flavor) -> Option<Ticking<'_>> {
        let running = match flavor {
            Flavor::Plain => Some(&self.plain),
            Flavor::Concurrent => self.concurrent.get(),
        };
        running.map(|running| running.ticker.ticking())
    }

    /// What guests sleep by.
    pub(super) fn alarms(&self) -> Arc<Alarms> {
        self.alarms.clone()
    }

    pub fn ceiling(&self) -> Arc<Ceiling> {
        self.ceiling.clone()
    }

    fn running(&self, flavor: Flavor) -> Result<&Running, EngineError> {
        if flavor == Flavor::Plain {
            return Ok(&self.plain);
        }
        if let Some(running) = self.concurrent.get() {
            return Ok(running);
        }
        let started = Running::start(Flavor::Concurrent, self.jobs, self.memory)?;
        Ok(self.concurrent.get_or_init(|| started))
    }
}

impl Running {
    fn start(flavor: Flavor, jobs: usize, memory: u64) -> Result<Running, EngineError> {
        let pooled = wasmtime::Engine::new(config(flavor).allocation_strategy(pool(jobs, memory)));
        let wasmtime = pooled.or_else(|error| {
            // Under a limit on address space, say. Slower, and just as safe.
            tracing::warn!(%error, jobs, "no memory pool for so many calls at once; going without");
            wasmtime::Engine::new(&config(flavor))
        });
        let wasmtime = wasmtime.map_err(|error| EngineError::Wasmtime(format!("{error:#}")))?;
        let ticker = Ticker::start(wasmtime.weak()).map_err(EngineError::Ticker)?;
        Ok(Running { wasmtime, ticker })
    }
}

fn config(flavor: Flavor) -> Config {
    let concurrent = flavor == Flavor::Concurrent;
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Twice of what is usual: a parser of Python, compiled to wasm, needs more than half a MiB for 150 brackets. The host's
        // own functions have the other half of an async stack.
        .max_wasm_stack(1 << 20)
        .concurrency_support(concurrent)
        .wasm_component_model_async(concurrent)
        .gc_support(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_threads(false)
        .wasm_memory64(false)
        // Not for guests: wasmtime's own adapters between the parts of a composed component need it.
        .wasm_multi_memory(true);
    config
}

/// A plugin whose first memory is over its limit is to fail by the limit, which says so, unless it is much over.
fn first_memory(memory: u64) -> u64 {
    memory.max(256 << 20)
}

/// Room for `jobs` stores. `MEMORIES` and the like are per component, so that no mix of components runs out of any,
/// but for memories beyond 5,000 calls at once.
fn pool(jobs: usize, memory: u64) -> InstanceAllocationStrategy {
    let count = u32::try_from(jobs).unwrap_or(u32::MAX);
    let bytes = usize::try_from(first_memory(memory)).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count)
        .total_core_instances(count.saturating_mul(CORE_INSTANCES))
        .total_memories(count.saturating_mul(MEMORIES).min(MOST_MEMORIES).max(count))
        .total_tables(count.saturating_mul(TABLES))
        .total_stacks(count)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(INSTANCE)
        .max_core_instance_size(INSTANCE)
        .table_elements(TABLE)
        .max_memory_size(bytes)
        .linear_memory_keep_resident(2 << 20)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}
