//! The files in a user's words: what a call was refused and what would allow it, and why its changes cannot be made.
//!
//! As `requests` is for the network.

use crate::batch::{CallError, ErrorKind, Json, limit_of};
use crate::files::{Access, Crowded, Denial, DeniedBy, INORDER, Unfit, View};
use crate::policy::Limits;

/// What a refusal by policy makes of a result. A tool that was refused something may know what to do without, and
/// then is as good as its word; one that does what it has declared not to do is not believed.
pub(crate) fn refused(
    result: Result<Json, CallError>,
    view: &View,
    plugin: &str,
    limits: &Limits,
) -> Result<Json, CallError> {
    let denials = view.denials();
    if let Some(lie) = denials.iter().find(|denial| denial.by == DeniedBy::Declaration) {
        let doing = doing(lie.access);
        let message = format!(
            "the tool declares in its documentation (`@reads`, `@writes`, `@pure`) which paths it touches, and tried {doing} {:?}, \
             which is none of them: its declaration is wrong",
            lie.path
        );
        return Err(CallError::new(ErrorKind::Denied, message));
    }
    let Err(error) = result else { return result };
    if !matches!(error.kind, ErrorKind::Tool | ErrorKind::Trap) {
        return Err(error);
    }
    if view.full() {
        let limit = limit_of("staged", bytesize::ByteSize(limits.staged));
        let message = format!(
            "{}; what it changes of files is more than may wait for its commit ({limit})",
            error.message
        );
        return Err(CallError { kind: ErrorKind::Staged, message, ..error });
    }
    if let Some(crowded) = view.crowded() {
        let message = match crowded {
            Crowded::Call => {
                let limit = limit_of("memory", bytesize::ByteSize(limits.memory));
                format!("the host keeps so much at most of the names that a call looks at ({limit})")
            }
            Crowded::Host => "all calls of the host together would hold more than they may, with the names that they \
                              look at (`max-memory`): try again when fewer run"
                .to_owned(),
        };
        let message = format!("{}; {message}", error.message);
        return Err(CallError { kind: ErrorKind::Memory, message, ..error });
    }
    if let Some(path) = view.crossed() {
        let message = format!(
            "{}; {path:?} is on another file system than its root, which cannot be changed in one step with it: \
             make its mount point a root of its own",
            error.message
        );
        return Err(CallError { message, ..error });
    }
    let Some(denial) = denials.first() else {
        if !view.bare() {
            return Err(error);
        }
        // It may have failed for another reason, and so keeps its kind.
        let message = format!("{}; {}", error.message, nothing_granted(plugin));
        return Err(CallError { message, ..error });
    };
    let message = format!("{}; {}", error.message, explain(denial, plugin));
    Err(CallError { kind: ErrorKind::Denied, message, ..error })
}

/// What was denied, and the line of policy that would allow it.
fn explain(denial: &Denial, plugin: &str) -> String {
    let Denial { path, access, by } = denial;
    let doing = doing(*access);
    if *by == DeniedBy::OtherNames {
        return format!(
            "{path:?} is one file with other names (hard links) that may not be written, so it may not be either"
        );
    }
    if *by == DeniedBy::Outside {
        return format!("{path:?} leads out of its root (--root), beyond which no file is granted");
    }
    let (field, flag) = match access {
        Access::Look | Access::Pass | Access::Read => ("read", "--allow-read"),
        Access::Write | Access::MakeDir | Access::WriteTree => ("write", "--allow-write"),
    };
    if path.split('/').any(|part| part == INORDER) {
        return format!(
            "{doing} {path:?} is nobody's: the host keeps its own files in `{INORDER}`"
        );
    }
    let beneath = |path: &str| format!("{}/**", literal(path));
    let patterns = match (access, path.as_str()) {
        (_, ".") => vec!["**".to_owned()],
        // Whoever writes in a repository makes files of random names there, and needs all of it.
        (_, path) if field == "write" && git_folder(path).is_some() => {
            git_folder(path).map(beneath).into_iter().collect()
        }
        // Whether what was looked for is a folder, whose content is wanted next, is not for the message to tell.
        (Access::Look | Access::WriteTree, path) => vec![literal(path), beneath(path)],
        // It is made, or passed, for what is in it.
        (Access::MakeDir | Access::Pass, path) => vec![beneath(path)],
        (_, path) => vec![literal(path)],
    };
    let flags: Vec<String> = patterns.iter().map(|pattern| format!("{flag} '{pattern}'")).collect();
    let (patterns, flags) = (toml::Value::from(patterns), flags.join(" "));
    format!(
        "{doing} {path:?} is not granted: `{field} = {patterns}` under [plugins.{plugin}] in the config, or {flags}, \
         would allow it"
    )
}

/// The `.git` that a path leads through.
fn git_folder(path: &str) -> Option<&str> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let mut folders = ends.map(|end| &path[..end]);
    folders.find(|folder| *folder == ".git" || folder.ends_with("/.git"))
}

/// Why there are no files for a plugin, and the line of policy that would give it some. Which it looked for is not known:
/// without a directory to begin at, a path never reaches the host.
fn nothing_granted(plugin: &str) -> String {
    format!(
        "no file is granted to the plugin, so there are none for it: `read = [\"**\"]` under [plugins.{plugin}] in the \
         config, or --allow-read '**', would let it read all that is in the root, and a narrower pattern less; `write` \
         likewise"
    )
}

/// The pattern that matches a path alone.
fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for (at, one) in path.char_indices() {
        if matches!(one, '*' | '?' | '[' | ']' | '{' | '}' | ',' | '\\') || (at == 0 && one == '!')
        {
            pattern.push('\\');
        }
        pattern.push(one);
    }
    pattern
}

fn doing(access: Access) -> &'static str {
    match access {
        Access::Look | Access::Pass | Access::Read => "reading",
        Access::Write | Access::MakeDir => "writing",
        Access::WriteTree => "moving",
    }
}

/// Results are in memory until they are handed over, and count with what running calls hold.
pub(crate) fn no_room_for_results() -> CallError {
    let message = "the results of calls, which are kept until they are handed over, and what running calls hold are more \
                   than all calls of the host may hold together (`max-memory`): have fewer calls at once, or ask each for \
                   less";
    CallError::new(ErrorKind::Memory, message)
}

/// Why what a call has staged cannot be made real, whenever its turn comes.
pub(crate) fn cannot_commit(unfit: &Unfit) -> CallError {
    let message = match unfit {
        Unfit::TwoRoots => {
            "the call changed files in two roots, which cannot be committed in one step; none \
             was changed: let it write in one of them"
                .to_owned()
        }
        Unfit::Refused(errno) => {
            let error = std::io::Error::from(*errno);
            format!(
                "the changed files cannot be made ready in `.inorder`, and none was changed: {error}"
            )
        }
    };
    CallError::new(ErrorKind::Host, message)
}
