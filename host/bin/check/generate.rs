//! Arguments for a tool, made up from its types: the least, the plain, the greatest, the odd, and then any.
//!
//! The same number gives the same arguments.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use inorder::{Case, Field, Shape};
use serde_json::{Map, Value, json};

/// A file that is there.
pub const FILE: &str = "a.txt";

/// What kind of values are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Least,
    Plain,
    Greatest,
    Odd,
}

/// What text may hold and programs forget.
const ODD: [&str; 12] = [
    "../../etc/passwd",
    "/",
    "-rf",
    "--help",
    "a\nb\r\n\tc",
    "nul\0nul",
    "\"quotes\" and 'more' and \\",
    "{{braces}} ${VAR} `ls`",
    "e\u{301} \u{202e}right to left",
    "👩‍👩‍👧 𝕬 ﷽",
    " leading and trailing ",
    "dir/../a.txt",
];

/// Deeper than this, lists are empty and options absent.
const DEEPEST: usize = 6;

/// The arguments of the `index`th call of a tool.
pub fn arguments(params: &[Field], index: u64, seed: u64) -> Map<String, Value> {
    let mood = match index {
        0 => Some(Mood::Plain),
        1 => Some(Mood::Least),
        2 => Some(Mood::Greatest),
        3 => Some(Mood::Odd),
        _ => None,
    };
    let mut maker = Maker { mood, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index };
    maker.fields(params, 0)
}

struct Maker {
    /// None: another one for each value.
    mood: Option<Mood>,
    state: u64,
}

impl Maker {
    fn fields(&mut self, fields: &[Field], depth: usize) -> Map<String, Value> {
        let mut object = Map::new();
        for field in fields {
            let value = self.value(&field.shape, &field.json, depth);
            if !(field.optional() && value.is_null()) {
                object.insert(field.json.clone(), value);
            }
        }
        object
    }

    fn value(&mut self, shape: &Shape, name: &str, depth: usize) -> Value {
        let mood = self.mood();
        match shape {
            Shape::Bool => json!(matches!(mood, Mood::Greatest | Mood::Odd)),
            Shape::S8 => self.integer(mood, i64::from(i8::MIN), i8::MAX as u64),
            Shape::U8 => self.integer(mood, 0, u8::MAX.into()),
            Shape::S16 => self.integer(mood, i16::MIN.into(), i16::MAX as u64),
            Shape::U16 => self.integer(mood, 0, u16::MAX.into()),
            Shape::S32 => self.integer(mood, i32::MIN.into(), i32::MAX as u64),
            Shape::U32 => self.integer(mood, 0, u32::MAX.into()),
            Shape::S64 => self.integer(mood, i64::MIN, i64::MAX as u64),
            Shape::U64 => self.integer(mood, 0, u64::MAX),
            Shape::F32 | Shape::F64 => match mood {
                Mood::Least => json!(0.0),
                Mood::Plain => json!(1.5),
                Mood::Greatest => json!(3.0e38),
                Mood::Odd => json!(self.one_of(&["NaN", "Infinity", "-Infinity"])),
            },
            Shape::Char => json!(match mood {
                Mood::Least => "\0",
                Mood::Plain => "a",
                Mood::Greatest => "\u{10ffff}",
                Mood::Odd => "é",
            }),
            Shape::String => json!(self.text(mood, name, depth)),
            Shape::Bytes => json!(BASE64_STANDARD.encode(match mood {
                Mood::Least => vec![],
                Mood::Plain => b"hello".to_vec(),
                Mood::Greatest => (0..=255).cycle().take(10_000).collect(),
                Mood::Odd => vec![0, 159, 146, 150],
            })),
            Shape::List(item) => {
                let count = match mood {
                    _ if depth >= DEEPEST => 0,
                    Mood::Least => 0,
                    Mood::Plain => 1,
                    Mood::Odd => 2,
                    Mood::Greatest => 1 << (DEEPEST - depth).min(5),
                };
                (0..count).map(|_| self.value(item, name, depth + 1)).collect()
            }
            Shape::Tuple(items) => {
                items.iter().map(|item| self.value(item, name, depth + 1)).collect()
            }
            Shape::Record(fields) => Value::Object(self.fields(fields, depth + 1)),
            Shape::Variant(cases) => self.case(cases, mood, depth),
            Shape::Result(cases) => self.case(&**cases, mood, depth),
            Shape::Enum(cases) => {
                self.pick(cases, mood).map_or(Value::Null, |case| json!(case.json))
            }
            Shape::Flags(cases) => {
                let count = match mood {
                    Mood::Least => 0,
                    Mood::Plain => 1.min(cases.len()),
                    Mood::Odd => cases.len() / 2,
                    Mood::Greatest => cases.len(),
                };
                cases[..count].iter().map(|case| json!(case.json)).collect()
            }
            // One that may itself be absent has a form of its own, `{"some": ..}`.
            Shape::Option(some) if mood == Mood::Least || depth >= DEEPEST || nullable(some) => {
                Value::Null
            }
            Shape::Option(some) => self.value(some, name, depth),
        }
    }

    fn case(&mut self, cases: &[Case], mood: Mood, depth: usize) -> Value {
        let Some(case) = self.pick(cases, mood) else { return Value::Null };
        match &case.payload {
            Some(payload) => {
                let payload = self.value(payload, &case.json, depth + 1);
                Value::Object(Map::from_iter([(case.json.clone(), payload)]))
            }
            None => json!(case.json),
        }
    }

    fn pick<'c>(&mut self, cases: &'c [Case], mood: Mood) -> Option<&'c Case> {
        match mood {
            Mood::Least | Mood::Plain => cases.first(),
            Mood::Greatest => cases.last(),
            Mood::Odd => {
                let at = self.below(cases.len());
                cases.get(at)
            }
        }
    }

    fn integer(&mut self, mood: Mood, least: i64, greatest: u64) -> Value {
        match mood {
            Mood::Least => json!(0),
            Mood::Plain => json!(3),
            // As text: beyond 2^53 a number would not do.
            Mood::Greatest if greatest > u64::from(u32::MAX) => json!(greatest.to_string()),
            Mood::Greatest => json!(greatest),
            Mood::Odd if least < i64::from(i32::MIN) => json!(least.to_string()),
            Mood::Odd if least < 0 => json!(least),
            Mood::Odd => json!(1),
        }
    }

    /// Text that suits the name of what it is for.
    fn text(&mut self, mood: Mood, name: &str, depth: usize) -> String {
        let about = |words: &[&str]| words.iter().any(|word| name.contains(word));
        match mood {
            Mood::Least => String::new(),
            Mood::Plain if about(&["dir", "folder"]) => "dir".to_owned(),
            Mood::Plain if about(&["path", "file", "source"]) => FILE.to_owned(),
            Mood::Plain if about(&["url", "uri"]) => "http://localhost/".to_owned(),
            Mood::Plain if about(&["zone"]) => "UTC".to_owned(),
            Mood::Plain => "hello".to_owned(),
            // Deeper down there are many of them.
            Mood::Greatest => "a word, wörter, 言葉; ".repeat(500 >> (4 * depth).min(8)),
            Mood::Odd => self.one_of(&ODD).to_owned(),
        }
    }

    fn mood(&mut self) -> Mood {
        let any = [Mood::Plain, Mood::Plain, Mood::Least, Mood::Greatest, Mood::Odd];
        self.mood.unwrap_or_else(|| any[self.below(any.len())])
    }

    fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    /// SplitMix64.
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % end.max(1)
    }
}

/// Whether null is one of its own values.
fn nullable(shape: &Shape) -> bool {
    matches!(shape, Shape::Option(_))
}
