//! The plan: a batch whose meaning is known. Made before anything runs.
//!
//! A batch that cannot be ordered (ids that clash, references that dangle or do not point backward) is
//! refused whole, as a [`PlanError`]. A call that could not have worked by itself (no such tool,
//! arguments that do not fit) is only *its own* failure, as it would be if the calls ran one at a
//! time: it becomes a [`Step::Refused`], decided here, before anything runs.
//!
//! Knows nothing of component types: what a tool takes is asked of [`Tools`].

use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde_json::{Map, Value};

use super::args::Args;
use super::limits::LimitsConfig;
use super::references::{CallRef, Pointer, Reference};
use super::report::CallError;
use super::request::{Batch, Binary, Call};
use super::step;

/// A tool that was found, cheap to copy.
pub trait Callable: Copy {
    /// What it is called with.
    type Values: std::fmt::Debug;
}

/// The tools that calls may name.
pub trait Tools {
    type Tool: Callable;

    fn find(&self, name: &str) -> Option<Self::Tool>;

    /// A known name that `name` may be a misspelling of.
    fn similar(&self, name: &str) -> Option<String>;

    /// What the tool is called with, if the arguments fit its parameters as they are: no reference is among them, and no
    /// name twice.
    fn decode(
        &self,
        tool: Self::Tool,
        args: &Args,
        binary: &Binary,
    ) -> Option<<Self::Tool as Callable>::Values>;

    /// Everything about `args` that does not fit the tool's parameters. A reference fits any type
    /// here, and is checked again when its value is known.
    fn check(&self, tool: Self::Tool, args: &Map<String, Value>, binary: &Binary) -> Vec<Problem>;

    /// The most bytes of arguments that one call of the tool may have.
    fn max_args(&self, tool: Self::Tool) -> u64;

    /// Whether a call of the tool may have these limits.
    ///
    /// # Errors
    /// They are higher than policy gives.
    fn may_have(&self, tool: Self::Tool, limits: &LimitsConfig) -> Result<(), CallError>;
}

/// One thing wrong with an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, from the arguments object: `/edits/0/old_text`.
    pub at: Pointer,
    /// What was expected and what was found.
    pub message: String,
}

/// Calls in request order, with what each must wait for.
#[derive(Debug)]
pub struct Plan<T: Callable> {
    pub(crate) calls: Vec<Planned<T>>,
}

#[derive(Debug)]
pub struct Planned<T: Callable> {
    /// Unique within the plan.
    pub id: String,
    pub tool: String,
    pub step: Step<T>,
    /// Arguments to fill from earlier results.
    pub links: Vec<Link>,
    /// Indexes of earlier calls to wait for without using their results.
    pub after: Vec<usize>,
    /// What the call has asked for, if anything.
    pub limits: Option<Box<LimitsConfig>>,
    pub binary: Binary,
}

#[derive(Debug)]
pub enum Step<T: Callable> {
    Run {
        tool: T,
        args: Args,
        /// What the arguments are to the tool; not known while any of them is a reference.
        values: Option<T::Values>,
    },
    Refused(CallError),
}

/// `args[place] = results[from][at]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub place: Pointer,
    /// Index of an earlier call.
    pub from: usize,
    pub at: Pointer,
}

/// The batch cannot be ordered. Calls are named by id; places count from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("calls {first} and {second} both have the id {id:?}{}", explain_default(*.by_place))]
    DuplicateId { id: String, first: usize, second: usize, by_place: bool },
    #[error("call {call:?} refers to itself{}", at_argument(.place))]
    ToItself { call: String, place: Option<Pointer> },
    #[error(
        "call {call:?} refers to {target:?}{}, which refers back to it: a cycle can never run",
        at_argument(.place)
    )]
    Cycle { call: String, target: String, place: Option<Pointer> },
    #[error(
        "call {call:?} refers to {target:?}{}, which comes later: only earlier calls can be \
         referred to, so put {target:?} first",
        at_argument(.place)
    )]
    Forward { call: String, target: String, place: Option<Pointer> },
    #[error("call {call:?} refers to {target}{}, but {}", at_argument(.place), known(.ids))]
    Dangling { call: String, target: CallRef, place: Option<Pointer>, ids: Vec<String> },
    #[error("call {call:?} has a reference that cannot be read (argument {place}): {message}")]
    BadReference { call: String, place: Pointer, message: String },
}

