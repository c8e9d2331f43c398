//! The wasmtime engine that all calls of a host share: features, memory pool, ticker.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::ticker::{Ticker, Ticking};

pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    ticker: Ticker,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the memory pool for {jobs} calls at once cannot be made: {message}; try fewer `jobs`")]
    Pool { jobs: usize, message: String },
    #[error("the epoch thread cannot be started: {0}")]
    Ticker(#[source] std::io::Error),
}

/// Core memories that one component may have. Components of one language have one; composed ones one
/// for each part.
pub(super) const MEMORIES: u32 = 4;
const TABLES: u32 = 8;
const CORE_INSTANCES: u32 = 64;

impl Engine {
    /// Reserves address space, not memory, for `jobs` calls at once of at most `memory` bytes each.
    ///
    /// # Errors
    /// The system refuses so much address space, or a thread.
    pub fn new(jobs: usize, memory: u64) -> Result<Engine, EngineError> {
        let count = u32::try_from(jobs).unwrap_or(u32::MAX);
        let bytes = usize::try_from(memory).unwrap_or(usize::MAX);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(count)
            .total_core_instances(count.saturating_mul(CORE_INSTANCES))
            .total_memories(count.saturating_mul(MEMORIES))
            .total_tables(count.saturating_mul(TABLES))
            .total_stacks(count)
            .max_core_instances_per_component(CORE_INSTANCES)
            .max_memories_per_component(MEMORIES)
            .max_tables_per_component(TABLES)
            .max_component_instance_size(16 << 20)
            .max_core_instance_size(16 << 20)
            .table_elements(100_000)
            .max_memory_size(bytes)
            .linear_memory_keep_resident(2 << 20)
            .table_keep_resident(64 << 10)
            .async_stack_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .epoch_interruption(true)
            .concurrency_support(false)
            .gc_support(false)
            .wasm_gc(false)
            .wasm_function_references(false)
            .wasm_exceptions(false)
            .wasm_threads(false)
            .wasm_memory64(false)
            .wasm_multi_memory(false);
        let wasmtime = wasmtime::Engine::new(&config)
            .map_err(|error| EngineError::Pool { jobs, message: format!("{error:#}") })?;
        let ticker = Ticker::start(wasmtime.weak()).map_err(EngineError::Ticker)?;
        Ok(Engine { wasmtime, ticker })
    }

    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(super) fn ticking(&self) -> Ticking<'_> {
        self.ticker.ticking()
    }
}
