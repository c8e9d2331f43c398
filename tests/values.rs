//! JSON to component values and back, for every WIT type.
//!
//! The guest `types` gives back what it is given, through its own language's types: what comes home
//! unchanged has survived both mappings. A JSON Schema validator that knows nothing of us judges
//! whether the schemas tell the truth.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inorder::{
    Batch, Binary, Call, CancellationToken, Case, Host, Json, Outcome, Shape, Step, Tool,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::support::{Schema, block_on, calc_host, guest, report, text_plugin};

/// The JSON that the host itself would write for a value of `shape`.
fn canonical(shape: &Shape) -> BoxedStrategy<Value> {
    match shape {
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::S8 => any::<i8>().prop_map(Value::from).boxed(),
        Shape::U8 => any::<u8>().prop_map(Value::from).boxed(),
        Shape::S16 => any::<i16>().prop_map(Value::from).boxed(),
        Shape::U16 => any::<u16>().prop_map(Value::from).boxed(),
        Shape::S32 => any::<i32>().prop_map(Value::from).boxed(),
        Shape::U32 => any::<u32>().prop_map(Value::from).boxed(),
        Shape::S64 => {
            let edges = prop::sample::select(vec![
                i64::MIN,
                i64::MAX,
                1 << 53,
                (1 << 53) + 1,
                -(1 << 53),
                0,
            ]);
            let integers = prop_oneof![any::<i64>(), edges, -1000..1000i64];
            integers
                .prop_map(|it| {
                    if it.unsigned_abs() <= 1 << 53 { json!(it) } else { json!(it.to_string()) }
                })
                .boxed()
        }
        Shape::U64 => {
            let edges = prop::sample::select(vec![u64::MAX, 1 << 53, (1 << 53) + 1, 0]);
            let integers = prop_oneof![any::<u64>(), edges, 0..1000u64];
            integers
                .prop_map(|it| if it <= 1 << 53 { json!(it) } else { json!(it.to_string()) })
                .boxed()
        }
        Shape::F32 => prop::num::f32::ANY
            .prop_map(|it| {
                let short: f64 = it.to_string().parse().unwrap();
                float(if short as f32 == it { short } else { f64::from(it) })
            })
            .boxed(),
        Shape::F64 => prop::num::f64::ANY.prop_map(float).boxed(),
        Shape::Char => any::<char>().prop_map(|it| json!(it)).boxed(),
        Shape::String => text().prop_map(Value::from).boxed(),
        Shape::Bytes => prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| {
                json!(base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes))
            })
            .boxed(),
        Shape::List(item) => {
            prop::collection::vec(canonical(item), 0..5).prop_map(Value::from).boxed()
        }
        Shape::Tuple(items) => {
            items.iter().map(canonical).collect::<Vec<_>>().prop_map(Value::from).boxed()
        }
        Shape::Record(fields) => {
            let names: Vec<String> = fields.iter().map(|field| field.json.clone()).collect();
            let values: Vec<_> = fields.iter().map(|field| canonical(&field.shape)).collect();
            values
                .prop_map(move |it| Value::Object(names.iter().cloned().zip(it).collect()))
                .boxed()
        }
        Shape::Variant(cases) => one_of(cases),
        Shape::Result(cases) => one_of(&**cases),
        Shape::Enum(cases) => one_of(cases),
        Shape::Flags(cases) => {
            let names: Vec<String> = cases.iter().map(|case| case.json.clone()).collect();
            let most = names.len();
            prop::sample::subsequence(names, 0..=most).prop_map(|it| json!(it)).boxed()
        }
        Shape::Option(some) => {
            let wrap = some.nullable();
            let value =
                canonical(some).prop_map(move |it| if wrap { json!({ "some": it }) } else { it });
            prop_oneof![Just(Value::Null), value].boxed()
        }
    }
}

fn one_of(cases: &[Case]) -> BoxedStrategy<Value> {
    let cases = cases.iter().map(|case| {
        let name = case.json.clone();
        match &case.payload {
            None => Just(json!(name)).boxed(),
            Some(payload) => canonical(payload).prop_map(move |it| json!({ &name: it })).boxed(),
        }
    });
    proptest::strategy::Union::new(cases).boxed()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", "[\\x00-\\x20\"\\\\\u{7f}-\u{a0}\u{2028}\u{10ffff}]{0,8}"]
}

fn float(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => json!("NaN"),
        None if value > 0.0 => json!("Infinity"),
        None => json!("-Infinity"),
    }
}

fn arguments(tool: &Tool) -> BoxedStrategy<Map<String, Value>> {
    let names: Vec<String> = tool.params.iter().map(|param| param.json.clone()).collect();
    let values: Vec<_> = tool.params.iter().map(|param| canonical(&param.shape)).collect();
    values.prop_map(move |it| names.iter().cloned().zip(it).collect()).boxed()
}

