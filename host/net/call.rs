//! One run's requests: what it may still do, and its face towards `wasi:http`.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::runtime::poll_noop;
use wasmtime_wasi_http::p2::bindings::LinkOptions;
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method};
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
};

use crate::policy::{Door, Host, Limits};

use super::body::Budget;
use super::fields;
use super::log::{NetLog, Requested};
use super::plugin::PluginNet;
use super::scrub::Patterns;
use super::send::send;

/// Resolves when an effect that cannot be taken back may happen; otherwise never, and the run is stopped.
pub type Gate = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A request that may change something, as it is asked about before it is sent.
#[derive(Clone, Debug)]
pub struct Sending {
    pub request: Requested,
    pub host: Host,
    pub door: Door,
    /// With its query.
    pub path: String,
    /// Those that the guest has set.
    pub headers: HeaderMap,
    /// Names of the secrets that the host adds.
    pub secrets: Vec<String>,
    /// Its body, or the beginning of one that is longer than is looked at.
    pub body: Bytes,
    pub is_whole: bool,
}

/// Who has to agree before requests that may change something are sent.
pub trait Consent: Send + Sync {
    /// Whether it is asked about requests to there.
    fn is_needed(&self, host: &Host, door: Door) -> bool;

    /// Resolves when somebody has agreed to a request, or not, and why.
    fn to(&self, sending: Sending)
    -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}

/// What becomes of requests that change something.
#[derive(Clone)]
pub enum Effects {
    /// They are sent when somebody has agreed, if anybody has to, and the gate opens.
    When { consent: Option<Arc<dyn Consent>>, gate: Gate },
    /// They are refused. This says in which kind of run.
    Refused(&'static str),
}

/// The requests of one run. Clones are of the same run.
#[derive(Clone)]
pub struct CallNet {
    pub(super) plugin: Arc<PluginNet>,
    pub(super) effects: Effects,
    pub(super) log: Arc<NetLog>,
    pub(super) budget: Arc<Budget>,
    pub(super) under_way: Arc<Semaphore>,
    pub(super) heads: Arc<Heads>,
    pub(super) over: Arc<AtomicBool>,
}

/// Heads of answers, which a guest may keep in the host's memory: as many as it may have handles.
pub struct Heads {
    most: u64,
    held: Mutex<HeldHeads>,
}

struct HeldHeads {
    all: u64,
    largest: u64,
    may_hold: Box<dyn FnMut(u64) -> bool + Send>,
}

/// The end of a run, when this is dropped: a body that was not ended by then is none that a server may take for whole.
#[must_use]
pub struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Requests of one run at once, until their answers are read; more wait for as long as for a connection. Each may hold
/// buffers of the host's.
const MOST_UNDER_WAY: usize = 32;
/// One piece of a body that a guest sends, in bytes: two of them may wait in the host for each body.
const PIECE: usize = 32 << 10;
/// One set of headers of a guest, in bytes of host memory.
pub(super) const MOST_HEADERS: usize = 16 << 10;
/// What takes the place of wasmtime's own.
pub(super) const TYPES: &str = "wasi:http/types@0.2.12";
/// The name of a method, in bytes.
const MOST_METHOD: usize = 256;
/// A host and its port, in bytes: names have 253.
const MOST_AUTHORITY: usize = 1024;
/// A path with its query, in bytes: servers take 8 KiB, and some twice as much.
const MOST_PATH: usize = 16 << 10;

impl CallNet {
    /// `may_hold` says whether the host may hold so many bytes for it in all.
    pub fn new(
        plugin: Arc<PluginNet>,
        effects: Effects,
        limits: &Limits,
        log: Arc<NetLog>,
        may_hold: impl FnMut(u64) -> bool + Send + 'static,
    ) -> CallNet {
        log.begin();
        let budget = Arc::new(Budget::new(limits.net, log.clone()));
        let under_way = Arc::new(Semaphore::new(MOST_UNDER_WAY));
        let held = HeldHeads { all: 0, largest: 0, may_hold: Box::new(may_hold) };
        let heads = Arc::new(Heads { most: limits.handles.into(), held: Mutex::new(held) });
        let over = Arc::default();
        CallNet { plugin, effects, log, budget, under_way, heads, over }
    }

