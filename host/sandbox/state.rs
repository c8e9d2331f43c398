//! What one store holds: its own WASI context, handles, limiter and captured output.
//!
//! Defaults are closed: no arguments, empty standard input, no variables, no addresses or names, no
//! directories. Clocks and random numbers are given.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::files::{Face, View};
use crate::policy::Limits;

use super::capture::Capture;
use super::clock::{Alarms, Clock};
use super::limiter::{Ceiling, Limiter};

pub struct State {
    pub limiter: Limiter,
    pub stdout: Capture,
    pub stderr: Capture,
    wasi: WasiCtx,
    table: ResourceTable,
    view: Arc<View>,
    alarms: Arc<Alarms>,
}

impl State {
    pub fn new(
        limits: &Limits,
        env: &[(String, String)],
        view: Arc<View>,
        alarms: Arc<Alarms>,
        ceiling: Arc<Ceiling>,
    ) -> State {
        let (stdout, stderr) = (Capture::new(limits.output), Capture::new(limits.output));
        let mut wasi = WasiCtx::builder();
        wasi.stdout(stdout.clone())
            .stderr(stderr.clone())
            .envs(env)
            .max_random_size(limits.random)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .allow_blocking_current_thread(true);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        let limiter = Limiter::new(limits.memory, ceiling);
        State { limiter, stdout, stderr, wasi: wasi.build(), table, view, alarms }
    }

    pub fn clock(&mut self) -> Clock<'_> {
        let stock = WasiClocksCtxView { ctx: self.wasi.clocks(), table: &mut self.table };
        Clock { stock, alarms: &self.alarms }
    }

    pub fn files(&mut self) -> Face<'_> {
        Face { table: &mut self.table, view: &self.view }
    }
}

impl wasmtime_wasi_io::IoView for State {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
