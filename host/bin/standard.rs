//! The standard plugins: how to get one that was named, or a tool of one, and is not there.

use std::io::ErrorKind;

use inorder::{Error, Host, builtins};

/// One that is not built in.
struct Standard {
    name: &'static str,
    /// Where the file is, in a clone of the repository.
    path: &'static str,
    /// The script that builds it, where it is not part of that.
    build: Option<&'static str>,
    wit: &'static str,
}

const STANDARD: [Standard; 4] = [
    Standard {
        name: "git",
        path: "plugins/dist/git.wasm",
        build: None,
        wit: include_str!("../../wit/git.wit"),
    },
    Standard {
        name: "fetch",
        path: "plugins/dist/fetch.wasm",
        build: None,
        wit: include_str!("../../wit/fetch.wit"),
    },
    Standard {
        name: "linear",
        path: "target/plugins/linear.wasm",
        build: Some("plugins/linear/build.sh"),
        wit: include_str!("../../wit/linear.wit"),
    },
    Standard {
        name: "python",
        path: "target/plugins/python.wasm",
        build: Some("plugins/python/build.sh"),
        wit: include_str!("../../wit/python.wit"),
    },
];

impl Standard {
    fn how(&self) -> String {
        let Standard { path, build, .. } = self;
        match build {
            Some(script) => {
                format!("is not built in: in a clone of the repository, {script} makes {path}")
            }
            None => format!("is not built in: in a clone of the repository, it is {path}"),
        }
    }
}

/// The error of a host that could not be built, with how to get the plugin that is missing.
pub fn explain(error: Error) -> anyhow::Error {
    let missing = match &error {
        Error::Read { path, error } if error.kind() == ErrorKind::NotFound => {
            path.file_stem().map(|name| name.to_string_lossy().into_owned())
        }
        Error::UnknownBuiltin { name, .. } => Some(name.clone()),
        _ => None,
    };
    match STANDARD.iter().find(|it| missing.as_deref() == Some(it.name)) {
        Some(standard) => {
            anyhow::anyhow!("{error}. The standard plugin {} {}", standard.name, standard.how())
        }
        None => error.into(),
    }
}

/// That no tool of that name is loaded, and where it is to be had.
pub fn unknown(host: &Host, name: &str) -> String {
    let similar = host.tools().map(|(it, ..)| it).find(|it| it.eq_ignore_ascii_case(name));
    let hint = similar.map(|it| format!("did you mean {it:?}?")).or_else(|| of_tool(name));
    let hint = hint.unwrap_or_else(|| "`inorder tools` lists what is loaded".to_owned());
    format!("no tool is named {name:?}; {hint}")
}

/// Which standard plugin has a tool of that name, and how to load it.
pub fn of_tool(name: &str) -> Option<String> {
    let function = format!(" {}: func(", name.replace('_', "-"));
    if let Some(builtin) = builtins().iter().find(|it| it.wit.contains(&function)) {
        let plugin = builtin.name;
        return Some(format!(
            "{name} is of {plugin}, which is built in: a config loads it with [plugins.{plugin}]"
        ));
    }
    let standard = STANDARD.iter().find(|it| it.wit.contains(&function))?;
    Some(format!("{name} is of the standard plugin {}, which {}", standard.name, standard.how()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standard_tool_is_found_in_its_plugin_and_no_other_is() {
        for (tool, says) in [
            ("git_status", "plugins/dist/git.wasm"),
            ("list_issues", "plugins/linear/build.sh"),
            ("convert_time", "[plugins.time]"),
        ] {
            assert!(of_tool(tool).unwrap().contains(says), "{tool}");
        }
        for tool in ["status", "", "git", "Fetch", "issues"] {
            assert!(of_tool(tool).is_none(), "{tool}");
        }
    }
}
