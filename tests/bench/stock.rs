//! Files by wasmtime-wasi itself: the same component with the same engine settings, a preopened directory, and its
//! own way around the blocking pool where it has one. A fresh store with a WASI context for each call.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Linker, Lower, ResourceTable,
};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

pub struct Stock {
    engine: Engine,
    pre: InstancePre<State>,
    exports: HashMap<&'static str, ComponentExportIndex>,
    dir: PathBuf,
    name: String,
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

impl Stock {
    /// The functions of `readers` that are used here, with `dir` as the guest's `.`.
    pub fn new(readers: &[u8], functions: &[&'static str], dir: &Path) -> anyhow::Result<Stock> {
        let engine = crate::bare::engine()?;
        let component = Component::new(&engine, readers)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let interface = component.get_export_index(None, "test:readers/readers");
        let interface = interface.context("the readers guest exports no `readers`")?;
        let export = |function: &&'static str| {
            let index = component.get_export_index(Some(&interface), function);
            Ok((*function, index.with_context(|| format!("no export {function:?}"))?))
        };
        let exports = functions.iter().map(export).collect::<anyhow::Result<_>>()?;
        let pre = linker.instantiate_pre(&component)?;
        let name = dir.to_str().context("the folder is not UTF-8")?.to_owned();
        Ok(Stock { engine, pre, exports, dir: dir.to_owned(), name })
    }

    /// Calls a function that gives a number.
    pub async fn call<P>(&self, function: &str, params: P) -> anyhow::Result<u64>
    where
        P: ComponentNamedList + Lower + Send + Sync,
    {
        let export = self.exports.get(function).context("not one of the functions")?;
        let mut wasi = WasiCtx::builder();
        wasi.allow_blocking_current_thread(true);
        // The same names for it that guests have here: a relative and an absolute path both lead to it.
        wasi.preopened_dir(&self.dir, ".", FsPerms::ReadWrite)?;
        wasi.preopened_dir(&self.dir, &self.name, FsPerms::ReadWrite)?;
        let state = State { wasi: wasi.build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(1);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let function = instance.get_typed_func::<P, (Result<u64, String>,)>(&mut store, export)?;
        let (answer,) = function.call_async(&mut store, params).await?;
        answer.map_err(anyhow::Error::msg)
    }
}
