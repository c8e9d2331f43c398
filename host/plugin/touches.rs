//! Which files a tool says that its calls touch: the tags `@reads`, `@writes` and `@pure` of its WIT
//! documentation. They are about files alone: which requests it sends, they do not say.
//!
//! Reads the tags and the paths in arguments. That a call keeps to what was declared is the sandbox's care.

use serde_json::{Map, Value};

use super::check::similar;
use super::docs::Tag;
use super::names::given;
use super::shape::{Field, Shape};
use super::wire::{Values, Wire};
use crate::batch::Args;

/// What a tool declares of the files that its calls touch.
///
/// A symlink in a declared path stands for what it leads to; the directories above a path that is written
/// may be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Touches {
    /// No tags: anything that its plugin was granted.
    #[default]
    Undeclared,
    /// The paths in these parameters (places in [`super::Tool::params`], ascending) and what lies beneath
    /// them. One that is written may be read too, and is not among `reads`. Both empty: no file at all.
    Declared { reads: Vec<usize>, writes: Vec<usize> },
}

/// The declared paths of one call, as they stand in its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TouchedPaths<'a> {
    pub reads: Vec<&'a str>,
    pub writes: Vec<&'a str>,
}

/// The arguments of a call, as far as they are known before it runs.
#[derive(Clone, Copy)]
pub enum Known<'a> {
    Values(&'a [Wire]),
    /// Parts of it may be references.
    Json(&'a Map<String, Value>),
}

impl<'a> Known<'a> {
    pub fn new(args: &'a Args, values: Option<&'a Values>) -> Known<'a> {
        values.map_or_else(|| Known::Json(args.as_map()), |values| Known::Values(values.wires()))
    }

    /// The text that a parameter is, or those that it is a list of: nothing for each thing that is no text. The parameter
    /// is at `place` of its tool's.
    pub fn texts(self, place: usize, param: &Field) -> impl Iterator<Item = Option<&'a str>> {
        let (mut one, mut values, mut json) = (None, [].as_slice(), [].as_slice());
        match self {
            Known::Values(all) => match all.get(place).map(|value| inside(&param.shape, value)) {
                None | Some(None) => {}
                Some(Some(Wire::List(items))) => values = items,
                Some(Some(other)) => one = Some(text(other)),
            },
            Known::Json(args) => match given(args, &param.json) {
                [None, None] | [Some((_, Value::Null)), None] | [None, Some((_, Value::Null))] => {}
                [Some((_, Value::Array(items))), None] | [None, Some((_, Value::Array(items)))] => {
                    json = items;
                }
                [Some((_, other)), None] | [None, Some((_, other))] => one = Some(other.as_str()),
                // Refused before it runs.
                [Some(_), Some(_)] => one = Some(None),
            },
        }
        one.into_iter().chain(values.iter().map(text)).chain(json.iter().map(Value::as_str))
    }
}

/// A value, or what is in it if it is an option.
fn inside<'a>(shape: &Shape, value: &'a Wire) -> Option<&'a Wire> {
    match (shape, value) {
        (Shape::Option(_), Wire::Case(_, value)) => value.as_deref(),
        _ => Some(value),
    }
}

fn text(value: &Wire) -> Option<&str> {
    match value {
        Wire::String(text) => Some(text),
        _ => None,
    }
}

impl Touches {
    /// What `tags` declare, of a function with these parameters.
    ///
    /// # Errors
    /// The tag that is wrong, and why: a declaration that is taken for less than it says is no use.
    pub(super) fn read(tags: &[Tag], params: &[Field]) -> Result<Touches, String> {
        let (mut reads, mut writes, mut pure) = (Vec::new(), Vec::new(), false);
        for tag in tags {
            let into = match tag.name.as_str() {
                "reads" => &mut reads,
                "writes" => &mut writes,
                "pure" if tag.params.is_empty() => {
                    pure = true;
                    continue;
                }
                "pure" => return Err(format!("{tag}: `@pure` names no parameters")),
                _ => {
                    return Err(format!(
                        "{tag}: there are the tags `@reads`, `@writes` and `@pure`"
                    ));
                }
            };
            if tag.params.is_empty() {
                return Err(format!("{tag}: it names no parameter"));
            }
            for name in &tag.params {
                into.push(param(name, params).map_err(|message| format!("{tag}: {message}"))?);
            }
        }
        if pure && !(reads.is_empty() && writes.is_empty()) {
            return Err("`@pure`: other tags say that it touches files".to_owned());
        }
        if !pure && reads.is_empty() && writes.is_empty() {
            return Ok(Touches::Undeclared);
        }
        reads.retain(|place| !writes.contains(place));
        for places in [&mut reads, &mut writes] {
            places.sort_unstable();
            places.dedup();
        }
        Ok(Touches::Declared { reads, writes })
    }

