//! What one part of a composed component hands to another: where the memory for it comes from.
//!
//! wasmtime checks and copies a string from one part to another in one go. The one that gets it is asked for memory first, by
//! the function that its canonical options name. So where such a function is exported from its module, a guard
//! takes its place, which traps if it is asked for too much at once for bytes or characters, whoever asks: the host, too.
//! Lists of anything else are copied item by item. Streams and futures, whose items are copied in one go as well, are
//! refused; and so are asynchronous calls between parts, since wasmtime runs each on a stack that counts as nobody's. Knows the structure of components, not their code.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use wasm_encoder::{BlockType, Encode as _, Function};
use wasmparser::{
    BinaryReader, CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind,
    ComponentOuterAliasKind, ComponentTypeRef, ExportSectionReader, ExternalKind, Instance, Parser,
    Payload,
};

use super::divide::{DivideError, sum};

/// What a part of a composed component may be asked to have room for at once, if it is aligned as characters are: 8 ms for
/// what takes longest, ASCII from UTF-16 to UTF-8; 2 to 5 ms where both have UTF-8.
pub const MOST_HANDED: u32 = 4 << 20;

/// The guard's name in a backtrace. A plugin that names a function of its own so tells what is not so of itself, and no more.
pub const GUARD: &str = "inorder: more is handed over than may be";

/// Its type, that of every such function, as the type section has it: the old place, its size, alignment, new size.
pub(super) const TYPE: [u8; 8] = [0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f];

/// The exports to guard, by the number of their module: in the order in which they begin, within other components too.
pub(super) type Guarded = BTreeMap<usize, BTreeSet<String>>;

/// What a component has defined so far.
#[derive(Default)]
struct Frame<'c> {
    /// Their numbers, where they are modules of this file.
    modules: Vec<Option<usize>>,
    instances: Vec<Exports<'c>>,
    /// Where they come from, if they are exports.
    functions: Vec<Option<(usize, &'c str)>>,
    /// Functions that memory is asked of.
    reallocs: BTreeSet<u32>,
}

/// The exports of a core instance.
enum Exports<'c> {
    /// Those of a module.
    Module(Option<usize>),
    /// Functions of the component.
    Functions(HashMap<&'c str, u32>),
}

/// The exports to guard: none if no part of the component is a component that has modules of its own.
pub(super) fn guarded(component: &[u8]) -> Result<Guarded, DivideError> {
    let (mut frames, mut found) = (Vec::<Frame<'_>>::new(), Vec::new());
    let (mut modules, mut in_module, mut composed, mut asynchronous) = (0, false, false, false);
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if in_module {
            in_module = !matches!(payload, Payload::End(_));
            continue;
        }
        if let Payload::Version { .. } = payload {
            frames.push(Frame::default());
            continue;
        }
        let deep = frames.len() > 1;
        let (outer, frame) = match frames.split_last_mut() {
            Some((frame, outer)) => (outer, frame),
            None => continue,
        };
        match payload {
            Payload::ModuleSection { .. } => {
                frame.modules.push(Some(modules));
                modules += 1;
                in_module = true;
            }
            Payload::InstanceSection(instances) => {
                composed |= deep;
                for instance in instances {
                    frame.instances.push(match instance? {
                        Instance::Instantiate { module_index, .. } => {
                            let module = frame.modules.get(module_index as usize);
                            Exports::Module(module.copied().flatten())
                        }
                        Instance::FromExports(exports) => {
                            let functions = exports
                                .iter()
                                .filter(|it| it.kind == ExternalKind::Func)
                                .map(|it| (it.name, it.index));
                            Exports::Functions(functions.collect())
                        }
                    });
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    frame.alias(&alias?, outer);
                }
            }
            Payload::ComponentCanonicalSection(canonicals) => {
                for canonical in canonicals {
                    let canonical = canonical?;
                    asynchronous |= options(&canonical).contains(&CanonicalOption::Async);
                    frame.canonical(&canonical)?;
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    if let ComponentTypeRef::Module(_) = import?.ty {
                        frame.modules.push(None);
                    }
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Module {
                        let module = frame.modules.get(export.index as usize);
                        frame.modules.push(module.copied().flatten());
                    }
                }
            }
            Payload::End(_) => {
                found.extend(frame.reallocs.iter().map(|it| frame.export_of(*it)));
                frames.pop();
            }
            _ => {}
        }
    }
    let mut guarded = Guarded::new();
    if composed {
        if asynchronous {
            return Err(DivideError::Asynchronous);
        }
        for export in found {
            let (module, name) = export.ok_or(DivideError::NoExport)?;
            guarded.entry(module).or_default().insert(name.to_owned());
        }
    }
    Ok(guarded)
}

