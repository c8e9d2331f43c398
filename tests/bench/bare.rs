//! Bare wasmtime: the same component with the same engine settings, by the shortest way that wasmtime
//! itself offers. A fresh store with a WASI context, an instance, one typed call, all dropped.

use anyhow::Context as _;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower,
    ResourceTable, Val,
};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub struct Bare {
    engine: Engine,
    pre: InstancePre<State>,
    exports: Vec<(&'static str, ComponentExportIndex)>,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Bare {
    /// Functions of one interface of a component.
    pub fn new(bytes: &[u8], interface: &str, functions: &[&'static str]) -> anyhow::Result<Bare> {
        let engine = engine()?;
        let component = Component::new(&engine, bytes)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let exporting = component.get_export_index(None, interface);
        let exporting = exporting.with_context(|| format!("no export {interface:?}"))?;
        let export = |function: &&'static str| {
            let index = component.get_export_index(Some(&exporting), function);
            Ok((*function, index.with_context(|| format!("no export {function:?}"))?))
        };
        let exports = functions.iter().map(export).collect::<anyhow::Result<_>>()?;
        Ok(Bare { pre: linker.instantiate_pre(&component)?, engine, exports })
    }

    pub async fn add(&self, a: u32, b: u32) -> anyhow::Result<u32> {
        let (sum,) = self.call::<_, (u32,)>("add", (a, b)).await?;
        Ok(sum)
    }

    pub async fn echo(&self, text: &str) -> anyhow::Result<String> {
        let (text,) = self.call::<_, (String,)>("echo", (text,)).await?;
        Ok(text)
    }

    pub async fn echo_bytes(&self, data: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (data,) = self.call::<_, (Vec<u8>,)>("echo-bytes", (data,)).await?;
        Ok(data)
    }

    pub async fn sleep(&self, ms: u32) -> anyhow::Result<()> {
        self.call::<_, ()>("sleep", (ms,)).await
    }

    /// `add` by dynamic values, which is how a host calls what it does not know at compile time.
    pub async fn add_untyped(&self, a: u32, b: u32) -> anyhow::Result<u32> {
        let mut store = self.store();
        let instance = self.pre.instantiate_async(&mut store).await?;
        let Some(function) = instance.get_func(&mut store, *self.export("add")?) else {
            anyhow::bail!("the export is not a function");
        };
        let mut results = [Val::Bool(false)];
        function.call_async(&mut store, &[Val::U32(a), Val::U32(b)], &mut results).await?;
        match results {
            [Val::U32(sum)] => Ok(sum),
            other => anyhow::bail!("add gave {other:?}"),
        }
    }

    fn export(&self, function: &str) -> anyhow::Result<&ComponentExportIndex> {
        let found = self.exports.iter().find(|(name, _)| *name == function);
        found.map(|(_, index)| index).with_context(|| format!("{function:?} is not one of them"))
    }

    pub async fn call<P, R>(&self, function: &str, params: P) -> anyhow::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let mut store = self.store();
        let instance = self.pre.instantiate_async(&mut store).await?;
        let function = instance.get_typed_func::<P, R>(&mut store, self.export(function)?)?;
        Ok(function.call_async(&mut store, params).await?)
    }

    fn store(&self) -> Store<State> {
        let state = State { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        // No ticker moves the epoch here; without a deadline the guest would be stopped at once.
        store.set_epoch_deadline(1);
        store
    }
}

/// To be kept as in `host/sandbox/engine.rs`, with the defaults of `jobs` and `memory`.
pub fn engine() -> wasmtime::Result<Engine> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = u32::try_from(4 * cores).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(jobs)
        .total_core_instances(jobs * 64)
        .total_memories(jobs * 4)
        .total_tables(jobs * 8)
        .total_stacks(jobs)
        .max_core_instances_per_component(64)
        .max_memories_per_component(4)
        .max_tables_per_component(8)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .table_elements(100_000)
        .max_memory_size(256 << 20)
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
    Engine::new(&config)
}