fn echoes(host: &Host) -> Vec<(String, Tool)> {
    let echo = |name: &str| name.starts_with("echo_");
    host.tools()
        .filter(|(name, ..)| echo(name))
        .map(|(name, _, tool)| (name.to_owned(), tool.clone()))
        .collect()
}

#[test]
fn every_wit_type_comes_back_unchanged_and_fits_its_schemas() {
    let Some(spec) = guest("types") else { return };
    let host = Host::builder().plugin(spec).build().unwrap();
    let tools = echoes(&host);
    assert!(tools.len() > 40, "only {} echo tools", tools.len());
    let validators: Vec<_> = tools
        .iter()
        .map(|(_, tool)| {
            let validator = |schema: &Value| Schema::new(schema);
            (validator(&tool.input_schema()), validator(&tool.output_schema()))
        })
        .collect();
    let all: Vec<_> = tools.iter().map(|(_, tool)| arguments(tool)).collect();
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(100) });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runner
        .run(&all, |all| {
            let call = |((name, _), args): (&(String, Tool), &Map<String, Value>)| {
                json!({"tool": name, "args": args})
            };
            let calls: Vec<Value> = tools.iter().zip(&all).map(call).collect();
            let text = json!({ "calls": calls }).to_string();
            let report = runtime.block_on(host.run(Batch::from_json(text.as_bytes()).unwrap())).unwrap();
            for (n, outcome) in report.results.iter().enumerate() {
                let given = all[n].values().next().unwrap();
                let came = outcome.result.as_ref().map(Json::value);
                prop_assert_eq!(came, Ok(given), "{}", tools[n].0);
                let args = Value::Object(all[n].clone());
                prop_assert!(validators[n].0.is_valid(&args), "{}: {args}", tools[n].0);
                prop_assert!(validators[n].1.is_valid(given), "{}: {given}", tools[n].0);
            }
            Ok(())
        })
        .unwrap();
}

/// JSON that may fit or not: values of the right types in the wrong places.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-300..300i64).prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        prop::sample::select(vec![
            "NaN",
            "-5",
            "18446744073709551615",
            "x",
            "",
            "red",
            "ok",
            "AAEC",
            "none"
        ])
        .prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let keys = prop::sample::select(vec![
            "x", "y", "ok", "err", "some", "street", "zip_code", "a", "$from",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(key, it)| (key.to_owned(), it)).collect())
            }),
        ]
    })
}