impl<'c> Frame<'c> {
    fn alias(&mut self, alias: &ComponentAlias<'c>, outer: &[Frame<'c>]) {
        match *alias {
            ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Func,
                instance_index,
                name,
            } => self.functions.push(Some((instance_index as usize, name))),
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
                let frame = match (count as usize).checked_sub(1) {
                    Some(further) => outer.iter().nth_back(further),
                    None => Some(&*self),
                };
                let module = frame.and_then(|it| it.modules.get(index as usize));
                self.modules.push(module.copied().flatten());
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => {
                self.modules.push(None);
            }
            _ => {}
        }
    }

    fn canonical(&mut self, canonical: &CanonicalFunction) -> Result<(), DivideError> {
        if let CanonicalFunction::StreamRead { .. }
        | CanonicalFunction::StreamWrite { .. }
        | CanonicalFunction::FutureRead { .. }
        | CanonicalFunction::FutureWrite { .. }
        | CanonicalFunction::StreamCancelRead { .. }
        | CanonicalFunction::StreamCancelWrite { .. }
        | CanonicalFunction::FutureCancelRead { .. }
        | CanonicalFunction::FutureCancelWrite { .. } = canonical
        {
            return Err(DivideError::Streams);
        }
        self.reallocs.extend(options(canonical).iter().filter_map(|it| match it {
            CanonicalOption::Realloc(function) => Some(*function),
            _ => None,
        }));
        // All others make a core function, too.
        if !matches!(canonical, CanonicalFunction::Lift { .. }) {
            self.functions.push(None);
        }
        Ok(())
    }

    /// Of which module a core function is which export.
    fn export_of(&self, mut function: u32) -> Option<(usize, &'c str)> {
        loop {
            let (instance, name) = (*self.functions.get(function as usize)?)?;
            match self.instances.get(instance)? {
                Exports::Module(module) => return Some(((*module)?, name)),
                // What an instance is made of was there before it, in all that is valid.
                Exports::Functions(functions) => {
                    let before = *functions.get(name)?;
                    function = Some(before).filter(|before| *before < function)?;
                }
            }
        }
    }
}

fn options(canonical: &CanonicalFunction) -> &[CanonicalOption] {
    match canonical {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options
        }
        _ => &[],
    }
}

/// A section of exports with guards in the place of some, and the functions that they guard: the first guard is to be
/// function `first`.
pub(super) fn with_guards(
    exports: &[u8],
    guarded: &BTreeSet<String>,
    first: u32,
) -> Result<(Vec<u8>, Vec<u32>), DivideError> {
    let reader = ExportSectionReader::new(BinaryReader::new(exports, 0))?;
    let (mut count, mut new) = (reader.count() as usize, Vec::new());
    let (mut functions, mut names) = (BTreeMap::new(), HashSet::new());
    let mut copied = reader.clone().original_position();
    let mut all = reader.into_iter_with_offsets().peekable();
    while let Some(export) = all.next() {
        let (start, export) = export?;
        names.insert(export.name);
        if export.kind != ExternalKind::Func || !guarded.contains(export.name) {
            continue;
        }
        let next = functions.len();
        let place = *functions.entry(export.index).or_insert(next);
        new.extend(&exports[copied..start]);
        put_function(export.name, sum(first, place)?, &mut new);
        copied = match all.peek() {
            Some(Ok((next, _))) => *next,
            _ => exports.len(),
        };
    }
    new.extend(&exports[copied..]);
    let mut in_order: Vec<_> = functions.into_iter().map(|(it, place)| (place, it)).collect();
    in_order.sort_unstable();
    let functions: Vec<u32> = in_order.into_iter().map(|(_, it)| it).collect();
    // What is exported may be referred to: an export may be all that allows it.
    let mut number = 0;
    for function in &functions {
        let name = loop {
            number += 1;
            let name = format!("guarded-{number}");
            if !names.contains(&*name) {
                break name;
            }
        };
        put_function(&name, *function, &mut new);
        count += 1;
    }
    let mut content = Vec::with_capacity(new.len() + 5);
    count.encode(&mut content);
    content.extend(new);
    Ok((content, functions))
}

fn put_function(name: &str, index: u32, to: &mut Vec<u8>) {
    name.encode(to);
    wasm_encoder::ExportKind::Func.encode(to);
    index.encode(to);
}

/// What traps if it is asked for too much, and else does what the function does.
pub(super) fn guard(function: u32) -> Function {
    let mut guard = Function::new([]);
    let mut code = guard.instructions();
    code.local_get(3).i32_const(MOST_HANDED.cast_signed()).i32_gt_u();
    // Of two bytes in UTF-16.
    code.local_get(2).i32_const(2).i32_le_u().i32_and();
    code.if_(BlockType::Empty).unreachable().end();
    code.local_get(0).local_get(1).local_get(2).local_get(3).call(function).end();
    guard
}

/// A custom section that names so many guards.
pub(super) fn names(first: u32, count: u32) -> impl wasm_encoder::Section {
    let mut functions = wasm_encoder::NameMap::new();
    (first..first + count).for_each(|it| functions.append(it, GUARD));
    let mut names = wasm_encoder::NameSection::new();
    names.functions(&functions);
    names
}

#[cfg(test)]
#[path = "handed_tests.rs"]
mod tests;
