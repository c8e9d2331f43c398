//! What the audit log is told of a call, gathered from its plan, its view and its outcome.
//!
//! The same for calls of a batch and for loose ones.

use std::time::SystemTime;

use crate::audit::{AuditRecord, Denied, DeniedRequest, Listed, PluginId, Request, bounded};
use crate::batch::{Change, Outcome, Planned, Step};
use crate::files::{Access, Denial, DeniedBy, Effect, View};
use crate::host::Shared;
use crate::net::{NetDenial, NetDeniedBy, NetLog, Requested};
use crate::plugin::ToolRef;
use crate::runs::Runs;
use crate::schedule::Tenant;

/// What is the same for all calls of a batch, or of a session.
pub(crate) struct Audited {
    batch: String,
    tenant: String,
    effect: Effect,
}

impl Audited {
    /// None where nobody keeps a log.
    pub(crate) fn of(shared: &Shared, tenant: &Tenant, effect: Effect) -> Option<Audited> {
        let batch = shared.trail.as_ref()?.batch();
        Some(Audited { batch, tenant: bounded(tenant.name()), effect })
    }

    pub(crate) fn is_atomic(&self) -> bool {
        self.effect == Effect::Atomic
    }

    /// `runs` are those of the call, if it came to have any.
    pub(crate) fn record(
        &self,
        shared: &Shared,
        call: &Planned<ToolRef>,
        outcome: &Outcome,
        runs: Option<&Runs>,
    ) -> AuditRecord {
        let (view, net) = (runs.and_then(Runs::view), runs.and_then(Runs::net));
        let view = view.as_deref();
        let arguments = runs.and_then(Runs::arguments);
        let tool = match &call.step {
            Step::Run { tool, .. } => Some(*tool),
            Step::Refused(_) => shared.registry.find(&call.tool),
        };
        let plugin = tool.map(|tool| {
            let plugin = shared.registry.plugin(tool);
            PluginId { name: bounded(&plugin.name), digest: plugin.digest.clone() }
        });
        let ended = match &outcome.result {
            Ok(_) => "ok",
            Err(error) => error.kind.as_str(),
        };
        let roots = shared.files.roots();
        let read = view.map_or_else(Vec::new, View::looked_into);
        let read = read.iter().map(|place| bounded(&roots.display(place.root, &place.path)));
        let denied = view.map_or_else(Vec::new, View::denials);
        AuditRecord {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            batch: self.batch.clone(),
            tenant: self.tenant.clone(),
            call: bounded(&call.id),
            tool: bounded(&call.tool),
            plugin,
            arguments,
            outcome: ended.to_owned(),
            effect: match self.effect {
                Effect::Commit => "commit",
                Effect::DryRun => "dry_run",
                Effect::Atomic => "atomic",
            },
            committed: None,
            read: Listed::new(read),
            wrote: Listed::new(outcome.changes.iter().flat_map(Change::paths).map(bounded)),
            denied: Listed::new(denied.iter().map(told)),
            requested: Listed::new(net.map_or_else(Vec::new, NetLog::requests).iter().map(request)),
            denied_requests: Listed::new(
                net.map_or_else(Vec::new, NetLog::denials).iter().map(denied_request),
            ),
            asked: Listed::in_order(runs.map_or_else(Vec::new, Runs::said)),
            attempts: outcome.usage.attempts,
            queued: outcome.usage.queued,
            run: outcome.usage.run,
        }
    }
}

fn told(denial: &Denial) -> Denied {
    Denied {
        path: bounded(&denial.path),
        access: match denial.access {
            Access::Look | Access::Pass | Access::Read => "read",
            Access::Write | Access::MakeDir | Access::WriteTree => "write",
        },
        by: match denial.by {
            DeniedBy::Policy => "policy",
            DeniedBy::Declaration => "declaration",
            DeniedBy::OtherNames => "other_names",
            DeniedBy::Outside => "outside",
        },
    }
}

fn request(sent: &Requested) -> Request {
    Request { method: sent.method.clone(), origin: bounded(&sent.origin) }
}

fn denied_request(denial: &NetDenial) -> DeniedRequest {
    DeniedRequest {
        request: request(&denial.request),
        by: match denial.by {
            NetDeniedBy::Policy { .. } => "policy",
            NetDeniedBy::Address { .. } => "address",
            NetDeniedBy::Plaintext { .. } => "plaintext",
            NetDeniedBy::Missing { .. } => "secret",
            NetDeniedBy::Effect { .. } => "effect",
            NetDeniedBy::Refused { .. } => "asked",
            NetDeniedBy::Method => "method",
        },
    }
}

impl Shared {
    pub(crate) fn record(&self, record: &AuditRecord) {
        if let Some(trail) = &self.trail {
            trail.record(record);
        }
    }
}