fn at_argument(place: &Option<Pointer>) -> String {
    match place {
        Some(place) => format!(" (argument {place})"),
        None => " (`after`)".to_owned(),
    }
}

fn explain_default(by_place: bool) -> &'static str {
    if by_place { " (a call without an id is named by its place)" } else { "" }
}

fn known(ids: &[String]) -> String {
    match ids {
        [] => "the batch has no other call".to_owned(),
        [one] => format!("the batch has only {one:?}"),
        _ if ids.len() <= 12 => format!("the batch has {}", ids.join(", ")),
        _ => format!("the batch has {}, .. ({} calls)", ids[..12].join(", "), ids.len()),
    }
}

impl<T: Callable> Plan<T> {
    /// In the order of the batch. They cannot be changed any more: what they are called with was made of their arguments.
    pub fn calls(&self) -> &[Planned<T>] {
        &self.calls
    }

    /// Orders the batch and checks every call that can be checked before anything runs.
    ///
    /// # Errors
    /// The first thing that makes the batch impossible to order, with both calls named.
    pub fn new(mut batch: Batch, tools: &impl Tools<Tool = T>) -> Result<Plan<T>, PlanError> {
        let names = Names::new(&batch)?;
        let mut looked_at = Vec::with_capacity(batch.calls.len());
        let mut edges = Vec::with_capacity(batch.calls.len());
        for (index, call) in batch.calls.iter_mut().enumerate() {
            let tool = tools.find(&call.tool);
            let values = tool.and_then(|tool| step::straight(tools, tool, call));
            let mut found = Vec::new();
            // What fits as it is has no reference in it: no parameter has a part named `$from`.
            if values.is_none() {
                // Looked through more than once, and not to be held in two forms meanwhile.
                call.args = std::mem::take(&mut call.args).into_map().into();
                for (key, value) in call.args.as_map().iter().filter(|(_, value)| nested(value)) {
                    names.edges_in(index, &Pointer::default().child(key), value, &mut found)?;
                }
            }
            for target in &call.after {
                let target = names.find(index, target, None)?;
                found.push(Edge { target, link: None });
            }
            looked_at.push((tool, values));
            edges.push(found);
        }
        backward_only(&names.ids, &edges)?;

        let looked_at = looked_at.into_iter().zip(edges);
        let planned = batch.calls.into_iter().zip(looked_at).zip(names.ids);
        let calls = planned.map(|((call, ((found, values), edges)), id)| {
            let (mut links, mut after) = (Vec::new(), Vec::new());
            for Edge { target, link } in edges {
                match link {
                    Some((place, at)) => links.push(Link { place, from: target, at }),
                    None => after.push(target),
                }
            }
            let Call { tool, args, limits, refused, binary, .. } = call;
            let step = match (found, refused, values) {
                (None, ..) => Step::Refused(step::unknown(tools, &tool)),
                (_, Some(error), _) => Step::Refused(error),
                (Some(tool), None, Some(values)) => Step::Run { tool, args, values: Some(values) },
                (Some(tool), None, None) => {
                    let refers = !links.is_empty();
                    step::looked_through(tools, tool, (args, &binary), &limits, refers)
                }
            };
            let limits = (!limits.is_empty()).then(|| Box::new(limits));
            Planned { id, step, tool, links, after, limits, binary }
        });
        Ok(Plan { calls: calls.collect() })
    }
}

