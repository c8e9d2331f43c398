//! The WIT of a component inside the component, so that descriptions and tags travel with it.
//!
//! It is a custom section, `inorder:wit`, of JSON: `{"packages": [{"a.wit": "package ..", ..}, ..]}`, the texts
//! of the package that describes the component and of those whose interfaces it exports too. Text, not WIT
//! as wasm: the parser that reads a `.wit` beside a component reads it, nothing has to be resolved, and a
//! hostile one meets no decoder of types. Nothing in it is trusted but as a description.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasmparser::{BinaryReader, Parser, Payload};

use super::binary::{BinaryError, HEADER, check_binary, sections};
use super::component::Plugin;
use super::docs::Docs;

const SECTION: &str = "inorder:wit";
/// Bytes of a section that is read.
const MOST: usize = 4 << 20;

/// WIT packages as text, and what they say.
#[derive(Clone, Debug)]
pub struct Wit {
    packages: Vec<(Package, Docs)>,
}

/// The WIT files of a package: names and texts.
type Package = BTreeMap<String, String>;

#[derive(Deserialize, Serialize)]
struct Section<P> {
    packages: Vec<P>,
}

/// What a component and its WIT have not in common. Functions are named `interface#function`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfits {
    /// Functions that the WIT exports and the component does not.
    pub missing: Vec<String>,
    /// Tools of the component that the WIT does not have.
    pub unknown: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum WitError {
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("there is no .wit file in {}", path.display())]
    Nothing { path: PathBuf },
    #[error("the WIT is wrong: {0}")]
    Wrong(String),
    #[error("the WIT is too large to pack: {size} bytes, of at most {MOST}")]
    TooLarge { size: usize },
    #[error(transparent)]
    Binary(#[from] BinaryError),
    #[error(
        "none of the functions of this WIT is in the component: is it the WIT that it was built from?"
    )]
    Stranger,
    #[error(
        "{function} takes ({component}) in the component, and ({wit}) in the WIT: is it the WIT that it was \
         built from?"
    )]
    Params { function: String, component: String, wit: String },
}

impl Wit {
    /// Reads a `.wit` file, or the package in a directory with those in its `deps`.
    ///
    /// # Errors
    /// A file cannot be read, or is not WIT.
    pub fn read(path: &Path) -> Result<Wit, WitError> {
        let mut packages = Vec::new();
        if path.is_dir() {
            packages.push(package(path, &wit_files(path)?)?);
            let deps = path.join("deps");
            if deps.is_dir() {
                for file in wit_files(&deps)? {
                    packages.push(package(path, &[file])?);
                }
                for dir in entries(&deps)?.iter().filter(|it| it.is_dir()) {
                    packages.push(package(path, &wit_files(dir)?)?);
                }
            }
            if packages[0].is_empty() {
                return Err(WitError::Nothing { path: path.to_owned() });
            }
        } else {
            let parent = path.parent().unwrap_or(Path::new(""));
            packages.push(package(parent, &[path.to_owned()])?);
        }
        packages.retain(|package| !package.is_empty());
        Wit::parse(packages).map_err(WitError::Wrong)
    }

    /// What is packed in a component. None if nothing is.
    ///
    /// # Errors
    /// Why the section cannot be read.
    pub fn packed_in(component: &[u8]) -> Option<Result<Wit, String>> {
        Wit::section_of(component).map(Wit::from_section)
    }

    /// The section itself, which may be damaged.
    pub fn section_of(component: &[u8]) -> Option<&[u8]> {
        own_sections(component).last()
    }

    /// # Errors
    /// Why it cannot be read.
    pub fn from_section(section: &[u8]) -> Result<Wit, String> {
        if section.len() > MOST {
            return Err(format!("it has {} bytes, of at most {MOST}", section.len()));
        }
        let section: Result<Section<Package>, _> = serde_json::from_slice(section);
        section.map_err(|error| error.to_string()).and_then(|it| Wit::parse(it.packages))
    }

