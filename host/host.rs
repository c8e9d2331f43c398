//! [`Host`]: plugins loaded and ready; batches in, reports out.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::batch::{Batch, Plan, Problem, Report, Step, Tools};
use crate::builder::HostBuilder;
use crate::error::Error;
use crate::job::{BatchJob, Progress};
use crate::plugin::{Plugin, References, Registry, Tool, ToolRef, check};
use crate::sandbox::{Engine, Sandbox};
use crate::schedule::{self, Needs};

/// Loaded plugins with their grants, ready to run batches. Clones share everything.
///
/// Calls run on the tokio runtime that [`Host::run`] is awaited on, which needs its time driver.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
}

/// Frozen once made. `sandboxes` are the plugins of `registry`, in its order.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) sandboxes: Vec<Sandbox>,
    room: Arc<Semaphore>,
}

/// What a run may be given besides its batch.
#[derive(Debug, Default)]
pub struct RunOptions {
    /// Cancelling it stops running guests within two epoch ticks (10 ms); calls that have not ended get
    /// the outcome `cancelled`.
    pub cancel: CancellationToken,
    /// Told of every start and end, as they happen.
    pub progress: Option<mpsc::UnboundedSender<Progress>>,
}

impl Host {
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    pub(crate) fn new(
        engine: Engine,
        registry: Registry,
        sandboxes: Vec<Sandbox>,
        jobs: usize,
    ) -> Host {
        let room = Arc::new(Semaphore::new(jobs));
        Host { shared: Arc::new(Shared { engine, registry, sandboxes, room }) }
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

    /// Runs a plan that this host made. Dropping the future stops all of its calls.
    ///
    /// Batches that run at the same time are not ordered against each other: where they write the same
    /// files, run them one after the other.
    pub async fn execute(&self, plan: Plan<ToolRef>, options: RunOptions) -> Report {
        let needs = self.needs(&plan);
        let cancel = options.cancel.clone();
        let job = Arc::new(BatchJob::new(self.shared.clone(), plan, options));
        schedule::run(job.clone(), &needs, self.shared.room.clone(), cancel).await;
        job.report()
    }

    /// The loaded tools by the names that calls use.
    pub fn tools(&self) -> impl Iterator<Item = (&str, &Plugin, &Tool)> {
        let registry = &self.shared.registry;
        registry.tools().map(|(name, at)| (name, &**registry.plugin(at), registry.tool(at)))
    }

    /// The loaded plugins, in order of loading.
    pub fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        self.shared.registry.plugins()
    }

    /// What each call waits for. Besides its references and `after`, a call that can write files has
    /// them to itself: it starts when all earlier calls have ended, and later ones wait for it. That
    /// alone gives the result of one at a time, as long as calls do not stage what they write.
    fn needs(&self, plan: &Plan<ToolRef>) -> Vec<Needs> {
        let mut writer = None;
        let mut since_writer = Vec::new();
        let needs = plan.calls.iter().enumerate().map(|(index, call)| {
            let inputs = call.links.iter().map(|link| link.from).collect();
            let mut needs = Needs { inputs, after: call.after.clone() };
            needs.after.extend(writer);
            if let Step::Run { tool, .. } = call.step {
                if self.shared.sandboxes.get(tool.plugin).is_some_and(Sandbox::writes) {
                    needs.after.append(&mut since_writer);
                    writer = Some(index);
                } else {
                    since_writer.push(index);
                }
            }
            needs
        });
        needs.collect()
    }
}

impl Tools for Shared {
    type Tool = ToolRef;

    fn find(&self, name: &str) -> Option<ToolRef> {
        self.registry.find(name)
    }

    fn similar(&self, name: &str) -> Option<String> {
        self.registry.similar(name).map(str::to_owned)
    }

    fn check(&self, tool: ToolRef, args: &Map<String, Value>) -> Vec<Problem> {
        check(&self.registry.tool(tool).params, args, References::Fit)
    }

    fn max_args(&self, tool: ToolRef) -> u64 {
        self.sandboxes[tool.plugin].limits().args
    }
}