/// One call waits for another. `link` is where the result goes, and which part of it.
struct Edge {
    target: usize,
    link: Option<(Pointer, Pointer)>,
}

/// The ids of a batch, each of one call.
struct Names {
    ids: Vec<String>,
    index: HashMap<String, usize, RandomState>,
}

impl Names {
    fn new(batch: &Batch) -> Result<Names, PlanError> {
        let id_of =
            |place: usize| batch.calls[place].id.clone().unwrap_or_else(|| (place + 1).to_string());
        let ids: Vec<String> = (0..batch.calls.len()).map(id_of).collect();
        let mut index = HashMap::with_capacity_and_hasher(ids.len(), RandomState::default());
        for (place, id) in ids.iter().enumerate() {
            if let Some(first) = index.insert(id.clone(), place) {
                let by_place = [first, place].iter().any(|&call| batch.calls[call].id.is_none());
                let (first, second) = (first + 1, place + 1);
                return Err(PlanError::DuplicateId { id: id.clone(), first, second, by_place });
            }
        }
        Ok(Names { ids, index })
    }

    fn find(
        &self,
        call: usize,
        target: &CallRef,
        place: Option<&Pointer>,
    ) -> Result<usize, PlanError> {
        let found = match target {
            CallRef::Id(id) => self.index.get(id).copied(),
            CallRef::Place(place) => place.checked_sub(1).filter(|index| *index < self.ids.len()),
        };
        found.ok_or_else(|| PlanError::Dangling {
            call: self.ids[call].clone(),
            target: target.clone(),
            place: place.cloned(),
            ids: self.ids.iter().filter(|id| **id != self.ids[call]).cloned().collect(),
        })
    }

    /// Every reference inside `value`, which stands at `place` of a call's arguments.
    fn edges_in(
        &self,
        call: usize,
        place: &Pointer,
        value: &Value,
        edges: &mut Vec<Edge>,
    ) -> Result<(), PlanError> {
        match Reference::read(value) {
            Some(Ok(Reference { from, at })) => {
                let target = self.find(call, &from, Some(place))?;
                edges.push(Edge { target, link: Some((place.clone(), at)) });
            }
            Some(Err(message)) => {
                let call = self.ids[call].clone();
                return Err(PlanError::BadReference { call, place: place.clone(), message });
            }
            None => match value {
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate().filter(|(_, item)| nested(item)) {
                        self.edges_in(call, &place.child(index), item, edges)?;
                    }
                }
                Value::Object(fields) => {
                    for (key, field) in fields.iter().filter(|(_, field)| nested(field)) {
                        self.edges_in(call, &place.child(key), field, edges)?;
                    }
                }
                _ => {}
            },
        }
        Ok(())
    }
}

/// Whether a reference can stand in `value`: spares a pointer per number of a long list.
fn nested(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// Every edge must lead to an earlier call.
fn backward_only(ids: &[String], edges: &[Vec<Edge>]) -> Result<(), PlanError> {
    for (call, found) in edges.iter().enumerate() {
        if let Some(edge) = found.iter().find(|edge| edge.target >= call) {
            let place = edge.link.as_ref().map(|(place, _)| place.clone());
            let (call_id, target) = (ids[call].clone(), ids[edge.target].clone());
            return Err(if edge.target == call {
                PlanError::ToItself { call: call_id, place }
            } else if reaches(edges, edge.target, call) {
                PlanError::Cycle { call: call_id, target, place }
            } else {
                PlanError::Forward { call: call_id, target, place }
            });
        }
    }
    Ok(())
}

fn reaches(edges: &[Vec<Edge>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; edges.len()];
    let mut stack = vec![from];
    while let Some(call) = stack.pop() {
        if call == to {
            return true;
        }
        if !std::mem::replace(&mut seen[call], true) {
            stack.extend(edges[call].iter().map(|edge| edge.target));
        }
    }
    false
}