    fn parse(packages: Vec<Package>) -> Result<Wit, String> {
        let parse = |package: Package| {
            let docs = Docs::parse(package.iter().map(|(name, text)| (&**name, &**text)))?;
            Ok((package, docs))
        };
        packages.into_iter().map(parse).collect::<Result<_, _>>().map(|packages| Wit { packages })
    }

    /// What all of its packages say; where two say of one function, the first.
    pub fn docs(&self) -> Docs {
        let mut packages = self.packages.iter().map(|(_, docs)| docs.clone());
        let mut all = packages.next().unwrap_or_default();
        packages.for_each(|docs| all.extend(docs));
        all
    }

    /// The component with this WIT in it, in place of what was packed before. Packages that describe none
    /// of its exports are left out, except for the first.
    ///
    /// # Errors
    /// It is not a component, or the WIT is too large.
    pub fn pack_into(&self, component: &[u8]) -> Result<Vec<u8>, WitError> {
        check_binary(component)?;
        let exports = export_names(component);
        let wanted = |(index, (_, docs)): &(usize, &(Package, Docs))| {
            *index == 0 || exports.iter().any(|name| docs.has_interface(name))
        };
        let packages = self.packages.iter().enumerate().filter(wanted);
        let section = Section { packages: packages.map(|(_, (package, _))| package).collect() };
        let json = serde_json::to_vec(&section).map_err(|it| WitError::Wrong(it.to_string()))?;
        if json.len() > MOST {
            return Err(WitError::TooLarge { size: json.len() });
        }
        let mut packed = Vec::with_capacity(component.len() + json.len() + 32);
        packed.extend(&component[..component.len().min(HEADER)]);
        for section in sections(component) {
            if own(section.id, section.content).is_none() {
                packed.extend(section.whole);
            }
        }
        append_section(&json, &mut packed);
        Ok(packed)
    }

    /// A component that has nothing but this as the content of its section.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn section_of_an_empty_component(content: &[u8]) -> Vec<u8> {
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        append_section(content, &mut component);
        component
    }
}

impl Plugin {
    /// Compares the tools with the functions of a WIT.
    ///
    /// # Errors
    /// They have nothing in common, or a function takes other parameters: it is the WIT of something else.
    pub fn compare(&self, wit: &Wit) -> Result<Misfits, WitError> {
        let docs = wit.docs();
        let mut exist: Vec<String> = self.not_tools.iter().map(|it| it.function.clone()).collect();
        let mut unknown = Vec::new();
        for tool in &self.tools {
            let name = match &tool.name.interface {
                Some(interface) => format!("{interface}#{}", tool.name.function),
                None => tool.name.function.clone(),
            };
            exist.push(name.clone());
            let Some(docs) = docs.of(&tool.name) else {
                unknown.push(name);
                continue;
            };
            if !tool.params.iter().map(|param| &param.wit).eq(&docs.takes) {
                let component: Vec<&str> = tool.params.iter().map(|it| it.wit.as_str()).collect();
                let (component, wit) = (component.join(", "), docs.takes.join(", "));
                return Err(WitError::Params { function: name, component, wit });
            }
        }
        if unknown.len() == self.tools.len() && !self.tools.is_empty() {
            return Err(WitError::Stranger);
        }
        // Of several worlds the component has been built for the one that it has most of.
        let missing = docs.missing(&exist).min_by_key(Vec::len).unwrap_or_default();
        Ok(Misfits { missing, unknown })
    }
}

/// The data of a custom section that is ours.
fn own(id: u8, content: &[u8]) -> Option<&[u8]> {
    let mut reader = BinaryReader::new(content, 0);
    let ours = id == 0 && reader.read_string().is_ok_and(|name| name == SECTION);
    ours.then(|| &content[reader.current_position()..])
}

