//! A batch as text, of ours or a model API's: parsed, planned against a few tools of every kind of parameter, and answered.

use serde_json::{Map, Value};

use crate::batch::{
    Args, Batch, Binary, CallError, Callable, Dialect, ErrorKind, LimitsConfig, Plan, Problem,
    Reply, Step, Tools, read_message,
};
use crate::plugin::{Case, Field, References, Shape, Values, check, decode};
use crate::policy::Limits;

/// The text is a batch in JSON, or a message that may hold one.
pub fn batch_json(text: &[u8]) {
    let formats = [None].into_iter().chain(Dialect::ALL.map(Some));
    for (batch, reply) in formats.filter_map(|format| read_message(text, format).ok()) {
        let asked = batch.calls.len();
        planned(batch);
        answered(&reply, asked);
    }
}

/// Every call has its answer, whatever its id.
fn answered(reply: &Reply, asked: usize) {
    let answer = match reply.dialect() {
        Dialect::Native => return,
        Dialect::Anthropic => reply.refused("x")["content"].take(),
        Dialect::Gemini => reply.refused("x")["parts"].take(),
        Dialect::Chat | Dialect::Responses => reply.refused("x"),
    };
    assert_eq!(answer.as_array().map(Vec::len), Some(asked));
}

fn planned(batch: Batch) {
    let asked = batch.calls.len();
    let Ok(plan) = Plan::new(batch, &Few(tools())) else { return };
    assert_eq!(plan.calls.len(), asked);
    for (index, call) in plan.calls.iter().enumerate() {
        let waits = call.links.iter().map(|link| link.from).chain(call.after.iter().copied());
        assert!(waits.into_iter().all(|other| other < index), "call {index} waits for a later one");
        let Step::Run { args, values, .. } = &call.step else { continue };
        let whole = Value::Object(args.as_map().clone());
        for link in &call.links {
            // Where the result goes is there, whatever may be said of the result.
            assert!(link.place.follow(&whole).is_ok(), "{}", link.place);
            let _ = link.at.follow(&whole);
        }
        assert_eq!(call.links.is_empty(), values.is_some(), "{whole} was checked");
    }
}

fn tools() -> Vec<Vec<Field>> {
    let case = |name: &str, payload| Case::new(name, payload);
    let edit = Shape::Record(vec![
        Field::new("old-text", Shape::String),
        Field::new("times", Shape::Option(Box::new(Shape::U32))),
    ]);
    let tree = Shape::Variant(vec![
        case("leaf", None),
        case("node", Some(Shape::List(Box::new(Shape::Tuple(vec![Shape::S64, Shape::F32]))))),
    ]);
    let twice = Shape::Option(Box::new(Shape::Option(Box::new(Shape::Char))));
    let result = Shape::Result(Box::new([case("ok", Some(Shape::Bytes)), case("err", None)]));
    vec![
        vec![Field::new("path", Shape::String)],
        vec![
            Field::new("path", Shape::String),
            Field::new("edits", Shape::List(Box::new(edit))),
            Field::new("mode", Shape::Enum(vec![case("a", None), case("b", None)])),
        ],
        vec![
            Field::new("tree", tree),
            Field::new("twice", twice),
            Field::new("result", result),
            Field::new("flags", Shape::Flags(vec![case("x", None), case("y", None)])),
        ],
    ]
}

/// Named `read`, `edit` and `mix`.
struct Few(Vec<Vec<Field>>);

const NAMES: [&str; 3] = ["read", "edit", "mix"];

/// By its place.
#[derive(Clone, Copy)]
struct One(usize);

impl Callable for One {
    type Values = Values;
}

impl Tools for Few {
    type Tool = One;

    fn find(&self, name: &str) -> Option<One> {
        NAMES.iter().position(|it| *it == name).map(One)
    }

    fn similar(&self, _: &str) -> Option<String> {
        None
    }

    fn decode(&self, tool: One, args: &Args, _: &Binary) -> Option<Values> {
        decode(&self.0[tool.0], args, &[]).map(Values::from)
    }

    fn check(&self, tool: One, args: &Map<String, Value>, _: &Binary) -> Vec<Problem> {
        check(&self.0[tool.0], args, &[], References::Fit)
    }

    fn may_have(&self, _: One, limits: &LimitsConfig) -> Result<(), CallError> {
        let lowered = Limits::default().lowered(limits);
        lowered.map(drop).map_err(|raised| CallError::new(ErrorKind::Denied, raised.to_string()))
    }

    fn max_args(&self, _: One) -> u64 {
        1 << 10
    }
}