#[test]
fn what_is_accepted_fits_the_schema_and_what_is_refused_never_runs() {
    let Some(spec) = guest("types") else { return };
    let host = Host::builder().plugin(spec).build().unwrap();
    let tools = echoes(&host);
    let validators: Vec<_> =
        tools.iter().map(|(_, tool)| Schema::new(&tool.input_schema())).collect();
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(400) });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runner
        .run(&any_json(), |value| {
            let reference = value.to_string().contains("$from");
            prop_assume!(!reference);
            let call = |(name, _): &(String, Tool)| json!({"tool": name, "args": {"value": value}});
            let batch = json!({ "calls": tools.iter().map(call).collect::<Vec<_>>() });
            let plan = host.plan(Batch::from_json(batch.to_string().as_bytes()).unwrap()).unwrap();
            let accepted: Vec<bool> =
                plan.calls().iter().map(|call| matches!(call.step, Step::Run { .. })).collect();
            let report = runtime.block_on(host.execute(plan, Default::default()));
            for (n, outcome) in report.results.iter().enumerate() {
                let name = &tools[n].0;
                if accepted[n] {
                    // Whatever passed the check also became a value and came back.
                    prop_assert!(outcome.result.is_ok(), "{name}: {value}: {:?}", outcome.result);
                    prop_assert!(
                        validators[n].is_valid(&json!({ "value": value })),
                        "{name}: {value}"
                    );
                } else {
                    let kind = outcome.result.as_ref().unwrap_err().kind.as_str();
                    prop_assert_eq!(kind, "arguments", "{}", name);
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn top_level_results_are_calls_that_succeed_or_fail() {
    let Some(spec) = guest("types") else { return };
    let host = Host::builder().plugin(spec).build().unwrap();
    let report = report(
        &host,
        &json!({"calls": [
            {"tool": "answer", "args": {"value": {"ok": 7}}},
            {"tool": "answer", "args": {"value": {"err": "no"}}},
            {"tool": "answer_bare", "args": {"value": "ok"}},
            {"tool": "answer_bare", "args": {"value": "err"}},
            {"tool": "nothing"},
        ]}),
    );
    let results = &report["results"];
    assert_eq!(results[0]["value"], 7, "{report}");
    assert_eq!(results[1]["error"]["value"], "no", "{report}");
    assert_eq!(results[2]["value"], Value::Null, "{report}");
    assert_eq!(results[3]["error"]["kind"], "tool", "{report}");
    assert_eq!(results[4]["status"], "ok", "{report}");
}

#[test]
fn strings_of_every_kind_survive_a_guest_without_wasi() {
    let host = calc_host();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) }, |(text in text())| {
        let batch = json!({"calls": [{"tool": "echo", "args": {"text": text}}]}).to_string();
        let report = runtime.block_on(host.run(Batch::from_json(batch.as_bytes()).unwrap())).unwrap();
        prop_assert_eq!(report.results[0].result.as_ref(), Ok(&json!(text).into()));
    });
    let long = "é".repeat(1 << 20);
    let batch = json!({"calls": [{"tool": "echo", "args": {"text": long}}]}).to_string();
    let report = block_on(host.run(Batch::from_json(batch.as_bytes()).unwrap())).unwrap();
    assert_eq!(report.results[0].result, Ok(json!(long).into()));
}

/// What an embedder's call gives, with these bytes beside its arguments.
fn with_bytes(host: &Host, tool: &str, args: Value, bytes: &[(&str, &[u8])]) -> Outcome {
    let Value::Object(args) = args else { panic!("arguments are an object") };
    let given = |(name, bytes): &(&str, &[u8])| ((*name).to_owned(), bytes.to_vec().into());
    let binary = Binary { args: bytes.iter().map(given).collect(), result: true };
    let call = Call { binary, ..Call::new(tool, args) };
    block_on(host.session().call(call, CancellationToken::new())).unwrap()
}

#[test]
fn embedders_hand_over_bytes_and_take_bytes() {
    let Some(plugin) = guest("probe") else { return };
    let host = Host::builder().plugin(plugin).build().unwrap();
    let sent: Vec<u8> = (0..=255).collect();
    let outcome = with_bytes(&host, "echo_bytes", json!({}), &[("data", &sent)]);
    assert_eq!(outcome.result, Ok(Value::Null.into()));
    assert_eq!(outcome.bytes.as_deref(), Some(&*sent));
    // The same as base64, and as base64 back.
    let batch =
        json!({"calls": [{"tool": "echo_bytes", "args": {"data": STANDARD.encode(&sent)}}]});
    let report =
        block_on(host.run(Batch::from_json(batch.to_string().as_bytes()).unwrap())).unwrap();
    assert_eq!(report.results[0].result, Ok(json!(STANDARD.encode(&sent)).into()));
    assert_eq!(report.results[0].bytes, None);
}

#[test]
fn bytes_that_fit_no_parameter_or_limit_are_refused() {
    let Some(plugin) = guest("probe") else { return };
    let host = Host::builder().plugin(plugin).build().unwrap();
    let refused = |tool, args, bytes: &[(&str, &[u8])]| {
        with_bytes(&host, tool, args, bytes).result.unwrap_err().to_string()
    };
    let says = refused("echo_bytes", json!({}), &[("dta", b"x")]);
    assert!(says.contains("/dta: unknown argument, given as bytes"), "{says}");
    assert!(says.contains("/data: missing"), "{says}");
    let says = refused("echo_bytes", json!({"data": ""}), &[("data", b"x")]);
    assert!(says.contains("/data: given twice"), "{says}");
    let says = refused("echo", json!({}), &[("text", b"x")]);
    assert!(says.contains("/text: expected a string, found bytes"), "{says}");
    let says = refused("echo_bytes", json!({}), &[("data", &vec![0; (4 << 20) + 1])]);
    assert!(says.contains("larger than their limit"), "{says}");
}

#[test]
fn fields_that_are_left_out_are_counted() {
    let fields: String = (0..100).map(|at| format!(r#"(field "f{at}" (option u8))"#)).collect();
    let wat = format!(
        r#"(component
          (type $wide' (record {fields}))
          (export $wide "wide" (type $wide'))
          (core module $m
            (memory (export "memory") 40)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
            (func (export "count") (param i32 i32) (result i32) (local.get 1)))
          (core instance $i (instantiate $m))
          (func (export "count") (param "items" (list $wide)) (result u32)
            (canon lift (core func $i "count") (memory $i "memory") (realloc (func $i "realloc")))))"#
    );
    let host = Host::builder().plugin(text_plugin("wide", &wat)).build().unwrap();
    let counted = |items: Value| {
        report(
            &host,
            &json!({"calls": [
                {"tool": "count", "args": {"items": items}},
                {"tool": "count", "args": {"items": []}},
            ]}),
        )
    };
    let some = counted(json!(vec![json!({}); 10_000]));
    assert_eq!(some["results"][0]["value"], 10_000, "{some}");
    let many = counted(json!(vec![json!({"f99": 1}); 11_000]));
    assert_eq!(many["results"][0]["error"]["kind"], "arguments");
    assert!(many["results"][0]["error"]["message"].as_str().unwrap().contains("optional fields"));
    assert_eq!(many["results"][1]["value"], 0);
}
