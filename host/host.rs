//! [`Host`]: plugins loaded and ready; batches in, reports out.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::runtime::Handle;

use crate::asking::Asks;
use crate::atomic::{all_or_none, told};
use crate::attempt::failed;
use crate::audit::Trail;
use crate::audited::Audited;
use crate::batch::{
    Args, Batch, Binary, CallError, Callable, ErrorKind, LimitsConfig, Plan, Planned, Problem,
    Report, Tools, Usage,
};
use crate::builder::HostBuilder;
use crate::error::Error;
use crate::files::{Effect, Failed, Files};
use crate::job::BatchJob;
use crate::memory::Burden;
use crate::options::RunOptions;
use crate::plugin::{Plugin, References, Registry, Tool, ToolRef, Touches, Values, check, decode};
use crate::policy::Limits;
use crate::reload::Fixed;
use crate::sandbox::{Engine, Sandbox};
use crate::schedule::{self, Admission, Busy};

/// Loaded plugins with their grants, ready to run batches. Clones share everything.
///
/// Calls run on the tokio runtime that [`Host::run`] is awaited on, or on [`HostBuilder::workers`]: either needs its time driver,
/// and its I/O driver for plugins that may send requests.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
}

/// Frozen once made. `sandboxes` are the plugins of `registry`, in its order.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) registry: Registry,
    pub(crate) sandboxes: Vec<Sandbox>,
    /// Of each of them, what is asked about.
    pub(crate) asks: Vec<Arc<Asks>>,
    pub(crate) files: Arc<Files>,
    pub(crate) room: Arc<Admission>,
    pub(crate) trail: Option<Trail>,
    pub(crate) burden: Burden,
    pub(crate) fixed: Fixed,
    pub(crate) workers: Option<Handle>,
}

/// What calls of a tool may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolEffects {
    /// Files beneath a root.
    pub files: bool,
    /// Whatever a server makes of a request.
    pub requests: bool,
}

/// How often an atomic batch is run when files keep changing under it.
const MOST_ATTEMPTS: u32 = 3;

impl Host {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    pub(crate) fn new(
        engine: Arc<Engine>,
        registry: Registry,
        sandboxes: Vec<(Sandbox, Arc<Asks>)>,
        files: Arc<Files>,
        room: Arc<Admission>,
        trail: Option<Trail>,
        (fixed, workers): (Fixed, Option<Handle>),
    ) -> Host {
        let burden = Burden::default();
        let (sandboxes, asks) = sandboxes.into_iter().unzip();
        let shared = Shared {
            engine,
            registry,
            sandboxes,
            asks,
            files,
            room,
            trail,
            burden,
            fixed,
            workers,
        };
        Host { shared: Arc::new(shared) }
    }

    /// How many calls run at once at the most, over all batches.
    pub fn jobs(&self) -> usize {
        self.shared.fixed.jobs
    }

    /// Runs a batch: [`Host::plan`], then [`Host::execute`].
    ///
    /// # Errors
    /// The batch cannot be ordered. A call that fails is part of the report.
    pub async fn run(&self, batch: Batch) -> Result<Report, Error> {
        let plan = self.plan(batch)?;
        Ok(self.execute(plan, RunOptions::default()).await)
    }

    /// Checks a batch without running anything.
    ///
    /// # Errors
    /// The batch cannot be ordered: ids that clash, references that dangle or do not point backward.
    pub fn plan(&self, batch: Batch) -> Result<Plan<ToolRef>, Error> {
        Ok(Plan::new(batch, &*self.shared)?)
    }

    /// Runs a plan that this host made. Several calls at once are tasks of their own; short ones that are alone run where this
    /// is awaited: to have batches run side by side, spawn them.
    ///
    /// Dropping the future stops all of its calls, and keeps what had been
    /// committed by then.
    ///
    /// Batches that run at the same time are not ordered against each other; each of their calls is as one step
    /// to the others, and no edit is lost. When too many calls of the host have not ended, all of the batch end as
    /// `busy`, and none is run.
    pub async fn execute(&self, plan: Plan<ToolRef>, options: RunOptions) -> Report {
        let (plan, mut agreed) = (Arc::new(plan), None);
        for attempt in 1.. {
            let mut job = match self.run_calls(&plan, &options).await {
                Ok(job) => job,
                Err(Busy { most }) => return self.turned_away(&plan, most, &options),
            };
            let mut report = BatchJob::report(&mut job);
            match options.effect {
                Effect::Commit => {}
                Effect::DryRun => report.diff = Some(job.work().diff()),
                Effect::Atomic => match all_or_none(&report, &job, &options, &mut agreed).await {
                    Err(Failed::Stale { what, .. }) if attempt < MOST_ATTEMPTS => {
                        tracing::debug!(what, "the batch runs again: what it read has changed");
                        continue;
                    }
                    ended => {
                        job.audit_as(matches!(ended, Ok(None)));
                        report.committed = Some(told(ended));
                    }
                },
            }
            job.work().log(&report);
            drop(job);
            self.shared.burden.give_back();
            return report;
        }
        Report::default()
    }

