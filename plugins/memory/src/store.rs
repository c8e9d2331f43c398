//! Reads and writes the file of a scope. Knows nothing of what is changed in it.
//!
//! A file is written in one go and not renamed into place: the host stages what a call writes, and makes
//! it real whole or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::line::Graph;
use crate::scope;

/// The graph of a scope; an empty one where there is no file.
pub fn read(scope: Option<&str>) -> Result<Graph, String> {
    load(&file(scope)?)
}

/// Changes the graph of a scope. Nothing is written if the change fails, or if it changes nothing.
pub fn change<T>(
    scope: Option<&str>,
    act: impl FnOnce(&mut Graph) -> Result<T, String>,
) -> Result<T, String> {
    let file = file(scope)?;
    let before = load(&file)?;
    let mut graph = before.clone();
    let answer = act(&mut graph)?;
    if graph != before {
        save(&file, graph)?;
    }
    Ok(answer)
}

fn file(scope: Option<&str>) -> Result<std::path::PathBuf, String> {
    scope::file(scope, std::env::var(scope::VARIABLE).ok().as_deref())
}

fn load(file: &Path) -> Result<Graph, String> {
    let text = match fs::read(file) {
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| format!("{}: this is not text in UTF-8", file.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Graph::default()),
        Err(error) => return Err(describe(file, &error)),
    };
    Graph::parse(&text).map_err(|why| format!("{}: {why}", file.display()))
}

fn save(file: &Path, graph: Graph) -> Result<(), String> {
    let text = graph.text()?;
    if let Some(folder) = file.parent().filter(|it| !it.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| describe(folder, &error))?;
    }
    fs::write(file, text).map_err(|error| describe(file, &error))
}

fn describe(path: &Path, error: &std::io::Error) -> String {
    let text = error.to_string();
    format!("{}: {}", path.display(), text.split(" (os error").next().unwrap_or_default())
}
