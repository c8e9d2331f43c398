//! Standard plugins that are not built in: how to get one that was named and is not there.

use std::io::ErrorKind;

use inorder::Error;

/// By name: where the file is, in a clone of the repository, and the script that builds it, where it is not part of that.
const STANDARD: [(&str, &str, Option<&str>); 4] = [
    ("git", "plugins/dist/git.wasm", None),
    ("fetch", "plugins/dist/fetch.wasm", None),
    ("linear", "target/plugins/linear.wasm", Some("plugins/linear/build.sh")),
    ("python", "target/plugins/python.wasm", Some("plugins/python/build.sh")),
];

/// The error of a host that could not be built, with how to get the plugin that is missing.
pub fn explain(error: Error) -> anyhow::Error {
    let missing = match &error {
        Error::Read { path, error } if error.kind() == ErrorKind::NotFound => {
            path.file_stem().map(|name| name.to_string_lossy().into_owned())
        }
        Error::UnknownBuiltin { name, .. } => Some(name.clone()),
        _ => None,
    };
    let standard = STANDARD.iter().find(|(name, ..)| missing.as_deref() == Some(name));
    let Some((name, path, build)) = standard else { return error.into() };
    let how = match build {
        Some(script) => {
            format!("is not built in: in a clone of the repository, {script} makes {path}")
        }
        None => format!("is not built in: in a clone of the repository, it is {path}"),
    };
    anyhow::anyhow!("{error}. The standard plugin {name} {how}")
}
