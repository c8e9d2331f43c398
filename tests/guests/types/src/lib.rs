//! Every WIT type of WASI 0.2, for the property test that sends JSON through a component and back.
//! Knows nothing of JSON: what is asserted here is only that values arrive in their places.

use std::cell::Cell;

wit_bindgen::generate!({ path: "types.wit", world: "types" });

use exports::test::types::{
    answers, counters, functions, left, lists, products, right, scalars, sums,
};
use sums::{Color, Fault};

struct Types;
export!(Types);

macro_rules! echo {
    ($($name:ident: $ty:ty,)*) => {
        $(fn $name(value: $ty) -> $ty { value })*
    };
}

impl Guest for Types {
    echo! {
        echo_root: String,
        echo_root_record: Point,
    }

    fn root_constant() -> u32 {
        7
    }
}

impl scalars::Guest for Types {
    echo! {
        echo_bool: bool,
        echo_u8: u8,
        echo_u16: u16,
        echo_u32: u32,
        echo_u64: u64,
        echo_s8: i8,
        echo_s16: i16,
        echo_s32: i32,
        echo_s64: i64,
        echo_f32: f32,
        echo_f64: f64,
        echo_char: char,
        echo_string: String,
    }
}

impl lists::Guest for Types {
    echo! {
        echo_list_bool: Vec<bool>,
        echo_list_s32: Vec<i32>,
        echo_list_u64: Vec<u64>,
        echo_list_f64: Vec<f64>,
        echo_list_char: Vec<char>,
        echo_list_string: Vec<String>,
        echo_list_record: Vec<Point>,
        echo_list_tuple: Vec<(String, u32)>,
        echo_list_option: Vec<Option<u8>>,
        echo_list_list: Vec<Vec<i16>>,
        echo_bytes: Vec<u8>,
        echo_list_bytes: Vec<Vec<u8>>,
    }
}

impl products::Guest for Types {
    echo! {
        echo_record: Point,
        echo_record_options: products::Address,
        echo_record_nested: products::Person,
        echo_record_wide: products::Wide,
        echo_alias: u64,
        echo_tuple: (u8, String),
        echo_tuple_one: (f32,),
        echo_tuple_nested: ((i8, i64), Point, Vec<u8>),
    }
}

impl sums::Guest for Types {
    echo! {
        echo_enum: Color,
        echo_flags: sums::Rights,
        echo_flags_dozen: sums::Dozen,
        echo_flags_full: sums::Full,
        echo_variant: Fault,
        echo_variant_nested: sums::Shape,
        echo_list_variant: Vec<sums::Shape>,
        echo_option: Option<u32>,
        echo_option_string: Option<String>,
        echo_option_option: Option<Option<u32>>,
        echo_option_thrice: Option<Option<Option<String>>>,
        echo_option_record: Option<Point>,
        echo_results: sums::Outcome,
        echo_list_result: Vec<Result<Point, Fault>>,
        echo_option_result: Option<Result<Vec<u8>, Color>>,
        echo_tuple_result: (Result<Result<u8, String>, Option<u8>>,),
    }
}

impl answers::Guest for Types {
    echo! {
        answer: Result<u32, String>,
        answer_typed: Result<Point, Fault>,
        answer_ok_only: Result<u32, ()>,
        answer_err_only: Result<(), String>,
        answer_bare: Result<(), ()>,
        answer_option: Result<Option<u32>, Option<String>>,
        answer_address: Result<products::Address, Fault>,
    }
}

impl functions::Guest for Types {
    fn nothing() {}

    fn constant() -> u32 {
        42
    }

    fn consume(value: String) {
        drop(value);
    }

    fn gather(
        a: bool,
        b: u8,
        c: i8,
        d: u16,
        e: i16,
        f: u32,
        g: i32,
        h: u64,
        i: i64,
        j: f32,
        k: f64,
        l: char,
        m: String,
        n: Vec<u8>,
        o: Option<u32>,
        p: Color,
        q: Point,
        r: (u8, u8),
    ) -> functions::Gathered {
        functions::Gathered { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r }
    }

    fn optional(first: Option<String>, second: u32, third: Option<u32>) -> String {
        format!("{first:?} {second} {third:?}")
    }

    fn parse_url_v2(base_url: String, list: Vec<String>) -> functions::UrlParts {
        functions::UrlParts { http_scheme: base_url, host_v6_ip: None, type_: list.join(" ") }
    }

    echo! {
        echo_keywords: functions::UrlParts,
    }
}

impl left::Guest for Types {
    fn get() -> String {
        "left".into()
    }
}

impl right::Guest for Types {
    fn get(value: u32) -> u32 {
        value
    }
}

struct Counter(Cell<u32>);

impl counters::GuestCounter for Counter {
    fn new(start: u32) -> Self {
        Counter(Cell::new(start))
    }

    fn add(&self, n: u32) -> u32 {
        self.0.set(self.0.get().wrapping_add(n));
        self.0.get()
    }

    fn merge(a: counters::Counter, b: counters::Counter) -> counters::Counter {
        let (a, b) = (a.into_inner::<Counter>(), b.into_inner::<Counter>());
        counters::Counter::new(Counter(Cell::new(a.0.get().wrapping_add(b.0.get()))))
    }
}

impl counters::Guest for Types {
    type Counter = Counter;

    fn total(counter: counters::CounterBorrow<'_>) -> u32 {
        counter.get::<Counter>().0.get()
    }

    fn open(start: u32) -> counters::Counter {
        counters::Counter::new(Counter(Cell::new(start)))
    }

    fn open_labelled(labels: Vec<String>) -> Vec<counters::Labelled> {
        let label = |label| counters::Labelled { label, counter: Self::open(0) };
        labels.into_iter().map(label).collect()
    }

    fn limit() -> u32 {
        u32::MAX
    }
}
