//! What one store holds: its own WASI context, handles, limiter and captured output.
//!
//! Defaults are closed: no arguments, empty standard input, no variables, no addresses or names, no
//! directories, no requests. Clocks and random numbers are given.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtxView;

use crate::ceiling::Ceiling;
use crate::files::{Face, View};
use crate::net::{self, CallNet, Patterns};
use crate::policy::Limits;

use super::capture::Capture;
use super::clock::{Alarms, Clock};
use super::limiter::Limiter;
use super::pauses::{Pauses, Time};
use super::tool::{Listener, Own};

/// What a call may touch outside of its sandbox.
pub struct World {
    pub view: Arc<View>,
    /// None, for a plugin that does not ask for it.
    pub net: Option<CallNet>,
    /// Who is told how far it is.
    pub listener: Option<Listener>,
    /// What of its time does not count, if there may be such.
    pub pauses: Option<Arc<Pauses>>,
    /// Whether nobody wants the result any more. Dropping the future does not reach what is read in one go.
    pub given_up: Arc<dyn Fn() -> bool + Send + Sync>,
}

pub struct State {
    pub limiter: Limiter,
    pub stdout: Capture,
    pub stderr: Capture,
    pub(super) own: Own,
    wasi: WasiCtx,
    table: ResourceTable,
    view: Arc<View>,
    net: net::Face,
    alarms: Arc<Alarms>,
}

impl State {
    pub fn new(
        limits: &Limits,
        env: &[(String, String)],
        world: World,
        alarms: Arc<Alarms>,
        ceiling: Arc<Ceiling>,
        cancel: CancellationToken,
        time: Time,
    ) -> State {
        let own = Own::new(time, cancel, world.listener);
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
        let (view, net) = (world.view, net::Face::new(world.net));
        State { limiter, stdout, stderr, own, wasi: wasi.build(), table, view, net, alarms }
    }

    pub fn clock(&mut self) -> Clock<'_> {
        let stock = WasiClocksCtxView { ctx: self.wasi.clocks(), table: &mut self.table };
        Clock { stock, alarms: &self.alarms }
    }

    pub fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.net.view(&mut self.table)
    }

    /// What was written to an output, without secrets.
    pub fn said(&self, to: &Capture) -> String {
        let mut text = to.text();
        if let Some(secrets) = self.secrets() {
            secrets.text(&mut text);
        }
        text
    }

    /// What has to be taken out of what the guest says, if its requests carry secrets.
    pub fn secrets(&self) -> Option<&Patterns> {
        self.net.secrets()
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