    pub fn over(&self) -> Over {
        Over(self.over.clone())
    }
}

impl Heads {
    /// Whether all calls together may hold one more.
    pub fn hold(&self, headers: &HeaderMap) -> bool {
        // What it was read into, and the table of its fields.
        const AROUND: usize = 16 << 10;
        let text: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let size = (AROUND + text) as u64;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all = held.all.saturating_add(size);
        held.largest = held.largest.max(size);
        // Those that it may have kept: which ones it has let go of is not known here.
        let kept = held.all.min(held.largest.saturating_mul(self.most));
        (held.may_hold)(kept)
    }
}

/// What a store holds of it. Nothing, for a plugin that does not import `wasi:http`.
pub struct Face {
    hooks: Hooks,
    context: WasiHttpCtx,
}

struct Hooks(Option<CallNet>);

impl Face {
    pub fn new(call: Option<CallNet>) -> Face {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(MOST_HEADERS);
        Face { hooks: Hooks(call), context }
    }

    pub fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { hooks: &mut self.hooks, table, ctx: &mut self.context }
    }

    /// What has to be taken out of what the guest says, if its requests carry secrets.
    pub fn secrets(&self) -> Option<&Patterns> {
        self.hooks.0.as_ref().map(|call| &*call.plugin.patterns).filter(|it| !it.is_empty())
    }
}

/// Waits until one more request may be under way.
pub(super) type Room =
    Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

type Answered = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answered, Error>> + Send> {
        let Some(call) = self.0.clone() else {
            return Box::new(async { Err(Error::ConfigurationError) });
        };
        // In its place in the queue before the next one: who is first in the task that polls them is chance, and a guest
        // that reads its answers in order would wait for one that waits for those behind it.
        let mut room = Box::pin(call.under_way.clone().acquire_owned());
        let room: Room = match poll_noop(room.as_mut()) {
            Some(permit) => Box::pin(async { permit }),
            None => room,
        };
        // Aborted with the store.
        Box::new(async move {
            let response = send(call, room, request, options.unwrap_or_default()).await?;
            // The pool drives the connection.
            Ok((response, Box::new(async { Ok(()) }) as Box<_>))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }
}

/// Adds `wasi:http/types` and `wasi:http/outgoing-handler`.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> WasiHttpCtxView<'_>,
) -> wasmtime::Result<()> {
    let options = LinkOptions::default();
    outgoing_handler::add_to_linker::<T, WasiHttp>(linker, host)?;
    types::add_to_linker::<T, WasiHttp>(linker, &(&options).into(), host)?;
    // wasmtime's own keep texts of any length, in memory that is nobody's: 25 MB for each of a thousand requests.
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    type Request = Resource<HostOutgoingRequest>;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        move |mut store: StoreContextMut<'_, T>, (request, method): (Request, Method)| {
            let long = matches!(&method, Method::Other(name) if name.len() > MOST_METHOD);
            if long {
                return Ok((Err(()),));
            }
            Ok((host(store.data_mut()).set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        move |mut store: StoreContextMut<'_, T>,
              (request, authority): (Request, Option<String>)| {
            if authority.as_ref().is_some_and(|it| it.len() > MOST_AUTHORITY) {
                return Ok((Err(()),));
            }
            Ok((host(store.data_mut()).set_authority(request, authority)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        move |mut store: StoreContextMut<'_, T>, (request, path): (Request, Option<String>)| {
            if path.as_ref().is_some_and(|it| it.len() > MOST_PATH) {
                return Ok((Err(()),));
            }
            Ok((host(store.data_mut()).set_path_with_query(request, path)?,))
        },
    )?;
    fields::add_to_linker(linker, host)?;
    linker.allow_shadowing(false);
    Ok(())
}
