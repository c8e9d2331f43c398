//! `inorder pack`: puts the WIT of a plugin into its file, so that descriptions and tags travel with it.

mod module;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use inorder::{Grants, PluginSpec, Source, Tool, Wit};

use crate::Ending;
use crate::load::LoadArgs;
use crate::print::{bold, dim, line, out_styled, plain, say};
use crate::tools::{signature, touches};

/// Put the WIT of a plugin into its file: descriptions, and tags that say what its tools touch
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder pack my.wasm --wit wit/              into the file itself
  inorder pack my.wasm --wit my.wit -o out.wasm
  inorder pack core.wasm --wit wit/ -o my.wasm  a core module becomes a component

A component does not keep the comments of its WIT. Packed with it, they are read when the plugin is
loaded; a .wit file of its name beside it is read instead. Packing again replaces what was packed.

Tags, in the comment of a function: `@reads PARAM`, `@writes PARAM` (it touches only the paths in these
parameters) and `@pure` (it touches no files).")]
pub struct Args {
    /// A WASI component, or a core module that exports the functions of the WIT
    plugin: PathBuf,
    /// A directory of WIT, with its dependencies in `deps`, or one .wit file
    #[arg(long, value_name = "DIR")]
    wit: PathBuf,
    /// Where to write [default: the plugin itself]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    load: LoadArgs,
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let shown = args.plugin.display();
    let read = || format!("cannot read {shown}");
    if !std::fs::metadata(&args.plugin).with_context(read)?.is_file() {
        bail!("cannot pack {shown}: it is not a regular file");
    }
    let bytes = std::fs::read(&args.plugin).with_context(read)?;
    let cannot = || format!("cannot pack {} into {shown}", args.wit.display());
    let wit = Wit::read(&args.wit).with_context(cannot)?;
    let bytes = if module::is_core_module(&bytes) {
        module::to_component(&bytes, &args.wit).with_context(cannot)?
    } else {
        bytes
    };
    let packed = wit.pack_into(&bytes).with_context(cannot)?;
    // It is loaded as users will load it, so that a wrong tag is found here.
    let name = args.plugin.file_stem().unwrap_or_default().to_string_lossy();
    let spec = PluginSpec::new(name, Source::Bytes(packed.clone()), Grants::default());
    let host = args.load.builder().jobs(1).plugin(spec).build().with_context(cannot)?;
    let Some(plugin) = host.plugins().next() else { return Ok(Ending::AllOk) };
    let misfits = plugin.compare(&wit).with_context(cannot)?;
    let output = args.output.as_ref().unwrap_or(&args.plugin);
    replace(output, &args.plugin, &packed)?;
    for function in misfits.missing {
        say(dim(format!("note: the component has no {}", line(&function, 200))));
    }
    for function in misfits.unknown {
        say(dim(format!("note: the WIT has no {}", line(&function, 200))));
    }
    let beside = output.with_extension("wit");
    if beside.is_file() {
        let beside = plain(&beside.display().to_string());
        say(dim(format!("note: {beside} is read instead, as long as it lies there")));
    }
    out_styled(&summary(output, &plugin.tools))?;
    Ok(Ending::AllOk)
}

fn summary(output: &Path, tools: &[Tool]) -> String {
    let described = tools.iter().filter(|tool| tool.description.is_some()).count();
    let tagged = tools.iter().filter(|tool| touches(tool).is_some()).count();
    let mut text = format!(
        "{}: {described} of {} tools described, {tagged} with tags\n",
        bold(plain(&output.display().to_string())),
        tools.len(),
    );
    for tool in tools {
        let touches = touches(tool).unwrap_or_default();
        text.push_str(&format!("  {}({}) {}\n", tool.name.call, signature(tool), dim(touches)));
    }
    text
}

/// Writes the whole file or nothing, with the rights of the file that it replaces, or else of `like`.
fn replace(path: &Path, like: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    // Not a link to the file, but the file.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(bytes)?;
        let rights = std::fs::metadata(path).or_else(|_| std::fs::metadata(like))?.permissions();
        file.as_file().set_permissions(rights)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