    async fn run_calls(
        &self,
        plan: &Arc<Plan<ToolRef>>,
        options: &RunOptions,
    ) -> Result<Arc<BatchJob>, Busy> {
        let room = self.shared.room.share(&options.tenant);
        let calls = room.enter(plan.calls.len())?;
        let work = self.shared.files.work(options.effect);
        let job = BatchJob::new(self.shared.clone(), plan.clone(), work, calls, options);
        let job = Arc::new(job);
        schedule::run(job.clone(), &job.needs(), room, options.cancel.clone()).await;
        Ok(job)
    }

    /// The report of a batch of which nothing was run.
    fn turned_away(&self, plan: &Plan<ToolRef>, most: usize, options: &RunOptions) -> Report {
        let error = busy(plan.calls.len(), most);
        let audited = Audited::of(&self.shared, &options.tenant, options.effect);
        let outcome = |call: &Planned<ToolRef>| {
            let outcome = failed(&call.id, &call.tool, error.clone(), Usage::default());
            if let Some(audited) = &audited {
                self.shared.record(&audited.record(&self.shared, call, &outcome, None));
            }
            outcome
        };
        let results = plan.calls.iter().map(outcome).collect();
        Report { results, ..Report::default() }
    }

    /// The loaded tools by the names that calls use.
    pub fn tools(&self) -> impl Iterator<Item = (&str, &Plugin, &Tool)> {
        let registry = &self.shared.registry;
        registry.tools().map(|(name, at)| (name, &**registry.plugin(at), registry.tool(at)))
    }

    /// What a loaded plugin may request: hosts, as its grants name them, and the names of the secrets that go with its
    /// requests. Nothing for one that does not import `wasi:http`.
    pub fn requests(&self, plugin: &str) -> (Vec<String>, Vec<String>) {
        let at = self.plugins().position(|it| it.name == plugin);
        let net = at.and_then(|at| self.shared.sandboxes[at].net());
        net.map_or_else(Default::default, |net| (net.hosts(), net.secrets()))
    }

    /// What calls of a tool may change, by what its plugin was granted and what the tool declares, both of which are
    /// enforced. Nothing for a name that no tool has.
    pub fn effects_of(&self, tool: &str) -> Option<ToolEffects> {
        let at = self.shared.registry.find(tool)?;
        let sandbox = &self.shared.sandboxes[at.plugin];
        let declared = match &self.shared.registry.tool(at).touches {
            Touches::Undeclared => true,
            Touches::Declared { writes, .. } => !writes.is_empty(),
        };
        Some(ToolEffects {
            files: declared && sandbox.scope().writes(),
            requests: sandbox.net().is_some_and(|net| net.reaches()),
        })
    }

    /// Whether policy has anything asked about before it becomes real: then runs want an
    /// [`Approver`](crate::Approver).
    pub fn asks(&self) -> bool {
        self.shared.asks.iter().any(|asks| asks.of_files() || asks.of_requests())
    }

    /// The loaded plugins, in order of loading.
    pub fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        self.shared.registry.plugins()
    }
}

pub(crate) fn busy(calls: usize, most: usize) -> CallError {
    let message = if calls > most {
        format!(
            "not run: the batch has {calls} calls, more than may wait (`max-waiting`, {most}): split it"
        )
    } else {
        format!(
            "not run: too many calls of the host have not ended, and no more may wait (`max-waiting`, {most}): try \
             again later"
        )
    };
    CallError::new(ErrorKind::Busy, message)
}

impl Shared {
    /// The limits of one call: its plugin's, or lower ones that it asks for.
    pub(crate) fn limits(&self, tool: ToolRef, call: &Planned<ToolRef>) -> Limits {
        let given = self.sandboxes[tool.plugin].limits();
        // That none is higher was seen to when it was planned.
        let lowered = call.limits.as_deref().map(|asked| given.lowered(asked));
        lowered.and_then(Result::ok).unwrap_or_else(|| given.clone())
    }
}

impl Callable for ToolRef {
    type Values = Values;
}

impl Tools for Shared {
    type Tool = ToolRef;

    fn find(&self, name: &str) -> Option<ToolRef> {
        self.registry.find(name)
    }

    fn similar(&self, name: &str) -> Option<String> {
        self.registry.similar(name).map(str::to_owned)
    }

    fn decode(&self, tool: ToolRef, args: &Args, binary: &Binary) -> Option<Values> {
        decode(&self.registry.tool(tool).params, args, &binary.args).map(Values::from)
    }

    fn check(&self, tool: ToolRef, args: &Map<String, Value>, binary: &Binary) -> Vec<Problem> {
        check(&self.registry.tool(tool).params, args, &binary.args, References::Fit)
    }

    fn max_args(&self, tool: ToolRef) -> u64 {
        self.sandboxes[tool.plugin].limits().args
    }

    fn may_have(&self, tool: ToolRef, limits: &LimitsConfig) -> Result<(), CallError> {
        let lowered = self.sandboxes[tool.plugin].limits().lowered(limits);
        lowered.map(drop).map_err(|raised| CallError::new(ErrorKind::Denied, raised.to_string()))
    }
}