    /// The paths in the arguments of a tool with these parameters. None if nothing is declared, or if an argument is not
    /// text yet (a reference).
    pub(super) fn paths<'a>(&self, params: &[Field], args: Known<'a>) -> Option<TouchedPaths<'a>> {
        let Touches::Declared { reads, writes } = self else { return None };
        let paths = |places: &[usize]| {
            let mut paths = Vec::with_capacity(places.len());
            for (place, param) in places.iter().filter_map(|it| Some((*it, params.get(*it)?))) {
                for path in args.texts(place, param) {
                    paths.push(path?);
                }
            }
            Some(paths)
        };
        Some(TouchedPaths { reads: paths(reads)?, writes: paths(writes)? })
    }
}

fn param(name: &str, params: &[Field]) -> Result<usize, String> {
    let Some(place) = params.iter().position(|param| param.wit == name) else {
        let near = similar(name, params.iter().map(|param| param.wit.as_str()));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("there is no parameter `{name}`{hint}"));
    };
    let shape = match &params[place].shape {
        Shape::Option(shape) => shape,
        shape => shape,
    };
    match shape {
        Shape::String => Ok(place),
        Shape::List(item) if **item == Shape::String => Ok(place),
        _ => Err(format!("`{name}` is neither text nor a list of text, so that it holds no path")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugin::decode;
    use crate::plugin::docs::FunctionDocs;

    fn params() -> Vec<Field> {
        let list = Shape::List(Box::new(Shape::String));
        vec![
            Field::new("path", Shape::String),
            Field::new("other-paths", Shape::Option(Box::new(list))),
            Field::new("count", Shape::U32),
        ]
    }

    fn touches(docs: &str) -> Result<Touches, String> {
        Touches::read(&FunctionDocs::read(docs).tags, &params())
    }

    fn declared(reads: &[usize], writes: &[usize]) -> Result<Touches, String> {
        Ok(Touches::Declared { reads: reads.to_vec(), writes: writes.to_vec() })
    }

    #[test]
    fn tags_declare_parameters() {
        assert_eq!(touches("Does things.\n@see path"), Ok(Touches::Undeclared));
        assert_eq!(touches("@pure"), declared(&[], &[]));
        assert_eq!(touches("Text.\n\n@reads path\n@writes other-paths"), declared(&[0], &[1]));
        assert_eq!(touches("@reads other-paths, path"), declared(&[0, 1], &[]));
        assert_eq!(touches("- path: where\n  @reads path other-paths"), declared(&[0, 1], &[]));
        assert_eq!(touches("@writes path\n@reads path"), declared(&[], &[0]));
    }

    #[test]
    fn a_wrong_tag_is_an_error() {
        for (docs, says) in [
            ("@reads", "names no parameter"),
            ("@reads pth", "did you mean `path`?"),
            ("@reads count", "neither text"),
            ("@reads path - the file", "no parameter `-`"),
            ("@pure path", "names no parameters"),
            ("@pure\n@reads path", "other tags"),
            ("@read path", "there are the tags"),
            ("@Writes path", "there are the tags"),
            ("@write: path", "there are the tags"),
            ("@pur", "there are the tags"),
            ("@reads: path", "there are the tags"),
        ] {
            let error = touches(docs).unwrap_err();
            assert!(error.contains(says), "{docs}: {error}");
        }
    }

    #[test]
    fn paths_are_taken_from_arguments() {
        let touches = touches("@reads other-paths\n@writes path").unwrap();
        let args = |value: Value| value.as_object().unwrap().clone();
        for (value, expected) in [
            (json!({"path": "a"}), Some((vec![], vec!["a"]))),
            (json!({"path": "a", "other_paths": null}), Some((vec![], vec!["a"]))),
            (json!({"path": "a", "other_paths": ["b", "c"]}), Some((vec!["b", "c"], vec!["a"]))),
            (json!({"path": {"$from": 1}}), None),
            (json!({"path": "a", "other_paths": ["b", {"$from": 1}]}), None),
            (json!({"path": "a", "other_paths": {"$from": 1}}), None),
        ] {
            let mut args = args(value);
            let paths = touches.paths(&params(), Known::Json(&args));
            let paths = paths.map(|paths| (paths.reads, paths.writes));
            assert_eq!(paths, expected, "{args:?}");
            args.insert("count".to_owned(), json!(1));
            let values = decode(&params(), &Args::from(args), &[]);
            let paths = values.as_deref().map(|values| {
                touches.paths(&params(), Known::Values(values)).expect("values have their paths")
            });
            assert_eq!(paths.map(|paths| (paths.reads, paths.writes)), expected);
        }
        assert_eq!(Touches::Undeclared.paths(&params(), Known::Json(&Map::new())), None);
    }
}