fn own_sections(component: &[u8]) -> impl Iterator<Item = &[u8]> {
    sections(component).filter_map(|section| own(section.id, section.content))
}

fn append_section(data: &[u8], to: &mut Vec<u8>) {
    let mut content = Vec::with_capacity(data.len() + 16);
    leb128(SECTION.len(), &mut content);
    content.extend(SECTION.as_bytes());
    content.extend(data);
    to.push(0);
    leb128(content.len(), to);
    to.extend(content);
}

fn leb128(mut number: usize, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// What the component itself exports, not the ones inside it.
fn export_names(component: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::Version { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth -= 1,
            Ok(Payload::ComponentExportSection(exports)) if depth == 1 => {
                names.extend(exports.into_iter().flatten().map(|it| it.name.name.to_owned()));
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    names
}

/// Reads files into a package. They are named as they are below `base`: what is packed does not tell where
/// it was packed.
fn package(base: &Path, files: &[PathBuf]) -> Result<Package, WitError> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path)
            .map_err(|error| WitError::Read { path: path.clone(), error })?;
        let name = path.strip_prefix(base).unwrap_or(path).to_string_lossy().into_owned();
        Ok((name, text))
    };
    files.iter().map(read).collect()
}

fn wit_files(dir: &Path) -> Result<Vec<PathBuf>, WitError> {
    let wit = |path: &PathBuf| path.extension().is_some_and(|it| it == "wit") && path.is_file();
    Ok(entries(dir)?.into_iter().filter(wit).collect())
}

/// In the order of their names.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, WitError> {
    let failed = |error| WitError::Read { path: dir.to_owned(), error };
    let entries = std::fs::read_dir(dir).map_err(failed)?;
    let entries = entries.map(|entry| entry.map(|it| it.path())).collect::<Result<Vec<_>, _>>();
    let mut entries = entries.map_err(failed)?;
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wit(text: &str) -> Wit {
        Wit::parse(vec![BTreeMap::from([("a.wit".to_owned(), text.to_owned())])]).unwrap()
    }

    #[test]
    fn what_is_packed_is_read_again_and_replaced() {
        let component = wat::parse_str("(component (core module (func)))").unwrap();
        assert!(Wit::packed_in(&component).is_none());
        let first = wit("package a:b; world w {}").pack_into(&component).unwrap();
        let again = wit("package c:d; world other {}").pack_into(&first).unwrap();
        check_binary(&again).unwrap();
        assert_eq!(own_sections(&again).count(), 1);
        let read = Wit::packed_in(&again).unwrap().unwrap();
        assert_eq!(read.packages[0].0["a.wit"], "package c:d; world other {}");
        let back = wit("package a:b; world w {}").pack_into(&again).unwrap();
        assert_eq!(back, first);
    }

    #[test]
    fn a_bad_section_has_a_reason() {
        let wit = |text: &str| format!(r#"{{"packages": [{{"a.wit": {text:?}}}]}}"#).into_bytes();
        let nested =
            format!("package a:b; interface i {{ type t = {}u8; }}", "list<".repeat(500_000));
        for (content, says) in [
            (b"no JSON".to_vec(), "expected"),
            (wit("package"), "a.wit"),
            (wit(&nested), "nest"),
            (wit(&"package a:b { ".repeat(200_000)), "nest"),
            (
                br#"{"packages": [{"a.wit": "#.iter().chain(&[b'['; 1_000_000]).copied().collect(),
                "expected",
            ),
            (vec![b' '; MOST + 1], "of at most"),
        ] {
            let bytes = Wit::section_of_an_empty_component(&content);
            let error = Wit::packed_in(&bytes).unwrap().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn only_a_component_is_packed() {
        let module = wat::parse_str("(module)").unwrap();
        let error = wit("package a:b;").pack_into(&module).unwrap_err();
        assert!(matches!(error, WitError::Binary(BinaryError::CoreModule)));
    }
}
